//! What runs inside the module: the layer below PostgreSQL, and the interface above it.
//!
//! Relies on: the module has one thread, and nobody interrupts it. So the state that C's functions share is in plain [`Global`]s, and no
//! reference to one outlives the function that made it, nor a call into C.

mod alloc;
mod descriptors;
mod directories;
mod engine;
mod exports;
mod files;
mod memory;
mod modules;
mod process;
mod reset;
mod semaphores;
mod session;
mod signals;
mod sockets;

use std::cell::UnsafeCell;
use std::ffi::c_int;

/// State of the one thread.
pub(crate) struct Global<T>(UnsafeCell<T>);

// SAFETY: there is one thread.
unsafe impl<T> Sync for Global<T> {}

impl<T> Global<T> {
    pub(crate) const fn new(value: T) -> Global<T> {
        Global(UnsafeCell::new(value))
    }

    pub(crate) const fn as_ptr(&self) -> *mut T {
        self.0.get()
    }

    /// Uses it; `f` calls nothing that uses it as well.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: one thread, and by the module's rule no other reference.
        f(unsafe { &mut *self.0.get() })
    }
}

unsafe extern "C" {
    /// `errno` is thread-local to C, which stable Rust cannot name.
    safe fn pgl_set_errno(error: c_int);
}

/// Sets `errno`, and returns what functions of C return then.
pub(crate) fn fail(error: c_int) -> c_int {
    pgl_set_errno(error);
    -1
}
