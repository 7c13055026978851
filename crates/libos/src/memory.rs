//! Memory mappings that a process makes itself, so that its end gives them back.

use rustix::mm::munmap;
use std::collections::BTreeMap;
use std::ffi::c_void;

/// Start and length of each mapping.
#[derive(Default)]
pub(crate) struct Maps(BTreeMap<usize, usize>);

impl Maps {
    pub(crate) fn add(&mut self, address: *mut c_void, length: usize) {
        self.0.insert(address as usize, length);
    }

    pub(crate) fn remove(&mut self, address: *mut c_void, length: usize) {
        if let Some(whole) = self.0.remove(&(address as usize))
            && whole > length
        {
            self.0.insert(address as usize + length, whole - length);
        }
    }

    pub(crate) fn reclaim(&mut self) {
        for (address, length) in std::mem::take(&mut self.0) {
            // SAFETY: mapped by the process, which has ended.
            let _ = unsafe { munmap(address as *mut c_void, length) };
        }
    }
}
