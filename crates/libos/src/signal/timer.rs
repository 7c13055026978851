//! Timers of a process, aimed at the thread that runs it: `setitimer(ITIMER_REAL)`, and the retry of an interrupt.
//!
//! Relies on: the kernel's timers are used by system calls, for signal handlers may do so.

use super::{Signals, host};
use rustix::io::{Errno, Result};
use std::cell::Cell;
use std::mem::zeroed;
use std::ptr::null_mut;
use std::time::Instant;

/// The values that tell the two apart in a signal handler.
pub(super) const INTERVAL: usize = 1;
const RETRY: usize = 2;

/// A kernel timer that sends the reserved signal to one thread.
struct Kernel {
    id: i32,
    thread: i32,
}

impl Kernel {
    fn new(value: usize) -> Result<Kernel> {
        // SAFETY: valid structures; the signal has a handler.
        unsafe {
            let thread = libc::gettid();
            let mut event: libc::sigevent = zeroed();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = host::reserved();
            event.sigev_value = libc::sigval { sival_ptr: value as *mut libc::c_void };
            event.sigev_notify_thread_id = thread;
            let mut id = 0i32;
            check(libc::syscall(libc::SYS_timer_create, libc::CLOCK_MONOTONIC, &raw mut event, &raw mut id))?;
            Ok(Kernel { id, thread })
        }
    }

    fn set(&self, spec: &libc::itimerspec) -> Result<()> {
        // SAFETY: a timer of ours and a valid structure.
        check(unsafe { libc::syscall(libc::SYS_timer_settime, self.id, 0, spec, null_mut::<libc::itimerspec>()) })
    }

    fn get(&self) -> libc::itimerspec {
        // SAFETY: plain data; zero means disarmed.
        let mut spec: libc::itimerspec = unsafe { zeroed() };
        // SAFETY: a timer of ours and a valid structure.
        unsafe { libc::syscall(libc::SYS_timer_gettime, self.id, &raw mut spec) };
        spec
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        // SAFETY: a timer of ours, used no more.
        unsafe { libc::syscall(libc::SYS_timer_delete, self.id) };
    }
}

fn check(result: libc::c_long) -> Result<()> {
    if result == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(crate::current::errno())) }
}

/// The interval timer of a process; made at first use. Only the process's own thread touches it.
pub(crate) struct Timer {
    kernel: Cell<Option<Kernel>>,
    /// Whether the program has set it; it may have expired since.
    set: Cell<bool>,
    /// What was left when the process was suspended.
    stopped: Cell<Option<(libc::itimerval, Instant)>>,
}

impl Timer {
    pub(super) const fn new() -> Timer {
        Timer { kernel: Cell::new(None), set: Cell::new(false), stopped: Cell::new(None) }
    }

    pub(crate) fn set(&self, new: &libc::itimerval) -> Result<()> {
        let armed = new.it_value.tv_sec != 0 || new.it_value.tv_usec != 0;
        // SAFETY: a system call.
        let thread = unsafe { libc::gettid() };
        let kernel = match self.kernel.take() {
            Some(kernel) if kernel.thread == thread => kernel,
            None if !armed => return Ok(()),
            _ => Kernel::new(INTERVAL)?,
        };
        let spec = libc::itimerspec { it_interval: timespec(new.it_interval), it_value: timespec(new.it_value) };
        self.set.set(armed);
        let result = kernel.set(&spec);
        self.kernel.set(Some(kernel));
        result
    }

    pub(crate) fn get(&self) -> libc::itimerval {
        let kernel = self.kernel.take();
        // SAFETY: plain data; zero means disarmed.
        let spec = kernel.as_ref().map_or(unsafe { zeroed() }, Kernel::get);
        self.kernel.set(kernel);
        libc::itimerval { it_interval: timeval(spec.it_interval), it_value: timeval(spec.it_value) }
    }

    /// The timer's signal has come.
    pub(super) fn expired(&self, signals: &Signals) {
        if self.set.get() {
            signals.post(libc::SIGALRM);
        }
    }

    /// No thread runs the process for a while: stops the kernel's timer, which would interrupt a thread of the host.
    pub(crate) fn suspend(&self) {
        if !self.set.get() {
            return;
        }
        let left = self.get();
        let disarmed = left.it_value.tv_sec == 0 && left.it_value.tv_usec == 0;
        if disarmed {
            self.set.set(false);
        // SAFETY: plain data; zero disarms.
        } else if self.set(&unsafe { zeroed() }).is_ok() {
            self.stopped.set(Some((left, Instant::now())));
        }
    }

    /// The process continues, perhaps on another thread: goes on with what is left, or catches up with what is over.
    pub(crate) fn resume(&self, signals: &Signals) {
        let Some((mut left, since)) = self.stopped.take() else { return };
        let gone = since.elapsed().as_micros() as i64;
        let value = left.it_value.tv_sec * 1_000_000 + left.it_value.tv_usec;
        if value > gone {
            left.it_value = microseconds(value - gone);
        } else {
            signals.post(libc::SIGALRM);
            let interval = left.it_interval.tv_sec * 1_000_000 + left.it_interval.tv_usec;
            let next = if interval == 0 { 0 } else { interval - (gone - value) % interval };
            left.it_value = microseconds(next);
        }
        if self.set(&left).is_err() {
            signals.post(libc::SIGALRM);
        }
    }

    pub(crate) fn delete(&self) {
        self.kernel.take();
    }
}

/// Interrupts a process again a little later.
pub(crate) struct Retry(Cell<Option<Kernel>>);

impl Retry {
    pub(super) const fn new() -> Retry {
        Retry(Cell::new(None))
    }

    /// Called in a signal handler of the process's thread.
    pub(super) fn arm(&self) {
        // SAFETY: a system call.
        let thread = unsafe { libc::gettid() };
        let kernel = match self.0.take() {
            Some(kernel) if kernel.thread == thread => Some(kernel),
            _ => Kernel::new(RETRY).ok(),
        };
        if let Some(kernel) = &kernel {
            let soon = libc::timespec { tv_sec: 0, tv_nsec: 200_000 };
            // SAFETY: plain data.
            let spec = libc::itimerspec { it_interval: unsafe { zeroed() }, it_value: soon };
            let _ = kernel.set(&spec);
        }
        self.0.set(kernel);
    }

    pub(crate) fn delete(&self) {
        self.0.take();
    }
}

fn timespec(t: libc::timeval) -> libc::timespec {
    libc::timespec { tv_sec: t.tv_sec, tv_nsec: t.tv_usec * 1000 }
}

fn timeval(t: libc::timespec) -> libc::timeval {
    // Rounded up: a timer that still runs must not read as disarmed.
    libc::timeval { tv_sec: t.tv_sec, tv_usec: (t.tv_nsec + 999) / 1000 }
}

fn microseconds(n: i64) -> libc::timeval {
    libc::timeval { tv_sec: n / 1_000_000, tv_usec: n % 1_000_000 }
}
