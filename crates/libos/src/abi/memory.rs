//! Memory: the heap, mappings, shared memory.

use super::bytes;
use crate::current::{self, call, enter, enter_heap, set_errno};
use crate::fd::Object;
use libc::{c_char, c_int, c_void, size_t};
use rustix::io::Errno;
use std::ptr::null_mut;

fn or_enomem(p: *mut u8) -> *mut c_void {
    if p.is_null() {
        set_errno(libc::ENOMEM);
    }
    p.cast()
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_malloc(size: size_t) -> *mut c_void {
    or_enomem(enter_heap(|heap| heap.malloc(size)))
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_calloc(count: size_t, size: size_t) -> *mut c_void {
    match count.checked_mul(size) {
        Some(bytes) => or_enomem(enter_heap(|heap| heap.calloc(bytes))),
        None => or_enomem(null_mut()),
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_realloc(old: *mut c_void, size: size_t) -> *mut c_void {
    // SAFETY: C's contract.
    or_enomem(enter_heap(|heap| unsafe { heap.realloc(old.cast(), size) }))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_reallocarray(
    old: *mut c_void,
    count: size_t,
    size: size_t,
) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: C's contract.
        Some(bytes) => unsafe { libos_realloc(old, bytes) },
        None => or_enomem(null_mut()),
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_free(old: *mut c_void) {
    // SAFETY: C's contract.
    enter_heap(|heap| unsafe { heap.free(old.cast()) });
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_posix_memalign(
    to: *mut *mut c_void,
    align: size_t,
    size: size_t,
) -> c_int {
    if !align.is_power_of_two() || !align.is_multiple_of(size_of::<usize>()) {
        return libc::EINVAL;
    }
    let memory = enter_heap(|heap| heap.memalign(align, size));
    if memory.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: C's contract.
    unsafe { *to = memory.cast() };
    0
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_aligned_alloc(align: size_t, size: size_t) -> *mut c_void {
    if !align.is_power_of_two() {
        set_errno(libc::EINVAL);
        return null_mut();
    }
    or_enomem(enter_heap(|heap| heap.memalign(align, size)))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_strdup(s: *const c_char) -> *mut c_char {
    // SAFETY: C's contract.
    let s = unsafe { bytes(s) };
    or_enomem(enter_heap(|heap| heap.string(s)).cast()).cast()
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_strndup(s: *const c_char, most: size_t) -> *mut c_char {
    // SAFETY: C's contract: at most `most` bytes are read.
    let s = unsafe { std::slice::from_raw_parts(s.cast::<u8>(), libc::strnlen(s, most)) };
    or_enomem(enter_heap(|heap| heap.string(s)).cast()).cast()
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_mmap(
    address: *mut c_void,
    length: size_t,
    protection: c_int,
    flags: c_int,
    fd: c_int,
    offset: libc::off_t,
) -> *mut c_void {
    let result = enter(|p| {
        let fd = match super::fds::raw(fd) {
            Some(fd) => fd,
            None if flags & libc::MAP_ANONYMOUS != 0 => -1,
            None if fd < 0 => return Err(libc::EBADF),
            None => return Err(libc::ENODEV),
        };
        // SAFETY: C's contract.
        let at = unsafe { libc::mmap(address, length, protection, flags, fd, offset) };
        if at == libc::MAP_FAILED {
            return Err(current::errno());
        }
        p.local.maps.borrow_mut().add(at, length);
        Ok(at)
    });
    result.unwrap_or_else(|e| {
        set_errno(e);
        libc::MAP_FAILED
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_munmap(address: *mut c_void, length: size_t) -> c_int {
    enter(|p| {
        // SAFETY: C's contract.
        let result = unsafe { libc::munmap(address, length) };
        if result == 0 {
            p.local.maps.borrow_mut().remove(address, length);
        }
        result
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_shmget(key: libc::key_t, size: size_t, flags: c_int) -> c_int {
    call(|p| p.system.shm.get(key, size, flags))
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_shmat(id: c_int, address: *const c_void, _flags: c_int) -> *mut c_void {
    let result = enter(|p| {
        let own = &mut p.local.shm.borrow_mut();
        let at = p.system.shm.attach(own, id)?;
        if !address.is_null() && address as usize != at {
            p.system.shm.detach(own, at)?;
            return Err(Errno::INVAL);
        }
        Ok(at as *mut c_void)
    });
    result.unwrap_or_else(|e: Errno| {
        set_errno(e.raw_os_error());
        usize::MAX as *mut c_void
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_shmdt(address: *const c_void) -> c_int {
    call(|p| p.system.shm.detach(&mut p.local.shm.borrow_mut(), address as usize).map(|()| 0))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_shmctl(id: c_int, command: c_int, buffer: *mut libc::shmid_ds) -> c_int {
    call(|p| match command {
        libc::IPC_RMID => p.system.shm.remove(id).map(|()| 0),
        libc::IPC_STAT => {
            let stat = p.system.shm.stat(id)?;
            // SAFETY: C's contract.
            unsafe {
                buffer.write_bytes(0, 1);
                (*buffer).shm_segsz = stat.size;
                (*buffer).shm_nattch = stat.attached as libc::shmatt_t;
                (*buffer).shm_perm.__key = stat.key;
            }
            Ok(0)
        }
        _ => Err(Errno::INVAL),
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_shm_open(name: *const c_char, flags: c_int, _mode: libc::mode_t) -> c_int {
    // SAFETY: C's contract.
    let name = unsafe { bytes(name) };
    call(|p| {
        let fd = p.system.shm.open(name, flags)?;
        Ok(p.local.fds.borrow_mut().insert(Object::kernel(fd), true))
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_shm_unlink(name: *const c_char) -> c_int {
    // SAFETY: C's contract.
    let name = unsafe { bytes(name) };
    call(|p| p.system.shm.unlink(name).map(|()| 0))
}
