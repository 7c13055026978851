//! Calls that wait, and for which the process's state does not matter: they are here so that a signal can end the process
//! while it waits (`current::blocking`).

use crate::current::blocking;
use libc::{c_int, c_uint, epoll_event, pthread_barrier_t, pthread_cond_t, pthread_mutex_t, sem_t, timespec};

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_epoll_wait(
    set: c_int,
    events: *mut epoll_event,
    most: c_int,
    milliseconds: c_int,
) -> c_int {
    // SAFETY: C's contract.
    blocking(|| unsafe { libc::epoll_wait(set, events, most, milliseconds) })
}

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
    // SAFETY: C's contract.
    blocking(|| unsafe { libc::nanosleep(span, left) })
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_usleep(microseconds: c_uint) -> c_int {
    // SAFETY: a system call.
    blocking(|| unsafe { libc::usleep(microseconds) })
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_sleep(seconds: c_uint) -> c_uint {
    // SAFETY: a system call.
    blocking(|| unsafe { libc::sleep(seconds) })
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
pub(crate) unsafe extern "C-unwind" fn libos_pthread_barrier_wait(barrier: *mut pthread_barrier_t) -> c_int {
    // SAFETY: C's contract.
    blocking(|| unsafe { libc::pthread_barrier_wait(barrier) })
}
