//! The one user that every process runs as.
//!
//! It is the host's user, but for root: a program that refuses to run as root sees an ordinary user, whose files are
//! those of root (`vfs::Identity` maps the owner).

use crate::process::Process;
use std::cell::Cell;
use std::ptr::null_mut;

/// Where `getpwuid` and `getgrnam` put their answer, in the process's heap.
#[derive(Default)]
pub(crate) struct Buffers {
    passwd: Cell<usize>,
    group: Cell<usize>,
}

/// The user entry, or null for anybody else.
pub(crate) fn passwd(p: &Process) -> *mut libc::passwd {
    let buffers = &p.local.users;
    if buffers.passwd.get() == 0 {
        let identity = p.system.namespace.identity();
        let mut heap = p.local.heap.borrow_mut();
        let entry: *mut libc::passwd = heap.calloc(size_of::<libc::passwd>()).cast();
        if entry.is_null() {
            return null_mut();
        }
        // SAFETY: fresh memory of the right size and alignment.
        unsafe {
            (*entry).pw_name = heap.string(p.system.user.as_bytes());
            (*entry).pw_passwd = heap.string(b"x");
            (*entry).pw_uid = identity.uid();
            (*entry).pw_gid = identity.gid();
            (*entry).pw_gecos = heap.string(b"");
            (*entry).pw_dir = heap.string(b"/");
            (*entry).pw_shell = heap.string(b"/bin/sh");
        }
        buffers.passwd.set(entry as usize);
    }
    buffers.passwd.get() as *mut libc::passwd
}

/// The group entry.
pub(crate) fn group(p: &Process) -> *mut libc::group {
    let buffers = &p.local.users;
    if buffers.group.get() == 0 {
        let mut heap = p.local.heap.borrow_mut();
        let entry: *mut libc::group = heap.calloc(size_of::<libc::group>()).cast();
        if entry.is_null() {
            return null_mut();
        }
        // SAFETY: fresh memory of the right size and alignment; the member list is a null.
        unsafe {
            (*entry).gr_name = heap.string(p.system.user.as_bytes());
            (*entry).gr_passwd = heap.string(b"x");
            (*entry).gr_gid = p.system.namespace.identity().gid();
            (*entry).gr_mem = heap.calloc(size_of::<usize>()).cast();
        }
        buffers.group.set(entry as usize);
    }
    buffers.group.get() as *mut libc::group
}
