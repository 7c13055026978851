//! The operations on a directory of the host.

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, RawMode, Timestamps, Uid};
use rustix::io::Errno;

use super::resolve::{Resolver, is_name};
use crate::directory::{Attempt, Directory, Found, How, Scope, Stop};
use crate::identity::Identity;
use crate::sys;
use crate::types::{DirEntry, File, Special};

/// A directory of the host, by an `O_PATH` descriptor.
pub(crate) struct HostDir {
    pub(super) fd: OwnedFd,
    pub(super) resolver: Resolver,
}

/// The flags that may reach `openat2`, which refuses unknown ones; `open` ignores them.
const OPEN_FLAGS: c_int = libc::O_ACCMODE
    | libc::O_CREAT
    | libc::O_EXCL
    | libc::O_TRUNC
    | libc::O_APPEND
    | libc::O_NONBLOCK
    | libc::O_DSYNC
    | libc::O_SYNC
    | libc::O_ASYNC
    | libc::O_DIRECT
    | libc::O_DIRECTORY
    | libc::O_NOATIME
    | libc::O_PATH
    | libc::O_TMPFILE;

/// Rounds of "open it; if it is not there, create it" before something more careful is tried.
const CREATE_TRIES: usize = 3;

impl HostDir {
    pub(super) fn new(fd: OwnedFd, resolver: Resolver) -> Self {
        Self { fd, resolver }
    }

    /// Opens or creates. Creation is always exclusive, because only then is it known whose mode must be set.
    fn create(&self, path: &[u8], how: How, flags: OFlags, mode: u32) -> Attempt<OwnedFd> {
        let exclusive = How { follow: false, ..how };
        let create = flags | OFlags::CREATE | OFlags::EXCL;
        if flags.contains(OFlags::EXCL) {
            let fd = self.open_at(path, exclusive, create, to_mode(mode))?;
            settle_file(&fd, mode)?;
            return Ok(fd);
        }
        for _ in 0..CREATE_TRIES {
            match self.open_at(path, how, flags.difference(OFlags::CREATE), Mode::empty()) {
                Err(Stop::Errno(Errno::NOENT)) => {}
                // A link whose text ends in a slash makes a difference here.
                Err(Stop::Errno(Errno::NOTDIR)) if how.scope != Scope::Entry => {
                    return Err(Stop::Walk);
                }
                Ok(fd) if is_directory(&fd)? => return Err(Errno::ISDIR.into()),
                other => return other,
            }
            match self.open_at(path, exclusive, create, to_mode(mode)) {
                Err(Stop::Errno(Errno::EXIST)) => {}
                Ok(fd) => {
                    settle_file(&fd, mode)?;
                    return Ok(fd);
                }
                Err(stop) => return Err(stop),
            }
        }
        // A dangling link, or a busy race.
        Err(Stop::Walk)
    }
}

