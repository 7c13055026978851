//! Threads. Keys of thread-specific data are the process's own: the host has few, and would run their destructors when the process is
//! long gone. Their values are those of all of its threads.

use crate::current::enter;
use crate::thread::{self, Start};
use libc::{c_int, c_uint, c_void};
use std::ptr::null_mut;

/// Thread-specific data of a process's thread. Destructors never run: the thread only ends with the process.
#[derive(Default)]
pub(crate) struct Keys {
    /// By key; `None` is free.
    values: Vec<Option<*mut c_void>>,
}

/// As in glibc.
const MOST_KEYS: usize = 1024;

impl Keys {
    fn add(&mut self) -> Option<usize> {
        let key = self.values.iter().position(Option::is_none).unwrap_or(self.values.len());
        if key == MOST_KEYS {
            return None;
        }
        if key == self.values.len() {
            self.values.push(None);
        }
        self.values[key] = Some(null_mut());
        Some(key)
    }

    fn value(&mut self, key: c_uint) -> Option<&mut *mut c_void> {
        self.values.get_mut(key as usize).and_then(Option::as_mut)
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_pthread_key_create(key: *mut c_uint, _destructor: *const c_void) -> c_int {
    match enter(|p| p.local.keys.borrow_mut().add()) {
        Some(new) => {
            // SAFETY: C's contract.
            unsafe { *key = new as c_uint };
            0
        }
        None => libc::EAGAIN,
    }
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_pthread_key_delete(key: c_uint) -> c_int {
    enter(|p| match p.local.keys.borrow_mut().values.get_mut(key as usize) {
        Some(slot @ Some(_)) => {
            *slot = None;
            0
        }
        _ => libc::EINVAL,
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_pthread_getspecific(key: c_uint) -> *mut c_void {
    enter(|p| p.local.keys.borrow_mut().value(key).map_or(null_mut(), |value| *value))
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_pthread_setspecific(key: c_uint, new: *mut c_void) -> c_int {
    enter(|p| match p.local.keys.borrow_mut().value(key) {
        Some(value) => {
            *value = new;
            0
        }
        None => libc::EINVAL,
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_pthread_create(
    thread: *mut libc::pthread_t,
    _attributes: *const libc::pthread_attr_t,
    start: Start,
    argument: *mut c_void,
) -> c_int {
    match thread::create(start, argument) {
        Ok(number) => {
            // SAFETY: C's contract.
            unsafe { *thread = number as libc::pthread_t };
            0
        }
        Err(e) => e.raw_os_error(),
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_pthread_join(thread: libc::pthread_t, result: *mut *mut c_void) -> c_int {
    match thread::join(thread as usize) {
        Ok(value) => {
            if !result.is_null() {
                // SAFETY: C's contract.
                unsafe { *result = value as *mut c_void };
            }
            0
        }
        Err(e) => e.raw_os_error(),
    }
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_pthread_detach(thread: libc::pthread_t) -> c_int {
    thread::detach(thread as usize).map_or_else(|e| e.raw_os_error(), |()| 0)
}

/// The end of the first thread is the end of the process.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_pthread_exit(result: *mut c_void) -> ! {
    match thread::helper() {
        // SAFETY: only frames of the program are in between.
        Some(helper) => unsafe { helper.leave(result as usize) },
        // SAFETY: as above.
        None => unsafe { super::process::libos_exit(0) },
    }
}
