//! The host's own `fork`: the child has a copy of this memory, but none of the threads that run processes, and shares the open
//! files with its parent. So a system ends with the host process that made it: in a child nothing of it can be used,
//! and nothing waits for a lock that a thread held which the child does not have.
//!
//! Relies on: the C library calls what `pthread_atfork` was given; `vfork` and `posix_spawn` do not, and do not need it.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Which process of a line of forks this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u32);

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

impl Generation {
    pub(crate) fn now() -> Generation {
        static WATCHED: Once = Once::new();
        WATCHED.call_once(|| {
            // SAFETY: the handler only changes an atomic.
            unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        });
        Generation(GENERATION.load(Ordering::Relaxed))
    }

    /// Whether this is another process than the one of `self`.
    pub(crate) fn is_over(self) -> bool {
        self.0 != GENERATION.load(Ordering::Relaxed)
    }
}

/// Which process something belongs to that may go over into a fork.
pub(crate) struct Home(AtomicU32);

impl Home {
    /// This process.
    pub(crate) fn here() -> Home {
        Home(AtomicU32::new(Generation::now().0))
    }

    /// Whether this is another process.
    pub(crate) fn is_elsewhere(&self) -> bool {
        Generation(self.0.load(Ordering::Relaxed)).is_over()
    }

    /// It has gone over into this process.
    pub(crate) fn moved_here(&self) {
        self.0.store(GENERATION.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}
