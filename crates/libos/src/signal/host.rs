//! The host's side of virtual signals: the reserved real-time signal and its handler.
//!
//! Which signal: the first of `SIGRTMAX - 3` downwards whose disposition is the default. Its disposition is set
//! once and stays; no other disposition of the host is touched, but those of synchronous faults (see `fault`).

use super::{Caller, deliver, deliver_from, fatal_pending, fault, timer};
use crate::process::{Status, terminate};
use crate::{arch, current};
use std::ffi::{c_int, c_void};
use std::mem::zeroed;
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};

static RESERVED: AtomicI32 = AtomicI32::new(0);

/// Reserves the real-time signal; returns its number. Later calls only return it.
///
/// # Errors
/// When every real-time signal is taken by the host.
pub(crate) fn install() -> std::io::Result<i32> {
    static DONE: OnceLock<Option<i32>> = OnceLock::new();
    DONE.get_or_init(reserve).ok_or_else(|| std::io::Error::other("every real-time signal of this process is in use"))
}

fn reserve() -> Option<i32> {
    for signal in (libc::SIGRTMIN()..=libc::SIGRTMAX() - 3).rev() {
        // SAFETY: sigaction with valid structures; the handler is async-signal-safe outside programs' own handlers.
        unsafe {
            let mut old: libc::sigaction = zeroed();
            if libc::sigaction(signal, null_mut(), &mut old) != 0 || old.sa_sigaction != libc::SIG_DFL {
                continue;
            }
            let mut new: libc::sigaction = zeroed();
            new.sa_sigaction = on_signal as *const () as usize;
            // Blocked while our handler runs, or many senders would fill the stack; not while the program's run.
            new.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
            if libc::sigaction(signal, &new, null_mut()) == 0 {
                RESERVED.store(signal, Ordering::SeqCst);
                return Some(signal);
            }
        }
    }
    None
}

pub(crate) fn reserved() -> i32 {
    RESERVED.load(Ordering::SeqCst)
}

/// Interrupts a thread of this process so that it looks at its pending signals.
pub(crate) fn interrupt(tid: i32) {
    // SAFETY: a system call; a thread that is gone gives ESRCH.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, reserved()) };
}

/// The mask of a thread that runs a process: all blocked but ours and the synchronous ones.
pub(crate) fn thread_mask() -> libc::sigset_t {
    // SAFETY: a set is filled.
    unsafe {
        let mut set: libc::sigset_t = zeroed();
        libc::sigfillset(&mut set);
        for signal in [reserved(), libc::SIGTRAP].iter().chain(&fault::SIGNALS) {
            libc::sigdelset(&mut set, *signal);
        }
        set
    }
}

/// Blocks or unblocks the reserved signal on the calling thread.
pub(super) fn hold(on: bool) {
    // SAFETY: a set is filled, and the calling thread's mask changed.
    unsafe {
        let mut set: libc::sigset_t = zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, reserved());
        libc::pthread_sigmask(if on { libc::SIG_BLOCK } else { libc::SIG_UNBLOCK }, &set, null_mut());
    }
}

/// Unblocks the signals on which processes rely, on a thread of the host that is to run a coroutine.
pub(crate) fn let_in() {
    // SAFETY: a set is filled, and the calling thread's mask changed.
    unsafe {
        let mut set: libc::sigset_t = zeroed();
        libc::sigemptyset(&mut set);
        for signal in [reserved()].iter().chain(&fault::SIGNALS) {
            libc::sigaddset(&mut set, *signal);
        }
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, null_mut());
    }
}

/// Does `call`; a SIGPIPE that it causes vanishes.
pub(crate) fn without_sigpipe<R>(call: impl FnOnce() -> R) -> R {
    // SAFETY: valid sets; the calling thread's mask is put back. `errno` is the call's.
    unsafe {
        let mut pipe: libc::sigset_t = zeroed();
        let mut before: libc::sigset_t = zeroed();
        let mut pending: libc::sigset_t = zeroed();
        libc::sigemptyset(&mut pipe);
        libc::sigaddset(&mut pipe, libc::SIGPIPE);
        libc::sigpending(&mut pending);
        let own = libc::sigismember(&pending, libc::SIGPIPE) == 0;
        libc::pthread_sigmask(libc::SIG_BLOCK, &pipe, &mut before);
        let result = call();
        let errno = current::errno();
        if own && errno == libc::EPIPE {
            let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            libc::sigtimedwait(&pipe, null_mut(), &now);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, null_mut());
        current::set_errno(errno);
        result
    }
}

unsafe extern "C-unwind" fn on_signal(_: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let Some(p) = current::get() else { return };
    // From here on another one may be sent, which waits until this one is done.
    p.signals.called.store(false, Ordering::SeqCst);
    // SAFETY: the kernel filled `info`; a timer's signal carries the value that it was made with.
    if unsafe { (*info).si_code == libc::SI_TIMER && (*info).si_value().sival_ptr as usize == timer::INTERVAL } {
        p.signals.timer.expired(&p.signals);
    }
    if p.signals.critical.get() > 0 {
        return;
    }
    let blocking = p.signals.blocking.get();
    // SAFETY: the kernel's context.
    if p.signals.deliverable() == 0 {
        return;
    }
    // SAFETY: the kernel's context.
    if !blocking && !p.is_own_code(unsafe { arch::interrupted_pc(context) }) {
        // The C library may hold a lock of the whole host, and a handler need not come back: look again a little later.
        p.signals.retry.arm();
        if fatal_pending(p) {
            // Or end the process where it returns to its own code, which may take long to be met by chance.
            // SAFETY: the kernel's context, on the stack below `run`.
            unsafe { arch::divert_return(context, p.exit_context(), |word| p.is_own_code(word)) };
        }
        return;
    }
    let errno = current::errno();
    // A handler may block by itself, or jump out.
    p.signals.blocking.set(false);
    // SAFETY: outside critical sections, between instructions of the program or in a system call that it waits for.
    unsafe { deliver_from(p, Caller::Handler) };
    p.signals.blocking.set(blocking);
    current::set_errno(errno);
}

/// Where a diverted return leads to.
pub(crate) extern "C-unwind" fn end_now() -> ! {
    let p = current::process();
    // SAFETY: the process has returned to its own code, which has nothing to drop.
    unsafe {
        deliver(p);
        // Only if what was to end the process was taken back meanwhile, which the caller cannot do.
        terminate(p, Status::Signaled(libc::SIGKILL))
    }
}
