//! Waiting for descriptors: `poll`, `select`, `epoll`.
//!
//! Those that the kernel does not know (files in memory, the null device, the log) are always ready. None of these calls is
//! ever restarted after a handler.

use super::fds::{direct, raw};
use crate::current::{self, blocking, call, enter, enter_heap, set_errno};
use crate::fd::{Object, own};
use crate::signal::{self, from_set};
use libc::{c_int, c_short, fd_set, nfds_t, pollfd, timespec};
use std::ptr::null;
use std::time::{Duration, Instant};

/// Until when a call waits: what is left of it, should it have to be made again.
enum Limit {
    Never,
    /// It does not wait, and needs no clock.
    AtOnce,
    At(Instant),
}

impl Limit {
    /// `span`; no limit where there is none.
    fn new(span: Option<Duration>) -> Limit {
        match span {
            None => Limit::Never,
            Some(Duration::ZERO) => Limit::AtOnce,
            Some(span) => Instant::now().checked_add(span).map_or(Limit::Never, Limit::At),
        }
    }

    fn left(&self) -> Option<Duration> {
        match self {
            Limit::Never => None,
            Limit::AtOnce => Some(Duration::ZERO),
            Limit::At(at) => Some(at.saturating_duration_since(Instant::now())),
        }
    }

    /// What is left in milliseconds, rounded up; -1 without a limit.
    fn left_milliseconds(&self) -> c_int {
        self.left().map_or(-1, |left| left.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(c_int::MAX))
    }
}

pub(super) fn to_timespec(span: Duration) -> timespec {
    timespec { tv_sec: span.as_secs() as libc::time_t, tv_nsec: span.subsec_nanos().into() }
}

fn to_duration(span: &timespec) -> Duration {
    Duration::new(span.tv_sec.max(0) as u64, span.tv_nsec.clamp(0, 999_999_999) as u32)
}

