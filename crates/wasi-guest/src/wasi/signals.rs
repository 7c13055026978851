//! Signals and timers without a kernel. A signal is delivered where it is raised, where its mask opens, and where PostgreSQL looks for
//! interrupts; those of the host, and the timer, only there.

use super::process::PID;
use super::{Global, fail};
use crate::pace::Pace;
use crate::pending::{Pending, Set, bit};
use std::ffi::{c_char, c_int, c_void};
use std::time::{Duration, Instant};

/// `struct sigaction`; a handler is an index of the function table.
#[repr(C)]
#[derive(Clone, Copy)]
struct Action {
    handler: Option<extern "C" fn(c_int)>,
    mask: Set,
    flags: c_int,
    restorer: usize,
}

struct State {
    actions: [Action; 65],
    pending: Pending,
    /// When the timer rings, and after how long again.
    timer: Option<(Instant, Duration)>,
    /// When it was last asked, and how often PostgreSQL is to ask.
    asked: Option<Instant>,
    pace: Pace,
}

static STATE: Global<State> = Global::new(State {
    actions: [Action { handler: None, mask: 0, flags: 0, restorer: 0 }; 65],
    pending: Pending::new(),
    timer: None,
    asked: None,
    pace: Pace::new(),
});

/// What a host writes to while PostgreSQL runs. Its address is what `get_buffer_addr(2)` returns, and what the exported global says.
#[repr(C)]
pub(crate) struct Interrupts {
    /// Signals that the host raises: it adds their bits, and sets what `flag` points at to 1.
    raised: Set,
    /// PostgreSQL's `InterruptPending`; null before a session has begun.
    flag: *mut c_int,
}

#[unsafe(export_name = "pgl_interrupt_block")]
pub(crate) static INTERRUPTS: Global<Interrupts> = Global::new(Interrupts { raised: 0, flag: std::ptr::null_mut() });

unsafe extern "C" {
    static mut InterruptPending: c_int;
    /// How many more times PostgreSQL looks for interrupts before it asks [`pgl_interrupts`] without being told to.
    static mut pgl_countdown: c_int;
}

const SIGKILL: c_int = 9;
const SIGABRT: c_int = 6;
const SIGALRM: c_int = 14;
/// Those that do nothing by default: SIGCHLD, SIGCONT, SIGURG, SIGWINCH.
const HARMLESS: Set = bit(17) | bit(18) | bit(23) | bit(28);

/// The address of this function means that a signal is ignored.
#[unsafe(no_mangle)]
extern "C" fn __SIG_IGN(_: c_int) {}

/// The address of this function is what `signal` returns when it fails.
#[unsafe(no_mangle)]
extern "C" fn __SIG_ERR(_: c_int) {}

fn run(signal: c_int) {
    let Action { handler, mask, .. } = STATE.with(|state| state.actions[signal as usize]);
    match handler {
        None if bit(signal) & HARMLESS != 0 => {}
        None if signal == SIGABRT => std::process::abort(),
        None => std::process::exit(128 + signal),
        Some(handler) if handler as usize == __SIG_IGN as usize => {}
        Some(_) if signal == SIGKILL => std::process::exit(128 + signal),
        Some(handler) => {
            let old = STATE.with(|state| {
                let old = state.pending.mask;
                state.pending.mask |= mask | bit(signal);
                old
            });
            handler(signal);
            STATE.with(|state| state.pending.mask = old);
        }
    }
}

/// Takes over what the host and the timer want, and delivers what is not blocked; whether there was anything.
pub(crate) fn deliver() -> bool {
    // A host that wants something says so when it is asked for the time: it cannot while the module's code runs.
    let now = Instant::now();
    let raised = INTERRUPTS.with(|interrupts| std::mem::take(&mut interrupts.raised));
    STATE.with(|state| {
        state.pending.waiting |= raised;
        state.pace.asked_after(state.asked.replace(now).map_or(Duration::ZERO, |before| now - before));
        if let Some((when, again)) = state.timer
            && now >= when
        {
            state.pending.waiting |= bit(SIGALRM);
            state.timer = (!again.is_zero()).then(|| (when + again, again));
        }
    });
    arm();
    let mut any = false;
    while let Some(signal) = STATE.with(|state| state.pending.next()) {
        run(signal);
        any = true;
    }
    any
}

/// Tells the host where PostgreSQL looks, and PostgreSQL when to look here again.
pub(crate) fn arm() {
    INTERRUPTS.with(|interrupts| interrupts.flag = &raw mut InterruptPending);
    // SAFETY: a plain variable of C.
    unsafe { pgl_countdown = STATE.with(|state| state.pace.next()) };
}

/// Called where PostgreSQL looks for interrupts, and something may have happened.
#[unsafe(no_mangle)]
extern "C" fn pgl_interrupts() {
    deliver();
}

#[unsafe(no_mangle)]
extern "C" fn sigemptyset(set: &mut Set) -> c_int {
    *set = 0;
    0
}

#[unsafe(no_mangle)]
extern "C" fn sigfillset(set: &mut Set) -> c_int {
    *set = !0;
    0
}

