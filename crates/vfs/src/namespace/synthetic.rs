//! The directories above mounts that no file system has: they can be seen and listed, and nothing else.

use std::ffi::c_int;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use rustix::io::Errno;

use crate::directory::{Attempt, Directory, Found, How, Scope, Stop};
use crate::identity::Identity;
use crate::memory::{Inode, Kind, MemoryHandle};
use crate::types::{DirEntry, File, Special};

/// One such directory. Its children are the namespace's to find.
pub(crate) struct Synthetic {
    inode: Arc<Inode>,
}

impl Synthetic {
    pub(crate) fn new(path: &[u8]) -> Self {
        let device = libc::makedev(0, 0x7_ffff);
        let inode = Inode::new(inode_number(path), device, (0, 0), libc::S_IFDIR | 0o555, Kind::Directory);
        inode.add_links(1);
        Self { inode: Arc::new(inode) }
    }

    /// All that can be reached from here without the namespace is the directory itself.
    fn itself(&self, path: &[u8]) -> Attempt<()> {
        match path {
            b"." => Ok(()),
            _ => Err(Errno::ACCESS.into()),
        }
    }

    fn unchanging<T>(&self, path: &[u8]) -> Attempt<T> {
        self.itself(path)?;
        Err(Stop::Errno(Errno::PERM))
    }
}

/// The same path has the same number, wherever it is seen.
pub(crate) fn inode_number(path: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish() >> 1 | 1
}

impl Directory for Synthetic {
    fn lookup(&self, _: &[u8]) -> Result<Found, Errno> {
        Err(Errno::ACCESS)
    }

    fn open(&self, path: &[u8], _: How, flags: c_int, _: u32) -> Attempt<File> {
        self.itself(path)?;
        if flags & libc::O_CREAT != 0 && flags & libc::O_EXCL != 0 {
            return Err(Errno::EXIST.into());
        }
        if flags & libc::O_TMPFILE == libc::O_TMPFILE {
            return Err(Errno::ACCESS.into());
        }
        if flags & libc::O_ACCMODE != libc::O_RDONLY || flags & (libc::O_CREAT | libc::O_TRUNC) != 0 {
            return Err(Errno::ISDIR.into());
        }
        let handle = MemoryHandle::new(self.inode.clone(), flags);
        handle.set_read_only();
        Ok(File::Memory(handle))
    }

    fn stat(&self, path: &[u8], _: How) -> Attempt<libc::stat> {
        self.itself(path)?;
        Ok(self.inode.stat())
    }

    fn access(&self, path: &[u8], _: How, mode: c_int, identity: &Identity) -> Attempt<()> {
        self.itself(path)?;
        if mode & libc::W_OK != 0 {
            return Err(Errno::ACCESS.into());
        }
        Ok(identity.access(&self.inode.stat(), mode)?)
    }

    fn chmod(&self, path: &[u8], _: How, _: u32) -> Attempt<()> {
        self.unchanging(path)
    }

    fn chown(&self, path: &[u8], _: How, _: Option<u32>, _: Option<u32>) -> Attempt<()> {
        self.unchanging(path)
    }

    fn truncate(&self, path: &[u8], _: How, _: u64) -> Attempt<()> {
        self.itself(path)?;
        Err(Errno::ISDIR.into())
    }

    fn set_times(&self, path: &[u8], _: How, _: &[libc::timespec; 2]) -> Attempt<()> {
        self.unchanging(path)
    }

    fn statvfs(&self, path: &[u8], _: How) -> Attempt<libc::statvfs> {
        self.itself(path)?;
        let mut to = crate::sys::blank_statvfs();
        to.f_bsize = 4096;
        to.f_frsize = 4096;
        to.f_flag = libc::ST_RDONLY;
        to.f_namemax = crate::path::NAME_MAX as _;
        Ok(to)
    }

    fn read_dir(&self, path: &[u8], _: How) -> Attempt<Vec<DirEntry>> {
        self.itself(path)?;
        let inode = self.inode.number;
        let entry = |name: &[u8]| DirEntry { name: name.to_vec(), inode, file_type: libc::DT_DIR };
        Ok(vec![entry(b"."), entry(b"..")])
    }

    fn readlink(&self, path: &[u8], _: How) -> Attempt<Vec<u8>> {
        self.itself(path)?;
        Err(Errno::INVAL.into())
    }

    fn special(&self, path: &[u8], _: How) -> Attempt<Option<Special>> {
        self.itself(path).map(|()| None)
    }

    fn mkdir(&self, _: &[u8], _: Scope, _: u32) -> Attempt<()> {
        Err(Errno::ACCESS.into())
    }

    fn rmdir(&self, _: &[u8], _: Scope) -> Attempt<()> {
        Err(Errno::ACCESS.into())
    }

    fn unlink(&self, _: &[u8], _: Scope) -> Attempt<()> {
        Err(Errno::ACCESS.into())
    }

    fn symlink(&self, _: &[u8], _: &[u8], _: Scope) -> Attempt<()> {
        Err(Errno::ACCESS.into())
    }

    fn has_entry(&self, _: &[u8], _: Scope) -> Attempt<bool> {
        Err(Errno::ACCESS.into())
    }

    fn bind_special(&self, _: &[u8], _: Scope, _: Special, _: u32) -> Attempt<()> {
        Err(Errno::ACCESS.into())
    }

    fn link(&self, _: &[u8], _: Scope, _: &dyn Directory, _: &[u8], _: Scope) -> Attempt<()> {
        Err(Errno::ACCESS.into())
    }

    fn rename(&self, _: &[u8], _: &dyn Directory, _: &[u8], _: Scope) -> Attempt<()> {
        Err(Errno::ACCESS.into())
    }
}
