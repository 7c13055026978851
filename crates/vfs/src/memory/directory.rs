//! The operations on a directory in memory.

use std::any::Any;
use std::ffi::c_int;
use std::sync::Arc;

use rustix::io::Errno;

use super::handle::MemoryHandle;
use super::inode::{Inode, Kind};
use super::{Inner, pages};
use crate::directory::{Attempt, Directory, Found, How, Scope, Stop};
use crate::identity::Identity;
use crate::path;
use crate::sys;
use crate::types::{DirEntry, File, Special, SpecialKind};

/// A directory of a [`super::MemoryFs`].
pub(crate) struct MemDir {
    fs: Arc<Inner>,
    inode: Arc<Inode>,
}

/// The last component of a path, in its directory.
struct Entry<'p> {
    directory: u64,
    name: &'p [u8],
    slash: bool,
}

impl MemDir {
    pub(super) fn new(fs: Arc<Inner>, inode: Arc<Inode>) -> Self {
        Self { fs, inode }
    }

    fn descend(&self, path: &[u8]) -> Attempt<Arc<Inode>> {
        let found = self.fs.tree.descend(&self.inode, path);
        found.map_err(|errno| errno.map_or(Stop::Walk, Stop::Errno))
    }

    fn entry<'p>(&self, path: &'p [u8]) -> Attempt<Entry<'p>> {
        let (directory, last) = path::split_last(path);
        let name = path::trim_end(last);
        if matches!(name, b"." | b"..") {
            return Err(Stop::Walk);
        }
        let directory = if directory.is_empty() { self.inode.number } else { self.descend(directory)?.number };
        Ok(Entry { directory, name, slash: name.len() < last.len() })
    }

    fn object(&self, path: &[u8], how: How) -> Attempt<Arc<Inode>> {
        if path == b"." {
            return Ok(self.inode.clone());
        }
        if path.ends_with(b"/") {
            return self.descend(path);
        }
        let entry = self.entry(path)?;
        let inode = self.fs.tree.get(entry.directory, entry.name)?;
        if how.follow && matches!(inode.kind, Kind::Symlink(_)) {
            return Err(Stop::Walk);
        }
        Ok(inode)
    }

    fn open_or_create(&self, path: &[u8], how: How, flags: c_int, mode: u32) -> Attempt<Arc<Inode>> {
        loop {
            match self.object(path, how) {
                Ok(_) if flags & libc::O_EXCL != 0 => return Err(Errno::EXIST.into()),
                Ok(inode) if inode.is_directory() => return Err(Errno::ISDIR.into()),
                Err(Stop::Errno(Errno::NOENT)) => {}
                other => return other,
            }
            let entry = self.entry(path)?;
            let inode = self.fs.new_file(mode, None);
            match self.fs.tree.insert(entry.directory, entry.name, inode.clone()) {
                Ok(()) => return Ok(inode),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl Directory for MemDir {
    fn lookup(&self, name: &[u8]) -> Result<Found, Errno> {
        let inode = self.fs.tree.get(self.inode.number, name)?;
        Ok(match &inode.kind {
            Kind::Directory => Found::Directory(Arc::new(MemDir::new(self.fs.clone(), inode))),
            Kind::Symlink(target) => Found::Symlink(target.to_vec()),
            _ => Found::Other,
        })
    }

    fn open(&self, path: &[u8], how: How, flags: c_int, mode: u32) -> Attempt<File> {
        if flags & libc::O_TMPFILE == libc::O_TMPFILE {
            return Err(Errno::OPNOTSUPP.into());
        }
        let inode = if flags & libc::O_CREAT != 0 {
            self.open_or_create(path, how, flags, mode)?
        } else {
            self.object(path, how)?
        };
        let writes = flags & libc::O_ACCMODE != libc::O_RDONLY;
        if flags & libc::O_DIRECTORY != 0 && !inode.is_directory() {
            return Err(Errno::NOTDIR.into());
        }
        match &inode.kind {
            Kind::Directory if writes || flags & libc::O_TRUNC != 0 => {
                return Err(Errno::ISDIR.into());
            }
            Kind::Symlink(_) if flags & libc::O_PATH == 0 => return Err(Errno::LOOP.into()),
            Kind::Special(_) if flags & libc::O_PATH != 0 => {}
            Kind::Special(special) => {
                return match special.kind {
                    SpecialKind::Socket => Err(Errno::NXIO.into()),
                    SpecialKind::Executable if writes => Err(Errno::TXTBSY.into()),
                    SpecialKind::Executable => Ok(File::Special(special.object.clone())),
                };
            }
            Kind::File(data) if flags & libc::O_TRUNC != 0 => {
                data.truncate(0)?;
                inode.touch();
            }
            _ => {}
        }
        Ok(File::Memory(MemoryHandle::new(inode, flags)))
    }

    fn stat(&self, path: &[u8], how: How) -> Attempt<libc::stat> {
        Ok(self.object(path, how)?.stat())
    }

    fn access(&self, path: &[u8], how: How, mode: c_int, identity: &Identity) -> Attempt<()> {
        Ok(identity.access(&self.object(path, how)?.stat(), mode)?)
    }

    fn chmod(&self, path: &[u8], how: How, mode: u32) -> Attempt<()> {
        let inode = self.object(path, how)?;
        if matches!(inode.kind, Kind::Symlink(_)) {
            return Err(Errno::OPNOTSUPP.into());
        }
        inode.chmod(mode);
        Ok(())
    }

    fn chown(&self, path: &[u8], how: How, uid: Option<u32>, gid: Option<u32>) -> Attempt<()> {
        self.object(path, how)?.chown(uid, gid);
        Ok(())
    }

    fn truncate(&self, path: &[u8], how: How, length: u64) -> Attempt<()> {
        let inode = self.object(path, how)?;
        match &inode.kind {
            Kind::File(data) => {
                data.truncate(length)?;
                inode.touch();
                Ok(())
            }
            Kind::Directory => Err(Errno::ISDIR.into()),
            _ => Err(Errno::INVAL.into()),
        }
    }

    fn set_times(&self, path: &[u8], how: How, times: &[libc::timespec; 2]) -> Attempt<()> {
        Ok(self.object(path, how)?.set_times(times)?)
    }

    fn statvfs(&self, path: &[u8], how: How) -> Attempt<libc::statvfs> {
        self.object(path, how)?;
        let space = &self.fs.space;
        // Without a limit, some number that looks like a disk.
        let limit = space.limit().min(pages::MAX_SIZE);
        let free = space.free().min(limit);
        let page = pages::PAGE as u64;
        let mut to = sys::blank_statvfs();
        to.f_bsize = page as _;
        to.f_frsize = page as _;
        to.f_blocks = (limit / page) as _;
        to.f_bfree = (free / page) as _;
        to.f_bavail = to.f_bfree;
        to.f_files = u32::MAX as _;
        to.f_ffree = u32::MAX as _;
        to.f_favail = u32::MAX as _;
        to.f_namemax = path::NAME_MAX as _;
        Ok(to)
    }

    fn read_dir(&self, path: &[u8], how: How) -> Attempt<Vec<DirEntry>> {
        let inode = self.object(path, how)?;
        if !inode.is_directory() {
            return Err(Errno::NOTDIR.into());
        }
        Ok(self.fs.tree.list(inode.number)?)
    }

    fn readlink(&self, path: &[u8], how: How) -> Attempt<Vec<u8>> {
        match &self.object(path, how)?.kind {
            Kind::Symlink(target) => Ok(target.to_vec()),
            _ => Err(Errno::INVAL.into()),
        }
    }

    fn special(&self, path: &[u8], how: How) -> Attempt<Option<Special>> {
        Ok(match &self.object(path, how)?.kind {
            Kind::Special(special) => Some(special.clone()),
            _ => None,
        })
    }

    fn mkdir(&self, path: &[u8], _: Scope, mode: u32) -> Attempt<()> {
        let entry = self.entry(path)?;
        let mode = libc::S_IFDIR | mode & 0o1777;
        let inode = self.fs.new_inode(mode, Kind::Directory);
        Ok(self.fs.tree.insert(entry.directory, entry.name, inode)?)
    }

    fn rmdir(&self, path: &[u8], _: Scope) -> Attempt<()> {
        let entry = self.entry(path)?;
        Ok(self.fs.tree.rmdir(entry.directory, entry.name)?)
    }

    fn unlink(&self, path: &[u8], _: Scope) -> Attempt<()> {
        let entry = self.entry(path)?;
        Ok(self.fs.tree.unlink(entry.directory, entry.name, entry.slash)?)
    }

    fn symlink(&self, target: &[u8], path: &[u8], _: Scope) -> Attempt<()> {
        let entry = self.entry(path)?;
        let inode = self.fs.new_inode(libc::S_IFLNK | 0o777, Kind::Symlink(target.into()));
        insert_no_slash(self, &entry, inode)
    }

    fn has_entry(&self, path: &[u8], _: Scope) -> Attempt<bool> {
        let entry = self.entry(path)?;
        match self.fs.tree.get(entry.directory, entry.name) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    fn bind_special(&self, path: &[u8], _: Scope, special: Special, mode: u32) -> Attempt<()> {
        let entry = self.entry(path)?;
        insert_no_slash(self, &entry, self.fs.new_special(mode, special))
    }

    fn link(&self, path: &[u8], scope: Scope, to: &dyn Directory, new: &[u8], _: Scope) -> Attempt<()> {
        let to = same_tree(self, to)?;
        let how = How { scope, follow: false };
        let inode = self.object(path, how)?;
        let entry = to.entry(new)?;
        if entry.slash {
            self.fs.tree.get(entry.directory, entry.name)?;
            return Err(Errno::EXIST.into());
        }
        Ok(self.fs.tree.link(entry.directory, entry.name, inode)?)
    }

    fn rename(&self, path: &[u8], to: &dyn Directory, new: &[u8], _: Scope) -> Attempt<()> {
        let to = same_tree(self, to)?;
        let from = self.entry(path)?;
        let to = to.entry(new)?;
        let slash = from.slash || to.slash;
        let (from, to) = ((from.directory, from.name), (to.directory, to.name));
        Ok(self.fs.tree.rename(from, to, slash)?)
    }
}

/// Only a directory may be made under a name with a trailing slash.
fn insert_no_slash(directory: &MemDir, entry: &Entry<'_>, inode: Arc<Inode>) -> Attempt<()> {
    let tree = &directory.fs.tree;
    if !entry.slash {
        return Ok(tree.insert(entry.directory, entry.name, inode)?);
    }
    tree.get(entry.directory, entry.name)?;
    Err(Errno::EXIST.into())
}

fn same_tree<'d>(from: &MemDir, to: &'d dyn Directory) -> Result<&'d MemDir, Errno> {
    (to as &dyn Any).downcast_ref::<MemDir>().filter(|to| Arc::ptr_eq(&from.fs, &to.fs)).ok_or(Errno::XDEV)
}
