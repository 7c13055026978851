//! A process's private block: its copy of every mutable global of the program.
//!
//! Relies on: the template and the fix-ups lie within `block_size` (the pass guarantees it). The block is mapped
//! anonymously, so that pages which are only zero stay untouched until the program uses them.

use crate::image::Program;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::ffi::c_void;
use std::ptr::null_mut;

pub(crate) struct Block {
    base: *mut u8,
    size: usize,
}

impl Block {
    pub(crate) fn new(program: &Program) -> rustix::io::Result<Block> {
        let size = program.block_size();
        // SAFETY: a fresh anonymous mapping overlaps nothing.
        let base: *mut u8 =
            unsafe { mmap_anonymous(null_mut(), size, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)? }.cast();
        let template = program.template();
        // SAFETY: the template is a prefix of the block, and the block was just mapped.
        unsafe { std::ptr::copy_nonoverlapping(template.as_ptr(), base, template.len()) };
        for fixup in program.fixups() {
            // SAFETY: both offsets lie in the block; slots are aligned for pointers or packed.
            unsafe {
                base.add(fixup.at as usize).cast::<*mut u8>().write_unaligned(base.add(fixup.to as usize));
            }
        }
        Ok(Block { base, size })
    }

    pub(crate) fn base(&self) -> *mut u8 {
        self.base
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, and the process that used it is gone.
        let _ = unsafe { munmap(self.base.cast::<c_void>(), self.size) };
    }
}
