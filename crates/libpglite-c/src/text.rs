//! Strings that come from C.
//!
//! Relies on: a pointer that is not null points at a string that ends in a zero byte, and an array of them ends in a null pointer; both
//! stay as they are for the duration of the call.

use crate::error::{Failure, pglite_error};
use std::ffi::{CStr, c_char};

/// A string; `None` for a null pointer.
///
/// # Errors
/// When it is not UTF-8.
pub(crate) fn optional<'a>(pointer: *const c_char) -> Result<Option<&'a str>, Failure> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: see the module's doc.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map(Some).map_err(|_| pglite_error::usage(format!("{text:?} is not valid UTF-8")))
}

/// A string that must be there.
///
/// # Errors
/// When it is a null pointer, or not UTF-8.
pub(crate) fn required<'a>(pointer: *const c_char, what: &str) -> Result<&'a str, Failure> {
    optional(pointer)?.ok_or_else(|| pglite_error::usage(format!("{what} is a null pointer")))
}

/// The strings of an array; none for a null pointer.
///
/// # Errors
/// When one is not UTF-8.
pub(crate) fn list<'a>(mut pointer: *const *const c_char) -> Result<Vec<&'a str>, Failure> {
    let mut all = Vec::new();
    if pointer.is_null() {
        return Ok(all);
    }
    // SAFETY: see the module's doc: the array goes on until the null pointer.
    while let Some(text) = optional(unsafe { *pointer })? {
        all.push(text);
        // SAFETY: as above.
        pointer = unsafe { pointer.add(1) };
    }
    Ok(all)
}

/// The pairs of an array of `NAME=VALUE`.
///
/// # Errors
/// When one is not UTF-8, or has no `=`.
pub(crate) fn pairs(pointer: *const *const c_char) -> Result<Vec<(String, String)>, Failure> {
    let pair = |text: &str| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(pglite_error::usage(format!("\"{text}\" is not of the form NAME=VALUE"))),
    };
    list(pointer)?.into_iter().map(pair).collect()
}