impl Directory for HostDir {
    fn lookup(&self, name: &[u8]) -> Result<Found, Errno> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = sys::above_stdio(rustix::fs::openat(&self.fd, name, flags, Mode::empty())?)?;
        Ok(match FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode) {
            FileType::Directory => Found::Directory(Arc::new(HostDir::new(fd, self.resolver))),
            FileType::Symlink => Found::Symlink(rustix::fs::readlinkat(&fd, "", Vec::new())?.into_bytes()),
            _ => Found::Other,
        })
    }

    fn open(&self, path: &[u8], how: How, flags: c_int, mode: u32) -> Attempt<File> {
        // Opening a terminal must not give one to the caller's program.
        let oflags = OFlags::from_bits_retain((flags & OPEN_FLAGS | libc::O_NOCTTY) as u32);
        let fd = if flags & libc::O_PATH != 0 {
            self.open_at(path, how, oflags.difference(OFlags::NOCTTY), Mode::empty())?
        } else if flags & libc::O_TMPFILE == libc::O_TMPFILE {
            let fd = self.open_at(path, how, oflags, to_mode(mode))?;
            settle_file(&fd, mode)?;
            fd
        } else if flags & libc::O_CREAT != 0 {
            self.create(path, how, oflags, mode)?
        } else {
            self.open_at(path, how, oflags, Mode::empty())?
        };
        Ok(File::Kernel(fd))
    }

    fn stat(&self, path: &[u8], how: How) -> Attempt<libc::stat> {
        if is_name(path) {
            let stat = rustix::fs::statat(&self.fd, path, AtFlags::SYMLINK_NOFOLLOW)?;
            if !how.follow || FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
                return Ok(to_stat(&stat));
            }
        }
        let fd = self.object(path, how)?;
        Ok(to_stat(&rustix::fs::fstat(&fd)?))
    }

    fn access(&self, path: &[u8], how: How, mode: c_int, identity: &Identity) -> Attempt<()> {
        let fd = self.object(path, how)?;
        if !identity.is_lowered() {
            match sys::access_path_fd(fd.as_fd(), mode) {
                // Not there, or a seccomp filter that does not know it.
                Err(Errno::NOSYS | Errno::PERM) => {}
                answer => return Ok(answer?),
            }
        }
        Ok(identity.access(&to_stat(&rustix::fs::fstat(&fd)?), mode)?)
    }

    fn chmod(&self, path: &[u8], how: How, mode: u32) -> Attempt<()> {
        let fd = self.object(path, how)?;
        Ok(chmod(fd.as_fd(), mode)?)
    }

    fn chown(&self, path: &[u8], how: How, uid: Option<u32>, gid: Option<u32>) -> Attempt<()> {
        let fd = self.object(path, how)?;
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        Ok(rustix::fs::chownat(&fd, "", uid, gid, AtFlags::EMPTY_PATH)?)
    }

    fn truncate(&self, path: &[u8], how: How, length: u64) -> Attempt<()> {
        // O_NONBLOCK: a pipe without a reader must not hold us up.
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = match self.open_at(path, how, flags, Mode::empty()) {
            Err(Stop::Errno(Errno::NXIO)) => return Err(Errno::INVAL.into()),
            other => other?,
        };
        Ok(rustix::fs::ftruncate(&fd, length)?)
    }

    fn set_times(&self, path: &[u8], how: How, times: &[libc::timespec; 2]) -> Attempt<()> {
        let fd = self.object(path, how)?;
        let [last_access, last_modification] =
            times.map(|time| rustix::fs::Timespec { tv_sec: time.tv_sec, tv_nsec: time.tv_nsec });
        let times = Timestamps { last_access, last_modification };
        match rustix::fs::utimensat(&fd, "", &times, AtFlags::EMPTY_PATH) {
            // Linux before 5.8 does not know the flag here.
            Err(Errno::INVAL) => {
                let path = proc_path(fd.as_fd());
                Ok(rustix::fs::utimensat(rustix::fs::CWD, path, &times, AtFlags::empty())?)
            }
            other => Ok(other?),
        }
    }

    fn statvfs(&self, path: &[u8], how: How) -> Attempt<libc::statvfs> {
        let fd = self.object(path, how)?;
        let from = rustix::fs::fstatvfs(&fd)?;
        let mut to = sys::blank_statvfs();
        to.f_bsize = from.f_bsize as _;
        to.f_frsize = from.f_frsize as _;
        to.f_blocks = from.f_blocks as _;
        to.f_bfree = from.f_bfree as _;
        to.f_bavail = from.f_bavail as _;
        to.f_files = from.f_files as _;
        to.f_ffree = from.f_ffree as _;
        to.f_favail = from.f_favail as _;
        to.f_fsid = from.f_fsid as _;
        to.f_flag = from.f_flag.bits() as _;
        to.f_namemax = from.f_namemax as _;
        Ok(to)
    }

    fn read_dir(&self, path: &[u8], how: How) -> Attempt<Vec<DirEntry>> {
        let fd = self.open_at(path, how, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        let mut entries = Vec::new();
        for entry in rustix::fs::Dir::new(fd)? {
            let entry = entry?;
            entries.push(DirEntry {
                name: entry.file_name().to_bytes().to_vec(),
                inode: entry.ino(),
                file_type: to_dirent_type(entry.file_type()),
            });
        }
        Ok(entries)
    }

    fn readlink(&self, path: &[u8], how: How) -> Attempt<Vec<u8>> {
        if how.follow {
            // What a path with a trailing slash stands for is no link.
            self.object(path, how)?;
            return Err(Errno::INVAL.into());
        }
        let (parent, name) = self.parent(path, how.scope)?;
        if name == b".." {
            return Err(Stop::Walk);
        }
        Ok(rustix::fs::readlinkat(&parent, name, Vec::new())?.into_bytes())
    }

    fn special(&self, path: &[u8], how: How) -> Attempt<Option<Special>> {
        self.object(path, how).map(|_| None)
    }

    fn mkdir(&self, path: &[u8], scope: Scope, mode: u32) -> Attempt<()> {
        let (parent, name) = self.parent(path, scope)?;
        // The kernel's mkdir takes no other bits.
        let mode = mode & 0o1777;
        rustix::fs::mkdirat(&parent, name, to_mode(mode))?;
        let name = crate::path::trim_end(name);
        let stat = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if stat.st_mode & 0o1777 != mode && FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = sys::above_stdio(rustix::fs::openat(&parent, name, flags, Mode::empty())?)?;
            chmod(fd.as_fd(), mode | stat.st_mode & 0o6000)?;
        }
        Ok(())
    }

    fn rmdir(&self, path: &[u8], scope: Scope) -> Attempt<()> {
        let (parent, name) = self.parent(path, scope)?;
        Ok(rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR)?)
    }

    fn unlink(&self, path: &[u8], scope: Scope) -> Attempt<()> {
        let (parent, name) = self.parent(path, scope)?;
        Ok(rustix::fs::unlinkat(&parent, name, AtFlags::empty())?)
    }

    fn symlink(&self, target: &[u8], path: &[u8], scope: Scope) -> Attempt<()> {
        let (parent, name) = self.parent(path, scope)?;
        Ok(rustix::fs::symlinkat(target, &parent, name)?)
    }

    fn has_entry(&self, path: &[u8], scope: Scope) -> Attempt<bool> {
        let (parent, name) = self.parent(path, scope)?;
        match rustix::fs::statat(&parent, crate::path::trim_end(name), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    fn bind_special(&self, path: &[u8], scope: Scope, _: Special, _: u32) -> Attempt<()> {
        let exists = self.has_entry(path, scope)?;
        Err(Stop::Errno(if exists { Errno::EXIST } else { Errno::PERM }))
    }

    fn link(&self, path: &[u8], scope: Scope, to: &dyn Directory, new: &[u8], new_scope: Scope) -> Attempt<()> {
        let to = same_kind(to)?;
        let (old_parent, old) = self.parent(path, scope)?;
        // The one call on entries that would act on it.
        if old == b".." {
            return Err(Stop::Walk);
        }
        let (new_parent, new) = to.parent(new, new_scope)?;
        Ok(rustix::fs::linkat(&old_parent, old, &new_parent, new, AtFlags::empty())?)
    }

    fn rename(&self, path: &[u8], to: &dyn Directory, new: &[u8], scope: Scope) -> Attempt<()> {
        let to = same_kind(to)?;
        let (old_parent, old) = self.parent(path, scope)?;
        let (new_parent, new) = to.parent(new, scope)?;
        Ok(rustix::fs::renameat(&old_parent, old, &new_parent, new)?)
    }

    fn host_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.fd.as_fd())
    }
}

