//! Listings of directories. A listing of WASI counts entries: who removes some while reading it misses others. So it is read whole.

use std::ffi::{c_char, c_int};
use std::mem::offset_of;
use std::ptr::null_mut;

unsafe extern "C" {
    fn __real_opendir(path: *const c_char) -> *mut libc::DIR;
    fn __real_readdir(directory: *mut libc::DIR) -> *mut libc::dirent;
    fn __real_closedir(directory: *mut libc::DIR) -> c_int;
}

/// What C takes for a `DIR`: entries, each in as many words as it needs, and the next one.
struct Listing {
    entries: Vec<Box<[u64]>>,
    next: usize,
}

/// How many bytes an entry has, with the zero behind its name.
///
/// # Safety
/// It is one of libc's.
unsafe fn size(entry: *const libc::dirent) -> usize {
    // SAFETY: by the caller's promise the name is a string.
    let name = unsafe { std::ffi::CStr::from_ptr((&raw const (*entry).d_name).cast()) };
    offset_of!(libc::dirent, d_name) + name.count_bytes() + 1
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_opendir(path: *const c_char) -> *mut libc::DIR {
    // SAFETY: as the caller's.
    let directory = unsafe { __real_opendir(path) };
    if directory.is_null() {
        return null_mut();
    }
    let mut entries = Vec::new();
    loop {
        // SAFETY: it is open.
        let entry = unsafe { __real_readdir(directory) };
        if entry.is_null() {
            break;
        }
        // SAFETY: what readdir returned is whole.
        unsafe {
            let size = size(entry);
            let mut copy = vec![0u64; size.div_ceil(8)].into_boxed_slice();
            copy.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(entry.cast(), size);
            entries.push(copy);
        }
    }
    // SAFETY: it is open.
    unsafe { __real_closedir(directory) };
    Box::into_raw(Box::new(Listing { entries, next: 0 })).cast()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_readdir(directory: *mut libc::DIR) -> *mut libc::dirent {
    // SAFETY: C has it from opendir.
    let listing = unsafe { &mut *directory.cast::<Listing>() };
    match listing.entries.get_mut(listing.next) {
        Some(entry) => {
            listing.next += 1;
            entry.as_mut_ptr().cast()
        }
        None => null_mut(),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_closedir(directory: *mut libc::DIR) -> c_int {
    // SAFETY: C has it from opendir, and does not use it any more.
    drop(unsafe { Box::from_raw(directory.cast::<Listing>()) });
    0
}
