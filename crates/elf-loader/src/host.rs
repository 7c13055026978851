//! Finds names in the host's own libraries.
//!
//! Relies on: `dlopen`, `dlsym` and `dlvsym` of the host's C library.

use std::ffi::{CStr, CString, c_int, c_void};
use std::ptr::NonNull;

use crate::fallback::host_fallback;
use crate::host_objects;
use crate::resolver::Resolver;

/// Host libraries that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error(
    "the host lacks libraries that the object needs: {}; install them",
    .0.join("; ")
)]
pub struct HostLibraryError(
    /// What the host's loader says, one message for each library.
    pub Vec<String>,
);

/// The program's global scope, and libraries opened for one object's needs. They stay open as long as this value lives,
/// which must be as long as any mapping that was bound with it.
#[derive(Debug, Default)]
pub struct HostResolver {
    libraries: Vec<Library>,
}

impl HostResolver {
    /// Only what the host's program has loaded for all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens these libraries also, without their names becoming visible to the host.
    ///
    /// # Errors
    /// Names every library that does not open, and why.
    ///
    /// # Safety
    /// The libraries' initialisers run, and so do their finalisers when this value is dropped.
    pub unsafe fn open<N: AsRef<str>>(needed: impl IntoIterator<Item = N>) -> Result<Self, HostLibraryError> {
        let mut libraries = Vec::new();
        let mut failed = Vec::new();
        for name in needed {
            // SAFETY: the caller's promise.
            match unsafe { Library::open(name.as_ref()) } {
                Ok(library) => libraries.push(library),
                Err(message) => failed.push(message),
            }
        }
        if failed.is_empty() { Ok(Self { libraries }) } else { Err(HostLibraryError(failed)) }
    }
}

impl Resolver for HostResolver {
    fn resolve(&self, name: &str, version: Option<&str>) -> Option<*const c_void> {
        find_or_fall_back(libc::RTLD_DEFAULT, name, version)
    }

    fn resolve_dependency(&self, name: &str, version: Option<&str>) -> Option<*const c_void> {
        self.libraries.iter().find_map(|library| find_or_fall_back(library.0.as_ptr(), name, version))
    }
}

/// An open library.
#[derive(Debug)]
struct Library(NonNull<c_void>);

// SAFETY: handles may be used from any thread.
unsafe impl Send for Library {}
// SAFETY: as above.
unsafe impl Sync for Library {}

impl Library {
    /// # Safety
    /// The library's initialisers may run.
    unsafe fn open(name: &str) -> Result<Self, String> {
        const FLAGS: c_int = libc::RTLD_NOW | libc::RTLD_LOCAL;
        let c_name = CString::new(name).map_err(|_| format!("{name:?} has a zero byte"))?;
        // SAFETY: the caller's promise.
        let handle = unsafe { libc::dlopen(c_name.as_ptr(), FLAGS) };
        NonNull::new(handle).map(Self).ok_or_else(|| {
            // SAFETY: the message is the thread's own until its next such call.
            let message = unsafe { libc::dlerror().as_ref().map(|m| CStr::from_ptr(m)) };
            message.map_or_else(|| name.to_owned(), |message| message.to_string_lossy().into_owned())
        })
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: opened once, closed once.
        unsafe { libc::dlclose(self.0.as_ptr()) };
    }
}

fn find_or_fall_back(handle: *mut c_void, name: &str, version: Option<&str>) -> Option<*const c_void> {
    find(handle, name, version).or_else(|| {
        let mut name = name;
        loop {
            name = host_fallback(name)?;
            if let Some(found) = find(handle, name, None) {
                return Some(found);
            }
        }
    })
}

fn find(handle: *mut c_void, name: &str, version: Option<&str>) -> Option<*const c_void> {
    let name = CString::new(name).ok()?;
    // SAFETY: a valid handle and a string.
    let found = unsafe { libc::dlsym(handle, name.as_ptr()) };
    let first = (!found.is_null()).then_some(found.cast_const());
    match version {
        Some(version) => choose(first, find_version(handle, &name, version), version),
        None => first,
    }
}

/// The definition that a reference to a version is bound to: the version, unless an object without any versions comes before.
/// (`dlvsym` would pass over a replacement of `malloc` in the program.)
fn choose(first: Option<*const c_void>, exact: Option<*const c_void>, version: &str) -> Option<*const c_void> {
    let first_is_valid = || first.is_some_and(|first| !host_objects::defines_versions(first));
    match exact {
        Some(_) if exact == first || !first_is_valid() => exact,
        Some(_) => first,
        // The C library keeps what a name does, so that any of its versions is as good. Others promise nothing.
        None if version.starts_with("GLIBC_") || first_is_valid() => first,
        None => None,
    }
}

#[cfg(target_env = "gnu")]
fn find_version(handle: *mut c_void, name: &CStr, version: &str) -> Option<*const c_void> {
    let version = CString::new(version).ok()?;
    // SAFETY: a valid handle and strings.
    let found = unsafe { libc::dlvsym(handle, name.as_ptr(), version.as_ptr()) };
    (!found.is_null()).then_some(found.cast_const())
}

/// Other C libraries have no versions.
#[cfg(not(target_env = "gnu"))]
fn find_version(_handle: *mut c_void, _name: &CStr, _version: &str) -> Option<*const c_void> {
    None
}
