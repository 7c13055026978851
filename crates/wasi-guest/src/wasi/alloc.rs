//! The two heaps: Rust's, which stays, and that of C, which ends with the session.

use super::Global;
use super::memory::{give_back, take};
use crate::pages::{Owner, PAGE};
use dlmalloc::{Allocator, Dlmalloc};
use std::alloc::{GlobalAlloc, Layout};
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;

/// Pages of the pool, for one owner.
pub(crate) struct Pages(Owner);

// SAFETY: the pool gives each page to one owner, and pages stay where they are.
unsafe impl Allocator for Pages {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        let pages = size.div_ceil(PAGE);
        match take(pages, self.0) {
            Some(start) => (start, pages * PAGE, 0),
            None => (null_mut(), 0, 0),
        }
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        null_mut()
    }

    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    fn free(&self, start: *mut u8, size: usize) -> bool {
        give_back(start, size);
        true
    }

    fn can_release_part(&self, _: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        PAGE
    }
}

pub(crate) type Heap = Dlmalloc<Pages>;

pub(crate) static KEPT: Global<Heap> = Global::new(Dlmalloc::new_with_allocator(Pages(Owner::Kept)));
static SESSION: Global<Heap> = Global::new(Dlmalloc::new_with_allocator(Pages(Owner::Session)));

struct Rust;

#[global_allocator]
static ALLOCATOR: Rust = Rust;

// SAFETY: dlmalloc keeps what the trait asks for.
unsafe impl GlobalAlloc for Rust {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller's.
        KEPT.with(|heap| unsafe { heap.malloc(layout.size(), layout.align()) })
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller's.
        KEPT.with(|heap| unsafe { heap.free(pointer, layout.size(), layout.align()) });
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller's.
        KEPT.with(|heap| unsafe { heap.calloc(layout.size(), layout.align()) })
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller's.
        KEPT.with(|heap| unsafe { heap.realloc(pointer, layout.size(), layout.align(), size) })
    }
}

/// C's alignment of everything.
const ALIGN: usize = 16;
/// In front of a block: its size and alignment, which `free` is not told.
const HEAD: usize = 16;

/// Allocates, with the head in front. `None` where there is no memory.
fn allocate(size: usize, align: usize, zero: bool) -> *mut c_void {
    let align = align.max(ALIGN);
    let Some(whole) = size.checked_add(align) else {
        pgl_no_memory();
        return null_mut();
    };
    // SAFETY: the alignment is a power of two.
    let start =
        SESSION.with(|heap| unsafe { if zero { heap.calloc(whole, align) } else { heap.malloc(whole, align) } });
    if start.is_null() {
        pgl_no_memory();
        return null_mut();
    }
    // SAFETY: the block has a head, of at least 16 bytes, as the alignment is.
    unsafe {
        let block = start.add(align);
        block.sub(HEAD).cast::<usize>().write(size);
        block.sub(HEAD).cast::<usize>().add(1).write(align);
        block.cast()
    }
}

fn pgl_no_memory() {
    super::fail(libc::ENOMEM);
}

/// Start, size of the whole, alignment and usable size of a block.
///
/// # Safety
/// It is one of [`allocate`]'s.
unsafe fn head(block: *mut c_void) -> (*mut u8, usize, usize, usize) {
    let block = block.cast::<u8>();
    // SAFETY: by the caller's promise.
    let (size, align) =
        unsafe { (block.sub(HEAD).cast::<usize>().read(), block.sub(HEAD).cast::<usize>().add(1).read()) };
    // SAFETY: the head is as long as the alignment.
    (unsafe { block.sub(align) }, size + align, align, size)
}

#[unsafe(no_mangle)]
extern "C" fn malloc(size: usize) -> *mut c_void {
    allocate(size, ALIGN, false)
}

#[unsafe(no_mangle)]
extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size) {
        Some(size) => allocate(size, ALIGN, true),
        None => {
            pgl_no_memory();
            null_mut()
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn free(block: *mut c_void) {
    if block.is_null() {
        return;
    }
    // SAFETY: C frees what it was given.
    let (start, size, align, _) = unsafe { head(block) };
    // SAFETY: as above.
    SESSION.with(|heap| unsafe { heap.free(start, size, align) });
}

#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    if block.is_null() {
        return malloc(size);
    }
    // SAFETY: C hands in what it was given.
    let (start, old, align, used) = unsafe { head(block) };
    if align == ALIGN {
        let Some(whole) = size.checked_add(ALIGN) else {
            pgl_no_memory();
            return null_mut();
        };
        // SAFETY: as above; what is in front of the content moves with it.
        let start = SESSION.with(|heap| unsafe { heap.realloc(start, old, ALIGN, whole) });
        if start.is_null() {
            pgl_no_memory();
            return null_mut();
        }
        // SAFETY: the new block has room for the head.
        unsafe {
            start.cast::<usize>().write(size);
            return start.add(ALIGN).cast();
        }
    }
    let new = malloc(size);
    if !new.is_null() {
        // SAFETY: both have so many bytes, and are not the same.
        unsafe {
            new.cast::<u8>().copy_from_nonoverlapping(block.cast(), used.min(size));
            free(block);
        }
    }
    new
}

#[unsafe(no_mangle)]
extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    if !align.is_power_of_two() {
        super::fail(libc::EINVAL);
        return null_mut();
    }
    allocate(size, align, false)
}

#[unsafe(no_mangle)]
extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
    aligned_alloc(align, size)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(result: *mut *mut c_void, align: usize, size: usize) -> c_int {
    if !align.is_power_of_two() {
        return libc::EINVAL;
    }
    let block = allocate(size, align, false);
    if block.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: the caller gives a place.
    unsafe { result.write(block) };
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
    // SAFETY: C asks about what it was given.
    if block.is_null() { 0 } else { unsafe { head(block) }.3 }
}

// libc's own names for them: what uses those would bring along a heap of its own.

#[unsafe(no_mangle)]
extern "C" fn __libc_malloc(size: usize) -> *mut c_void {
    malloc(size)
}

#[unsafe(no_mangle)]
extern "C" fn __libc_calloc(count: usize, size: usize) -> *mut c_void {
    calloc(count, size)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __libc_free(block: *mut c_void) {
    // SAFETY: as the caller's.
    unsafe { free(block) };
}
