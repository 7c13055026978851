//! The contiguous memory area: a query at offset 1, one byte of gap, the reply.
//!
//! Relies on: the area belongs to the host and to this crate in turns. The host writes to it between calls, and this crate looks at it
//! only in calls.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

/// Where a query begins.
pub(crate) const QUERY: usize = 1;

/// The area.
pub struct Cma {
    /// Where a query begins: what is before it, one byte, is nobody's, and may be address 0.
    query: NonNull<u8>,
    /// With that byte.
    size: usize,
    /// It is ours to free.
    owned: bool,
}

// SAFETY: it is plain memory; who uses it when is the module's doc.
unsafe impl Send for Cma {}

fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size, 4096).ok()
}

impl Cma {
    /// Makes one of `size` bytes; `None` where there is not so much memory.
    pub fn new(size: usize) -> Option<Cma> {
        let layout = layout(size).filter(|_| size > QUERY + 2)?;
        // SAFETY: the layout has a size.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        // SAFETY: there are more bytes than that.
        Some(Cma { query: unsafe { start.add(QUERY) }, size, owned: true })
    }

    /// Takes one that is there: `query` is its offset 1, and it has `size` bytes from offset 0.
    ///
    /// # Safety
    /// The bytes from `query` on are there for as long as this is, and used as the module's doc says.
    pub unsafe fn at(query: *mut u8, size: usize) -> Option<Cma> {
        let query = NonNull::new(query).filter(|_| size > QUERY + 2)?;
        Some(Cma { query, size, owned: false })
    }

    /// Its first byte; [`QUERY`] and all other offsets count from here.
    pub fn start(&self) -> *mut u8 {
        self.query.as_ptr().wrapping_sub(QUERY)
    }

    /// Its size in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The longest query that it can carry.
    pub fn longest(&self) -> usize {
        self.size - QUERY - 1
    }

    /// Where the reply to a query of `length` bytes begins.
    pub fn reply_offset(length: usize) -> usize {
        length + QUERY + 1
    }

    /// A query of `length` bytes, at most [`Cma::longest`], and the place for its reply.
    pub fn split(&mut self, length: usize) -> (&[u8], &mut [u8]) {
        // SAFETY: the area is ours during the call, and as long as the layout says.
        let all = unsafe { std::slice::from_raw_parts_mut(self.query.as_ptr(), self.size - QUERY) };
        let (query, reply) = all.split_at_mut(Cma::reply_offset(length) - QUERY);
        (&query[..length], reply)
    }

    /// The C string at the place of the query, and forgets it.
    pub fn take_text(&mut self) -> Vec<u8> {
        let (all, _) = self.split(self.longest());
        let text = all.split(|b| *b == 0).next().unwrap_or_default().to_vec();
        // SAFETY: in the area; no slice of it is in use any more.
        unsafe { self.query.as_ptr().write(0) };
        text
    }
}

impl Drop for Cma {
    fn drop(&mut self) {
        if self.owned
            && let Some(layout) = layout(self.size)
        {
            // SAFETY: allocated with this layout.
            unsafe { dealloc(self.start(), layout) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_is_that_of_the_draft() {
        let mut cma = Cma::new(64).unwrap();
        // SAFETY: in the area.
        unsafe { cma.start().add(1).copy_from(c"SELECT 1".as_ptr().cast(), 9) };
        let (query, reply) = cma.split(8);
        assert_eq!(query, b"SELECT 1");
        assert_eq!(reply.len(), 64 - 10);
        reply[0] = b'T';
        // SAFETY: as above.
        assert_eq!(unsafe { *cma.start().add(2 + 8) }, b'T');
        assert_eq!(cma.take_text(), b"SELECT 1");
        assert_eq!(cma.take_text(), b"");
        assert_eq!(cma.split(cma.longest()).1.len(), 0);
        assert!(Cma::new(2).is_none() && Cma::new(usize::MAX).is_none());
    }

    #[test]
    fn an_area_may_be_somebody_elses() {
        let mut bytes = *b"\0SELECT 1\0reply";
        // SAFETY: there are so many bytes, and nobody else uses them.
        let mut cma = unsafe { Cma::at(bytes.as_mut_ptr().add(1), bytes.len()) }.unwrap();
        let (query, reply) = cma.split(8);
        assert_eq!((query, &*reply), (b"SELECT 1".as_slice(), b"reply".as_slice()));
        assert_eq!((cma.size(), cma.start()), (15, bytes.as_mut_ptr()));
        drop(cma);
        assert_eq!(bytes[1], b'S');
    }
}
