//! The console: bytes between a coroutine's process and its owner, and the calls by which the process waits for them.

use std::collections::VecDeque;

/// Output at which the process is suspended until its owner has taken it, in bytes.
pub(crate) const FULL: usize = 1 << 20;

/// What is on its way between the two.
#[derive(Default)]
pub(crate) struct Console {
    pub(crate) input: VecDeque<u8>,
    pub(crate) output: Vec<u8>,
    /// The process waits for its output to be taken, not for input.
    pub(crate) full: bool,
    /// No more input will come.
    pub(crate) ended: bool,
}

impl Console {
    /// Takes at most `buffer.len()` bytes of input.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Option<usize> {
        if self.input.is_empty() && self.ended {
            return None;
        }
        let (head, tail) = self.input.as_slices();
        let first = head.len().min(buffer.len());
        buffer[..first].copy_from_slice(&head[..first]);
        let second = tail.len().min(buffer.len() - first);
        buffer[first..first + second].copy_from_slice(&tail[..second]);
        self.input.drain(..first + second);
        Some(first + second)
    }
}
