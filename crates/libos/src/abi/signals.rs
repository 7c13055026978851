//! Signals: `kill`, dispositions, masks, `signalfd`, non-local jumps that keep the mask.

use super::poll::sleep_until_signal;
use crate::current::{self, call, enter, set_errno};
use crate::fd::Object;
use crate::signal::{self, COUNT, Disposition, bit, from_set, to_set};
use libc::{c_int, c_uint, c_void, sigset_t};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use std::sync::atomic::Ordering;

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_kill(pid: c_int, number: c_int) -> c_int {
    call(|p| {
        match p.system.kill(
            (p.pid, p.group.load(Ordering::SeqCst)),
            if pid == p.local.own_pid.get() { p.pid } else { pid },
            number,
        ) {
            // A process of the host can be asked for, but not signalled.
            Err(Errno::SRCH) if number == 0 && pid > 1 => {
                // SAFETY: a system call without effect.
                match unsafe { libc::kill(pid, 0) } {
                    0 => Ok(0),
                    _ => Err(Errno::from_raw_os_error(current::errno())),
                }
            }
            other => other.map(|()| 0),
        }
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_raise(number: c_int) -> c_int {
    libos_kill(current::process().pid, number)
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_sigaction(
    number: c_int,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
) -> c_int {
    if !(1..=COUNT as i32).contains(&number) || (!new.is_null() && matches!(number, libc::SIGKILL | libc::SIGSTOP)) {
        set_errno(libc::EINVAL);
        return -1;
    }
    enter(|p| {
        let before = p.signals.disposition(number);
        // SAFETY: C's contract: null or valid.
        unsafe {
            if let Some(new) = new.as_ref() {
                let mask = from_set(&new.sa_mask);
                p.signals.set_disposition(number, Disposition { handler: new.sa_sigaction, mask, flags: new.sa_flags });
                if new.sa_sigaction == libc::SIG_IGN {
                    p.signals.take(bit(number));
                }
            }
            if let Some(old) = old.as_mut() {
                old.sa_sigaction = before.handler;
                old.sa_flags = before.flags;
                old.sa_restorer = None;
                to_set(before.mask, &mut old.sa_mask);
            }
        }
    });
    0
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_signal(number: c_int, handler: usize) -> usize {
    // SAFETY: valid structures.
    unsafe {
        let mut new: libc::sigaction = std::mem::zeroed();
        let mut old: libc::sigaction = std::mem::zeroed();
        new.sa_sigaction = handler;
        new.sa_flags = libc::SA_RESTART;
        if libos_sigaction(number, &new, &mut old) == 0 { old.sa_sigaction } else { libc::SIG_ERR }
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_pthread_sigmask(
    how: c_int,
    set: *const sigset_t,
    old: *mut sigset_t,
) -> c_int {
    enter(|p| {
        let before = p.signals.mask();
        // SAFETY: C's contract: null or valid.
        unsafe {
            if !old.is_null() {
                to_set(before, old);
            }
            if !set.is_null() {
                let set = from_set(set);
                p.signals.set_mask(match how {
                    libc::SIG_BLOCK => before | set,
                    libc::SIG_UNBLOCK => before & !set,
                    libc::SIG_SETMASK => set,
                    _ => return libc::EINVAL,
                });
            }
        }
        0
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_sigprocmask(
    how: c_int,
    set: *const sigset_t,
    old: *mut sigset_t,
) -> c_int {
    // SAFETY: as above.
    match unsafe { libos_pthread_sigmask(how, set, old) } {
        0 => 0,
        e => {
            set_errno(e);
            -1
        }
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_sigpending(set: *mut sigset_t) -> c_int {
    let p = current::process();
    // SAFETY: C's contract.
    unsafe { to_set(p.signals.pending() & p.signals.mask(), set) };
    0
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_sigwait(set: *const sigset_t, number: *mut c_int) -> c_int {
    // SAFETY: C's contract.
    let wanted = unsafe { from_set(set) };
    loop {
        if let Some(found) = enter(|p| p.signals.take(wanted)) {
            // SAFETY: C's contract.
            unsafe { *number = found };
            return 0;
        }
        sleep_until_signal(wanted);
    }
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_pause() -> c_int {
    sleep_until_signal(0);
    set_errno(libc::EINTR);
    -1
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_sigsuspend(mask: *const sigset_t) -> c_int {
    // SAFETY: C's contract.
    let mask = unsafe { from_set(mask) };
    let signals = &current::process().signals;
    let handled = signals.handled.get();
    let before = enter(|p| {
        let before = p.signals.mask();
        p.signals.set_mask(mask);
        before
    });
    // What was pending may have been handled already.
    if handled == signals.handled.get() {
        sleep_until_signal(0);
    }
    // What only the temporary mask blocked comes now.
    enter(|p| p.signals.set_mask(before));
    set_errno(libc::EINTR);
    -1
}

/// The descriptor becomes readable when a signal of `mask` comes. What is read from it is a count, not `signalfd_siginfo`
/// records: programs that only drain it do not see the difference.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_signalfd(fd: c_int, mask: *const sigset_t, flags: c_int) -> c_int {
    // SAFETY: C's contract.
    let mask = unsafe { from_set(mask) };
    call(|p| {
        let fd = if fd >= 0 {
            fd
        } else {
            let wanted = if flags & libc::SFD_NONBLOCK != 0 { EventfdFlags::NONBLOCK } else { EventfdFlags::empty() };
            let new = crate::fd::above_standard(eventfd(0, wanted | EventfdFlags::CLOEXEC)?)?;
            p.local.fds.borrow_mut().insert(Object::kernel(new), flags & libc::SFD_CLOEXEC != 0)
        };
        p.signals.set_fd(fd, mask);
        Ok(fd)
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_setitimer(
    which: c_int,
    new: *const libc::itimerval,
    old: *mut libc::itimerval,
) -> c_int {
    call(|p| {
        if which != libc::ITIMER_REAL as c_int {
            return Err(Errno::INVAL);
        }
        // SAFETY: C's contract: null or valid.
        unsafe {
            if let Some(old) = old.as_mut() {
                *old = p.signals.timer.get();
            }
            if let Some(new) = new.as_ref() {
                p.signals.timer.set(&p.signals, new)?;
            }
        }
        Ok(0)
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_getitimer(which: c_int, old: *mut libc::itimerval) -> c_int {
    // SAFETY: as above.
    unsafe { libos_setitimer(which, std::ptr::null(), old) }
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_alarm(seconds: c_uint) -> c_uint {
    enter(|p| {
        let left = p.signals.timer.get().it_value.tv_sec as c_uint;
        let zero = libc::timeval { tv_sec: 0, tv_usec: 0 };
        let value = libc::timeval { tv_sec: seconds.into(), tv_usec: 0 };
        let _ = p.signals.timer.set(&p.signals, &libc::itimerval { it_interval: zero, it_value: value });
        left
    })
}

/// Marks a jump buffer that holds a virtual mask.
const MASK_SAVED: u64 = 0x6c69_626f_735f_6d73;

/// The part of glibc's `sigjmp_buf` behind the registers: `mask_was_saved` stays 0, so the C library leaves the host's mask
/// alone, and the room for the mask is ours.
#[repr(C)]
struct MaskRoom {
    mask: u64,
    marker: u64,
}

/// Offset of that room: eight registers, an int and its padding.
const MASK_ROOM: usize = 8 * 8 + 8;

/// Put before each `__sigsetjmp` by the pass.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_setjmp_mask(buffer: *mut c_void, save: c_int) {
    let signals = &current::process().signals;
    // SAFETY: the program passes a sigjmp_buf.
    unsafe {
        let room = buffer.byte_add(MASK_ROOM).cast::<MaskRoom>();
        (*room).marker = if save != 0 { MASK_SAVED } else { 0 };
        (*room).mask = signals.mask();
    }
}

unsafe extern "C-unwind" {
    fn siglongjmp(buffer: *mut c_void, value: c_int) -> !;
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_siglongjmp(buffer: *mut c_void, value: c_int) -> ! {
    let p = current::process();
    // SAFETY: the program passes a sigjmp_buf that it filled; only its own frames are jumped over. A handler that runs
    // here sees the mask as it is after the jump, as it would if the kernel delivered just after it.
    unsafe {
        let room = buffer.byte_add(MASK_ROOM).cast::<MaskRoom>();
        if (*room).marker == MASK_SAVED {
            p.signals.set_mask((*room).mask);
            signal::deliver(p);
        }
        siglongjmp(buffer, value)
    }
}
