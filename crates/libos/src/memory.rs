//! Memory mappings that a process makes itself, so that its end gives them back.
//!
//! What it has given back already must be exact: the place may be somebody else's by then.

use rustix::mm::munmap;
use std::collections::BTreeMap;
use std::ffi::c_void;

/// Start and end of each mapping, which do not overlap.
#[derive(Default)]
pub(crate) struct Maps(BTreeMap<usize, usize>);

/// The pages that `length` bytes at `address` lie in.
fn pages(address: *mut c_void, length: usize) -> (usize, usize) {
    let page = rustix::param::page_size();
    (address as usize, (address as usize).saturating_add(length).next_multiple_of(page))
}

impl Maps {
    pub(crate) fn add(&mut self, address: *mut c_void, length: usize) {
        // With MAP_FIXED it may take the place of another.
        self.remove(address, length);
        let (start, end) = pages(address, length);
        self.0.insert(start, end);
    }

    pub(crate) fn remove(&mut self, address: *mut c_void, length: usize) {
        let (start, end) = pages(address, length);
        let touched: Vec<_> =
            self.0.range(..end).rev().take_while(|(_, e)| **e > start).map(|(s, e)| (*s, *e)).collect();
        for (from, to) in touched {
            self.0.remove(&from);
            if from < start {
                self.0.insert(from, start);
            }
            if to > end {
                self.0.insert(end, to);
            }
        }
    }

    /// Start and end of all, for the caller to give back.
    pub(crate) fn take(&mut self) -> BTreeMap<usize, usize> {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn reclaim(&mut self) {
        for (start, end) in self.take() {
            // SAFETY: mapped by the process, which has ended.
            let _ = unsafe { munmap(start as *mut c_void, end - start) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(maps: &Maps) -> Vec<(usize, usize)> {
        maps.0.iter().map(|(s, e)| (s / 4096, e / 4096)).collect()
    }

    fn at(page: usize) -> *mut c_void {
        (page * 4096) as *mut c_void
    }

    #[test]
    fn holes_ends_and_overlaps() {
        let mut maps = Maps::default();
        maps.add(at(10), 10 * 4096);
        maps.remove(at(12), 4096 + 1);
        assert_eq!(list(&maps), [(10, 12), (14, 20)]);
        maps.remove(at(19), 1);
        maps.remove(at(5), 6 * 4096);
        assert_eq!(list(&maps), [(11, 12), (14, 19)]);
        maps.add(at(11), 4 * 4096);
        assert_eq!(list(&maps), [(11, 15), (15, 19)]);
        maps.remove(at(0), 100 * 4096);
        assert_eq!(list(&maps), []);
    }
}
