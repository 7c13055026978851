//! Databases, as handles of C.

use crate::error::{Failure, pglite_error};
use crate::guard::{guard, guard_or};
use crate::options::{opening, pglite_options};
use crate::status::pglite_status;
use crate::text;
use gateway::Local;
use libpglite::Database;
use std::ffi::{CString, c_char, c_int};
use std::os::fd::IntoRawFd;
use std::os::unix::ffi::OsStrExt;
use std::ptr::null;
use std::sync::{Arc, Mutex, PoisonError};

/// An open database. Any thread may use it.
#[allow(non_camel_case_types, reason = "it is C's")]
pub struct pglite_database {
    pub(crate) kind: Kind,
    path: CString,
    uri: Option<CString>,
    pub(crate) superuser: String,
}

pub(crate) enum Kind {
    Server(Arc<Database>),
    Standalone(Arc<Slot>),
}

/// Where the session of a standalone database is while nobody has it.
pub(crate) struct Slot {
    local: Mutex<Option<Local>>,
}

impl Slot {
    pub(crate) fn take(&self) -> Option<Local> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn give_back(&self, local: Local) {
        *self.local.lock().unwrap_or_else(PoisonError::into_inner) = Some(local);
    }
}

/// The version of this interface. Programs that were built with a header of an older version run with newer libraries of the same
/// number; the number changes with what is not compatible.
pub const PGLITE_ABI_VERSION: c_int = 1;

/// PGLITE_ABI_VERSION of the library.
#[unsafe(no_mangle)]
pub extern "C" fn pglite_abi_version() -> c_int {
    PGLITE_ABI_VERSION
}

/// The version of libpglite, such as "0.1.0".
#[unsafe(no_mangle)]
pub extern "C" fn pglite_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// The version of PostgreSQL, such as "18.6".
#[unsafe(no_mangle)]
pub extern "C" fn pglite_postgres_version() -> *const c_char {
    static VERSION: std::sync::OnceLock<CString> = std::sync::OnceLock::new();
    VERSION.get_or_init(|| CString::new(libpglite::postgres_version()).unwrap_or_default()).as_ptr()
}

/// Opens the database in a directory; makes it where there is none, or where it is empty. ":memory:" is a database in memory.
/// `options` may be null. The database is closed by pglite_close. On failure `*database` is null, and the directory is as it was.
///
/// # Safety
/// The strings and structures are as C has them; `database` can be written to; `error` is null, or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pglite_open(
    directory: *const c_char,
    options: *const pglite_options,
    database: *mut *mut pglite_database,
    error: *mut *mut pglite_error,
) -> pglite_status {
    guard(error, || {
        if database.is_null() {
            return Err(pglite_error::usage("database is a null pointer"));
        }
        // SAFETY: by the caller's promise.
        unsafe { *database = std::ptr::null_mut() };
        let directory = text::required(directory, "directory")?;
        // SAFETY: by the caller's promise.
        let opening = unsafe { opening(directory, options) }?;
        let opened = open(opening)?;
        // SAFETY: as above.
        unsafe { *database = Box::into_raw(Box::new(opened)) };
        Ok(())
    })
}

fn open(opening: crate::options::Opening) -> Result<pglite_database, Failure> {
    let string = |text: &[u8]| CString::new(text).unwrap_or_default();
    if opening.standalone {
        let session = opening.builder.open_standalone()?;
        let path = string(session.path().as_os_str().as_bytes());
        let slot = Slot { local: Mutex::new(Some(Local::new(session))) };
        let superuser = opening.user;
        return Ok(pglite_database { kind: Kind::Standalone(Arc::new(slot)), path, uri: None, superuser });
    }
    let database = opening.builder.open()?;
    let path = string(database.path().as_os_str().as_bytes());
    // Without a listener there is none.
    let uri = database.uri().ok().map(|uri| string(uri.as_bytes()));
    Ok(pglite_database { kind: Kind::Server(Arc::new(database)), path, uri, superuser: opening.user })
}

/// Shuts a database down: all that was committed is on disk, the directory is free. Its sessions have to be closed first: else it
/// says PGLITE_BUSY and the database stays open. In all other cases the handle is gone, also where something went wrong.
///
/// # Safety
/// `database` is null, or open and not used by another thread; `error` is null, or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pglite_close(database: *mut pglite_database, error: *mut *mut pglite_error) -> pglite_status {
    guard(error, || {
        if database.is_null() {
            return Ok(());
        }
        // SAFETY: by the caller's promise.
        let mut own = unsafe { Box::from_raw(database) };
        let busy = || pglite_error::new(pglite_status::PGLITE_BUSY, "the database has open sessions: close them first");
        own.kind = match own.kind {
            Kind::Server(server) => match Arc::try_unwrap(server) {
                Ok(server) => return server.close().map_err(Failure::from),
                Err(server) => Kind::Server(server),
            },
            Kind::Standalone(slot) => match Arc::try_unwrap(slot) {
                Ok(slot) => {
                    return match slot.take() {
                        Some(local) => local.close().map_err(Failure::from),
                        None => Ok(()),
                    };
                }
                Err(slot) => Kind::Standalone(slot),
            },
        };
        // It goes on living where the caller has it.
        // SAFETY: the memory of the handle is still there: `Box::into_raw` gives the same address.
        let same = Box::into_raw(own);
        debug_assert_eq!(same, database);
        Err(busy())
    })
}

/// The data directory. The string lives as long as the database.
///
/// # Safety
/// `database` is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pglite_path(database: *const pglite_database) -> *const c_char {
    // SAFETY: by the caller's promise.
    unsafe { database.as_ref() }.map_or(null(), |database| database.path.as_ptr())
}

/// How other programs reach the database; null where it listens nowhere. The string lives as long as the database.
///
/// # Safety
/// `database` is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pglite_uri(database: *const pglite_database) -> *const c_char {
    // SAFETY: by the caller's promise.
    let uri = unsafe { database.as_ref() }.and_then(|database| database.uri.as_ref());
    uri.map_or(null(), |uri| uri.as_ptr())
}

/// A new connection for a driver that wants a socket: a descriptor that speaks the wire protocol from the start-up packet on, trusted
/// as any role. It belongs to the caller. Negative on failure, and for a standalone database.
///
/// # Safety
/// `database` is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pglite_connect_fd(database: *const pglite_database) -> c_int {
    guard_or(-1, || {
        // SAFETY: by the caller's promise.
        match unsafe { database.as_ref() }.map(|database| &database.kind) {
            Some(Kind::Server(server)) => server.stream().map_or(-1, IntoRawFd::into_raw_fd),
            _ => -1,
        }
    })
}
