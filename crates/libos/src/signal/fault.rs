//! Synchronous faults: a process that does something illegal ends, as under a kernel, and only that process.
//!
//! The handlers of SIGSEGV, SIGBUS, SIGFPE and SIGILL are the one thing of the host that has to be replaced while a
//! system exists: the kernel has no other way to tell us. A fault on any other thread, or in the library OS
//! itself, goes to the handler that was there before. `release` puts the old ones back.

use crate::process::Status;
use crate::thread::{self, Helper};
use crate::{arch, current};
use std::cell::OnceCell;
use std::ffi::{c_int, c_void};
use std::mem::zeroed;
use std::ptr::null_mut;
use std::sync::Mutex;

pub(super) const SIGNALS: [i32; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL];

struct Installed {
    users: usize,
}

static INSTALLED: Mutex<Installed> = Mutex::new(Installed { users: 0 });

/// The host's dispositions, written before our handlers are set and then only read.
static mut BEFORE: [libc::sigaction; 4] = {
    // SAFETY: plain data; zero is SIG_DFL.
    unsafe { zeroed() }
};

/// Sets the fault handlers for one more system.
pub(crate) fn acquire() {
    let mut installed = INSTALLED.lock().unwrap_or_else(|e| e.into_inner());
    installed.users += 1;
    if installed.users > 1 {
        return;
    }
    for (i, signal) in SIGNALS.into_iter().enumerate() {
        // SAFETY: valid structures; under the lock, and no handler of ours is set yet for this signal.
        unsafe {
            libc::sigaction(signal, null_mut(), &raw mut BEFORE[i]);
            let mut new: libc::sigaction = zeroed();
            new.sa_sigaction = on_fault as *const () as usize;
            new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
            libc::sigaction(signal, &new, null_mut());
        }
    }
}

/// A system less; the last one puts the host's handlers back where they are still ours.
pub(crate) fn release() {
    let mut installed = INSTALLED.lock().unwrap_or_else(|e| e.into_inner());
    installed.users -= 1;
    if installed.users > 0 {
        return;
    }
    for (i, signal) in SIGNALS.into_iter().enumerate() {
        // SAFETY: as above.
        unsafe {
            let mut now: libc::sigaction = zeroed();
            libc::sigaction(signal, null_mut(), &mut now);
            if now.sa_sigaction == on_fault as *const () as usize {
                libc::sigaction(signal, &raw const BEFORE[i], null_mut());
            }
        }
    }
}

unsafe extern "C-unwind" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel filled `info`.
    let sent = unsafe { (*info).si_code } <= 0;
    if let Some(p) = current::get()
        && let Some(helper) = thread::helper()
        && !helper.is_critical()
        && !sent
    {
        // SAFETY: the kernel filled `info` for a fault.
        p.signals.note_fault(signal, unsafe { (*info).si_addr() } as usize);
        Helper::condemn(p, Status::Signaled(signal));
        // SAFETY: the helper's `run` is below on this thread's stack, with only C frames above it.
        unsafe { arch::return_to_leave(context, helper.context(), 0) };
        return;
    }
    if let Some(p) = current::get()
        && thread::helper().is_none()
        && (p.signals.critical.get() == 0 || p.signals.in_heap.get())
        && !sent
    {
        // SAFETY: the kernel filled `info` for a fault.
        p.signals.note_fault(signal, unsafe { (*info).si_addr() } as usize);
        p.signals.end();
        // SAFETY: the process's `run` is below on this thread's stack, with only C frames above it.
        unsafe { arch::return_to_leave(context, p.exit_context(), Status::Signaled(signal).encode()) };
        return;
    }
    // SAFETY: chained as the kernel would have called it.
    unsafe { chain(signal, info, context, sent) };
}

/// Does what the host would have done. `sent`: somebody sent the signal, nothing faulted.
///
/// # Safety
/// Called from a signal handler with the kernel's arguments.
unsafe fn chain(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void, sent: bool) {
    let i = SIGNALS.iter().position(|s| *s == signal).unwrap_or(0);
    // SAFETY: written before the handler was set.
    let before = unsafe { BEFORE[i] };
    match before.sa_sigaction {
        libc::SIG_IGN if sent => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            // The instruction runs again, faults again, and the default action ends the host with the right status.
            // SAFETY: valid structures, and a signal to this process.
            unsafe {
                libc::sigaction(signal, &before, null_mut());
                if sent {
                    libc::raise(signal);
                }
            }
        }
        handler if before.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: the host set a handler of this form.
            let f: extern "C-unwind" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                unsafe { std::mem::transmute(handler) };
            f(signal, info, context);
        }
        handler => {
            // SAFETY: the host set a handler of this form.
            let f: extern "C-unwind" fn(c_int) = unsafe { std::mem::transmute(handler) };
            f(signal);
        }
    }
}

/// A stack for the fault handler of this thread: the thread's own may be what overflowed.
pub(crate) struct AltStack {
    _memory: Box<[u8]>,
    before: libc::stack_t,
}

impl AltStack {
    const SIZE: usize = 32 << 10;

    pub(crate) fn new() -> AltStack {
        let mut memory = vec![0u8; Self::SIZE].into_boxed_slice();
        // SAFETY: the memory lives as long as the setting does.
        let before = unsafe {
            let new = libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: Self::SIZE };
            let mut before: libc::stack_t = zeroed();
            libc::sigaltstack(&new, &mut before);
            before
        };
        AltStack { _memory: memory, before }
    }
}

thread_local! {
    static PREPARED: OnceCell<Option<AltStack>> = const { OnceCell::new() };
}

/// Makes a thread of the host fit for coroutines, once: signals get through, and there is a stack for the fault handler.
/// The latter goes when the thread ends.
pub(crate) fn prepare_thread() {
    PREPARED.with(|prepared| {
        prepared.get_or_init(|| {
            super::let_in();
            // SAFETY: asks only.
            let has_one = unsafe {
                let mut now: libc::stack_t = zeroed();
                libc::sigaltstack(null_mut(), &mut now) == 0 && now.ss_flags & libc::SS_DISABLE == 0
            };
            (!has_one).then(AltStack::new)
        });
    });
}

impl Drop for AltStack {
    fn drop(&mut self) {
        // SAFETY: what was there before this thread's `new`.
        unsafe { libc::sigaltstack(&self.before, null_mut()) };
    }
}
