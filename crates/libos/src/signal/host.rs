//! The host's side of virtual signals: the two reserved real-time signals and their handler.
//!
//! Which signals: the first two from `SIGRTMAX - 3` downwards whose disposition is the default. They are set
//! once and stay; no other disposition of the host is touched, but those of synchronous faults (see `fault`).
//!
//! Why two: whether a handler restarts the system call that it interrupts (`SA_RESTART`) is the kernel's to decide, for each
//! call in its own way, and it goes by the flags of the signal that comes. So there is one for either kind of handler.

use super::{Caller, deliver, deliver_from, fault, timer};
use crate::forked::Generation;
use crate::process::{Status, terminate};
use crate::{arch, current, thread};
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::mem::zeroed;
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};

/// What becomes of a system call that a signal interrupts, where the kernel has the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupted {
    /// It goes on after the handler.
    Restarts,
    /// It ends with `EINTR`.
    Ends,
}

/// The reserved signals, by what they do. Where both are pending, the kernel delivers the lower number first, which decides:
/// that is the one which ends calls.
static RESERVED: [AtomicI32; 2] = [AtomicI32::new(0), AtomicI32::new(0)];

/// Reserves the real-time signals, once.
///
/// # Errors
/// When the host has taken all of them.
pub(crate) fn install() -> std::io::Result<()> {
    static DONE: OnceLock<Option<()>> = OnceLock::new();
    let none = || std::io::Error::other("no two real-time signals of this process are free, which the library needs");
    DONE.get_or_init(reserve).ok_or_else(none)
}

fn reserve() -> Option<()> {
    let is_free = |signal: &i32| {
        // SAFETY: asks only.
        unsafe {
            let mut now: libc::sigaction = zeroed();
            libc::sigaction(*signal, null_mut(), &mut now) == 0 && now.sa_sigaction == libc::SIG_DFL
        }
    };
    let mut free = (libc::SIGRTMIN()..=libc::SIGRTMAX() - 3).rev().filter(is_free);
    RESERVED[Interrupted::Restarts as usize].store(free.next()?, Ordering::SeqCst);
    RESERVED[Interrupted::Ends as usize].store(free.next()?, Ordering::SeqCst);
    for (effect, flag) in [(Interrupted::Restarts, libc::SA_RESTART), (Interrupted::Ends, 0)] {
        // SAFETY: sigaction with valid structures; the handler is async-signal-safe outside programs' own handlers.
        unsafe {
            let mut new: libc::sigaction = zeroed();
            new.sa_sigaction = on_signal as *const () as usize;
            new.sa_flags = libc::SA_SIGINFO | flag;
            // Blocked while our handler runs, or many senders would fill the stack; not while the program's run.
            new.sa_mask = reserved_set();
            if libc::sigaction(reserved(effect), &new, null_mut()) != 0 {
                return None;
            }
        }
    }
    Some(())
}

pub(crate) fn reserved(effect: Interrupted) -> i32 {
    RESERVED[effect as usize].load(Ordering::SeqCst)
}

fn reserved_set() -> libc::sigset_t {
    // SAFETY: a set is filled.
    unsafe {
        let mut set: libc::sigset_t = zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, reserved(Interrupted::Restarts));
        libc::sigaddset(&mut set, reserved(Interrupted::Ends));
        set
    }
}

/// Interrupts a thread of this process so that it looks at its pending signals.
pub(crate) fn interrupt(tid: i32, effect: Interrupted) {
    // SAFETY: a system call; a thread that is gone gives ESRCH.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, reserved(effect)) };
}

/// The mask of a thread that runs a process: all blocked but ours and the synchronous ones.
pub(crate) fn thread_mask() -> libc::sigset_t {
    // SAFETY: a set is filled.
    unsafe {
        let mut set: libc::sigset_t = zeroed();
        libc::sigfillset(&mut set);
        let ours = [reserved(Interrupted::Restarts), reserved(Interrupted::Ends), libc::SIGTRAP];
        for signal in ours.iter().chain(&fault::SIGNALS) {
            libc::sigdelset(&mut set, *signal);
        }
        set
    }
}

