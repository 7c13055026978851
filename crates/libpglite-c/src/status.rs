//! What functions return.

use libpglite::Error;

/// What a function returns.
#[allow(non_camel_case_types, reason = "it is C's")]
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum pglite_status {
    /// It is done.
    PGLITE_OK = 0,
    /// Nothing can be sent or received just now; wait for pglite_session_fd, or send more.
    PGLITE_AGAIN = 1,
    /// A statement failed: the error object has its SQLSTATE. The session is usable.
    PGLITE_SQL = 2,
    /// The session or the server has ended. What was committed is safe.
    PGLITE_ENDED = 3,
    /// An argument is impossible.
    PGLITE_USAGE = 4,
    /// The directory holds something else.
    PGLITE_NOT_A_DATABASE = 5,
    /// The database belongs to another major version of PostgreSQL.
    PGLITE_OTHER_VERSION = 6,
    /// Somebody else has the database open.
    PGLITE_IN_USE = 7,
    /// The directory cannot be written to.
    PGLITE_READ_ONLY = 8,
    /// The disk is full.
    PGLITE_NO_SPACE = 9,
    /// PostgreSQL does not have the setting, or does not take the value.
    PGLITE_SETTING = 10,
    /// PostgreSQL did not start; the message has its own words.
    PGLITE_STARTUP = 11,
    /// The operating system refused something.
    PGLITE_IO = 12,
    /// The process is a fork of the one that opened the database.
    PGLITE_FORKED = 13,
    /// The handle is in use: by another thread, by a callback, or by sessions that are open.
    PGLITE_BUSY = 14,
    /// The callback asked to stop.
    PGLITE_STOPPED = 15,
    /// A defect of libpglite. Please report it.
    PGLITE_INTERNAL = 16,
}

impl From<&Error> for pglite_status {
    fn from(error: &Error) -> pglite_status {
        match error {
            Error::NotADirectory(_) | Error::NotACluster(_) => pglite_status::PGLITE_NOT_A_DATABASE,
            Error::OtherVersion { .. } => pglite_status::PGLITE_OTHER_VERSION,
            Error::InUse { .. } => pglite_status::PGLITE_IN_USE,
            Error::ReadOnly(_) => pglite_status::PGLITE_READ_ONLY,
            Error::NoSpace(_) => pglite_status::PGLITE_NO_SPACE,
            Error::Setting(_) => pglite_status::PGLITE_SETTING,
            Error::Option(_) => pglite_status::PGLITE_USAGE,
            Error::Startup { .. } | Error::Initdb { .. } => pglite_status::PGLITE_STARTUP,
            Error::Ended(_) => pglite_status::PGLITE_ENDED,
            Error::Forked => pglite_status::PGLITE_FORKED,
            _ => pglite_status::PGLITE_IO,
        }
    }
}
