//! Where the addresses of an object's undefined names come from.

use std::ffi::c_void;

/// Finds definitions outside of the object.
///
/// The two questions are the two parts of ELF's search order: the *global scope* comes before the object's own
/// definitions, so that a program can interpose a function; the object's *dependencies* come after them.
///
/// The address of a thread-local variable is that of the calling thread's copy, as `dlsym` gives it. If the host's loader
/// keeps it, every thread will reach its own; otherwise all reach this one, which is right for another mapping's.
///
/// Mapping asks for `__register_frame` and `__deregister_frame` as well, and calls what it gets: answer with the functions of the
/// unwinder that the object's exceptions go through, or not at all.
///
/// What is found must stay valid as long as the [`Mapping`](crate::Mapping) that uses it.
pub trait Resolver {
    /// The address of `name` in the global scope: the program, and what it chose to put before all else.
    fn resolve(&self, name: &str, version: Option<&str>) -> Option<*const c_void>;

    /// The address of `name` in the libraries that the object names as needed.
    fn resolve_dependency(&self, _name: &str, _version: Option<&str>) -> Option<*const c_void> {
        None
    }
}

impl<R: Resolver + ?Sized> Resolver for &R {
    fn resolve(&self, name: &str, version: Option<&str>) -> Option<*const c_void> {
        (**self).resolve(name, version)
    }

    fn resolve_dependency(&self, name: &str, version: Option<&str>) -> Option<*const c_void> {
        (**self).resolve_dependency(name, version)
    }
}
