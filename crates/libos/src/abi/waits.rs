//! Calls that wait. They are made outside of critical sections, so that handlers run, and a signal can end the process, while
//! it waits (`current::blocking`).

use super::poll::to_timespec;
use crate::current::blocking;
use libc::{c_int, c_uint, pthread_barrier_t, pthread_cond_t, pthread_mutex_t, sem_t, timespec};
use std::ptr::null_mut;
use std::time::Duration;

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_sem_wait(semaphore: *mut sem_t) -> c_int {
    // SAFETY: C's contract.
    blocking(|| unsafe { libc::sem_wait(semaphore) })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_sem_timedwait(semaphore: *mut sem_t, until: *const timespec) -> c_int {
    // SAFETY: C's contract.
    blocking(|| unsafe { libc::sem_timedwait(semaphore, until) })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_nanosleep(span: *const timespec, left: *mut timespec) -> c_int {
    // SAFETY: C's contract: a span, and null or room for one.
    unsafe {
        let mut rest = *span;
        let slept = blocking(|| libc::nanosleep(&raw const rest, &raw mut rest));
        if slept < 0 && !left.is_null() {
            *left = rest;
        }
        slept
    }
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_usleep(microseconds: c_uint) -> c_int {
    let span = to_timespec(Duration::from_micros(microseconds.into()));
    // SAFETY: a valid span.
    unsafe { libos_nanosleep(&span, null_mut()) }
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_sleep(seconds: c_uint) -> c_uint {
    let mut span = to_timespec(Duration::from_secs(seconds.into()));
    // SAFETY: a valid span.
    let slept = unsafe { libos_nanosleep(&raw const span, &raw mut span) };
    // As the C library: rounded to the nearest.
    if slept < 0 { (span.tv_sec + libc::time_t::from(span.tv_nsec >= 500_000_000)) as c_uint } else { 0 }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_pthread_mutex_lock(mutex: *mut pthread_mutex_t) -> c_int {
    // SAFETY: C's contract.
    blocking(|| unsafe { libc::pthread_mutex_lock(mutex) })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_pthread_cond_wait(
    condition: *mut pthread_cond_t,
    mutex: *mut pthread_mutex_t,
) -> c_int {
    // SAFETY: C's contract.
    blocking(|| unsafe { libc::pthread_cond_wait(condition, mutex) })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_pthread_cond_timedwait(
    condition: *mut pthread_cond_t,
    mutex: *mut pthread_mutex_t,
    until: *const timespec,
) -> c_int {
    // SAFETY: C's contract.
    blocking(|| unsafe { libc::pthread_cond_timedwait(condition, mutex, until) })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_pthread_barrier_wait(barrier: *mut pthread_barrier_t) -> c_int {
    // SAFETY: C's contract.
    blocking(|| unsafe { libc::pthread_barrier_wait(barrier) })
}
