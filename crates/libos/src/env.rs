//! A process's environment: `environ` and what reads and changes it.
//!
//! The C library has one variable under two names. A program that uses both has two: which one it has changed shows when
//! the library OS looks next, and the other one follows.
//!
//! Relies on: `environ` points at a null-terminated table, as C has it; the program may replace the table.

use crate::heap::Heap;
use crate::process::Process;
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString, c_char};
use std::ptr::null_mut;

/// What C calls the variable.
const NAMES: [&str; 2] = ["environ", "__environ"];

/// The strings that a process begins with, and the table as it was last seen.
pub(crate) struct Environment {
    initial: RefCell<Vec<CString>>,
    seen: Cell<*mut *mut c_char>,
}

impl Environment {
    pub(crate) fn new(initial: Vec<CString>) -> Environment {
        Environment { initial: RefCell::new(initial), seen: Cell::new(null_mut()) }
    }

    pub(crate) fn reclaim(&self) {
        self.initial.take();
        self.seen.set(null_mut());
    }
}

/// Makes the first table, in the process's heap.
pub(crate) fn place(p: &Process, heap: &mut Heap) -> *mut *mut c_char {
    let initial = p.local.environment.initial.take();
    let table: *mut *mut c_char = heap.calloc((initial.len() + 1) * size_of::<usize>()).cast();
    for (i, entry) in initial.iter().enumerate() {
        // SAFETY: the table has room for the entries and a null.
        unsafe { *table.add(i) = heap.string(entry.as_bytes()) };
    }
    set_table(p, table);
    table
}

fn slots(p: &Process) -> impl Iterator<Item = *mut *mut *mut c_char> {
    NAMES.into_iter().filter_map(|name| p.libc_datum(name))
}

fn table(p: &Process) -> *mut *mut c_char {
    let seen = p.local.environment.seen.get();
    // SAFETY: the process's own variables.
    match slots(p).map(|slot| unsafe { *slot }).find(|now| *now != seen) {
        Some(new) => {
            set_table(p, new);
            new
        }
        None => seen,
    }
}

fn set_table(p: &Process, new: *mut *mut c_char) {
    // SAFETY: the process's own variables.
    slots(p).for_each(|slot| unsafe { *slot = new });
    p.local.environment.seen.set(new);
}

/// The entries of the table, each `NAME=value`.
fn entries(p: &Process) -> impl Iterator<Item = (usize, *mut c_char)> {
    let table = table(p);
    (0..).map_while(move |i| {
        // SAFETY: the table ends with a null.
        let entry = if table.is_null() { null_mut() } else { unsafe { *table.add(i) } };
        (!entry.is_null()).then_some((i, entry))
    })
}

fn find(p: &Process, name: &[u8]) -> Option<(usize, *mut c_char)> {
    entries(p).find(|(_, entry)| {
        // SAFETY: entries are C strings.
        let bytes = unsafe { CStr::from_ptr(*entry) }.to_bytes();
        bytes.len() > name.len() && bytes[name.len()] == b'=' && &bytes[..name.len()] == name
    })
}

/// The value of `name`, inside its entry.
pub(crate) fn get(p: &Process, name: &[u8]) -> Option<*mut c_char> {
    // SAFETY: the entry is longer than the name and its `=`.
    find(p, name).map(|(_, entry)| unsafe { entry.add(name.len() + 1) })
}

/// Puts `entry`, in the process's heap, in place of the one of that name; false when memory is out.
pub(crate) fn put(p: &Process, name: &[u8], entry: *mut c_char) -> bool {
    if let Some((i, _)) = find(p, name) {
        // SAFETY: a place of the table. The old string stays: the program may still hold it.
        unsafe { *table(p).add(i) = entry };
        return true;
    }
    let count = entries(p).count();
    let new: *mut *mut c_char = p.local.heap.borrow_mut().calloc((count + 2) * size_of::<usize>()).cast();
    if new.is_null() {
        return false;
    }
    for (i, old) in entries(p) {
        // SAFETY: the new table has room for one more and a null.
        unsafe { *new.add(i) = old };
    }
    // SAFETY: as above.
    unsafe { *new.add(count) = entry };
    set_table(p, new);
    true
}

/// Takes every entry of that name out of the table.
pub(crate) fn remove(p: &Process, name: &[u8]) {
    while let Some((at, _)) = find(p, name) {
        let table = table(p);
        let mut i = at;
        // SAFETY: moves the entries behind it, and the null, one place down.
        unsafe {
            while !(*table.add(i)).is_null() {
                *table.add(i) = *table.add(i + 1);
                i += 1;
            }
        }
    }
}

/// The whole environment, for a child.
pub(crate) fn copy(p: &Process) -> Vec<CString> {
    // SAFETY: entries are C strings.
    entries(p).map(|(_, entry)| unsafe { CStr::from_ptr(entry) }.to_owned()).collect()
}