fn same_kind(to: &dyn Directory) -> Result<&HostDir, Errno> {
    (to as &dyn std::any::Any).downcast_ref().ok_or(Errno::XDEV)
}

/// Gives a file that was just created the mode that was asked for, whatever the host's umask made of it.
fn settle_file(fd: &OwnedFd, mode: u32) -> Result<(), Errno> {
    // Set-group-id is the kernel's to grant or refuse.
    let wanted = mode & 0o5777;
    let stat = rustix::fs::fstat(fd)?;
    if stat.st_mode & 0o5777 != wanted {
        rustix::fs::fchmod(fd, to_mode(wanted | stat.st_mode & 0o2000))?;
    }
    Ok(())
}

/// Changes the mode behind an `O_PATH` descriptor.
fn chmod(fd: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
    match sys::chmod_path_fd(fd, mode & 0o7777) {
        // Not there, or a seccomp filter that does not know it; a real EPERM comes back below.
        Err(Errno::NOSYS | Errno::PERM) => rustix::fs::chmod(proc_path(fd), to_mode(mode)),
        other => other,
    }
}

/// A path that opens what a descriptor stands for.
pub(super) fn proc_path(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

fn is_directory(fd: &OwnedFd) -> Result<bool, Errno> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode) == FileType::Directory)
}

fn to_mode(mode: u32) -> Mode {
    Mode::from_raw_mode((mode & 0o7777) as RawMode)
}

fn to_dirent_type(kind: FileType) -> u8 {
    match kind {
        FileType::RegularFile => libc::DT_REG,
        FileType::Directory => libc::DT_DIR,
        FileType::Symlink => libc::DT_LNK,
        FileType::Fifo => libc::DT_FIFO,
        FileType::Socket => libc::DT_SOCK,
        FileType::CharacterDevice => libc::DT_CHR,
        FileType::BlockDevice => libc::DT_BLK,
        FileType::Unknown => libc::DT_UNKNOWN,
    }
}

fn to_stat(from: &rustix::fs::Stat) -> libc::stat {
    let mut to = sys::blank_stat();
    to.st_dev = from.st_dev as _;
    to.st_ino = from.st_ino as _;
    to.st_nlink = from.st_nlink as _;
    to.st_mode = from.st_mode as _;
    to.st_uid = from.st_uid;
    to.st_gid = from.st_gid;
    to.st_rdev = from.st_rdev as _;
    to.st_size = from.st_size as _;
    to.st_blksize = from.st_blksize as _;
    to.st_blocks = from.st_blocks as _;
    to.st_atime = from.st_atime as _;
    to.st_atime_nsec = from.st_atime_nsec as _;
    to.st_mtime = from.st_mtime as _;
    to.st_mtime_nsec = from.st_mtime_nsec as _;
    to.st_ctime = from.st_ctime as _;
    to.st_ctime_nsec = from.st_ctime_nsec as _;
    to
}
