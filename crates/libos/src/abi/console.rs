//! What glue calls on a coroutine: `include/libos.h` documents it.

use crate::console::FULL;
use crate::current::{self, enter};
use crate::signal;
use corosensei::Yielder;
use libc::{c_int, c_void, size_t, ssize_t};

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_is_coroutine() -> c_int {
    c_int::from(!current::process().local.suspend.get().is_null())
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_suspend() {
    let yielder = current::process().local.suspend.get().cast::<Yielder<(), ()>>();
    if !yielder.is_null() {
        // SAFETY: the yielder lives on the coroutine's stack, which is this one.
        unsafe { (*yielder).suspend(()) };
    }
    // SAFETY: nothing to drop here; signals may have come while the process was away.
    unsafe { signal::deliver(current::process()) };
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_console_read(buffer: *mut c_void, size: size_t) -> ssize_t {
    // SAFETY: the glue passes a buffer of that size.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), size) };
    enter(|p| p.local.console.borrow_mut().read(buffer).map_or(-1, |n| n as ssize_t))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_console_write(buffer: *const c_void, size: size_t) -> ssize_t {
    // SAFETY: the glue passes a buffer of that size.
    let bytes = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), size) };
    let waiting = enter(|p| {
        let output = &mut p.local.console.borrow_mut().output;
        output.extend_from_slice(bytes);
        output.len()
    });
    if waiting >= FULL {
        // SAFETY: the owner takes the output and resumes on the same thread.
        unsafe { libos_suspend() };
    }
    size as ssize_t
}
