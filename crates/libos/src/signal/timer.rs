//! Timers of a process, aimed at the thread that runs it: `setitimer(ITIMER_REAL)`, and the retry of an interrupt. The
//! interval timer of a process without a thread of its own is a [`Clock`].
//!
//! Relies on: the kernel's timers are used by system calls, for signal handlers may do so.

use super::clock::Clock;
use super::host::Interrupted;
use super::{Signals, host};
use crate::process::Process;
use rustix::io::{Errno, Result};
use std::cell::{Cell, OnceCell, RefCell};
use std::mem::zeroed;
use std::ptr::null_mut;
use std::sync::Weak;
use std::time::Duration;

/// The values that tell the two apart in a signal handler.
pub(super) const INTERVAL: usize = 1;
pub(super) const RETRY: usize = 2;

/// A kernel timer that sends a reserved signal to one thread.
struct Kernel {
    id: i32,
    thread: i32,
    effect: Interrupted,
}

impl Kernel {
    fn new(value: usize, effect: Interrupted, thread: i32) -> Result<Kernel> {
        // SAFETY: valid structures; the signal has a handler.
        unsafe {
            let mut event: libc::sigevent = zeroed();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = host::reserved(effect);
            event.sigev_value = libc::sigval { sival_ptr: value as *mut libc::c_void };
            event.sigev_notify_thread_id = thread;
            let mut id = 0i32;
            check(libc::syscall(libc::SYS_timer_create, libc::CLOCK_MONOTONIC, &raw mut event, &raw mut id))?;
            Ok(Kernel { id, thread, effect })
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
    /// In the place of the kernel's timer, for a process that has no thread of its own.
    clock: RefCell<Option<Clock>>,
    threadless: OnceCell<Weak<Process>>,
}

impl Timer {
    pub(super) const fn new() -> Timer {
        Timer { kernel: Cell::new(None), set: Cell::new(false), clock: RefCell::new(None), threadless: OnceCell::new() }
    }

    /// The process runs on threads of the host, a piece at a time.
    pub(crate) fn without_thread(&self, process: Weak<Process>) {
        let _ = self.threadless.set(process);
    }

    fn set_clock(&self, process: &Weak<Process>, new: &libc::itimerval) -> Result<()> {
        let value = duration(new.it_value);
        let mut clock = self.clock.borrow_mut();
        let clock = match &mut *clock {
            Some(clock) => clock,
            None if value.is_zero() => return Ok(()),
            none => none.insert(Clock::start(process.clone()).map_err(|_| Errno::AGAIN)?),
        };
        clock.set((!value.is_zero()).then_some(value), duration(new.it_interval));
        Ok(())
    }

    pub(crate) fn set(&self, signals: &Signals, new: &libc::itimerval) -> Result<()> {
        if let Some(process) = self.threadless.get() {
            return self.set_clock(process, new);
        }
        let effect = signals.effect(libc::SIGALRM);
        let armed = new.it_value.tv_sec != 0 || new.it_value.tv_usec != 0;
        let thread = signals.thread.get();
        let kernel = match self.kernel.take() {
            Some(kernel) if kernel.thread == thread && kernel.effect == effect => kernel,
            None if !armed => return Ok(()),
            _ => Kernel::new(INTERVAL, effect, thread)?,
        };
        let spec = libc::itimerspec { it_interval: timespec(new.it_interval), it_value: timespec(new.it_value) };
        self.set.set(armed);
        let result = kernel.set(&spec);
        self.kernel.set(Some(kernel));
        result
    }

    pub(crate) fn get(&self) -> libc::itimerval {
        if let Some(clock) = &*self.clock.borrow() {
            let (next, interval) = clock.get();
            // A timer that is about to expire is not one that is off.
            let next = next.map_or(Duration::ZERO, |next| next.max(Duration::from_micros(1)));
            return libc::itimerval { it_interval: microseconds(interval), it_value: microseconds(next) };
        }
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

    /// The disposition of the timer's signal has changed.
    pub(super) fn refit(&self, signals: &Signals) {
        let kernel = self.kernel.take();
        let fits = kernel.as_ref().is_none_or(|kernel| kernel.effect == signals.effect(libc::SIGALRM));
        self.kernel.set(kernel);
        if self.set.get() && !fits {
            // Where it fails, the timer goes on as it was.
            let _ = self.set(signals, &self.get());
        }
    }

    pub(crate) fn is_threadless(&self) -> bool {
        self.threadless.get().is_some()
    }

    /// In a fork the kernel's timer is not there.
    pub(crate) fn forget(&self) {
        std::mem::forget(self.kernel.take());
        self.set.set(false);
    }

    pub(crate) fn delete(&self) {
        self.kernel.take();
        self.clock.take();
    }
}

/// Interrupts a process again a little later.
pub(crate) struct Retry {
    kernel: Cell<Option<Kernel>>,
    armed: Cell<bool>,
}

impl Retry {
    pub(super) const fn new() -> Retry {
        Retry { kernel: Cell::new(None), armed: Cell::new(false) }
    }

    /// Called in a signal handler of the process's thread.
    pub(super) fn arm(&self, effect: Interrupted, thread: i32) {
        let kernel = match self.kernel.take() {
            Some(kernel) if kernel.thread == thread && kernel.effect == effect => Some(kernel),
            _ => Kernel::new(RETRY, effect, thread).ok(),
        };
        if let Some(kernel) = &kernel {
            let armed = kernel.set(&once(200_000)).is_ok();
            self.armed.set(armed);
        }
        self.kernel.set(kernel);
    }

    pub(super) fn expired(&self) {
        self.armed.set(false);
    }

    /// What it was for is being done: it must not interrupt what comes after.
    #[inline]
    pub(super) fn disarm(&self) {
        if self.armed.replace(false) {
            let kernel = self.kernel.take();
            if let Some(kernel) = &kernel {
                let _ = kernel.set(&once(0));
            }
            self.kernel.set(kernel);
        }
    }

    /// As [`Timer::forget`].
    pub(crate) fn forget(&self) {
        std::mem::forget(self.kernel.take());
        self.armed.set(false);
    }

    pub(crate) fn delete(&self) {
        self.kernel.take();
        self.armed.set(false);
    }
}

/// Once, in so many nanoseconds; 0 is never.
fn once(nanoseconds: i64) -> libc::itimerspec {
    // SAFETY: plain data.
    let never: libc::timespec = unsafe { zeroed() };
    libc::itimerspec { it_interval: never, it_value: libc::timespec { tv_sec: 0, tv_nsec: nanoseconds } }
}

fn timespec(t: libc::timeval) -> libc::timespec {
    libc::timespec { tv_sec: t.tv_sec, tv_nsec: t.tv_usec * 1000 }
}

fn timeval(t: libc::timespec) -> libc::timeval {
    // Rounded up: a timer that still runs must not read as disarmed.
    libc::timeval { tv_sec: t.tv_sec, tv_usec: (t.tv_nsec + 999) / 1000 }
}

fn duration(t: libc::timeval) -> Duration {
    Duration::from_secs(t.tv_sec as u64) + Duration::from_micros(t.tv_usec as u64)
}

fn microseconds(t: Duration) -> libc::timeval {
    libc::timeval { tv_sec: t.as_secs() as i64, tv_usec: t.subsec_micros().into() }
}
