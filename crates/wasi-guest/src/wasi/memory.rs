//! Mappings and shared memory: pages of the pool.

use super::{Global, fail};
use crate::pages::{Memory, Owner, PAGE, Pool};
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;

/// The module's linear memory.
pub(crate) struct Linear;

impl Memory for Linear {
    fn grow(&mut self, pages: usize) -> Option<usize> {
        match core::arch::wasm32::memory_grow::<0>(pages) {
            usize::MAX => None,
            first => Some(first),
        }
    }

    fn clear(&mut self, first: usize, pages: usize) {
        // SAFETY: the pool clears pages that nobody has.
        unsafe { self.address(first).write_bytes(0, pages * PAGE) };
    }

    fn address(&mut self, page: usize) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(page * PAGE)
    }
}

pub(crate) static POOL: Global<Pool<Linear>> = Global::new(Pool::new(Linear));

/// Takes pages of zeros.
pub(crate) fn take(pages: usize, owner: Owner) -> Option<*mut u8> {
    POOL.with(|pool| pool.take(pages, owner).map(|first| pool.address(first)))
}

/// Gives memory back whose pages were taken.
pub(crate) fn give_back(start: *mut u8, size: usize) {
    POOL.with(|pool| pool.give_back(start.addr() / PAGE, size.div_ceil(PAGE)));
}

/// What functions return that cannot map.
const FAILED: *mut c_void = std::ptr::without_provenance_mut(usize::MAX);
const MAP_ANONYMOUS: c_int = 0x20;

#[unsafe(no_mangle)]
unsafe extern "C" fn mmap(
    _: *mut c_void,
    size: usize,
    _: c_int,
    flags: c_int,
    file: c_int,
    offset: i64,
) -> *mut c_void {
    if size == 0 {
        fail(libc::EINVAL);
        return FAILED;
    }
    let Some(start) = take(size.div_ceil(PAGE), Owner::Session) else {
        fail(libc::ENOMEM);
        return FAILED;
    };
    if flags & MAP_ANONYMOUS == 0 {
        let mut done = 0;
        while done < size {
            // SAFETY: the pages are ours.
            let n = unsafe { libc::pread(file, start.add(done).cast(), size - done, offset + done as i64) };
            match usize::try_from(n) {
                Ok(n) if n > 0 => done += n,
                _ => break,
            }
        }
    }
    start.cast()
}

#[unsafe(no_mangle)]
extern "C" fn munmap(start: *mut c_void, size: usize) -> c_int {
    if !start.addr().is_multiple_of(PAGE) || size == 0 {
        return fail(libc::EINVAL);
    }
    give_back(start.cast(), size);
    0
}

#[unsafe(no_mangle)]
extern "C" fn mprotect(_: *mut c_void, _: usize, _: c_int) -> c_int {
    0
}

#[unsafe(no_mangle)]
extern "C" fn msync(_: *mut c_void, _: usize, _: c_int) -> c_int {
    0
}

#[unsafe(no_mangle)]
extern "C" fn madvise(_: *mut c_void, _: usize, _: c_int) -> c_int {
    0
}

/// A segment of System V's shared memory.
#[derive(Clone, Copy)]
struct Segment {
    key: c_int,
    size: usize,
    start: *mut u8,
    attached: u32,
    removed: bool,
}

static SEGMENTS: Global<[Option<Segment>; 32]> = Global::new([None; 32]);

const IPC_CREAT: c_int = 0o1000;
const IPC_EXCL: c_int = 0o2000;
const IPC_RMID: c_int = 0;
const IPC_STAT: c_int = 2;

/// `struct shmid_ds`, up to what is set in it.
#[repr(C)]
struct Description {
    permissions: [u32; 7],
    size: usize,
    times: [i64; 3],
    pids: [c_int; 2],
    attached: u32,
}

#[unsafe(no_mangle)]
extern "C" fn shmget(key: c_int, size: usize, flags: c_int) -> c_int {
    SEGMENTS.with(|all| {
        if key != 0
            && let Some(at) = all.iter().position(|s| s.is_some_and(|s| s.key == key && !s.removed))
        {
            return if flags & IPC_EXCL != 0 { fail(libc::EEXIST) } else { at as c_int };
        }
        if key != 0 && flags & IPC_CREAT == 0 {
            return fail(libc::ENOENT);
        }
        let Some(at) = all.iter().position(Option::is_none) else { return fail(libc::ENOSPC) };
        let Some(start) = take(size.div_ceil(PAGE), Owner::Session) else { return fail(libc::ENOMEM) };
        all[at] = Some(Segment { key, size, start, attached: 0, removed: false });
        at as c_int
    })
}

fn segment(all: &mut [Option<Segment>], id: c_int) -> Option<&mut Option<Segment>> {
    all.get_mut(usize::try_from(id).ok()?).filter(|slot| slot.is_some())
}

/// Lets go of a segment that nobody wants any more.
fn settle(slot: &mut Option<Segment>) {
    if let Some(Segment { attached: 0, removed: true, start, size, .. }) = *slot {
        give_back(start, size);
        *slot = None;
    }
}

#[unsafe(no_mangle)]
extern "C" fn shmat(id: c_int, _: *const c_void, _: c_int) -> *mut c_void {
    SEGMENTS.with(|all| match segment(all, id) {
        Some(Some(segment)) => {
            segment.attached += 1;
            segment.start.cast()
        }
        _ => {
            fail(libc::EINVAL);
            FAILED
        }
    })
}

#[unsafe(no_mangle)]
extern "C" fn shmdt(start: *const c_void) -> c_int {
    SEGMENTS.with(|all| {
        let found = all.iter_mut().find(|s| s.is_some_and(|s| s.start.cast_const().cast() == start && s.attached > 0));
        let Some(slot) = found else { return fail(libc::EINVAL) };
        if let Some(segment) = slot {
            segment.attached -= 1;
        }
        settle(slot);
        0
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn shmctl(id: c_int, command: c_int, result: *mut c_void) -> c_int {
    SEGMENTS.with(|all| {
        let Some(slot) = segment(all, id) else { return fail(libc::EINVAL) };
        let Some(segment) = slot else { return fail(libc::EINVAL) };
        match command {
            IPC_RMID => {
                segment.removed = true;
                settle(slot);
            }
            IPC_STAT => {
                let (size, attached) = (segment.size, segment.attached);
                // SAFETY: the caller gives a structure of this kind.
                unsafe {
                    result.cast::<Description>().write(Description {
                        permissions: [0; 7],
                        size,
                        times: [0; 3],
                        pids: [0; 2],
                        attached,
                    });
                }
            }
            _ => return fail(libc::EINVAL),
        }
        0
    })
}

#[unsafe(no_mangle)]
extern "C" fn shm_open(_: *const u8, _: c_int, _: u32) -> c_int {
    fail(libc::ENOSYS)
}

#[unsafe(no_mangle)]
extern "C" fn shm_unlink(_: *const u8) -> c_int {
    fail(libc::ENOSYS)
}

/// The first free address of a kept block.
pub(crate) fn keep(size: usize) -> *mut u8 {
    take(size.div_ceil(PAGE), Owner::Kept).unwrap_or(null_mut())
}
