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

#[inline(never)]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_suspend() {
    let p = current::process();
    // The process may go on in another thread, and the compiler does not expect that of a function: nothing that is
    // thread-local may be looked up in this frame, before and after.
    // A signal finds the thread outside of the process's stack.
    p.signals.critical.set(1);
    switch(p.local.suspend.get().cast());
    p.signals.critical.set(0);
    // SAFETY: nothing to drop here; signals may have come while the process was away.
    unsafe { signal::deliver(p) };
}

#[inline(never)]
fn switch(yielder: *const Yielder<(), ()>) {
    if !yielder.is_null() {
        // SAFETY: the yielder lives on the coroutine's stack, which is this one.
        unsafe { (*yielder).suspend(()) };
    }
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
    let full = enter(|p| {
        let console = &mut *p.local.console.borrow_mut();
        console.output.extend_from_slice(bytes);
        console.full = console.output.len() >= FULL;
        console.full
    });
    if full {
        // SAFETY: the owner takes the output and resumes on the same thread.
        unsafe { libos_suspend() };
        enter(|p| p.local.console.borrow_mut().full = false);
    }
    size as ssize_t
}
