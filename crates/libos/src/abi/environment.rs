//! Environment, options, locale, users: state of the process that the C library keeps for a whole host process.

use super::bytes;
use crate::current::{self, call, enter};
use crate::random::Random;
use crate::{env, users};
use libc::{c_char, c_int, c_long, c_uint, locale_t};
use rustix::io::Errno;
use std::ffi::CStr;
use std::ptr::null_mut;

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_getenv(name: *const c_char) -> *mut c_char {
    // SAFETY: C's contract.
    env::get(current::process(), unsafe { bytes(name) }).unwrap_or(null_mut())
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_setenv(name: *const c_char, value: *const c_char, over: c_int) -> c_int {
    // SAFETY: C's contract.
    let (name, value) = unsafe { (bytes(name), bytes(value)) };
    call(|p| {
        if name.is_empty() || name.contains(&b'=') {
            return Err(Errno::INVAL);
        }
        if over == 0 && env::get(p, name).is_some() {
            return Ok(0);
        }
        let entry = [name, b"=", value].concat();
        let entry = p.local.heap.borrow_mut().string(&entry);
        if entry.is_null() || !env::put(p, name, entry) { Err(Errno::NOMEM) } else { Ok(0) }
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_putenv(entry: *mut c_char) -> c_int {
    // SAFETY: C's contract.
    let text = unsafe { bytes(entry) };
    call(|p| match text.iter().position(|b| *b == b'=') {
        Some(end) if env::put(p, &text[..end], entry) => Ok(0),
        Some(_) => Err(Errno::NOMEM),
        None => {
            env::remove(p, text);
            Ok(0)
        }
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_unsetenv(name: *const c_char) -> c_int {
    // SAFETY: C's contract.
    let name = unsafe { bytes(name) };
    call(|p| {
        env::remove(p, name);
        Ok(0)
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_setlocale(category: c_int, locale: *const c_char) -> *mut c_char {
    enter(|p| {
        let own = &p.local.locale;
        if !locale.is_null() {
            // SAFETY: C's contract.
            let wanted = unsafe { CStr::from_ptr(locale) };
            if own.set(category, wanted).is_none() {
                return null_mut();
            }
        }
        own.name(category).map_or(null_mut(), |name| name.cast_mut())
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_newlocale(mask: c_int, locale: *const c_char, base: locale_t) -> locale_t {
    // The C library holds a lock while it loads: no handler may jump out of it.
    // SAFETY: C's contract.
    enter(|p| unsafe { p.local.locale.make(mask, locale, base) })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_freelocale(locale: locale_t) {
    // SAFETY: C's contract.
    enter(|p| unsafe { p.local.locale.free(locale) });
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_uselocale(locale: locale_t) -> locale_t {
    // The process's global locale is the object that `setlocale` keeps.
    let base = current::process().local.locale.base();
    let wanted = if locale == crate::locale::GLOBAL { base } else { locale };
    // SAFETY: C's contract.
    let before = unsafe { libc::uselocale(wanted) };
    if before == base { crate::locale::GLOBAL } else { before }
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_localeconv() -> *mut libc::lconv {
    enter(|p| p.local.locale.conventions())
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_getpwuid(uid: libc::uid_t) -> *mut libc::passwd {
    enter(|p| if uid == p.system.namespace.identity().uid() { users::passwd(p) } else { null_mut() })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_getpwnam(name: *const c_char) -> *mut libc::passwd {
    // SAFETY: C's contract.
    let name = unsafe { bytes(name) };
    enter(|p| if name == p.system.user.as_bytes() { users::passwd(p) } else { null_mut() })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_getpwuid_r(
    uid: libc::uid_t,
    entry: *mut libc::passwd,
    _buffer: *mut c_char,
    _size: usize,
    result: *mut *mut libc::passwd,
) -> c_int {
    let found = libos_getpwuid(uid);
    // SAFETY: C's contract. The strings are the process's own and stay.
    unsafe {
        if found.is_null() {
            *result = null_mut();
        } else {
            *entry = *found;
            *result = entry;
        }
    }
    0
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_getgrnam(name: *const c_char) -> *mut libc::group {
    // SAFETY: C's contract.
    let name = unsafe { bytes(name) };
    enter(|p| if name == p.system.user.as_bytes() { users::group(p) } else { null_mut() })
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_getgrgid(gid: libc::gid_t) -> *mut libc::group {
    enter(|p| if gid == p.system.namespace.identity().gid() { users::group(p) } else { null_mut() })
}

/// `random` and `rand` are one generator.
#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_srandom(seed: c_uint) {
    enter(|p| p.local.random.borrow_mut().get_or_insert_with(Random::new).seed(seed));
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_random() -> c_long {
    enter(|p| p.local.random.borrow_mut().get_or_insert_with(Random::new).next()).into()
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_srand(seed: c_uint) {
    libos_srandom(seed);
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_rand() -> c_int {
    libos_random() as c_int
}

/// The C library keeps the place in a variable of the host.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_strtok(text: *mut c_char, delimiters: *const c_char) -> *mut c_char {
    let place = &current::process().local.strtok;
    // SAFETY: C's contract: `text` is a string, or null to go on.
    unsafe { libc::strtok_r(text, delimiters, place.as_ptr()) }
}
