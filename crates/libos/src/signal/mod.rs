//! Virtual signals: dispositions, masks, pending sets and delivery.
//!
//! `kill` sets a bit in the target's pending set and sends the one real-time signal that we reserve
//! to its thread, so that a blocked system call ends with `EINTR` as it would in a kernel, and handlers run
//! asynchronously on the process's own stack: between two instructions of the program, in a system call that it waits
//! for, or when it leaves the library OS, but never inside the C library, whose locks are those of the whole host. What
//! differs from a kernel: every handler restarts calls (`SA_RESTART`), and finds `errno` put back when it is done.
//!
//! Relies on: dispositions and the mask are written only by the thread that runs the process.

mod fault;
mod host;
mod timer;

use crate::process::{Process, Status, terminate};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

pub(crate) use fault::{AltStack, acquire as acquire_faults, prepare_thread, release as release_faults};
pub(crate) use host::without_sigpipe;
pub(crate) use host::{end_now, install, interrupt, let_in, thread_mask};
pub(crate) use timer::{Retry, Timer};

/// Number of signals, as in the kernel: 1 to 64.
pub(crate) const COUNT: usize = 64;

pub(crate) const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// Signals that cannot be caught, blocked or ignored.
const UNBLOCKABLE: u64 = bit(libc::SIGKILL) | bit(libc::SIGSTOP);

/// Signals whose default is to do nothing, and those that stop or continue, which we do not model.
const IGNORED_BY_DEFAULT: u64 = bit(libc::SIGCHLD)
    | bit(libc::SIGURG)
    | bit(libc::SIGCONT)
    | bit(libc::SIGWINCH)
    | bit(libc::SIGSTOP)
    | bit(libc::SIGTSTP)
    | bit(libc::SIGTTIN)
    | bit(libc::SIGTTOU);

/// A signal disposition, as `sigaction` gives it.
#[derive(Clone, Copy)]
pub(crate) struct Disposition {
    pub(crate) handler: usize,
    pub(crate) mask: u64,
    pub(crate) flags: i32,
}

impl Disposition {
    const DEFAULT: Disposition = Disposition { handler: libc::SIG_DFL, mask: 0, flags: 0 };
}

/// The signal state of a process.
pub(crate) struct Signals {
    pending: AtomicU64,
    blocked: AtomicU64,
    /// Signals that a `signalfd` takes, and its descriptor (-1: none).
    fd_mask: AtomicU64,
    fd: AtomicI32,
    dispositions: [Cell<Disposition>; COUNT],
    /// Whether the reserved signal was sent and has not arrived yet: one is enough.
    pub(crate) called: AtomicBool,
    /// Depth of critical sections; only the process's own thread and its handlers look at it. All is critical before the
    /// program begins, after it has ended and while it is suspended.
    pub(crate) critical: Cell<u32>,
    /// Whether the critical section is one of the process's heap: what it leaves undone ends with the process, which may have
    /// overwritten the heap's records.
    pub(crate) in_heap: Cell<bool>,
    /// Whether the thread is in a system call that may block, with nothing of the C library in its hands; looked at as above.
    pub(crate) blocking: Cell<bool>,
    /// How many handlers have been called.
    pub(crate) handled: Cell<u32>,
    pub(crate) timer: Timer,
    pub(crate) retry: Retry,
    fault: Cell<Option<(i32, usize)>>,
}

impl Signals {
    /// A new process's state: what `execve` keeps is the mask and what is ignored.
    pub(crate) fn inherit(parent: Option<&Signals>) -> Signals {
        let ignored = |i: usize| {
            parent
                .is_some_and(|p| p.dispositions[i].get().handler == libc::SIG_IGN)
                .then_some(Disposition { handler: libc::SIG_IGN, ..Disposition::DEFAULT })
        };
        Signals {
            pending: AtomicU64::new(0),
            blocked: AtomicU64::new(parent.map_or(0, Signals::mask)),
            fd_mask: AtomicU64::new(0),
            fd: AtomicI32::new(-1),
            dispositions: std::array::from_fn(|i| Cell::new(ignored(i).unwrap_or(Disposition::DEFAULT))),
            called: AtomicBool::new(false),
            critical: Cell::new(1),
            in_heap: Cell::new(false),
            blocking: Cell::new(false),
            handled: Cell::new(0),
            timer: Timer::new(),
            retry: Retry::new(),
            fault: Cell::new(None),
        }
    }

    /// The same, with every signal blocked.
    pub(crate) fn blocked(self) -> Signals {
        self.set_mask(u64::MAX);
        self
    }

    /// Marks `signal` as pending; says whether the process's thread must be interrupted for it.
    pub(crate) fn post(&self, signal: i32) -> bool {
        self.pending.fetch_or(bit(signal), Ordering::SeqCst);
        if self.fd_mask.load(Ordering::SeqCst) & bit(signal) != 0 {
            let fd = self.fd.load(Ordering::SeqCst);
            if fd >= 0 {
                // SAFETY: an eventfd of ours; the process closes it only under the lock that the sender holds.
                unsafe { libc::write(fd, (&1u64 as *const u64).cast(), 8) };
            }
        }
        self.blocked.load(Ordering::SeqCst) & bit(signal) == 0
    }

    pub(crate) fn deliverable(&self) -> u64 {
        self.pending.load(Ordering::SeqCst) & !self.blocked.load(Ordering::SeqCst)
    }

    pub(crate) fn pending(&self) -> u64 {
        self.pending.load(Ordering::SeqCst)
    }

