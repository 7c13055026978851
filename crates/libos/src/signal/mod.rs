//! Virtual signals: dispositions, masks, pending sets and delivery.
//!
//! `kill` sets a bit in the target's pending set and sends one of the two real-time signals that we reserve
//! to its thread, so that a blocked system call is restarted, or ends with `EINTR`, as it would in a kernel, and handlers
//! run asynchronously on the process's own stack: between two instructions of the program, in a system call that it waits
//! for, or when it leaves the library OS, but never inside the C library, whose locks are those of the whole host. What
//! differs from a kernel: `errno` is put back when a handler is done.
//!
//! Relies on: dispositions and the mask are written only by the thread that runs the process.

mod clock;
mod fault;
mod host;
mod timer;

use crate::arch::Diversion;
use crate::process::{Process, Status, terminate};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

pub(crate) use fault::{AltStack, acquire as acquire_faults, prepare_thread, release as release_faults};
pub(crate) use host::{
    Interrupted, install, interrupt, let_in, poll_unless, returned, this_thread, thread_mask, without_sigpipe,
};
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

/// Sets of signals by what their dispositions do.
#[derive(Default)]
struct Classes {
    /// Nothing happens: not even an interruption.
    ignored: AtomicU64,
    /// The process ends.
    fatal: AtomicU64,
    /// A handler without `SA_RESTART` runs.
    ends_calls: AtomicU64,
}

impl Classes {
    fn put(&self, signal: i32, disposition: &Disposition) {
        let by_default = bit(signal) & IGNORED_BY_DEFAULT != 0;
        let (ignored, fatal) = match disposition.handler {
            libc::SIG_IGN => (true, false),
            libc::SIG_DFL => (by_default, !by_default),
            _ => (false, false),
        };
        let ends_calls = !ignored && !fatal && disposition.flags & libc::SA_RESTART == 0;
        for (set, member) in [(&self.ignored, ignored), (&self.fatal, fatal), (&self.ends_calls, ends_calls)] {
            if member {
                set.fetch_or(bit(signal), Ordering::SeqCst);
            } else {
                set.fetch_and(!bit(signal), Ordering::SeqCst);
            }
        }
    }
}

/// The signal state of a process.
pub(crate) struct Signals {
    pending: AtomicU64,
    blocked: AtomicU64,
    /// Signals that a `signalfd` takes, and its descriptor (-1: none).
    fd_mask: AtomicU64,
    fd: AtomicI32,
    /// Signals that somebody waits for while they are blocked: `sigwait`.
    awaited: AtomicU64,
    dispositions: [Cell<Disposition>; COUNT],
    /// What the dispositions say, for those who send signals.
    classes: Classes,
    /// Whether a reserved signal was sent and has not arrived yet, for each of the two: one is enough.
    pub(crate) called: [AtomicBool; 2],
    /// Depth of critical sections; only the process's own thread and its handlers look at it. All is critical before the
    /// program begins, after it has ended and while it is suspended.
    pub(crate) critical: Cell<u32>,
    /// Whether the critical section is one of the process's heap: what it leaves undone ends with the process, which may have
    /// overwritten the heap's records.
    pub(crate) in_heap: Cell<bool>,
    /// Whether the thread is in a system call that may block, with nothing of the C library in its hands; looked at as above.
    pub(crate) blocking: Cell<bool>,
    /// How many handlers have been called, and how many of them without `SA_RESTART`.
    pub(crate) handled: Cell<u32>,
    pub(crate) ended_calls: Cell<u32>,
    /// The return to the program's code at which it is to end.
    pub(crate) diversion: Cell<Option<Diversion>>,
    /// Kernel id of the thread that runs the process, for itself; 0 while none does.
    pub(crate) thread: Cell<i32>,
    pub(crate) timer: Timer,
    pub(crate) retry: Retry,
    fault: Cell<Option<(i32, usize)>>,
}

