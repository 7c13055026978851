//! One call for who does not want to parse the protocol.

use crate::error::{Failure, pglite_error};
use crate::status::pglite_status;
use crate::transport::Transport;
use draft::{columns, message, query};
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr::null;

/// A row, during a call of pglite_row_callback.
#[allow(non_camel_case_types, reason = "it is C's")]
#[repr(C)]
pub struct pglite_row {
    /// sizeof(pglite_row).
    pub size: usize,
    /// Which statement of the text it belongs to, from 0.
    pub statement: c_int,
    /// Number of columns.
    pub columns: c_int,
    /// Names of the columns.
    pub names: *const *const c_char,
    /// Object identifiers of the types of the columns.
    pub types: *const u32,
    /// The values as text; NULL is a null pointer. Each ends in a zero byte.
    pub values: *const *const c_char,
    /// Lengths of the values in bytes, without the zero.
    pub lengths: *const usize,
}

/// Gets each row. What is not 0 stops: the statement is cancelled. It must not jump out, nor use the session.
#[allow(non_camel_case_types, reason = "it is C's")]
pub type pglite_row_callback = Option<unsafe extern "C" fn(context: *mut c_void, row: *const pglite_row) -> c_int>;

/// Gets each notice; it lives only during the call.
#[allow(non_camel_case_types, reason = "it is C's")]
pub type pglite_notice_callback = Option<unsafe extern "C" fn(context: *mut c_void, notice: *const pglite_error)>;

#[derive(Default)]
struct Header {
    names: Vec<CString>,
    types: Vec<u32>,
}

impl Header {
    fn read(body: &[u8]) -> Header {
        let mut header = Header::default();
        let mut rest = body.get(2..).unwrap_or_default();
        while let Some(end) = rest.iter().position(|b| *b == 0) {
            let Some(fixed) = rest.get(end + 1..end + 19) else { break };
            header.names.push(CString::new(&rest[..end]).unwrap_or_default());
            header.types.push(u32::from_be_bytes([fixed[6], fixed[7], fixed[8], fixed[9]]));
            rest = &rest[end + 19..];
        }
        header
    }
}

/// What a run does with what it gets.
pub(crate) struct Handlers {
    pub(crate) row: pglite_row_callback,
    pub(crate) row_context: *mut c_void,
    pub(crate) notice: pglite_notice_callback,
    pub(crate) notice_context: *mut c_void,
}

/// Runs statements to their end; the last command tag.
///
/// # Errors
/// The first error of the server; [`pglite_status::PGLITE_STOPPED`] when the callback asked for it.
pub(crate) fn run(
    transport: &mut Transport,
    sql: &str,
    handlers: &Handlers,
    cancel: &dyn Fn(),
) -> Result<CString, Failure> {
    transport.send(&query(sql))?;
    let mut header = Header::default();
    let mut statement = 0;
    let mut tag = CString::default();
    let mut failure: Option<Failure> = None;
    let mut stopped = false;
    loop {
        let (kind, body) = match transport.message() {
            Ok(message) => message,
            // The session has told why it ended.
            Err(error) => return Err(failure.unwrap_or(error)),
        };
        match kind {
            b'T' => header = Header::read(body),
            b'D' if !stopped && call(handlers, statement, &header, body) != 0 => {
                stopped = true;
                cancel();
            }
            b'C' => {
                tag = CString::new(body.strip_suffix(b"\0").unwrap_or(body)).unwrap_or_default();
                statement += 1;
                header = Header::default();
            }
            b'I' => statement += 1,
            b'E' => failure = failure.or(Some(pglite_error::from_message(body))),
            b'N' => {
                if let Some(notice) = handlers.notice {
                    let object = pglite_error::from_message(body);
                    // SAFETY: the caller promised that it can be called so.
                    unsafe { notice(handlers.notice_context, &raw const *object) };
                }
            }
            b'G' => {
                transport.send(&message(b'f', b"pglite_session_exec has no data for COPY FROM STDIN\0"))?;
            }
            b'Z' => break,
            _ => {}
        }
    }
    match failure {
        _ if stopped => Err(pglite_error::new(pglite_status::PGLITE_STOPPED, "the callback asked to stop")),
        Some(failure) => Err(failure),
        None => Ok(tag),
    }
}

fn call(handlers: &Handlers, statement: c_int, header: &Header, body: &[u8]) -> c_int {
    let Some(callback) = handlers.row else { return 0 };
    let cells = columns(body);
    // One buffer for all values, each with its zero byte; pointers only when it does not move any more.
    let mut buffer = Vec::with_capacity(body.len() + cells.len());
    let mut starts = Vec::with_capacity(cells.len());
    for cell in &cells {
        starts.push(cell.map(|_| buffer.len()));
        buffer.extend_from_slice(cell.unwrap_or_default());
        buffer.push(0);
    }
    let values: Vec<*const c_char> =
        starts.iter().map(|start| start.map_or(null(), |start| buffer[start..].as_ptr().cast())).collect();
    let lengths: Vec<usize> = cells.iter().map(|cell| cell.map_or(0, <[u8]>::len)).collect();
    let names: Vec<*const c_char> = header.names.iter().map(|name| name.as_ptr()).collect();
    let row = pglite_row {
        size: size_of::<pglite_row>(),
        statement,
        columns: cells.len().min(header.names.len()) as c_int,
        names: names.as_ptr(),
        types: header.types.as_ptr(),
        values: values.as_ptr(),
        lengths: lengths.as_ptr(),
    };
    // SAFETY: the caller promised that it can be called so.
    unsafe { callback(handlers.row_context, &raw const row) }
}
