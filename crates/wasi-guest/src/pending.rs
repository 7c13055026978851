//! Signals of a process without a kernel: sets of them, and which one is next.

/// A set of signals; signal `n` is bit `n - 1`.
pub(crate) type Set = u64;

/// The bit of a signal; none where there is no such signal.
pub(crate) const fn bit(signal: i32) -> Set {
    if signal >= 1 && signal <= 64 { 1 << (signal - 1) } else { 0 }
}

/// What waits, and what is held back.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// Signals that wait.
    pub(crate) waiting: Set,
    /// Signals that are blocked.
    pub(crate) mask: Set,
}

impl Pending {
    pub(crate) const fn new() -> Pending {
        Pending { waiting: 0, mask: 0 }
    }

    /// Takes the lowest signal that waits and is not blocked.
    pub(crate) fn next(&mut self) -> Option<i32> {
        let ready = self.waiting & !self.mask;
        if ready == 0 {
            return None;
        }
        let signal = ready.trailing_zeros() as i32 + 1;
        self.waiting &= !bit(signal);
        Some(signal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocked_signals_wait() {
        let mut pending = Pending { waiting: bit(2) | bit(14) | bit(64), mask: bit(2) };
        assert_eq!(pending.next(), Some(14));
        assert_eq!(pending.next(), Some(64));
        assert_eq!(pending.next(), None);
        pending.mask = 0;
        assert_eq!(pending.next(), Some(2));
        assert_eq!(pending.waiting, 0);
        assert_eq!((bit(0), bit(65)), (0, 0));
    }
}
