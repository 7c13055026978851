//! Semaphores of one thread: counters. Waiting for one that is zero would never end.

use super::fail;
use std::ffi::c_int;

#[unsafe(no_mangle)]
unsafe extern "C" fn sem_init(semaphore: *mut c_int, _: c_int, value: u32) -> c_int {
    // SAFETY: the caller gives a semaphore, whose first word is ours.
    unsafe { semaphore.write(value as c_int) };
    0
}

#[unsafe(no_mangle)]
extern "C" fn sem_destroy(_: *mut c_int) -> c_int {
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sem_post(semaphore: *mut c_int) -> c_int {
    // SAFETY: as above.
    unsafe { *semaphore += 1 };
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sem_trywait(semaphore: *mut c_int) -> c_int {
    // SAFETY: as above.
    unsafe {
        if *semaphore <= 0 {
            return fail(libc::EAGAIN);
        }
        *semaphore -= 1;
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sem_wait(semaphore: *mut c_int) -> c_int {
    // SAFETY: as above.
    match unsafe { sem_trywait(semaphore) } {
        0 => 0,
        _ => panic!("a semaphore that nobody can post"),
    }
}
