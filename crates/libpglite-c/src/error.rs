//! Errors, as objects of C.

use crate::status::pglite_status;
use draft::field;
use std::ffi::{CString, c_char, c_int};
use std::ptr::null;

/// Why a call failed. It belongs to the caller, who frees it.
#[allow(non_camel_case_types, reason = "it is C's")]
#[derive(Debug)]
pub struct pglite_error {
    status: pglite_status,
    severity: CString,
    sqlstate: Option<CString>,
    message: CString,
    detail: Option<CString>,
    hint: Option<CString>,
    position: c_int,
}

/// A failed call, within Rust.
pub(crate) type Failure = Box<pglite_error>;

fn text(value: impl Into<Vec<u8>>) -> CString {
    let mut bytes: Vec<u8> = value.into();
    bytes.retain(|b| *b != 0);
    CString::new(bytes).unwrap_or_default()
}

impl pglite_error {
    pub(crate) fn new(status: pglite_status, message: impl Into<String>) -> Failure {
        Box::new(pglite_error {
            status,
            severity: text("ERROR"),
            sqlstate: None,
            message: text(message.into()),
            detail: None,
            hint: None,
            position: 0,
        })
    }

    pub(crate) fn usage(message: impl Into<String>) -> Failure {
        pglite_error::new(pglite_status::PGLITE_USAGE, message)
    }

    /// From the body of an `ErrorResponse` or `NoticeResponse`.
    pub(crate) fn from_message(body: &[u8]) -> Failure {
        let get = |code: u8| field(body, code).map(text);
        let position = field(body, b'P').and_then(|p| std::str::from_utf8(p).ok()?.parse().ok());
        let severity = get(b'V').or_else(|| get(b'S')).unwrap_or_default();
        let ended = matches!(severity.as_bytes(), b"FATAL" | b"PANIC");
        Box::new(pglite_error {
            status: if ended { pglite_status::PGLITE_ENDED } else { pglite_status::PGLITE_SQL },
            severity,
            sqlstate: get(b'C'),
            message: get(b'M').unwrap_or_default(),
            detail: get(b'D'),
            hint: get(b'H'),
            position: position.unwrap_or(0),
        })
    }

    pub(crate) fn status(&self) -> pglite_status {
        self.status
    }
}

impl From<libpglite::Error> for Failure {
    fn from(error: libpglite::Error) -> Failure {
        pglite_error::new(pglite_status::from(&error), error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        use std::io::ErrorKind::{BrokenPipe, ConnectionReset, WouldBlock};
        let status = match error.kind() {
            WouldBlock => pglite_status::PGLITE_AGAIN,
            BrokenPipe | ConnectionReset => pglite_status::PGLITE_ENDED,
            _ => pglite_status::PGLITE_IO,
        };
        pglite_error::new(status, error.to_string())
    }
}

fn pointer(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(null(), |text| text.as_ptr())
}

/// The status that came with the error; PGLITE_OK for a null pointer.
///
/// # Safety
/// `error` is null, or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pglite_error_status(error: *const pglite_error) -> pglite_status {
    // SAFETY: by the caller's promise.
    unsafe { error.as_ref() }.map_or(pglite_status::PGLITE_OK, |e| e.status)
}

/// The message. It lives as long as the error, as do the strings below.
///
/// # Safety
/// `error` is null, or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pglite_error_message(error: *const pglite_error) -> *const c_char {
    // SAFETY: by the caller's promise.
    unsafe { error.as_ref() }.map_or(null(), |e| e.message.as_ptr())
}

/// The severity in English: ERROR, FATAL, PANIC; of a notice: WARNING, NOTICE, INFO, LOG, DEBUG.
///
/// # Safety
/// `error` is null, or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pglite_error_severity(error: *const pglite_error) -> *const c_char {
    // SAFETY: by the caller's promise.
    unsafe { error.as_ref() }.map_or(null(), |e| e.severity.as_ptr())
}

/// The five characters of SQLSTATE; null where PostgreSQL did not say it.
///
/// # Safety
/// `error` is null, or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pglite_error_sqlstate(error: *const pglite_error) -> *const c_char {
    // SAFETY: by the caller's promise.
    unsafe { error.as_ref() }.map_or(null(), |e| pointer(&e.sqlstate))
}

/// More about it, or null.
///
/// # Safety
/// `error` is null, or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pglite_error_detail(error: *const pglite_error) -> *const c_char {
    // SAFETY: by the caller's promise.
    unsafe { error.as_ref() }.map_or(null(), |e| pointer(&e.detail))
}

/// What to do about it, or null.
///
/// # Safety
/// `error` is null, or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pglite_error_hint(error: *const pglite_error) -> *const c_char {
    // SAFETY: by the caller's promise.
    unsafe { error.as_ref() }.map_or(null(), |e| pointer(&e.hint))
}

/// The character of the statement that it is about, from 1; 0 where there is none.
///
/// # Safety
/// `error` is null, or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pglite_error_position(error: *const pglite_error) -> c_int {
    // SAFETY: by the caller's promise.
    unsafe { error.as_ref() }.map_or(0, |e| e.position)
}

/// Frees an error. A null pointer is nothing to free.
///
/// # Safety
/// `error` is null, or an error that was not freed and is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pglite_error_free(error: *mut pglite_error) {
    if !error.is_null() {
        // SAFETY: it was made by `Box::into_raw` in `guard`.
        drop(unsafe { Box::from_raw(error) });
    }
}
