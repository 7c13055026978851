//! An object's thread-local variables: one block for each mapping, as a process is one thread. And those of the
//! host's libraries, of which each thread of the host has its own.
//!
//! Relies on: the template's sizes and alignment, which [`Layout`](crate::layout::Layout) checked.

use std::alloc::{self, Layout};
use std::ffi::c_void;
use std::ptr::NonNull;

use crate::error::{ErrorKind, Result};
use crate::host_objects;
use crate::layout::ThreadLocalTemplate;
use crate::memory::Memory;

/// The variables' memory.
#[derive(Debug)]
pub(crate) struct Block {
    memory: NonNull<u8>,
    layout: Layout,
    /// Bytes before the first variable, so that it is to its alignment what it is in the file.
    skew: usize,
}

// SAFETY: the memory belongs to this value alone, whichever thread has it.
unsafe impl Send for Block {}
// SAFETY: shared access hands out addresses only.
unsafe impl Sync for Block {}

impl Block {
    /// A block of zeroes.
    pub(crate) fn new(template: &ThreadLocalTemplate) -> Result<Self> {
        let skew = (template.address & (template.align - 1)) as usize;
        // An empty block has an address, too.
        let size = (template.size as usize + skew).max(1);
        let too_large = || ErrorKind::malformed("its thread-local block is too large");
        let layout = Layout::from_size_align(size, template.align as usize).map_err(|_| too_large())?;
        // SAFETY: the size is not zero.
        let memory = NonNull::new(unsafe { alloc::alloc_zeroed(layout) }).ok_or_else(too_large)?;
        Ok(Self { memory, layout, skew })
    }

    /// Copies the initial values out of the object, where they have been relocated.
    ///
    /// # Safety
    /// Nobody uses the block meanwhile; `memory` is the mapping of the template's object.
    pub(crate) unsafe fn fill(&self, template: &ThreadLocalTemplate, memory: &Memory) {
        if template.file_size > 0 {
            // SAFETY: both have the template's size, and the segment is readable.
            unsafe {
                self.start().copy_from_nonoverlapping(memory.at(template.address), template.file_size as usize);
            }
        }
    }

    /// The address that the variables' offsets count from.
    pub(crate) fn start(&self) -> *mut u8 {
        self.memory.as_ptr().wrapping_add(self.skew)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { alloc::dealloc(self.memory.as_ptr(), self.layout) }
    }
}

/// Where the host keeps a thread-local variable, in every thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HostVariable {
    /// The host's number of the object that defines it.
    pub(crate) module: u64,
    /// Its place in that object's block.
    pub(crate) offset: u64,
}

impl HostVariable {
    /// Finds the variable by the address of the calling thread's copy; `None` if that is no thread-local memory of the host.
    pub(crate) fn find(address: *const c_void) -> Option<Self> {
        let (module, offset) = host_objects::find(|object| object.thread_local(address))?;
        Some(Self { module, offset })
    }
}
