//! A sparse array of pages, and the account of how many there are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;

/// The size of a page, in bytes: that of PostgreSQL's blocks.
pub(crate) const PAGE: usize = 8192;
/// Pages in one leaf of the table; a leaf covers 4 MiB.
const LEAF: usize = 512;
/// The largest file, in bytes. The table's top level then takes 64 MiB at most.
pub(crate) const MAX_SIZE: u64 = 16 << 40;

type Page = Box<[u8]>;
type Leaf = Box<[Option<Page>]>;

/// The memory of one file system.
pub(crate) struct Space {
    limit: u64,
    used: AtomicU64,
}

impl Space {
    pub(crate) fn new(limit: Option<u64>) -> Self {
        Self { limit: limit.unwrap_or(u64::MAX), used: AtomicU64::new(0) }
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    pub(crate) fn free(&self) -> u64 {
        self.limit.saturating_sub(self.used())
    }

    fn take_page(&self) -> Result<(), Errno> {
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(PAGE as u64).filter(|&used| used <= self.limit)
            })
            .map(drop)
            .map_err(|_| Errno::NOSPC)
    }

    fn give_back(&self, pages: u64) {
        self.used.fetch_sub(pages * PAGE as u64, Ordering::Relaxed);
    }
}

/// The pages of one file; those that were never written take nothing.
pub(crate) struct Pages {
    leaves: Vec<Option<Leaf>>,
    count: u64,
    space: Arc<Space>,
}

impl Pages {
    pub(crate) fn new(space: Arc<Space>) -> Self {
        Self { leaves: Vec::new(), count: 0, space }
    }

    /// How many pages exist.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn space(&self) -> &Space {
        &self.space
    }

    pub(crate) fn get(&self, index: usize) -> Option<&[u8]> {
        let leaf = self.leaves.get(index / LEAF)?.as_ref()?;
        leaf[index % LEAF].as_deref()
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut [u8]> {
        let leaf = self.leaves.get_mut(index / LEAF)?.as_mut()?;
        leaf[index % LEAF].as_deref_mut()
    }

    /// The page, which `fill` prepares (it is zero) if it is new.
    pub(crate) fn get_or_insert(&mut self, index: usize, fill: impl FnOnce(&mut [u8])) -> Result<&mut [u8], Errno> {
        if index / LEAF >= self.leaves.len() {
            self.leaves.resize_with(index / LEAF + 1, || None);
        }
        let leaf = self.leaves[index / LEAF].get_or_insert_with(|| (0..LEAF).map(|_| None).collect());
        let slot = &mut leaf[index % LEAF];
        if slot.is_none() {
            self.space.take_page()?;
            self.count += 1;
            fill(slot.insert(vec![0; PAGE].into_boxed_slice()));
        }
        Ok(slot.as_deref_mut().expect("filled above"))
    }

    /// Drops the page.
    pub(crate) fn remove(&mut self, index: usize) {
        if let Some(Some(leaf)) = self.leaves.get_mut(index / LEAF)
            && leaf[index % LEAF].take().is_some()
        {
            self.count -= 1;
            self.space.give_back(1);
        }
    }

    /// Drops all pages from `index` on.
    pub(crate) fn truncate(&mut self, index: usize) {
        let keep = index.div_ceil(LEAF);
        let mut dropped = 0;
        for leaf in self.leaves.drain(keep.min(self.leaves.len())..).flatten() {
            dropped += leaf.iter().flatten().count() as u64;
        }
        if !index.is_multiple_of(LEAF)
            && let Some(Some(leaf)) = self.leaves.get_mut(index / LEAF)
        {
            for slot in &mut leaf[index % LEAF..] {
                dropped += u64::from(slot.take().is_some());
            }
        }
        self.count -= dropped;
        self.space.give_back(dropped);
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.space.give_back(self.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted() {
        let space = Arc::new(Space::new(Some(3 * PAGE as u64)));
        let mut pages = Pages::new(space.clone());
        for index in [0, 511, 512] {
            pages.get_or_insert(index, |page| page[0] = 7).unwrap();
        }
        assert_eq!(pages.get_or_insert(9, |_| {}).unwrap_err(), Errno::NOSPC);
        assert_eq!(pages.get(511).unwrap()[0], 7);
        pages.truncate(512);
        assert!(pages.get(512).is_none() && pages.get(511).is_some());
        pages.truncate(1);
        assert!(pages.get(511).is_none() && pages.get(0).is_some());
        assert_eq!(space.used(), PAGE as u64);
        pages.remove(0);
        pages.remove(0);
        assert_eq!((pages.count(), space.used()), (0, 0));
        pages.get_or_insert(1 << 30, |_| {}).unwrap();
        drop(pages);
        assert_eq!(space.used(), 0);
    }
}
