//! Paths: everything that names a file goes through the system's namespace.

use super::bytes;
use crate::current::{call, enter, give, set_errno};
use crate::dir::Stream;
use crate::process::Process;
use libc::{c_char, c_int, mode_t, off_t, size_t, ssize_t};
use rustix::io::{Errno, Result};
use std::ptr::null_mut;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Does `f` in the process's working directory.
fn at(f: impl FnOnce(&Process, &vfs::Namespace, &vfs::Cwd) -> Result<c_int>) -> c_int {
    call(|p| f(p, &p.system.namespace, &p.local.cwd.borrow()))
}

fn done(result: Result<()>) -> Result<c_int> {
    result.map(|()| 0)
}

fn masked(p: &Process, mode: mode_t) -> u32 {
    mode & 0o7777 & !p.local.umask.get()
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: C's contract.
    let path = unsafe { bytes(path) };
    at(|p, tree, cwd| {
        let opened = tree.open_with_access(cwd, path, flags | libc::O_CLOEXEC, masked(p, mode))?;
        let object = super::fds::object_of(opened)?;
        Ok(p.local.fds.borrow_mut().insert(object, flags & libc::O_CLOEXEC != 0))
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_creat(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: C's contract.
    unsafe { libos_open(path, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, mode) }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_stat(path: *const c_char, stat: *mut libc::stat) -> c_int {
    // SAFETY: C's contract.
    let path = unsafe { bytes(path) };
    let found = enter(|p| p.system.namespace.stat(&p.local.cwd.borrow(), path));
    // SAFETY: C's contract.
    unsafe { give(stat, found) }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_lstat(path: *const c_char, stat: *mut libc::stat) -> c_int {
    // SAFETY: C's contract.
    let path = unsafe { bytes(path) };
    let found = enter(|p| p.system.namespace.lstat(&p.local.cwd.borrow(), path));
    // SAFETY: C's contract.
    unsafe { give(stat, found) }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_access(path: *const c_char, mode: c_int) -> c_int {
    // SAFETY: C's contract.
    let path = unsafe { bytes(path) };
    at(|_, tree, cwd| done(tree.access(cwd, path, mode)))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_unlink(path: *const c_char) -> c_int {
    // SAFETY: C's contract.
    let path = unsafe { bytes(path) };
    at(|_, tree, cwd| done(tree.unlink(cwd, path)))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_rmdir(path: *const c_char) -> c_int {
    // SAFETY: C's contract.
    let path = unsafe { bytes(path) };
    at(|_, tree, cwd| done(tree.rmdir(cwd, path)))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_remove(path: *const c_char) -> c_int {
    // SAFETY: C's contract.
    let path = unsafe { bytes(path) };
    at(|_, tree, cwd| match tree.unlink(cwd, path) {
        Err(Errno::ISDIR) => done(tree.rmdir(cwd, path)),
        other => done(other),
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: C's contract.
    let (from, to) = unsafe { (bytes(from), bytes(to)) };
    at(|_, tree, cwd| done(tree.rename(cwd, from, to)))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_mkdir(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: C's contract.
    let path = unsafe { bytes(path) };
    at(|p, tree, cwd| done(tree.mkdir(cwd, path, masked(p, mode))))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_chmod(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: C's contract.
    let path = unsafe { bytes(path) };
    at(|_, tree, cwd| done(tree.chmod(cwd, path, mode)))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_chown(path: *const c_char, uid: u32, gid: u32) -> c_int {
    // SAFETY: C's contract.
    let path = unsafe { bytes(path) };
    let known = |id: u32| (id != u32::MAX).then_some(id);
    at(|_, tree, cwd| done(tree.chown(cwd, path, known(uid), known(gid), true)))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_truncate(path: *const c_char, size: off_t) -> c_int {
    // SAFETY: C's contract.
    let path = unsafe { bytes(path) };
    at(|_, tree, cwd| done(tree.truncate(cwd, path, size)))
}

fn moment(seconds: libc::time_t, microseconds: libc::suseconds_t) -> libc::timespec {
    libc::timespec { tv_sec: seconds, tv_nsec: microseconds * 1000 }
}

fn now() -> libc::timespec {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    libc::timespec { tv_sec: since.as_secs() as libc::time_t, tv_nsec: since.subsec_nanos().into() }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_utime(path: *const c_char, times: *const libc::utimbuf) -> c_int {
    // SAFETY: C's contract.
    let (path, times) = unsafe { (bytes(path), times.as_ref()) };
    let times = times.map_or_else(|| [now(); 2], |t| [moment(t.actime, 0), moment(t.modtime, 0)]);
    at(|_, tree, cwd| done(tree.set_times(cwd, path, &times, true)))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_utimes(path: *const c_char, times: *const libc::timeval) -> c_int {
    // SAFETY: C's contract: null or two.
    let (path, times) = unsafe { (bytes(path), times.cast::<[libc::timeval; 2]>().as_ref()) };
    let times = times.map_or_else(|| [now(); 2], |t| t.map(|t| moment(t.tv_sec, t.tv_usec)));
    at(|_, tree, cwd| done(tree.set_times(cwd, path, &times, true)))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_symlink(target: *const c_char, path: *const c_char) -> c_int {
    // SAFETY: C's contract.
    let (target, path) = unsafe { (bytes(target), bytes(path)) };
    at(|_, tree, cwd| done(tree.symlink(cwd, target, path)))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_link(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: C's contract.
    let (from, to) = unsafe { (bytes(from), bytes(to)) };
    at(|_, tree, cwd| done(tree.link(cwd, from, to)))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_linkat(
    from_dir: c_int,
    from: *const c_char,
    to_dir: c_int,
    to: *const c_char,
    _flags: c_int,
) -> c_int {
    if from_dir != libc::AT_FDCWD || to_dir != libc::AT_FDCWD {
        set_errno(libc::ENOSYS);
        return -1;
    }
    // SAFETY: C's contract.
    unsafe { libos_link(from, to) }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_readlink(path: *const c_char, to: *mut c_char, size: size_t) -> ssize_t {
    // SAFETY: C's contract.
    let path = unsafe { bytes(path) };
    call(|p| {
        let target = p.system.namespace.readlink(&p.local.cwd.borrow(), path)?;
        let length = target.len().min(size);
        // SAFETY: C's contract: room for `size` bytes.
        unsafe { std::ptr::copy_nonoverlapping(target.as_ptr(), to.cast(), length) };
        Ok(length as ssize_t)
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_realpath(path: *const c_char, to: *mut c_char) -> *mut c_char {
    // SAFETY: C's contract.
    let path = unsafe { bytes(path) };
    call(|p| {
        let found = p.system.namespace.canonicalize(&p.local.cwd.borrow(), path)?;
        if to.is_null() {
            return Ok(p.local.heap.borrow_mut().string(&found));
        }
        if found.len() >= libc::PATH_MAX as usize {
            return Err(Errno::NAMETOOLONG);
        }
        // SAFETY: C's contract: room for PATH_MAX bytes.
        unsafe {
            std::ptr::copy_nonoverlapping(found.as_ptr(), to.cast(), found.len());
            *to.add(found.len()) = 0;
        }
        Ok(to)
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_opendir(path: *const c_char) -> *mut Stream {
    // SAFETY: C's contract.
    let path = unsafe { bytes(path) };
    call(|p| {
        let entries = p.system.namespace.read_dir(&p.local.cwd.borrow(), path)?;
        Ok(p.local.dirs.borrow_mut().insert(entries))
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_readdir(stream: *mut Stream) -> *mut libc::dirent {
    // The end is a null without an error.
    call(|p| Ok(p.local.dirs.borrow_mut().get(stream)?.next().unwrap_or(null_mut())))
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_rewinddir(stream: *mut Stream) {
    enter(|p| {
        if let Ok(stream) = p.local.dirs.borrow_mut().get(stream) {
            stream.rewind();
        }
    });
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_closedir(stream: *mut Stream) -> c_int {
    call(|p| done(p.local.dirs.borrow_mut().remove(stream)))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_chdir(path: *const c_char) -> c_int {
    // SAFETY: C's contract.
    let path = unsafe { bytes(path) };
    call(|p| {
        p.system.namespace.chdir(&mut p.local.cwd.borrow_mut(), path)?;
        Ok(0)
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_getcwd(to: *mut c_char, size: size_t) -> *mut c_char {
    call(|p| {
        let cwd = p.local.cwd.borrow();
        let path = cwd.path();
        if to.is_null() {
            return Ok(p.local.heap.borrow_mut().string(path));
        }
        if path.len() >= size {
            return Err(Errno::RANGE);
        }
        // SAFETY: C's contract: room for `size` bytes.
        unsafe {
            std::ptr::copy_nonoverlapping(path.as_ptr(), to.cast(), path.len());
            *to.add(path.len()) = 0;
        }
        Ok(to)
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_umask(mask: mode_t) -> mode_t {
    enter(|p| p.local.umask.replace(mask & 0o777))
}

/// Fills the six X at the end of a template and tries `make` until the name is free.
///
/// # Safety
/// `template` is a C string that may be changed.
unsafe fn unique(template: *mut c_char, mut make: impl FnMut(&[u8]) -> Result<c_int>) -> Result<c_int> {
    // SAFETY: by the caller's promise.
    let name = unsafe { std::slice::from_raw_parts_mut(template.cast::<u8>(), libc::strlen(template)) };
    let start = name.len().checked_sub(6).filter(|at| name[*at..] == *b"XXXXXX").ok_or(Errno::INVAL)?;
    for _ in 0..100 {
        let mut random = [0u8; 6];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        for (to, from) in name[start..].iter_mut().zip(random) {
            *to = b"abcdefghijklmnopqrstuvwxyz0123456789"[from as usize % 36];
        }
        match make(name) {
            Err(Errno::EXIST) => {}
            other => return other,
        }
    }
    Err(Errno::EXIST)
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_mkstemp(template: *mut c_char) -> c_int {
    at(|p, tree, cwd| {
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
        // SAFETY: C's contract.
        unsafe {
            unique(template, |name| {
                let object = super::fds::object_of(tree.open_with_access(cwd, name, flags, 0o600)?)?;
                Ok(p.local.fds.borrow_mut().insert(object, false))
            })
        }
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_mkdtemp(template: *mut c_char) -> *mut c_char {
    // SAFETY: C's contract.
    let made = at(|_, tree, cwd| unsafe { unique(template, |name| done(tree.mkdir(cwd, name, 0o700))) });
    if made == 0 { template } else { null_mut() }
}