    /// Takes one signal of `set` off the pending ones.
    pub(crate) fn take(&self, set: u64) -> Option<i32> {
        let found = self.pending.load(Ordering::SeqCst) & set;
        if found == 0 {
            return None;
        }
        let signal = if found & bit(libc::SIGKILL) != 0 { libc::SIGKILL } else { found.trailing_zeros() as i32 + 1 };
        self.pending.fetch_and(!bit(signal), Ordering::SeqCst);
        Some(signal)
    }

    pub(crate) fn mask(&self) -> u64 {
        self.blocked.load(Ordering::SeqCst)
    }

    pub(crate) fn set_mask(&self, mask: u64) {
        self.blocked.store(mask & !UNBLOCKABLE, Ordering::SeqCst);
    }

    pub(crate) fn disposition(&self, signal: i32) -> Disposition {
        self.dispositions[signal as usize - 1].get()
    }

    pub(crate) fn set_disposition(&self, signal: i32, disposition: Disposition) {
        self.dispositions[signal as usize - 1].set(disposition);
    }

    /// Nothing of the program runs any more on this thread.
    pub(crate) fn end(&self) {
        self.critical.set(1);
        self.in_heap.set(false);
        self.blocking.set(false);
    }

    /// Remembers the fault that ends the process. Called in a fault handler.
    pub(crate) fn note_fault(&self, signal: i32, address: usize) {
        self.fault.set(Some((signal, address)));
    }

    pub(crate) fn fault(&self) -> Option<(i32, usize)> {
        self.fault.get()
    }

    /// Lets `fd`, an eventfd, become readable when a signal of `mask` comes.
    pub(crate) fn set_fd(&self, fd: i32, mask: u64) {
        self.fd.store(fd, Ordering::SeqCst);
        self.fd_mask.store(mask, Ordering::SeqCst);
    }

    /// Forgets the `signalfd` if it is `fd`.
    pub(crate) fn forget_fd(&self, fd: i32) {
        if self.fd.load(Ordering::SeqCst) == fd {
            self.fd_mask.store(0, Ordering::SeqCst);
            self.fd.store(-1, Ordering::SeqCst);
        }
    }
}

/// Runs the handlers of all signals that are pending and not blocked.
///
/// # Safety
/// Called on the thread that runs `p`, outside critical sections; no frame between this and the program has
/// anything to drop, for a handler may never come back.
pub(crate) unsafe fn deliver(p: &Process) {
    // SAFETY: by the caller's promise.
    unsafe { deliver_from(p, Caller::Program) }
}

/// Who delivers signals.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    Program,
    /// The handler of the reserved signal, which is blocked meanwhile: it must not be where the program's code runs, nor
    /// after the process's end.
    Handler,
}

impl Caller {
    fn leave(self) {
        if self == Caller::Handler {
            host::hold(false);
        }
    }

    fn back(self) {
        if self == Caller::Handler {
            host::hold(true);
        }
    }
}

/// # Safety
/// As `deliver`.
unsafe fn deliver_from(p: &Process, caller: Caller) {
    let signals = &p.signals;
    while let Some(signal) = signals.take(!signals.mask()) {
        let disposition = signals.disposition(signal);
        if signal == libc::SIGKILL {
            caller.leave();
            // SAFETY: by the caller's promise.
            unsafe { terminate(p, Status::Signaled(signal)) }
        }
        match disposition.handler {
            libc::SIG_IGN => {}
            libc::SIG_DFL => {
                if bit(signal) & IGNORED_BY_DEFAULT == 0 {
                    caller.leave();
                    // SAFETY: by the caller's promise.
                    unsafe { terminate(p, Status::Signaled(signal)) }
                }
            }
            handler => {
                signals.handled.set(signals.handled.get().wrapping_add(1));
                let before = signals.mask();
                let own = if disposition.flags & libc::SA_NODEFER == 0 { bit(signal) } else { 0 };
                signals.set_mask(before | disposition.mask | own);
                if disposition.flags & libc::SA_RESETHAND != 0 {
                    signals.set_disposition(signal, Disposition::DEFAULT);
                }
                caller.leave();
                // SAFETY: the program gave the handler to sigaction; the kernel, too, would call it so.
                unsafe {
                    if disposition.flags & libc::SA_SIGINFO != 0 {
                        let mut info: libc::siginfo_t = std::mem::zeroed();
                        info.si_signo = signal;
                        let f: extern "C-unwind" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) =
                            std::mem::transmute(handler);
                        f(signal, &mut info, std::ptr::null_mut());
                    } else {
                        let f: extern "C-unwind" fn(i32) = std::mem::transmute(handler);
                        f(signal);
                    }
                }
                caller.back();
                signals.set_mask(before);
            }
        }
    }
}

/// Whether default action or `SIGKILL` would end the process for one of the deliverable signals.
pub(crate) fn fatal_pending(p: &Process) -> bool {
    let deliverable = p.signals.deliverable();
    (1..=COUNT as i32).any(|s| {
        deliverable & bit(s) != 0
            && (s == libc::SIGKILL
                || (p.signals.disposition(s).handler == libc::SIG_DFL && bit(s) & IGNORED_BY_DEFAULT == 0))
    })
}

/// A C library signal set as ours.
///
/// # Safety
/// `set` points at a signal set.
pub(crate) unsafe fn from_set(set: *const libc::sigset_t) -> u64 {
    // SAFETY: by the caller's promise; on Linux the first word of the set has the signals 1 to 64.
    unsafe { *set.cast::<u64>() }
}

/// Fills a C library signal set.
///
/// # Safety
/// `set` points at room for a signal set.
pub(crate) unsafe fn to_set(signals: u64, set: *mut libc::sigset_t) {
    // SAFETY: by the caller's promise.
    unsafe {
        libc::sigemptyset(set);
        *set.cast::<u64>() = signals;
    }
}
