//! What a name stands for: status, and content by kind.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::Inner;
use super::file::FileData;
use crate::sys;
use crate::types::{Special, SpecialKind};

/// The kinds of node. A directory's entries are in the tree, by its number.
pub(crate) enum Kind {
    Directory,
    File(FileData),
    Symlink(Box<[u8]>),
    Special(Special),
}

pub(crate) struct Inode {
    pub(crate) number: u64,
    pub(crate) kind: Kind,
    device: u64,
    status: Mutex<Status>,
}

/// What can change without the content.
pub(crate) struct Status {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) links: u32,
    pub(crate) accessed: libc::timespec,
    pub(crate) modified: libc::timespec,
    pub(crate) changed: libc::timespec,
}

impl Inode {
    /// A node of the owner, in the host's ids; `mode` has the type bits. It has no links
    /// yet, a directory one: its own.
    pub(crate) fn new(number: u64, device: u64, owner: (u32, u32), mode: u32, kind: Kind) -> Self {
        let now = now();
        let links = if matches!(kind, Kind::Directory) { 1 } else { 0 };
        Self {
            number,
            kind,
            device,
            status: Mutex::new(Status {
                mode,
                uid: owner.0,
                gid: owner.1,
                links,
                accessed: now,
                modified: now,
                changed: now,
            }),
        }
    }

    pub(crate) fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory)
    }

    pub(crate) fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts links up or down; a change of status.
    pub(crate) fn add_links(&self, by: i32) {
        let mut status = self.status();
        status.links = status.links.saturating_add_signed(by);
        status.changed = now();
    }

    /// The content, or the entries, changed.
    pub(crate) fn touch(&self) {
        let now = now();
        let mut status = self.status();
        status.modified = now;
        status.changed = now;
    }

    pub(crate) fn chmod(&self, mode: u32) {
        let mut status = self.status();
        status.mode = status.mode & libc::S_IFMT | mode & 0o7777;
        status.changed = now();
    }

    pub(crate) fn chown(&self, uid: Option<u32>, gid: Option<u32>) {
        let mut status = self.status();
        status.uid = uid.unwrap_or(status.uid);
        status.gid = gid.unwrap_or(status.gid);
        status.changed = now();
    }

    pub(crate) fn set_times(&self, times: &[libc::timespec; 2]) -> Result<(), Errno> {
        let valid = |time: &libc::timespec| {
            (0..1_000_000_000).contains(&time.tv_nsec) || matches!(time.tv_nsec, libc::UTIME_NOW | libc::UTIME_OMIT)
        };
        if !times.iter().all(valid) {
            return Err(Errno::INVAL);
        }
        let now = now();
        let mut status = self.status();
        let pick = |asked: libc::timespec, old| match asked.tv_nsec {
            libc::UTIME_NOW => now,
            libc::UTIME_OMIT => old,
            _ => asked,
        };
        status.accessed = pick(times[0], status.accessed);
        status.modified = pick(times[1], status.modified);
        status.changed = now;
        Ok(())
    }

    /// The status, with the host's ids.
    pub(crate) fn stat(&self) -> libc::stat {
        let mut stat = sys::blank_stat();
        stat.st_dev = self.device as _;
        stat.st_ino = self.number as _;
        stat.st_blksize = super::pages::PAGE as _;
        match &self.kind {
            Kind::Directory => stat.st_size = 4096,
            Kind::File(data) => {
                let (size, pages) = data.usage();
                stat.st_size = size as _;
                stat.st_blocks = (pages * (super::pages::PAGE as u64 / 512)) as _;
            }
            Kind::Symlink(target) => stat.st_size = target.len() as _,
            Kind::Special(_) => {}
        }
        let status = self.status();
        stat.st_mode = status.mode as _;
        stat.st_nlink = status.links as _;
        stat.st_uid = status.uid;
        stat.st_gid = status.gid;
        stat.st_atime = status.accessed.tv_sec;
        stat.st_atime_nsec = status.accessed.tv_nsec;
        stat.st_mtime = status.modified.tv_sec;
        stat.st_mtime_nsec = status.modified.tv_nsec;
        stat.st_ctime = status.changed.tv_sec;
        stat.st_ctime_nsec = status.changed.tv_nsec;
        stat
    }

    pub(crate) fn dirent_type(&self) -> u8 {
        match &self.kind {
            Kind::Directory => libc::DT_DIR,
            Kind::File(_) => libc::DT_REG,
            Kind::Symlink(_) => libc::DT_LNK,
            Kind::Special(special) => match special.kind {
                SpecialKind::Socket => libc::DT_SOCK,
                SpecialKind::Executable => libc::DT_REG,
            },
        }
    }
}

impl Inner {
    pub(super) fn new_special(&self, mode: u32, special: Special) -> std::sync::Arc<Inode> {
        let kind = match special.kind {
            SpecialKind::Socket => libc::S_IFSOCK,
            SpecialKind::Executable => libc::S_IFREG,
        };
        self.new_inode(kind | mode & 0o7777, Kind::Special(special))
    }
}

/// The kernel stamps its files with the same, cheap clock.
fn now() -> libc::timespec {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    libc::timespec { tv_sec: now.tv_sec, tv_nsec: now.tv_nsec }
}
