//! What many processes leave behind.
//!
//! A process frees its memory when it ends, but the C library keeps it for the next one: after a thousand sessions that is a
//! gigabyte which nobody else can use. Where at least half of a crowd has gone, the host gets it back.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Fewer processes leave nothing worth looking for.
const MANY: usize = 64;

/// The number of processes that there were since memory was given back.
#[derive(Default)]
pub(crate) struct Crowd(AtomicUsize);

impl Crowd {
    /// There are `count` processes now, one more than before.
    pub(crate) fn came(&self, count: usize) {
        self.0.fetch_max(count, Ordering::Relaxed);
    }

    /// There are `count` processes now, one less than before.
    pub(crate) fn went(&self, count: usize) {
        if self.is_over(count) {
            #[cfg(target_env = "gnu")]
            // SAFETY: it only looks for free memory, under the C library's own locks.
            unsafe {
                libc::malloc_trim(0);
            }
        }
    }

    fn is_over(&self, count: usize) -> bool {
        let most = self.0.load(Ordering::Relaxed);
        let over = most >= MANY && count <= most / 2;
        over && self.0.compare_exchange(most, count, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_when_half_of_many_have_gone() {
        let crowd = Crowd::default();
        (1..=1000).for_each(|count| crowd.came(count));
        let over: Vec<usize> = (0..1000).rev().filter(|count| crowd.is_over(*count)).collect();
        assert_eq!(over, [500, 250, 125, 62]);
        (1..MANY).for_each(|count| crowd.came(count));
        assert!(!crowd.is_over(0));
    }
}