impl Signals {
    /// A new process's state: what `execve` keeps is the mask and what is ignored.
    pub(crate) fn inherit(parent: Option<&Signals>) -> Signals {
        let kept = |i: usize| match parent {
            Some(p) if p.dispositions[i].get().handler == libc::SIG_IGN => {
                Disposition { handler: libc::SIG_IGN, ..Disposition::DEFAULT }
            }
            _ => Disposition::DEFAULT,
        };
        let classes = Classes::default();
        (0..COUNT).for_each(|i| classes.put(i as i32 + 1, &kept(i)));
        Signals {
            pending: AtomicU64::new(0),
            blocked: AtomicU64::new(parent.map_or(0, Signals::mask)),
            fd_mask: AtomicU64::new(0),
            fd: AtomicI32::new(-1),
            awaited: AtomicU64::new(0),
            dispositions: std::array::from_fn(|i| Cell::new(kept(i))),
            classes,
            called: [const { AtomicBool::new(false) }; 2],
            critical: Cell::new(1),
            in_heap: Cell::new(false),
            blocking: Cell::new(false),
            handled: Cell::new(0),
            ended_calls: Cell::new(0),
            diversion: Cell::new(None),
            thread: Cell::new(0),
            timer: Timer::new(),
            retry: Retry::new(),
            fault: Cell::new(None),
        }
    }

    /// Marks `signal` as pending, unless it is ignored; says whether the process's thread must be interrupted for it.
    pub(crate) fn post(&self, signal: i32) -> bool {
        let blocked = self.blocked.load(Ordering::SeqCst) & bit(signal) != 0;
        let by_fd = self.fd_mask.load(Ordering::SeqCst) & bit(signal) != 0;
        // A blocked one waits: there may be a handler when it is unblocked.
        if !blocked && !by_fd && self.classes.ignored.load(Ordering::SeqCst) & bit(signal) != 0 {
            return false;
        }
        self.pending.fetch_or(bit(signal), Ordering::SeqCst);
        if by_fd {
            let fd = self.fd.load(Ordering::SeqCst);
            if fd >= 0 {
                // SAFETY: an eventfd of ours; the process closes it only under the lock that the sender holds.
                unsafe { libc::write(fd, (&1u64 as *const u64).cast(), 8) };
            }
        }
        !blocked || self.awaited.load(Ordering::SeqCst) & bit(signal) != 0
    }

    /// What `signal` does to the system call that it interrupts.
    pub(crate) fn effect(&self, signal: i32) -> Interrupted {
        self.effect_of(bit(signal))
    }

    /// What those that can be delivered do.
    pub(crate) fn effect_of_pending(&self) -> Interrupted {
        self.effect_of(self.deliverable())
    }

    /// What ends the process ends calls as well: some are made in critical sections, whose end it waits for.
    fn effect_of(&self, set: u64) -> Interrupted {
        let ends = self.classes.ends_calls.load(Ordering::SeqCst) | self.fatal();
        if ends & set != 0 { Interrupted::Ends } else { Interrupted::Restarts }
    }

    fn fatal(&self) -> u64 {
        self.classes.fatal.load(Ordering::SeqCst)
    }

    /// Whether one of those that can be delivered ends the process.
    pub(crate) fn fatal_pending(&self) -> bool {
        self.deliverable() & self.fatal() != 0
    }

    /// Lets signals of `set` interrupt the thread although they are blocked.
    pub(crate) fn await_blocked(&self, set: u64) {
        self.awaited.store(set, Ordering::SeqCst);
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
        self.classes.put(signal, &disposition);
        if self.classes.ignored.load(Ordering::SeqCst) & bit(signal) != 0 {
            self.take(bit(signal));
        }
        if signal == libc::SIGALRM {
            self.timer.refit(self);
        }
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
    signals.retry.disarm();
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
                if disposition.flags & libc::SA_RESTART == 0 {
                    signals.ended_calls.set(signals.ended_calls.get().wrapping_add(1));
                }
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
