/// Why a bundle could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The first bytes are not those of a bundle.
    #[error("not a bundle: it begins with {found:02x?}")]
    NotABundle {
        /// The bytes that are there instead.
        found: Vec<u8>,
    },
    /// The bundle was written by a later version of this crate.
    #[error("the bundle has format version {found}, this program reads version {expected}: rebuild one of the two")]
    Version {
        /// Version in the bundle.
        found: u32,
        /// Version that this crate reads.
        expected: u32,
    },
    /// Bytes are missing at the end.
    #[error("the bundle is truncated: {found} of {expected} bytes are there")]
    Truncated {
        /// Length in bytes that it should have.
        expected: u64,
        /// Length in bytes that it has.
        found: u64,
    },
    /// A length, an offset, or a checksum is wrong.
    #[error("the bundle is corrupt: {0}")]
    Corrupt(String),
    /// No such file in the bundle.
    #[error("no file `{0}` in the bundle")]
    NotFound(String),
    /// A path that is absolute, empty, or has `.` or `..` in it, or that was added twice.
    #[error("cannot add `{path}` to the bundle: {reason}")]
    Path {
        /// The path as given.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A file larger than the format allows.
    #[error("`{path}` has {size} bytes, more than the {limit} that fit into a bundle")]
    TooLarge {
        /// The path as given.
        path: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The compressor failed, or a host file could not be read.
    #[error("{context}: {source}")]
    Io {
        /// What was being done.
        context: String,
        /// What went wrong.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn io(context: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let context = context.into();
        move |source| Self::Io { context, source }
    }
}