#[unsafe(no_mangle)]
extern "C" fn sigaddset(set: &mut Set, signal: c_int) -> c_int {
    *set |= bit(signal);
    0
}

#[unsafe(no_mangle)]
extern "C" fn sigdelset(set: &mut Set, signal: c_int) -> c_int {
    *set &= !bit(signal);
    0
}

#[unsafe(no_mangle)]
extern "C" fn sigismember(set: &Set, signal: c_int) -> c_int {
    c_int::from(*set & bit(signal) != 0)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sigaction(signal: c_int, new: *const Action, old: *mut Action) -> c_int {
    if bit(signal) == 0 {
        return fail(libc::EINVAL);
    }
    STATE.with(|state| {
        let action = &mut state.actions[signal as usize];
        // SAFETY: the caller gives structures of this kind, or null.
        unsafe {
            if !old.is_null() {
                old.write(*action);
            }
            if !new.is_null() {
                *action = new.read();
            }
        }
    });
    0
}

#[unsafe(no_mangle)]
extern "C" fn signal(signal: c_int, handler: Option<extern "C" fn(c_int)>) -> Option<extern "C" fn(c_int)> {
    if bit(signal) == 0 {
        fail(libc::EINVAL);
        return Some(__SIG_ERR);
    }
    STATE.with(|state| {
        let action = &mut state.actions[signal as usize];
        std::mem::replace(action, Action { handler, mask: 0, flags: 0, restorer: 0 }).handler
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sigprocmask(how: c_int, set: *const Set, old: *mut Set) -> c_int {
    const SIG_BLOCK: c_int = 0;
    const SIG_UNBLOCK: c_int = 1;
    STATE.with(|state| {
        let mask = &mut state.pending.mask;
        // SAFETY: the caller gives sets, or null.
        unsafe {
            if !old.is_null() {
                old.write(*mask);
            }
            if !set.is_null() {
                match how {
                    SIG_BLOCK => *mask |= *set,
                    SIG_UNBLOCK => *mask &= !*set,
                    _ => *mask = *set,
                }
            }
        }
    });
    while let Some(signal) = STATE.with(|state| state.pending.next()) {
        run(signal);
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_sigmask(how: c_int, set: *const Set, old: *mut Set) -> c_int {
    // SAFETY: as the caller's.
    unsafe { sigprocmask(how, set, old) }
}

#[unsafe(no_mangle)]
extern "C" fn sigpending(set: &mut Set) -> c_int {
    *set = STATE.with(|state| state.pending.waiting);
    0
}

#[unsafe(no_mangle)]
extern "C" fn sigsuspend(_: *const Set) -> c_int {
    fail(libc::EINTR)
}

#[unsafe(no_mangle)]
extern "C" fn sigwait(_: *const Set, _: *mut c_int) -> c_int {
    libc::EINTR
}

#[unsafe(no_mangle)]
extern "C" fn raise(signal: c_int) -> c_int {
    STATE.with(|state| state.pending.waiting |= bit(signal));
    while let Some(signal) = STATE.with(|state| state.pending.next()) {
        run(signal);
    }
    0
}

#[unsafe(no_mangle)]
extern "C" fn kill(process: c_int, signal: c_int) -> c_int {
    match process.abs() {
        PID | 0 if signal == 0 => 0,
        PID | 0 => raise(signal),
        _ => fail(libc::ESRCH),
    }
}

#[unsafe(no_mangle)]
extern "C" fn killpg(group: c_int, signal: c_int) -> c_int {
    kill(group, signal)
}

#[unsafe(no_mangle)]
extern "C" fn pause() -> c_int {
    fail(libc::EINTR)
}

#[unsafe(no_mangle)]
extern "C" fn alarm(_: u32) -> u32 {
    0
}

/// `struct itimerval`: seconds and microseconds, of the interval and of the next time.
#[repr(C)]
struct Timer {
    interval: libc::timeval,
    value: libc::timeval,
}

fn duration(time: &libc::timeval) -> Duration {
    Duration::new(time.tv_sec.unsigned_abs(), 0) + Duration::from_micros(time.tv_usec.unsigned_abs().into())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn setitimer(_: c_int, new: *const Timer, old: *mut Timer) -> c_int {
    if !old.is_null() {
        // SAFETY: the caller's place; zeros are valid. PostgreSQL never asks.
        unsafe { old.write_bytes(0, 1) };
    }
    if !new.is_null() {
        // SAFETY: the caller's structure.
        let (value, again) = unsafe { (duration(&(*new).value), duration(&(*new).interval)) };
        STATE.with(|state| state.timer = (!value.is_zero()).then(|| (Instant::now() + value, again)));
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getitimer(_: c_int, result: *mut c_void) -> c_int {
    // SAFETY: the caller's place; zeros are valid.
    unsafe { result.cast::<Timer>().write_bytes(0, 1) };
    0
}

#[unsafe(no_mangle)]
extern "C" fn strsignal(_: c_int) -> *const c_char {
    c"a signal".as_ptr()
}
