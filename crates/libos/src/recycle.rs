//! Memory of processes that have ended, for those to come: a page that is there costs a tenth of a fresh one, and a short-lived
//! process touches hundreds.
//!
//! Pieces are zeroed for their next owner, who cannot tell them from fresh ones.

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::collections::VecDeque;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::{Mutex, PoisonError};

/// What is kept at most, in bytes: some processes' worth.
const LIMIT: usize = 4 << 20;

/// What is worth keeping, in bytes: larger pieces are rarely used whole, and rarely asked for again.
const LARGEST: usize = 512 << 10;

#[derive(Default)]
struct State {
    /// The latest last.
    pieces: VecDeque<Piece>,
    total: usize,
}

struct Piece {
    address: usize,
    size: usize,
}

impl Piece {
    fn unmap(&self) {
        // SAFETY: a whole mapping that nobody uses.
        let _ = unsafe { munmap(self.address as *mut c_void, self.size) };
    }
}

/// The pieces that a system keeps.
#[derive(Default)]
pub(crate) struct Recycled(Mutex<State>);

impl Recycled {
    /// Zeroed, writable memory of `size` bytes, a multiple of the page size; its owner unmaps it or gives it back.
    pub(crate) fn take(&self, size: usize) -> rustix::io::Result<*mut c_void> {
        if let Some(piece) = self.kept(size) {
            let address = piece.address as *mut c_void;
            // Not before: most of what processes give back when a system ends is never asked for.
            // SAFETY: `give` got it for us alone.
            unsafe { address.cast::<u8>().write_bytes(0, size) };
            return Ok(address);
        }
        // SAFETY: a fresh anonymous mapping overlaps nothing.
        unsafe { mmap_anonymous(null_mut(), size, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE) }
    }

    fn kept(&self, size: usize) -> Option<Piece> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = state.pieces.iter().rposition(|piece| piece.size == size)?;
        state.total -= size;
        state.pieces.remove(at)
    }

    /// Takes memory back, to hand it out again.
    ///
    /// # Safety
    /// `size` bytes at `address` are pages of private, anonymous, writable memory that nobody uses any more.
    pub(crate) unsafe fn give(&self, address: *mut c_void, size: usize) {
        let piece = Piece { address: address as usize, size };
        if size > LARGEST {
            return piece.unmap();
        }
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.total += size;
        state.pieces.push_back(piece);
        while state.total > LIMIT
            && let Some(oldest) = state.pieces.pop_front()
        {
            state.total -= oldest.size;
            oldest.unmap();
        }
    }
}

impl Drop for Recycled {
    fn drop(&mut self) {
        let state = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.pieces.drain(..).for_each(|piece| piece.unmap());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_zero() {
        let recycled = Recycled::default();
        let size = 64 << 10;
        let first = recycled.take(size).unwrap();
        // SAFETY: `size` writable bytes, given back once.
        unsafe {
            first.cast::<u8>().write_bytes(0xff, size);
            recycled.give(first, size);
        }
        assert_ne!(recycled.take(2 * size).unwrap(), first);
        let second = recycled.take(size).unwrap();
        assert_eq!(second, first);
        // SAFETY: as above.
        let bytes = unsafe { std::slice::from_raw_parts(second.cast::<u8>(), size) };
        assert!(bytes.iter().all(|b| *b == 0));
    }

    #[test]
    fn no_more_than_the_limit_is_kept() {
        let recycled = Recycled::default();
        let pieces: Vec<_> = (0..2 * LIMIT / LARGEST).map(|_| recycled.take(LARGEST).unwrap()).collect();
        for piece in pieces {
            // SAFETY: taken above, given back once.
            unsafe { recycled.give(piece, LARGEST) };
        }
        assert_eq!(recycled.0.lock().unwrap().total, LIMIT);
        // SAFETY: as above.
        unsafe { recycled.give(recycled.take(2 * LARGEST).unwrap(), 2 * LARGEST) };
        assert_eq!(recycled.0.lock().unwrap().total, LIMIT);
    }
}