fn pointer(span: Option<&timespec>) -> *const timespec {
    span.map_or(null(), std::ptr::from_ref)
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_epoll_create1(flags: c_int) -> c_int {
    call(|p| {
        // SAFETY: a fresh descriptor.
        let fd = unsafe { own(libc::epoll_create1(libc::EPOLL_CLOEXEC)) }?;
        Ok(p.local.fds.borrow_mut().insert(Object::kernel(fd), flags & libc::EPOLL_CLOEXEC != 0))
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_epoll_ctl(
    set: c_int,
    operation: c_int,
    fd: c_int,
    event: *mut libc::epoll_event,
) -> c_int {
    match raw(fd) {
        // SAFETY: C's contract.
        Some(raw) => unsafe { libc::epoll_ctl(set, operation, raw, event) },
        None => {
            set_errno(libc::EPERM);
            -1
        }
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_epoll_wait(
    set: c_int,
    events: *mut libc::epoll_event,
    most: c_int,
    milliseconds: c_int,
) -> c_int {
    let limit = Limit::new(u64::try_from(milliseconds).ok().map(Duration::from_millis));
    let mut left = milliseconds;
    blocking(|| {
        // SAFETY: C's contract.
        let found = unsafe { libc::epoll_wait(set, events, most, left) };
        if found < 0 {
            left = limit.left_milliseconds();
        }
        found
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_poll(fds: *mut pollfd, count: nfds_t, milliseconds: c_int) -> c_int {
    let span = u64::try_from(milliseconds).ok().map(|n| to_timespec(Duration::from_millis(n)));
    // SAFETY: C's contract.
    unsafe { libos_ppoll(fds, count, pointer(span.as_ref()), null()) }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_ppoll(
    fds: *mut pollfd,
    count: nfds_t,
    timeout: *const timespec,
    mask: *const libc::sigset_t,
) -> c_int {
    // SAFETY: C's contract: `count` entries, and a span and a mask or null.
    unsafe {
        let fds = if count == 0 { &mut [] } else { std::slice::from_raw_parts_mut(fds, count as usize) };
        poll(fds, timeout.as_ref(), mask.as_ref().map(|mask| from_set(mask)))
    }
}

/// `ppoll` on the process's descriptors.
fn poll(asked: &mut [pollfd], timeout: Option<&timespec>, mask: Option<u64>) -> c_int {
    if asked.iter().all(|one| one.fd < 0 || direct(one.fd)) {
        return poll_kernel(asked, timeout, mask);
    }
    // In the process's heap: a handler may jump out of the wait.
    let room: *mut pollfd = enter_heap(|heap| heap.malloc(size_of_val(asked))).cast();
    if room.is_null() {
        set_errno(libc::ENOMEM);
        return -1;
    }
    let mut ready = 0;
    for (i, one) in asked.iter_mut().enumerate() {
        let known = known_events(one);
        one.revents = known.unwrap_or(0);
        ready += c_int::from(one.revents != 0);
        let fd = if one.fd < 0 || known.is_some() { -1 } else { raw(one.fd).unwrap_or(-1) };
        // SAFETY: as many entries as were asked for.
        unsafe { room.add(i).write(pollfd { fd, events: one.events, revents: 0 }) };
    }
    // SAFETY: filled above.
    let kernel = unsafe { std::slice::from_raw_parts_mut(room, asked.len()) };
    let now = timespec { tv_sec: 0, tv_nsec: 0 };
    let found = poll_kernel(kernel, if ready > 0 { Some(&now) } else { timeout }, mask);
    let error = current::errno();
    for (one, kernel) in asked.iter_mut().zip(&*kernel).filter(|(_, kernel)| kernel.fd >= 0) {
        one.revents = kernel.revents;
    }
    // SAFETY: allocated above.
    enter_heap(|heap| unsafe { heap.free(room.cast()) });
    set_errno(error);
    if found < 0 && ready == 0 { -1 } else { found.max(0) + ready }
}

/// What is known of a descriptor without asking the kernel.
fn known_events(asked: &pollfd) -> Option<c_short> {
    let (fd, events) = (asked.fd, asked.events);
    if fd < 0 || direct(fd) {
        return None;
    }
    enter(|p| match p.local.fds.borrow().object(fd) {
        Err(_) => Some(libc::POLLNVAL),
        Ok(object) if object.raw().is_some() => None,
        Ok(_) => Some(events & (libc::POLLIN | libc::POLLOUT | libc::POLLRDNORM | libc::POLLWRNORM)),
    })
}

/// `ppoll` on descriptors of the kernel.
fn poll_kernel(fds: &mut [pollfd], timeout: Option<&timespec>, mask: Option<u64>) -> c_int {
    let limit = Limit::new(timeout.map(to_duration));
    let mut left = timeout.copied();
    if let Some(mask) = mask {
        return poll_masked(fds, left, &limit, mask);
    }
    blocking(|| {
        // SAFETY: valid structures.
        let found = unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as nfds_t, pointer(left.as_ref()), null()) };
        if found < 0 {
            left = limit.left().map(to_timespec);
        }
        found
    })
}

/// The same with another mask meanwhile. No signal that comes between the change of the mask and the wait is missed.
fn poll_masked(fds: &mut [pollfd], mut left: Option<timespec>, limit: &Limit, mask: u64) -> c_int {
    let signals = &current::process().signals;
    let handled = signals.handled.get();
    let before = enter(|p| {
        let before = p.signals.mask();
        p.signals.set_mask(mask);
        before
    });
    let result = loop {
        if handled != signals.handled.get() {
            break Err(libc::EINTR);
        }
        let found = enter(|p| {
            let found = signal::poll_unless(|| p.signals.deliverable() != 0, fds, pointer(left.as_ref()));
            if found < 0 { Err(current::errno()) } else { Ok(found) }
        });
        match found {
            Err(libc::EINTR) => left = limit.left().map(to_timespec),
            other => break other,
        }
    };
    enter(|p| p.signals.set_mask(before));
    result.unwrap_or_else(|error| {
        set_errno(error);
        -1
    })
}

/// Sleeps until a handler has run, or a signal of `wanted`, though it is blocked, is there.
pub(super) fn sleep_until_signal(wanted: u64) {
    let signals = &current::process().signals;
    let handled = signals.handled.get();
    while handled == signals.handled.get() && signals.pending() & wanted == 0 {
        enter(|p| {
            p.signals.await_blocked(wanted);
            let there = || p.signals.deliverable() | p.signals.pending() & wanted != 0;
            signal::poll_unless(there, &mut [], null());
            p.signals.await_blocked(0);
        });
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_select(
    count: c_int,
    read: *mut fd_set,
    write: *mut fd_set,
    except: *mut fd_set,
    timeout: *mut libc::timeval,
) -> c_int {
    let count = count.clamp(0, libc::FD_SETSIZE as c_int);
    // SAFETY: C's contract: null or a set.
    let asked = |set: *mut fd_set, fd: c_int| !set.is_null() && unsafe { libc::FD_ISSET(fd, set) };
    let standard = |set: &*mut fd_set| (0..count.min(3)).any(|fd| asked(*set, fd));
    if ![read, write, except].iter().any(standard) {
        // The kernel keeps what is left in `timeout`, and leaves the sets alone where it fails.
        // SAFETY: C's contract.
        return blocking(|| unsafe { libc::select(count, read, write, except, timeout) });
    }
    let room: *mut pollfd = enter_heap(|heap| heap.malloc(libc::FD_SETSIZE * size_of::<pollfd>())).cast();
    if room.is_null() {
        set_errno(libc::ENOMEM);
        return -1;
    }
    let mut fds = 0;
    for fd in 0..count {
        let events = [(read, libc::POLLIN), (write, libc::POLLOUT), (except, libc::POLLPRI)];
        let events = events.iter().filter(|(set, _)| asked(*set, fd)).fold(0, |all, (_, event)| all | event);
        if events != 0 {
            // SAFETY: there is room for every number.
            unsafe { room.add(fds).write(pollfd { fd, events, revents: 0 }) };
            fds += 1;
        }
    }
    // SAFETY: filled above. C's contract: null or a span.
    let (fds, span) = unsafe { (std::slice::from_raw_parts_mut(room, fds), timeout.as_ref()) };
    let span = span.map(|t| timespec { tv_sec: t.tv_sec, tv_nsec: t.tv_usec * 1000 });
    let limit = Limit::new(span.as_ref().map(to_duration));
    let found = poll(fds, span.as_ref(), None);
    let error = current::errno();
    let result = if found < 0 {
        Err(error)
    } else if fds.iter().any(|one| one.revents & libc::POLLNVAL != 0) {
        Err(libc::EBADF)
    } else {
        let failed = libc::POLLERR | libc::POLLHUP;
        let fill = |set: *mut fd_set, asked: c_short, events: c_short| -> c_int {
            if set.is_null() {
                return 0;
            }
            // SAFETY: C's contract.
            unsafe { libc::FD_ZERO(set) };
            let ready = fds.iter().filter(|one| one.events & asked != 0 && one.revents & events != 0);
            // SAFETY: numbers that were in a set.
            ready.map(|one| unsafe { libc::FD_SET(one.fd, set) }).count() as c_int
        };
        Ok(fill(read, libc::POLLIN, libc::POLLIN | failed)
            + fill(write, libc::POLLOUT, libc::POLLOUT | libc::POLLERR)
            + fill(except, libc::POLLPRI, libc::POLLPRI))
    };
    // SAFETY: C's contract; the kernel says what is left as well.
    if let (Some(timeout), Some(left)) = (unsafe { timeout.as_mut() }, limit.left()) {
        *timeout = libc::timeval { tv_sec: left.as_secs() as i64, tv_usec: left.subsec_micros().into() };
    }
    // SAFETY: allocated above.
    enter_heap(|heap| unsafe { heap.free(room.cast()) });
    result.unwrap_or_else(|error| {
        set_errno(error);
        -1
    })
}
