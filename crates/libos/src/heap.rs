//! The heap of a process: one arena, dropped whole when the process ends.
//!
//! Relies on: only the thread that runs the process uses the arena, in a critical section (`current::enter_heap`).
//!
//! The arena's own records are in its memory, which a program may have overwritten: its end does not look at them.

use crate::memory::Maps;
use crate::recycle::Recycled;
use dlmalloc::{Allocator, Dlmalloc};
use rustix::mm::{MremapFlags, mremap, munmap};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Pages from the system's store; what it has given out and not got back.
#[derive(Clone)]
struct Pages {
    store: Arc<Recycled>,
    given: Arc<Mutex<Maps>>,
}

impl Pages {
    fn maps(&self) -> MutexGuard<'_, Maps> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// SAFETY: `alloc` returns zeroed, writable memory of at least the size asked for; `free` gives back what it returned.
unsafe impl Allocator for Pages {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        match self.store.take(size) {
            Ok(p) => {
                self.maps().add(p, size);
                (p.cast(), size, 0)
            }
            Err(_) => (null_mut(), 0, 0),
        }
    }

    fn remap(&self, ptr: *mut u8, oldsize: usize, newsize: usize, can_move: bool) -> *mut u8 {
        let flags = if can_move { MremapFlags::MAYMOVE } else { MremapFlags::empty() };
        // SAFETY: dlmalloc passes a segment that it got from `alloc`.
        let Ok(new) = (unsafe { mremap(ptr.cast(), oldsize, newsize, flags) }) else { return null_mut() };
        let mut maps = self.maps();
        maps.remove(ptr.cast(), oldsize);
        maps.add(new, newsize);
        new.cast()
    }

    fn free_part(&self, ptr: *mut u8, oldsize: usize, newsize: usize) -> bool {
        // SAFETY: as for `remap`; the tail is not in use.
        let tail = unsafe { ptr.add(newsize) };
        self.free(tail, oldsize - newsize)
    }

    fn free(&self, ptr: *mut u8, size: usize) -> bool {
        // SAFETY: as for `remap`.
        let freed = unsafe { munmap(ptr.cast(), size) }.is_ok();
        if freed {
            self.maps().remove(ptr.cast(), size);
        }
        freed
    }

    fn can_release_part(&self, _flags: u32) -> bool {
        true
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        rustix::param::page_size()
    }
}

pub(crate) struct Heap {
    arena: Dlmalloc<Pages>,
    pages: Pages,
}

impl Heap {
    pub(crate) fn new(store: &Arc<Recycled>) -> Heap {
        let pages = Pages { store: store.clone(), given: Arc::default() };
        Heap { arena: Dlmalloc::new_with_allocator(pages.clone()), pages }
    }

    pub(crate) fn malloc(&mut self, size: usize) -> *mut u8 {
        // SAFETY: no preconditions.
        unsafe { self.arena.c_malloc(size) }
    }

    pub(crate) fn calloc(&mut self, size: usize) -> *mut u8 {
        // SAFETY: the alignment is that of malloc.
        unsafe { self.arena.calloc(size, 2 * size_of::<usize>()) }
    }

    pub(crate) fn memalign(&mut self, align: usize, size: usize) -> *mut u8 {
        // SAFETY: the caller checked that `align` is a power of two.
        unsafe { self.arena.c_memalign(align, size) }
    }

    /// # Safety
    /// `ptr` is null or a live allocation of this heap.
    pub(crate) unsafe fn realloc(&mut self, ptr: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: by the caller's promise.
        unsafe { self.arena.c_realloc(ptr, size) }
    }

    /// # Safety
    /// `ptr` is null or a live allocation of this heap.
    pub(crate) unsafe fn free(&mut self, ptr: *mut u8) {
        // SAFETY: by the caller's promise.
        unsafe { self.arena.c_free(ptr) }
    }

    /// A NUL-terminated copy of `bytes`, or null when memory is out.
    pub(crate) fn string(&mut self, bytes: &[u8]) -> *mut libc::c_char {
        let p = self.malloc(bytes.len() + 1);
        if !p.is_null() {
            // SAFETY: the allocation holds the bytes and the NUL.
            unsafe {
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), p, bytes.len());
                p.add(bytes.len()).write(0);
            }
        }
        p.cast()
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        let pieces = self.pages.maps().take();
        for (start, end) in pieces {
            // SAFETY: from the store; the process is gone, nothing refers to its heap.
            unsafe { self.pages.store.give(start as *mut c_void, end - start) };
        }
    }
}