/// Blocks or unblocks the reserved signals on the calling thread; returns the mask before.
pub(super) fn hold(on: bool) -> libc::sigset_t {
    // SAFETY: valid sets, and the calling thread's mask is changed.
    unsafe {
        let mut before: libc::sigset_t = zeroed();
        let how = if on { libc::SIG_BLOCK } else { libc::SIG_UNBLOCK };
        libc::pthread_sigmask(how, &reserved_set(), &mut before);
        before
    }
}

/// Waits as `ppoll` does, unless `ready` says that there is nothing to wait for: no signal that comes between the two is
/// missed. In a critical section, at whose end signals are delivered.
pub(crate) fn poll_unless(
    ready: impl FnOnce() -> bool,
    fds: &mut [libc::pollfd],
    timeout: *const libc::timespec,
) -> c_int {
    let mask = hold(true);
    let result = if ready() {
        current::set_errno(libc::EINTR);
        -1
    } else {
        // SAFETY: valid structures; the caller's timeout is null or one.
        unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout, &mask) }
    };
    let errno = current::errno();
    hold(false);
    current::set_errno(errno);
    result
}

/// Unblocks the signals on which processes rely, on a thread of the host that is to run a coroutine.
pub(crate) fn let_in() {
    // SAFETY: a set is filled, and the calling thread's mask changed.
    unsafe {
        let mut set = reserved_set();
        for signal in fault::SIGNALS {
            libc::sigaddset(&mut set, signal);
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

unsafe extern "C-unwind" fn on_signal(number: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let Some(p) = current::get() else { return };
    if let Some(helper) = thread::helper() {
        // SAFETY: the kernel's context.
        return helper.interrupted(p, p.is_own_code(unsafe { arch::interrupted_pc(context) }), || {
            hold(false);
        });
    }
    let effect = if number == reserved(Interrupted::Ends) { Interrupted::Ends } else { Interrupted::Restarts };
    // From here on another one may be sent, which waits until this one is done.
    p.signals.called[effect as usize].store(false, Ordering::SeqCst);
    // SAFETY: the kernel filled `info`; a timer's signal carries the value that it was made with.
    match unsafe { ((*info).si_code, (*info).si_value().sival_ptr as usize) } {
        (libc::SI_TIMER, timer::INTERVAL) => p.signals.timer.expired(&p.signals),
        (libc::SI_TIMER, timer::RETRY) => p.signals.retry.expired(),
        _ => {}
    }
    if p.signals.critical.get() > 0 || p.signals.deliverable() == 0 {
        return;
    }
    let blocking = p.signals.blocking.get();
    // SAFETY: the kernel's context.
    if !blocking && !p.is_own_code(unsafe { arch::interrupted_pc(context) }) {
        // The C library may hold a lock of the whole host, and a handler need not come back: look again a little later.
        p.signals.retry.arm(p.signals.effect_of_pending(), p.signals.thread.get());
        if p.signals.fatal_pending() {
            // Or end the process where it returns to its own code, which may take long to be met by chance.
            let diversion = &p.signals.diversion;
            // SAFETY: the kernel's context, on the stack below `run`.
            unsafe {
                if !diversion.get().is_some_and(|earlier| earlier.is_ahead(context)) {
                    diversion.set(arch::divert_return(context, p.exit_context(), |word| p.is_own_code(word)));
                }
            }
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

/// Where a diverted return leads to: back in its own code, the process ends, unless what was to end it has been taken back
/// meanwhile, by the very call that was diverted. Returns where to go on.
pub(crate) extern "C-unwind" fn returned() -> usize {
    let p = current::process();
    // It stays: what was replaced may have been a function that the C library calls more than once.
    let Some(diversion) = p.signals.diversion.get() else {
        // SAFETY: the process is in its own code, which has nothing to drop.
        unsafe { terminate(p, Status::Signaled(libc::SIGKILL)) }
    };
    let errno = current::errno();
    // SAFETY: as above.
    unsafe { deliver(p) };
    current::set_errno(errno);
    diversion.original()
}

/// The kernel's number of the calling thread; asked for once.
pub(crate) fn this_thread() -> i32 {
    thread_local!(static KNOWN: Cell<Option<(Generation, i32)>> = const { Cell::new(None) });
    match KNOWN.get() {
        // In a fork of the host the thread has another.
        Some((generation, id)) if !generation.is_over() => id,
        _ => {
            // SAFETY: a system call.
            let id = unsafe { libc::gettid() };
            KNOWN.set(Some((Generation::now(), id)));
            id
        }
    }
}
