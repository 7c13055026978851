//! The bytes that a file started with.

use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use rustix::io::Errno;

use super::Content;

type Loader = Box<dyn Fn() -> io::Result<Bytes> + Send + Sync>;

/// Shared, immutable content, perhaps still to be loaded.
pub(super) struct Base {
    bytes: OnceLock<Bytes>,
    length: u64,
    load: Option<Mutex<Loader>>,
}

impl Base {
    pub(super) fn new(content: Option<Content>) -> Self {
        match content {
            None => Self::loaded(Bytes::new()),
            Some(Content::Bytes(bytes)) => Self::loaded(bytes),
            Some(Content::Lazy { length, load }) => {
                Self { bytes: OnceLock::new(), length, load: Some(Mutex::new(load)) }
            }
        }
    }

    fn loaded(bytes: Bytes) -> Self {
        Self { length: bytes.len() as u64, bytes: OnceLock::from(bytes), load: None }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The bytes; loads them if nobody has. `EIO` if that fails.
    pub(super) fn bytes(&self) -> Result<&[u8], Errno> {
        if let Some(bytes) = self.bytes.get() {
            return Ok(bytes);
        }
        let load = self.load.as_ref().ok_or(Errno::IO)?;
        let load = load.lock().unwrap_or_else(PoisonError::into_inner);
        if self.bytes.get().is_none() {
            let bytes = load().map_err(|_| Errno::IO)?;
            if bytes.len() as u64 != self.length {
                return Err(Errno::IO);
            }
            return Ok(self.bytes.get_or_init(|| bytes));
        }
        self.bytes.get().map(|bytes| &bytes[..]).ok_or(Errno::IO)
    }
}
