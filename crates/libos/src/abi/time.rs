//! Calendar time: functions of the C library that share a static result, or the host's time zone and its lock.

use crate::current::enter;
use libc::{c_char, size_t, time_t, tm};
use std::ptr::null_mut;

/// Room for a static result, in the process's heap.
///
/// C's `localtime`, `gmtime` and `ctime` may share one object; so do ours.
fn room() -> *mut u8 {
    enter(|p| {
        let place = &p.local.time_result;
        if place.get().is_null() {
            place.set(p.local.heap.borrow_mut().calloc(128));
        }
        place.get()
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_localtime_r(at: *const time_t, to: *mut tm) -> *mut tm {
    // SAFETY: C's contract.
    enter(|_| unsafe { libc::localtime_r(at, to) })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_localtime(at: *const time_t) -> *mut tm {
    let room = room();
    // SAFETY: C's contract; the room is large enough and aligned.
    if room.is_null() { null_mut() } else { unsafe { libos_localtime_r(at, room.cast()) } }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_gmtime(at: *const time_t) -> *mut tm {
    let room = room();
    // SAFETY: as above.
    if room.is_null() { null_mut() } else { unsafe { libc::gmtime_r(at, room.cast()) } }
}

unsafe extern "C" {
    fn ctime_r(at: *const time_t, to: *mut c_char) -> *mut c_char;
    fn strftime_l(
        to: *mut c_char,
        size: size_t,
        format: *const c_char,
        time: *const tm,
        locale: libc::locale_t,
    ) -> size_t;
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_ctime(at: *const time_t) -> *mut c_char {
    let room = room();
    // SAFETY: C's contract; 26 bytes are needed.
    if room.is_null() { null_mut() } else { enter(|_| unsafe { ctime_r(at, room.cast()) }) }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_mktime(time: *mut tm) -> time_t {
    // SAFETY: C's contract.
    enter(|_| unsafe { libc::mktime(time) })
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_tzset() {}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_strftime(
    to: *mut c_char,
    size: size_t,
    format: *const c_char,
    time: *const tm,
) -> size_t {
    // SAFETY: C's contract.
    enter(|_| unsafe { libc::strftime(to, size, format, time) })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_strftime_l(
    to: *mut c_char,
    size: size_t,
    format: *const c_char,
    time: *const tm,
    locale: libc::locale_t,
) -> size_t {
    // SAFETY: C's contract.
    enter(|_| unsafe { strftime_l(to, size, format, time, locale) })
}
