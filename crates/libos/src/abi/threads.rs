//! Threads: a process is one, and cannot start more. Keys of thread-specific data are the process's own: the host has few, and
//! would run their destructors when the process is long gone.

use crate::current::enter;
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

/// Starts nothing.
#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_pthread_create(
    _thread: *mut libc::pthread_t,
    _attributes: *const libc::pthread_attr_t,
    _start: *const c_void,
    _argument: *mut c_void,
) -> c_int {
    libc::EAGAIN
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_pthread_join(_thread: libc::pthread_t, _result: *mut *mut c_void) -> c_int {
    libc::ESRCH
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_pthread_detach(_thread: libc::pthread_t) -> c_int {
    libc::ESRCH
}

/// The end of the last thread is the end of the process.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_pthread_exit(_result: *mut c_void) -> ! {
    // SAFETY: only frames of the program are in between.
    unsafe { super::process::libos_exit(0) }
}
