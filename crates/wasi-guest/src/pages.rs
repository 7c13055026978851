//! The pages of the linear memory above what the linker laid out: who has which, and which are free again.
//!
//! A memory only ever grows, so what is given back is kept here for the next one who asks. Each page has a tag: its owner, or free. The
//! tags are in the first page that the pool takes for itself.

/// Size of a page in bytes.
pub(crate) const PAGE: usize = 64 << 10;
/// As many as an address of 32 bits reaches.
const MOST: usize = 1 << 16;

/// Who has a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Owner {
    /// What stays: Rust's heap, the pool itself.
    Kept = 1,
    /// The PostgreSQL session: all of it is given back when that ends.
    Session = 2,
}

/// Nobody has it, and it was used: it is not all zeros.
const FREE: u8 = 0;

/// A memory that grows.
pub(crate) trait Memory {
    /// Adds pages of zeros, and says what number the first one has; `None` where there are no more.
    fn grow(&mut self, pages: usize) -> Option<usize>;
    /// Makes pages all zeros.
    fn clear(&mut self, first: usize, pages: usize);
    /// Where a page begins.
    fn address(&mut self, page: usize) -> *mut u8;
}

/// The pool.
pub(crate) struct Pool<M> {
    memory: M,
    /// One byte a page; null before the first page was asked for.
    tags: *mut u8,
    /// The first page that is the pool's business, and the first one behind.
    first: usize,
    end: usize,
}

impl<M: Memory> Pool<M> {
    pub(crate) const fn new(memory: M) -> Pool<M> {
        Pool { memory, tags: std::ptr::null_mut(), first: 0, end: 0 }
    }

    fn tags(&mut self) -> Option<&mut [u8]> {
        if self.tags.is_null() {
            let page = self.memory.grow(MOST / PAGE)?;
            self.tags = self.memory.address(page);
            (self.first, self.end) = (page, page + MOST / PAGE);
            // SAFETY: a byte of the page that has just been added for this.
            unsafe { self.tags.add(page).write(Owner::Kept as u8) };
        }
        // SAFETY: as many bytes as the pages that were added for them.
        Some(unsafe { std::slice::from_raw_parts_mut(self.tags, MOST) })
    }

    /// Takes pages that are all zeros and stand together; the number of the first.
    pub(crate) fn take(&mut self, pages: usize, owner: Owner) -> Option<usize> {
        if pages == 0 || pages > MOST {
            return None;
        }
        self.tags()?;
        let (first, end) = (self.first, self.end);
        let tags = self.tags()?;
        let mut run = 0;
        for at in first..end {
            run = if tags[at] == FREE { run + 1 } else { 0 };
            if run == pages {
                let found = at + 1 - pages;
                tags[found..=at].fill(owner as u8);
                self.memory.clear(found, pages);
                return Some(found);
            }
        }
        let found = self.memory.grow(pages)?;
        self.end = found + pages;
        self.tags()?[found..found + pages].fill(owner as u8);
        Some(found)
    }

    /// Gives pages back; the same ones as were taken, or some of them.
    pub(crate) fn give_back(&mut self, first: usize, pages: usize) {
        if let Some(tags) = self.tags() {
            tags[first..first + pages].fill(FREE);
        }
    }

    /// Gives back all that an owner has.
    pub(crate) fn give_back_all(&mut self, owner: Owner) {
        let (first, end) = (self.first, self.end);
        if let Some(tags) = self.tags() {
            tags[first..end].iter_mut().filter(|tag| **tag == owner as u8).for_each(|tag| *tag = FREE);
        }
    }

    /// Where a page begins.
    pub(crate) fn address(&mut self, page: usize) -> *mut u8 {
        self.memory.address(page)
    }

    /// How many pages an owner has.
    #[cfg(test)]
    fn count(&mut self, owner: Owner) -> usize {
        let (first, end) = (self.first, self.end);
        self.tags().map_or(0, |tags| tags[first..end].iter().filter(|tag| **tag == owner as u8).count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A memory of a host: it cannot move, so it has all its pages from the beginning.
    struct Fake {
        bytes: Vec<u64>,
        size: usize,
    }

    impl Fake {
        fn new() -> Fake {
            Fake { bytes: vec![0; 40 * PAGE / 8], size: 3 }
        }
    }

    impl Memory for Fake {
        fn grow(&mut self, pages: usize) -> Option<usize> {
            let first = self.size;
            self.size = Some(first + pages).filter(|size| *size <= 40)?;
            Some(first)
        }

        fn clear(&mut self, first: usize, pages: usize) {
            self.bytes[first * PAGE / 8..(first + pages) * PAGE / 8].fill(0);
        }

        fn address(&mut self, page: usize) -> *mut u8 {
            self.bytes[page * PAGE / 8..].as_mut_ptr().cast()
        }
    }

    #[test]
    fn what_is_given_back_is_used_again_and_clean() {
        let mut pool = Pool::new(Fake::new());
        let a = pool.take(2, Owner::Session).unwrap();
        let b = pool.take(1, Owner::Kept).unwrap();
        assert_eq!((a, b), (4, 6));
        // SAFETY: the page was taken.
        unsafe { pool.address(a).write(7) };
        pool.give_back(a, 2);
        assert_eq!(pool.take(3, Owner::Session), Some(7), "two pages are no room for three");
        assert_eq!(pool.take(1, Owner::Session), Some(4));
        // SAFETY: as above.
        assert_eq!(unsafe { pool.address(4).read() }, 0);
        assert_eq!(pool.take(1, Owner::Kept), Some(5));
    }

    #[test]
    fn the_end_of_a_session_gives_all_of_it_back() {
        let mut pool = Pool::new(Fake::new());
        let kept = pool.take(1, Owner::Kept).unwrap();
        for _ in 0..5 {
            while pool.take(7, Owner::Session).is_some() {}
            pool.give_back_all(Owner::Session);
            assert_eq!((pool.count(Owner::Session), pool.count(Owner::Kept)), (0, 2));
        }
        assert_eq!(pool.take(100, Owner::Session), None);
        pool.give_back(kept, 1);
        assert_eq!(pool.take(36, Owner::Session), Some(4));
    }
}
