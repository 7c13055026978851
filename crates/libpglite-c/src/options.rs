//! Structures that the caller fills. Each begins with its size, so that it can grow.

use crate::error::{Failure, pglite_error};
use crate::log::{Sink, pglite_log_callback};
use crate::text;
use libpglite::{Access, Builder, Database};
use std::ffi::{c_char, c_int, c_void};
use std::path::Path;

/// How a database is opened. Fill it with PGLITE_OPTIONS_INIT, or with zeros and the size; what is zero is the default.
#[allow(non_camel_case_types, reason = "it is C's")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct pglite_options {
    /// sizeof(pglite_options).
    pub size: usize,
    /// 0: a server with any number of sessions. 1: one session at a time, which runs on the thread that calls it and nowhere else.
    pub standalone: c_int,
    /// 1: an error instead of a new database.
    pub existing_only: c_int,
    /// The superuser; "postgres".
    pub user: *const c_char,
    /// The superuser's password, for those who connect from outside. It is set when the database is made.
    pub password: *const c_char,
    /// Settings of PostgreSQL as NAME=VALUE, with a null pointer at the end. They win over postgresql.conf.
    pub settings: *const *const c_char,
    /// A folder for a Unix socket, so that other programs can connect. Not with `standalone`.
    pub socket_folder: *const c_char,
    /// A TCP address and port to listen on, such as 127.0.0.1:5432. Not with `standalone`.
    pub listen: *const c_char,
    /// Files and directories of the machine that SQL may read and write, with a null pointer at the end.
    pub allow_paths: *const *const c_char,
    /// 1: SQL may open network connections.
    pub allow_network: c_int,
    /// 1: SQL may start programs.
    pub allow_programs: c_int,
    /// Gets the server's log; without it the log is dropped.
    pub log: pglite_log_callback,
    /// For `log`.
    pub log_context: *mut c_void,
}

/// Who a session is. Fill it with PGLITE_SESSION_OPTIONS_INIT, or with zeros and the size; what is zero is the default.
#[allow(non_camel_case_types, reason = "it is C's")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct pglite_session_options {
    /// sizeof(pglite_session_options).
    pub size: usize,
    /// The role; the superuser. The process itself connects: no password is asked for.
    pub user: *const c_char,
    /// The database; "postgres".
    pub database: *const c_char,
    /// Settings that the session begins with as NAME=VALUE, with a null pointer at the end.
    pub settings: *const *const c_char,
}

/// A structure of the caller, who may know fewer fields than we do, or more.
///
/// # Safety
/// `pointer` is null, or points at a structure whose first field is its size in bytes.
unsafe fn sized<T: Copy>(pointer: *const T, what: &str) -> Result<Option<T>, Failure> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: by the caller's promise; the size is the first field.
    let size = unsafe { *pointer.cast::<usize>() };
    if size < size_of::<usize>() || size > 4096 {
        return Err(pglite_error::usage(format!("{what}.size is {size}: set it to sizeof({what})")));
    }
    // SAFETY: all fields are integers, pointers and optional functions: zeros are a value of each.
    let mut own: T = unsafe { std::mem::zeroed() };
    let known = size.min(size_of::<T>());
    // SAFETY: both have so many bytes.
    unsafe { std::ptr::copy_nonoverlapping(pointer.cast::<u8>(), (&raw mut own).cast::<u8>(), known) };
    // SAFETY: the caller's structure has `size` bytes.
    let more = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>().add(known), size - known) };
    if more.iter().any(|b| *b != 0) {
        return Err(pglite_error::usage(format!(
            "{what} has fields that this version does not know: update libpglite"
        )));
    }
    Ok(Some(own))
}

/// What `pglite_open` needs of its options.
pub(crate) struct Opening {
    pub(crate) builder: Builder,
    pub(crate) standalone: bool,
    pub(crate) user: String,
}

/// Reads the options.
///
/// # Safety
/// `options` is null or points at a structure as [`pglite_options`] says.
pub(crate) unsafe fn opening(directory: &str, options: *const pglite_options) -> Result<Opening, Failure> {
    let mut builder = Database::builder(Path::new(directory));
    // SAFETY: by the caller's promise.
    let Some(options) = (unsafe { sized(options, "pglite_options") })? else {
        return Ok(Opening { builder: builder.no_log(), standalone: false, user: "postgres".into() });
    };
    let user = text::optional(options.user)?.unwrap_or("postgres").to_owned();
    builder = builder.user(&user);
    if let Some(password) = text::optional(options.password)? {
        builder = builder.password(password);
    }
    for (name, value) in text::pairs(options.settings)? {
        builder = builder.setting(name, value);
    }
    if let Some(folder) = text::optional(options.socket_folder)? {
        builder = builder.listen_socket(folder);
    }
    if let Some(address) = text::optional(options.listen)? {
        let parsed = address.parse();
        let wrong = |_| pglite_error::usage(format!("{address} is not an address and a port, such as 127.0.0.1:5432"));
        builder = builder.listen_tcp(parsed.map_err(wrong)?);
    }
    for path in text::list(options.allow_paths)? {
        builder = builder.allow_path(path, Access::ReadWrite);
    }
    builder = builder.allow_network(options.allow_network != 0).allow_programs(options.allow_programs != 0);
    if options.existing_only != 0 {
        builder = builder.existing_only();
    }
    builder = match Sink::new(options.log, options.log_context) {
        Some(sink) => builder.log(move |message| sink.write(message)),
        None => builder.no_log(),
    };
    Ok(Opening { builder, standalone: options.standalone != 0, user })
}

/// Who a session is to be.
#[derive(Default)]
pub(crate) struct Who {
    pub(crate) user: Option<String>,
    pub(crate) database: Option<String>,
    pub(crate) settings: Vec<(String, String)>,
}

/// Reads the options of a session.
///
/// # Safety
/// `options` is null or points at a structure as [`pglite_session_options`] says.
pub(crate) unsafe fn who(options: *const pglite_session_options) -> Result<Who, Failure> {
    // SAFETY: by the caller's promise.
    let Some(options) = (unsafe { sized(options, "pglite_session_options") })? else { return Ok(Who::default()) };
    Ok(Who {
        user: text::optional(options.user)?.map(str::to_owned),
        database: text::optional(options.database)?.map(str::to_owned),
        settings: text::pairs(options.settings)?,
    })
}
