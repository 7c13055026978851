//! Log lines on their way to C.

use libpglite::{Message, Severity};
use std::ffi::{CString, c_char, c_int, c_void};

/// How severe a line of the server's log is.
#[allow(non_camel_case_types, reason = "it is C's")]
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum pglite_severity {
    /// DEBUG1 to DEBUG5.
    PGLITE_DEBUG = 0,
    /// LOG, INFO, NOTICE.
    PGLITE_INFO = 1,
    /// WARNING.
    PGLITE_WARNING = 2,
    /// ERROR: a statement failed.
    PGLITE_ERROR = 3,
    /// FATAL and PANIC: a process ended.
    PGLITE_FATAL = 4,
}

/// Gets the server's log: `pid` is PostgreSQL's process id, `text` one message, which lives only during the call. It is called on
/// PostgreSQL's threads, also several at once, and must neither call libpglite nor jump out.
#[allow(non_camel_case_types, reason = "it is C's")]
pub type pglite_log_callback =
    Option<unsafe extern "C" fn(context: *mut c_void, severity: pglite_severity, pid: c_int, text: *const c_char)>;

/// A callback with its context.
pub(crate) struct Sink {
    call: unsafe extern "C" fn(*mut c_void, pglite_severity, c_int, *const c_char),
    context: *mut c_void,
}

// SAFETY: the interface says that the callback is called on any thread, so its context is for any thread.
unsafe impl Send for Sink {}
// SAFETY: as above.
unsafe impl Sync for Sink {}

impl Sink {
    pub(crate) fn new(callback: pglite_log_callback, context: *mut c_void) -> Option<Sink> {
        callback.map(|call| Sink { call, context })
    }

    pub(crate) fn write(&self, message: &Message<'_>) {
        let severity = match message.severity {
            Severity::Debug => pglite_severity::PGLITE_DEBUG,
            Severity::Info => pglite_severity::PGLITE_INFO,
            Severity::Warning => pglite_severity::PGLITE_WARNING,
            Severity::Error => pglite_severity::PGLITE_ERROR,
            Severity::Fatal => pglite_severity::PGLITE_FATAL,
        };
        let text = CString::new(message.text.replace('\0', " ")).unwrap_or_default();
        // SAFETY: the caller of pglite_open promised that it can be called so.
        unsafe { (self.call)(self.context, severity, message.pid, text.as_ptr()) };
    }
}
