//! Files that their owner makes while programs already run.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use rustix::io::Errno;

use crate::path;

/// The owner of files that are not all there yet. It is asked before each operation on a path, so that no program can tell.
pub trait Pending: Send + Sync {
    /// Makes what is at `path`, or waits until it is made. The path is absolute, with `.` and `..` resolved by its text; `lists` says
    /// that the operation may be about to read the entries of a directory there.
    ///
    /// # Errors
    /// Why it could not be made; the operation fails with it.
    fn need(&self, path: &[u8], lists: bool) -> Result<(), Errno>;
}

/// Who is asked.
#[derive(Default)]
pub(crate) struct Owner {
    owner: RwLock<Option<Arc<dyn Pending>>>,
    /// Whether there is one: most of the time there is not.
    present: AtomicBool,
}

impl Owner {
    pub(crate) fn set(&self, owner: Option<Arc<dyn Pending>>) {
        let present = owner.is_some();
        *self.owner.write().unwrap_or_else(PoisonError::into_inner) = owner;
        self.present.store(present, Ordering::Release);
    }

    /// Asks for a path that begins in `directory`, unless it is absolute.
    pub(crate) fn ask(&self, directory: &[u8], path: &[u8], lists: bool) -> Result<(), Errno> {
        if !self.present.load(Ordering::Acquire) {
            return Ok(());
        }
        let owner = self.owner.read().unwrap_or_else(PoisonError::into_inner).clone();
        owner.map_or(Ok(()), |owner| owner.need(&path::resolve(directory, path), lists))
    }
}
