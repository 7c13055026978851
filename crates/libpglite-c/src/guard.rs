//! The border to C: no panic crosses it, and a failure becomes a status and an error object.
//!
//! Relies on: a pointer for an error that is not null can be written to.

use crate::error::{Failure, pglite_error};
use crate::status::pglite_status;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;

/// Runs `f`; its failure goes to `error`.
pub(crate) fn guard(error: *mut *mut pglite_error, f: impl FnOnce() -> Result<(), Failure>) -> pglite_status {
    let result = catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|payload| {
        // Its destructor could panic again.
        std::mem::forget(payload);
        Err(pglite_error::new(pglite_status::PGLITE_INTERNAL, "libpglite has a defect: see standard error"))
    });
    let (status, object) = match result {
        Ok(()) => (pglite_status::PGLITE_OK, null_mut()),
        Err(failure) => (failure.status(), Box::into_raw(failure)),
    };
    if error.is_null() {
        // SAFETY: just made, and nobody else has it.
        unsafe { crate::error::pglite_error_free(object) };
    } else {
        // SAFETY: see the module's doc.
        unsafe { *error = object };
    }
    status
}

/// Runs `f`, whose result has a value for "it went wrong".
pub(crate) fn guard_or<R>(otherwise: R, f: impl FnOnce() -> R) -> R {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => result,
        Err(payload) => {
            std::mem::forget(payload);
            otherwise
        }
    }
}
