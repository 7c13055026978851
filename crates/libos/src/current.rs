//! Which process the calling thread runs, and critical sections.
//!
//! Relies on: `CURRENT` is set for as long as a thread runs a process (`process::run`, `coroutine`), and the process
//! outlives that. In a critical section no signal handler of the program runs on this thread, so nothing
//! re-enters the library OS or jumps out of it; what arrives meanwhile is delivered when the section ends.

use crate::heap::Heap;
use crate::process::{Process, Status, terminate};
use crate::{arch, signal, thread};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null;
use std::sync::atomic::{Ordering, compiler_fence};

thread_local! {
    static CURRENT: Cell<*const Process> = const { Cell::new(null()) };
}

/// Says which process this thread runs from now on; returns the one before.
#[inline(never)]
pub(crate) fn set(process: *const Process) -> *const Process {
    CURRENT.with(|c| c.replace(process))
}

/// The process of this thread, if it runs one. Usable in signal handlers.
#[inline]
pub(crate) fn get() -> Option<&'static Process> {
    // SAFETY: see the module's doc; 'static stands for "while this thread runs the process".
    CURRENT.with(|c| unsafe { c.get().as_ref() })
}

/// The process of this thread.
#[inline]
pub(crate) fn process() -> &'static Process {
    match get() {
        Some(p) => p,
        None => no_process(),
    }
}

#[cold]
fn no_process() -> ! {
    eprintln!("libos: code of a privatized program ran on a thread that runs no process (after fork()?)");
    std::process::abort()
}

/// Runs `f` as a critical section, then delivers the signals that came meanwhile.
///
/// Delivery may run a handler of the program that never comes back, so `R` has nothing to drop.
#[inline]
pub(crate) fn enter<R: Copy>(f: impl FnOnce(&'static Process) -> R) -> R {
    let p = process();
    let critical = &p.signals.critical;
    let alone = !p.local.threads.several();
    if alone {
        if critical.get() == 0 && arch::stack_pointer() < p.local.stack_limit.get() {
            stack_overflow(p);
        }
        critical.set(critical.get() + 1);
    } else {
        thread::begin(p);
    }
    compiler_fence(Ordering::SeqCst);
    let result = catch_unwind(AssertUnwindSafe(|| f(p)));
    compiler_fence(Ordering::SeqCst);
    if alone {
        critical.set(critical.get() - 1);
    } else {
        thread::release(p);
    }
    match result {
        Ok(r) => {
            if !alone {
                // SAFETY: outside any critical section; this frame and the entry point's have nothing to drop.
                unsafe { thread::deliver(p) };
            } else if critical.get() == 0 && p.signals.deliverable() != 0 {
                // SAFETY: outside any critical section; this frame and the entry point's have nothing to drop.
                unsafe { signal::deliver(p) };
            }
            r
        }
        Err(payload) => {
            // The panic hook has printed it; a destructor here would be skipped by `terminate`.
            std::mem::forget(payload);
            // SAFETY: as above.
            unsafe { terminate(p, Status::Signaled(libc::SIGABRT)) }
        }
    }
}

/// As `enter`, for what only changes the process's heap: where the program has overwritten its records, it is the program
/// that faults.
#[inline]
pub(crate) fn enter_heap<R: Copy>(f: impl FnOnce(&mut Heap) -> R) -> R {
    enter(|p| {
        let mut heap = p.local.heap.borrow_mut();
        p.signals.in_heap.set(true);
        compiler_fence(Ordering::SeqCst);
        let result = f(&mut heap);
        compiler_fence(Ordering::SeqCst);
        p.signals.in_heap.set(false);
        result
    })
}

/// Too little of the stack is left for a critical section, in which an overflow would be the host's fault.
#[cold]
fn stack_overflow(p: &Process) -> ! {
    p.signals.note_fault(libc::SIGSEGV, arch::stack_pointer());
    // SAFETY: outside any critical section; this frame and the entry point's have nothing to drop.
    unsafe { terminate(p, Status::Signaled(libc::SIGSEGV)) }
}

/// Makes a system call that may block, outside critical sections: signals are handled, and may end the process, right there.
/// The call is made again where it fails with `EINTR` although no handler of the program has run: then it was a
/// reserved signal for something else.
#[inline]
pub(crate) fn blocking<R: CResult>(mut call: impl FnMut() -> R) -> R {
    let p = process();
    let signals = &p.signals;
    let helper = if p.local.threads.several() { thread::helper() } else { None };
    let (blocking, critical) = helper.map_or((&signals.blocking, &signals.critical), |helper| helper.state());
    loop {
        let handled = signals.handled.get();
        blocking.set(true);
        compiler_fence(Ordering::SeqCst);
        if let Some(helper) = helper {
            helper.look(p);
        }
        let result = call();
        compiler_fence(Ordering::SeqCst);
        blocking.set(false);
        let for_nothing = result == R::FAILED && errno() == libc::EINTR && handled == signals.handled.get();
        // In a critical section handlers wait for its end.
        if !for_nothing || critical.get() > 0 {
            return result;
        }
    }
}

/// As `enter`, for calls that answer as the C library does: -1 and `errno`.
#[inline]
pub(crate) fn call<R: CResult>(f: impl FnOnce(&'static Process) -> rustix::io::Result<R>) -> R {
    match enter(|p| f(p).map_err(|e| e.raw_os_error())) {
        Ok(r) => r,
        Err(e) => {
            set_errno(e);
            R::FAILED
        }
    }
}

/// Stores the result of a critical section where the program wants it: outside, since a bad pointer is the program's fault.
///
/// # Safety
/// `to` is as valid as C demands.
pub(crate) unsafe fn give<T>(to: *mut T, result: rustix::io::Result<T>) -> i32 {
    match result {
        Ok(value) => {
            // SAFETY: by the caller's promise.
            unsafe { *to = value };
            0
        }
        Err(e) => {
            set_errno(e.raw_os_error());
            -1
        }
    }
}

/// What a C function returns when it fails.
pub(crate) trait CResult: Copy + PartialEq {
    const FAILED: Self;
}

impl CResult for i32 {
    const FAILED: i32 = -1;
}

impl CResult for isize {
    const FAILED: isize = -1;
}

impl CResult for i64 {
    const FAILED: i64 = -1;
}

impl<T> CResult for *mut T {
    const FAILED: *mut T = std::ptr::null_mut();
}

pub(crate) fn set_errno(e: i32) {
    // SAFETY: the C library's own location of this thread.
    unsafe { *libc::__errno_location() = e };
}

pub(crate) fn errno() -> i32 {
    // SAFETY: as above.
    unsafe { *libc::__errno_location() }
}
