//! `dlopen` and its relatives, and backtraces.

use super::bytes;
use crate::current::{self, call, enter};
use crate::module::{self, Initialise};
use crate::process::Process;
use elf_loader::Mapping;
use libc::{c_char, c_int, c_void};
use std::ptr::null_mut;

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_dlopen(path: *const c_char, _flags: c_int) -> *mut c_void {
    if path.is_null() {
        // The program itself: the handle that `dlsym` takes for its own symbols.
        return usize::MAX as *mut c_void;
    }
    // SAFETY: C's contract.
    let path = unsafe { bytes(path) };
    let Some((handle, initialise)) = enter(|p| module::open(p, path)) else { return null_mut() };
    // SAFETY: the module's own code, outside of critical sections, in a frame with nothing to drop.
    unsafe {
        match initialise {
            Initialise::Nothing => {}
            Initialise::Hooks(hooks) => hooks.iter().flatten().for_each(|hook| hook()),
            Initialise::Stock(index) => {
                let p = current::process();
                if let Some(mapping) = (*p.local.modules.as_ptr()).stock(index) {
                    let mapping: *const Mapping = mapping;
                    // The list may grow meanwhile, but the mapping stays. A module whose memory cannot be protected is used all the same: it was mapped and bound.
                    let _ = (*mapping).run_initialisers(0, std::ptr::null(), std::ptr::null());
                }
            }
        }
    }
    handle as *mut c_void
}

/// Runs what the stock modules have for the end of the process, the last one's first.
pub(crate) fn finish(p: &Process) {
    let count = p.local.modules.borrow().count();
    for index in (0..count).rev() {
        // SAFETY: the modules' own code, outside of critical sections; modules stay until the process has ended.
        unsafe {
            if let Some(mapping) = (*p.local.modules.as_ptr()).stock(index) {
                let mapping: *const Mapping = mapping;
                (*mapping).run_finalisers();
            }
        }
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void {
    // SAFETY: C's contract.
    let name = unsafe { bytes(name) };
    enter(|p| p.local.modules.borrow_mut().symbol(p, handle as usize, name).unwrap_or(null_mut()))
}

/// Modules stay until their process ends.
#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_dlclose(_handle: *mut c_void) -> c_int {
    0
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_dlerror() -> *mut c_char {
    enter(|p| {
        let modules = &mut *p.local.modules.borrow_mut();
        match modules.error.take() {
            Some(error) => {
                modules.told = error;
                modules.told.as_ptr().cast_mut()
            }
            None => null_mut(),
        }
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_backtrace(to: *mut *mut c_void, most: c_int) -> c_int {
    // The unwinder takes the loader's lock: no handler may jump out of it.
    // SAFETY: C's contract.
    enter(|_| unsafe { libc::backtrace(to, most) })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_backtrace_symbols(
    addresses: *const *mut c_void,
    count: c_int,
) -> *mut *mut c_char {
    call(|p| {
        // SAFETY: C's contract. The result is one allocation of the C library; the program frees ours, also one.
        unsafe {
            let count = count.max(0) as usize;
            let theirs = libc::backtrace_symbols(addresses, count as c_int);
            if theirs.is_null() {
                return Ok(null_mut());
            }
            let lines: Vec<&[u8]> = (0..count).map(|i| bytes(*theirs.add(i))).collect();
            let table = count * size_of::<usize>();
            let text: usize = lines.iter().map(|l| l.len() + 1).sum();
            let ours: *mut *mut c_char = p.local.heap.borrow_mut().malloc(table + text).cast();
            if !ours.is_null() {
                let mut at = ours.cast::<u8>().add(table);
                for (i, line) in lines.iter().enumerate() {
                    *ours.add(i) = at.cast();
                    std::ptr::copy_nonoverlapping(line.as_ptr(), at, line.len());
                    *at.add(line.len()) = 0;
                    at = at.add(line.len() + 1);
                }
            }
            libc::free(theirs.cast());
            Ok(ours)
        }
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_backtrace_symbols_fd(
    addresses: *const *mut c_void,
    count: c_int,
    fd: c_int,
) {
    // SAFETY: C's contract.
    unsafe {
        let lines = libos_backtrace_symbols(addresses, count);
        if lines.is_null() {
            return;
        }
        for i in 0..count.max(0) as usize {
            let line = bytes(*lines.add(i));
            super::fds::libos_write(fd, line.as_ptr().cast(), line.len());
            super::fds::libos_write(fd, c"\n".as_ptr().cast(), 1);
        }
        super::memory::libos_free(lines.cast());
    }
}
