//! A process's private block: its copy of every mutable global of the program.
//!
//! Relies on: the template and the fix-ups lie within `block_size` (the pass guarantees it). The block is
//! zero beyond the template, and its pages are untouched until the program uses them, or were another process's before.

use crate::image::Program;
use crate::recycle::Recycled;
use std::sync::Arc;

pub(crate) struct Block {
    base: *mut u8,
    size: usize,
    memory: Arc<Recycled>,
}

impl Block {
    pub(crate) fn new(program: &Program, memory: &Arc<Recycled>) -> rustix::io::Result<Block> {
        let size = program.block_size().next_multiple_of(rustix::param::page_size());
        let base: *mut u8 = memory.take(size)?.cast();
        let template = program.template();
        // SAFETY: the template is a prefix of the block, and the block is ours alone.
        unsafe { std::ptr::copy_nonoverlapping(template.as_ptr(), base, template.len()) };
        for fixup in program.fixups() {
            // SAFETY: both offsets lie in the block; slots are aligned for pointers or packed.
            unsafe {
                base.add(fixup.at as usize).cast::<*mut u8>().write_unaligned(base.add(fixup.to as usize));
            }
        }
        Ok(Block { base, size, memory: memory.clone() })
    }

    pub(crate) fn base(&self) -> *mut u8 {
        self.base
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: taken by `new`, and the process that used it is gone.
        unsafe { self.memory.give(self.base.cast(), self.size) };
    }
}
