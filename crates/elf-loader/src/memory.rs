//! A reserved part of the address space with the object's segments in it.
//!
//! Relies on: the kernel's `mmap` with a fixed address replaces only what lies in the range given, which is always checked
//! to be within our own reservation; on the checks of [`Layout`](crate::layout::Layout).

use std::ffi::c_void;
use std::fs::File;
use std::ops::Range;
use std::ptr;

use rustix::mm::{self, MapFlags, MprotectFlags, ProtFlags};

use crate::error::{ErrorKind, Result};
use crate::layout::{Layout, Segment};

/// The memory of one mapping. Addresses given are the file's.
#[derive(Debug)]
pub(crate) struct Memory {
    start: *mut u8,
    /// What the reservation stands for.
    span: Range<u64>,
}

// SAFETY: the memory belongs to this value alone, whichever thread has it.
unsafe impl Send for Memory {}
// SAFETY: shared access hands out addresses only; writing needs `&mut self` or an unsafe block elsewhere.
unsafe impl Sync for Memory {}

impl Memory {
    /// Reserves the span and maps all segments, writable ones writable, the others as they stay.
    pub(crate) fn map(layout: &Layout, file: &File) -> Result<Self> {
        let mut memory = Self::reserve(layout)?;
        for segment in &layout.segments {
            memory.map_segment(segment, file)?;
        }
        Ok(memory)
    }

    fn reserve(layout: &Layout) -> Result<Self> {
        let page = rustix::param::page_size();
        let size = (layout.span.end - layout.span.start) as usize;
        let align = layout.align as usize;
        let extra = align - page;
        // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
        let reserved = unsafe {
            mm::mmap_anonymous(
                ptr::null_mut(),
                size + extra,
                ProtFlags::empty(),
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
        }
        .map_err(ErrorKind::system("reserve memory"))?
        .cast::<u8>();
        // The first address must be to the alignment what it is in the file.
        let wanted = layout.span.start as usize & (align - 1);
        let head = wanted.wrapping_sub(reserved.addr()) & (align - 1);
        let memory = Self {
            // SAFETY: `head` is at most `extra`, as both addresses are multiples of a page.
            start: unsafe { reserved.add(head) },
            span: layout.span.clone(),
        };
        for (offset, length) in [(0, head), (head + size, extra - head)] {
            if length > 0 {
                // SAFETY: whole pages of the reservation outside of `memory`, which nobody knows yet.
                unsafe { mm::munmap(reserved.add(offset).cast(), length) }
                    .map_err(ErrorKind::system("trim the reserved memory"))?;
            }
        }
        Ok(memory)
    }

    fn map_segment(&mut self, segment: &Segment, file: &File) -> Result<()> {
        let page = rustix::param::page_size() as u64;
        let mut protection = ProtFlags::empty();
        protection.set(ProtFlags::READ, segment.read);
        protection.set(ProtFlags::WRITE, segment.write);
        protection.set(ProtFlags::EXEC, segment.execute);

        let start = segment.memory.start & !(page - 1);
        let end = segment.memory.end.next_multiple_of(page);
        let file_end = segment.memory.start + segment.file_size;
        let mapped_end = if segment.file_size > 0 { file_end.next_multiple_of(page) } else { start };
        if mapped_end > start {
            let offset = segment.file_offset - (segment.memory.start - start);
            let pages = self.pages(start..mapped_end);
            // SAFETY: the range is within our reservation, and no other segment shares a page of it.
            unsafe {
                mm::mmap(
                    pages.cast(),
                    (mapped_end - start) as usize,
                    protection,
                    MapFlags::PRIVATE | MapFlags::FIXED,
                    file,
                    offset,
                )
            }
            .map_err(ErrorKind::system("map a segment"))?;
        }
        let zero_end = segment.memory.end.min(mapped_end);
        if zero_end > file_end && segment.file_size > 0 {
            // SAFETY: these bytes are in the last page just mapped; only writable segments have them.
            unsafe {
                self.at(file_end).write_bytes(0, (zero_end - file_end) as usize);
            }
        }
        if end > mapped_end {
            let pages = self.pages(mapped_end..end);
            // SAFETY: as above.
            unsafe {
                mm::mmap_anonymous(
                    pages.cast(),
                    (end - mapped_end) as usize,
                    protection,
                    MapFlags::PRIVATE | MapFlags::FIXED,
                )
            }
            .map_err(ErrorKind::system("map zeroed memory"))?;
        }
        Ok(())
    }

    /// The address in memory. One outside of the span is still an address, of something else.
    pub(crate) fn at(&self, address: u64) -> *mut u8 {
        self.start.wrapping_add(address.wrapping_sub(self.span.start) as usize)
    }

    /// The difference between addresses in memory and in the file.
    pub(crate) fn bias(&self) -> u64 {
        (self.start.addr() as u64).wrapping_sub(self.span.start)
    }

    /// All of it, as addresses in memory.
    pub(crate) fn addresses(&self) -> Range<usize> {
        let start = self.start.addr();
        start..start + (self.span.end - self.span.start) as usize
    }

    /// Writes a word, which need not be aligned.
    ///
    /// # Safety
    /// The eight bytes are in a writable segment that is not read-only yet, and nobody reads them meanwhile.
    pub(crate) unsafe fn write(&self, address: u64, value: u64) {
        self.check(&(address..address + 8));
        // SAFETY: the caller's promise.
        unsafe { self.at(address).cast::<u64>().write_unaligned(value) }
    }

    /// Reads a word, which need not be aligned.
    ///
    /// # Safety
    /// The eight bytes are in a readable segment.
    pub(crate) unsafe fn read(&self, address: u64) -> u64 {
        self.check(&(address..address + 8));
        // SAFETY: the caller's promise.
        unsafe { self.at(address).cast::<u64>().read_unaligned() }
    }

    /// Makes whole pages of a writable segment read-only, or writable again.
    pub(crate) fn set_writable(&self, range: &Range<u64>, writable: bool) -> Result<()> {
        let mut flags = MprotectFlags::READ;
        flags.set(MprotectFlags::WRITE, writable);
        let pages = self.pages(range.clone());
        // SAFETY: our own pages, whose contents stay.
        unsafe { mm::mprotect(pages.cast(), (range.end - range.start) as usize, flags) }
            .map_err(ErrorKind::system("protect relocated memory"))
    }

    fn pages(&self, range: Range<u64>) -> *mut c_void {
        self.check(&range);
        self.at(range.start).cast()
    }

    fn check(&self, range: &Range<u64>) {
        assert!(
            self.span.start <= range.start && range.end <= self.span.end,
            "a checked address is outside of the mapping"
        );
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let range = self.addresses();
        // SAFETY: the reservation is ours, and its owner promised that nobody uses it any more.
        // It fails only for arguments that the reservation was not made with.
        let _ = unsafe { mm::munmap(self.start.cast(), range.len()) };
    }
}
