//! The operations that programs call.

use std::ffi::{OsStr, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::io::Errno;

use super::resolve::{check, finish};
use super::synthetic::inode_number;
use super::walk::{Final, Last};
use super::{At, Cwd, HostEntry, Namespace, or_root};
use crate::directory::{Attempt, How, Scope, Stop};
use crate::path;
use crate::types::{Access, DirEntry, File, Special};

/// Operations fail as Linux's calls of the same names do, and with `EACCES` where no mount or grant is.
#[allow(clippy::missing_errors_doc)]
impl Namespace {
    /// `open`. `mode` is final: no umask is applied, neither a virtual one (that is the caller's business) nor the host's.
    pub fn open(&self, cwd: &Cwd, path: &[u8], flags: c_int, mode: u32) -> Result<File, Errno> {
        Ok(self.open_with_access(cwd, path, flags, mode)?.0)
    }

    /// As [`Namespace::open`], and what the mount allows: who lets programs change files by descriptor (`fchmod`, `fchown`,
    /// `futimens`, some `ioctl`s) must refuse that for a kernel descriptor of a read-only mount.
    pub fn open_with_access(&self, cwd: &Cwd, path: &[u8], flags: c_int, mode: u32) -> Result<(File, Access), Errno> {
        self.pending.ask(&cwd.path, path, true)?;
        let mut flags = flags;
        if flags & libc::O_PATH != 0 {
            flags &= libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
        }
        let creates = flags & libc::O_CREAT != 0;
        if creates && flags & libc::O_DIRECTORY != 0 {
            return Err(Errno::INVAL);
        }
        if creates && path.ends_with(b"/") {
            return Err(self.create_directory_error(cwd, path, flags));
        }
        let exclusive = creates && flags & libc::O_EXCL != 0;
        let last = if exclusive || flags & libc::O_NOFOLLOW != 0 {
            Final::NoFollow
        } else if creates {
            Final::Create
        } else {
            Final::Follow
        };
        flags &= !libc::O_NOFOLLOW;
        self.object(cwd, path, last, |at| {
            let flags = if at.mount.access == Access::ReadOnly && is_change(flags) {
                without_change(at, flags)?
            } else {
                flags
            };
            let file = at.dir.open(at.path, at.how, flags, mode)?;
            if let (File::Memory(handle), Access::ReadOnly) = (&file, at.mount.access) {
                handle.set_read_only();
            }
            Ok((file, at.mount.access))
        })
    }

    /// What Linux says to `O_CREAT` with a trailing slash: it never works.
    fn create_directory_error(&self, cwd: &Cwd, path: &[u8], flags: c_int) -> Errno {
        let (directory, last) = path::split_last(path);
        let parent = if directory.is_empty() { b"." } else { directory };
        match (self.stat(cwd, parent), path::trim_end(last)) {
            (Err(errno), _) => errno,
            (_, b"" | b"." | b"..") if flags & libc::O_EXCL != 0 => Errno::EXIST,
            _ => Errno::ISDIR,
        }
    }

    /// `stat`, with the virtual owner.
    pub fn stat(&self, cwd: &Cwd, path: &[u8]) -> Result<libc::stat, Errno> {
        self.status(cwd, path, true)
    }

    /// `lstat`, with the virtual owner.
    pub fn lstat(&self, cwd: &Cwd, path: &[u8]) -> Result<libc::stat, Errno> {
        self.status(cwd, path, false)
    }

    fn status(&self, cwd: &Cwd, path: &[u8], follow: bool) -> Result<libc::stat, Errno> {
        let mut stat = self.object(cwd, path, follow_if(follow), |at| at.dir.stat(at.path, at.how))?;
        self.identity.map_stat(&mut stat);
        Ok(stat)
    }

    /// `access` with the virtual user as the effective and the real one.
    pub fn access(&self, cwd: &Cwd, path: &[u8], mode: c_int) -> Result<(), Errno> {
        if mode & !(libc::R_OK | libc::W_OK | libc::X_OK) != 0 {
            return Err(Errno::INVAL);
        }
        self.object(cwd, path, Final::Follow, |at| {
            at.dir.access(at.path, at.how, mode, &self.identity)?;
            if mode & libc::W_OK != 0 {
                at.writable()?;
            }
            Ok(())
        })
    }

    /// `chmod`.
    pub fn chmod(&self, cwd: &Cwd, path: &[u8], mode: u32) -> Result<(), Errno> {
        self.object(cwd, path, Final::Follow, |at| {
            at.writable_object()?;
            at.dir.chmod(at.path, at.how, mode)
        })
    }

    /// `chown`, or `lchown` without `follow`. Accepted for the virtual user's own files, and only to itself.
    pub fn chown(&self, cwd: &Cwd, path: &[u8], uid: Option<u32>, gid: Option<u32>, follow: bool) -> Result<(), Errno> {
        self.object(cwd, path, follow_if(follow), |at| {
            let stat = at.dir.stat(at.path, at.how)?;
            at.writable()?;
            let (uid, gid) = self.identity.owner_to_host(uid, gid)?;
            if !self.identity.owns(&stat) {
                return Err(Errno::PERM.into());
            }
            at.dir.chown(at.path, at.how, uid, gid)
        })
    }

    /// `truncate`.
    pub fn truncate(&self, cwd: &Cwd, path: &[u8], length: i64) -> Result<(), Errno> {
        let length = u64::try_from(length).map_err(|_| Errno::INVAL)?;
        self.object(cwd, path, Final::Follow, |at| {
            at.writable_object()?;
            at.dir.truncate(at.path, at.how, length)
        })
    }

    /// `utimensat`: access and modification time, perhaps `UTIME_NOW` or `UTIME_OMIT`.
    pub fn set_times(&self, cwd: &Cwd, path: &[u8], times: &[libc::timespec; 2], follow: bool) -> Result<(), Errno> {
        self.object(cwd, path, follow_if(follow), |at| {
            at.writable_object()?;
            at.dir.set_times(at.path, at.how, times)
        })
    }

    /// `statvfs`.
    pub fn statvfs(&self, cwd: &Cwd, path: &[u8]) -> Result<libc::statvfs, Errno> {
        self.object(cwd, path, Final::Follow, |at| {
            let mut status = at.dir.statvfs(at.path, at.how)?;
            if at.mount.access == Access::ReadOnly {
                status.f_flag |= libc::ST_RDONLY;
            }
            Ok(status)
        })
    }

    /// The text of a symbolic link, not cut.
    pub fn readlink(&self, cwd: &Cwd, path: &[u8]) -> Result<Vec<u8>, Errno> {
        self.object(cwd, path, Final::NoFollow, |at| at.dir.readlink(at.path, at.how))
    }

    /// All entries of a directory, in no order, `.` and `..` among them, and what is mounted in it.
    pub fn read_dir(&self, cwd: &Cwd, path: &[u8]) -> Result<Vec<DirEntry>, Errno> {
        check(path)?;
        self.pending.ask(&cwd.path, path, true)?;
        if let Some(guess) = self.guess(cwd, path)
            && !guess.mount.is_nested()
        {
            let at = guess.at(true);
            match at.dir.read_dir(at.path, at.how) {
                Err(Stop::Walk) => {}
                other => return finish(other),
            }
        }
        self.read_dir_with_mounts(cwd, path)
    }

    fn read_dir_with_mounts(&self, cwd: &Cwd, path: &[u8]) -> Result<Vec<DirEntry>, Errno> {
        let spot = self.spot(cwd, path)?;
        let at = spot.at(true);
        let mut entries = finish(at.dir.read_dir(at.path, at.how))?;
        let table = self.table();
        for (below, mount) in table.below(&spot.path) {
            let (name, rest) = path::first(below);
            let known = entries.iter().position(|entry| entry.name == name);
            if !mount.listed {
                if let (Some(at), true) = (known, rest.is_empty()) {
                    entries.remove(at);
                }
                continue;
            }
            let entry = if rest.is_empty() {
                let stat = mount_stat(mount);
                let Ok(stat) = finish(stat) else { continue };
                DirEntry { name: name.to_vec(), inode: stat.st_ino, file_type: (stat.st_mode >> 12) as u8 }
            } else if known.is_some_and(|at| entries[at].file_type == libc::DT_DIR) {
                continue;
            } else {
                DirEntry {
                    name: name.to_vec(),
                    inode: inode_number(&path::join(&spot.path, name)),
                    file_type: libc::DT_DIR,
                }
            };
            match known {
                Some(at) => entries[at] = entry,
                None => entries.push(entry),
            }
        }
        Ok(entries)
    }

    /// `mkdir`. `mode` is final, as for [`Namespace::open`].
    pub fn mkdir(&self, cwd: &Cwd, path: &[u8], mode: u32) -> Result<(), Errno> {
        self.entry(
            cwd,
            path,
            |_| Errno::EXIST,
            |at| {
                at.new_entry()?;
                at.dir.mkdir(at.path, at.how.scope, mode)
            },
        )
    }

    /// `rmdir`.
    pub fn rmdir(&self, cwd: &Cwd, path: &[u8]) -> Result<(), Errno> {
        let no_name = |last| match last {
            Last::Dot => Errno::INVAL,
            Last::DotDot => Errno::NOTEMPTY,
            _ => Errno::BUSY,
        };
        self.pending.ask(&cwd.path, path, true)?;
        self.entry(cwd, path, no_name, |at| {
            at.writable()?;
            at.dir.rmdir(at.path, at.how.scope)
        })
    }

    /// `unlink`.
    pub fn unlink(&self, cwd: &Cwd, path: &[u8]) -> Result<(), Errno> {
        self.entry(
            cwd,
            path,
            |_| Errno::ISDIR,
            |at| {
                at.writable()?;
                at.dir.unlink(at.path, at.how.scope)
            },
        )
    }

    /// `rename`. `EXDEV` between mounts, `EBUSY` for mounts and the directories above them.
    pub fn rename(&self, cwd: &Cwd, from: &[u8], to: &[u8]) -> Result<(), Errno> {
        self.rename_entries(cwd, from, to)
    }

    /// `symlink`. Any text will do; it only leads where the name space does.
    pub fn symlink(&self, cwd: &Cwd, target: &[u8], path: &[u8]) -> Result<(), Errno> {
        match target.len() {
            0 => return Err(Errno::NOENT),
            length if length >= path::PATH_MAX => return Err(Errno::NAMETOOLONG),
            _ => {}
        }
        self.entry(
            cwd,
            path,
            |_| Errno::EXIST,
            |at| {
                at.new_entry()?;
                at.dir.symlink(target, at.path, at.how.scope)
            },
        )
    }

    /// `link`. A symbolic link at the end of `from` is linked itself, as on Linux. `EXDEV` between mounts.
    pub fn link(&self, cwd: &Cwd, from: &[u8], to: &[u8]) -> Result<(), Errno> {
        self.object(cwd, from, Final::NoFollow, |old| {
            let stat = old.dir.stat(old.path, old.how)?;
            let linked = self.entry(
                cwd,
                to,
                |_| Errno::EXIST,
                |new| {
                    new.new_entry()?;
                    if !std::ptr::eq(old.mount, new.mount) {
                        new.absent()?;
                        return Err(Errno::XDEV.into());
                    }
                    if stat.st_mode & libc::S_IFMT == libc::S_IFDIR {
                        new.absent()?;
                        let slash = new.path.ends_with(b"/");
                        return Err(Stop::Errno(if slash { Errno::NOENT } else { Errno::PERM }));
                    }
                    old.dir.link(old.path, old.how.scope, new.dir, new.path, new.how.scope)
                },
            );
            // If it was the old path that had to be walked, the next round does it.
            match linked {
                Err(Errno::LOOP) if old.how.scope != Scope::Entry => Err(Stop::Walk),
                other => Ok(other?),
            }
        })
    }

    /// Makes a node that stands for an object of the caller: a bound socket, a program. Only file systems in memory can;
    /// others say `EPERM`. `mode` is final.
    pub fn bind_special(&self, cwd: &Cwd, path: &[u8], special: Special, mode: u32) -> Result<(), Errno> {
        self.entry(
            cwd,
            path,
            |_| Errno::EXIST,
            |at| {
                at.new_entry()?;
                at.dir.bind_special(at.path, at.how.scope, special.clone(), mode)
            },
        )
    }

    /// The special node at `path`; None if something else is there.
    pub fn special(&self, cwd: &Cwd, path: &[u8]) -> Result<Option<Special>, Errno> {
        self.object(cwd, path, Final::Follow, |at| at.dir.special(at.path, at.how))
    }

    /// `realpath`: the absolute path without links, which must exist.
    pub fn canonicalize(&self, cwd: &Cwd, path: &[u8]) -> Result<Vec<u8>, Errno> {
        let spot = self.spot(cwd, path)?;
        let at = spot.at(true);
        finish(at.dir.stat(at.path, at.how))?;
        Ok(or_root(&spot.path).to_vec())
    }

    /// `chdir`.
    pub fn chdir(&self, cwd: &mut Cwd, path: &[u8]) -> Result<(), Errno> {
        let spot = self.spot(cwd, path)?;
        let at = spot.at(true);
        finish(at.dir.stat(at.path, at.how))?;
        if spot.name != b"." {
            return Err(Errno::NOTDIR);
        }
        finish(at.dir.access(at.path, at.how, libc::X_OK, &self.identity))?;
        *cwd = Cwd { node: spot.node.clone(), path: spot.path };
        Ok(())
    }

    /// Where a path, which need not exist, lies on the host; None if it lies in memory.
    ///
    /// To `bind` a Unix socket, use [`Namespace::host_entry`]; to `connect` to one, open it with `O_PATH` and use
    /// `/proc/self/fd/N`: a plain path may be changed by others before it is used.
    pub fn host_path(&self, cwd: &Cwd, path: &[u8]) -> Result<Option<PathBuf>, Errno> {
        Ok(self.host_entry(cwd, path)?.map(|entry| entry.path))
    }

    /// As [`Namespace::host_path`], with the directory held open.
    pub fn host_entry(&self, cwd: &Cwd, path: &[u8]) -> Result<Option<HostEntry>, Errno> {
        let spot = self.spot(cwd, path)?;
        let mount = &spot.node.mount;
        if mount.synthetic {
            return Err(Errno::ACCESS);
        }
        let (Some(fd), Some(root)) = (spot.node.dir.host_fd(), &mount.host) else {
            return Ok(None);
        };
        let inner = path::trim_start(&spot.path[mount.path.len()..]);
        let path = match &mount.entry {
            Some(entry) => root.join(OsStr::from_bytes(entry)),
            None if inner.is_empty() => root.clone(),
            None => root.join(OsStr::from_bytes(inner)),
        };
        Ok(Some(HostEntry {
            directory: rustix::io::fcntl_dupfd_cloexec(fd, libc::STDERR_FILENO + 1)?,
            name: OsStr::from_bytes(&spot.name).to_owned(),
            path,
            access: mount.access,
        }))
    }
}

fn follow_if(follow: bool) -> Final {
    if follow { Final::Follow } else { Final::NoFollow }
}

fn mount_stat(mount: &super::Mount) -> Attempt<libc::stat> {
    let how = How { scope: Scope::Entry, follow: false };
    mount.root.stat(mount.entry.as_deref().unwrap_or(b"."), how)
}

/// Opening with these flags would change the file system, or allow to.
fn is_change(flags: c_int) -> bool {
    flags & libc::O_PATH == 0
        && (flags & libc::O_ACCMODE != libc::O_RDONLY
            || flags & (libc::O_CREAT | libc::O_TRUNC) != 0
            || flags & libc::O_TMPFILE == libc::O_TMPFILE)
}

/// The flags to open a file of a read-only mount with, or the error that its kind and existence call for.
fn without_change(at: &At<'_>, flags: c_int) -> Attempt<c_int> {
    let creates = flags & libc::O_CREAT != 0;
    let temporary = flags & libc::O_TMPFILE == libc::O_TMPFILE;
    let writes = flags & libc::O_ACCMODE != libc::O_RDONLY || flags & libc::O_TRUNC != 0;
    let stat = match at.dir.stat(at.path, at.how) {
        Err(Stop::Errno(Errno::NOENT)) if creates => return Err(Errno::ROFS.into()),
        other => other?,
    };
    if creates && flags & libc::O_EXCL != 0 {
        return Err(Errno::EXIST.into());
    }
    if !temporary && stat.st_mode & libc::S_IFMT == libc::S_IFDIR {
        return Err(Errno::ISDIR.into());
    }
    if temporary || writes {
        return Err(Errno::ROFS.into());
    }
    Ok(flags & !libc::O_CREAT)
}

impl At<'_> {
    /// `EROFS` for what exists in a read-only mount.
    fn writable_object(&self) -> Attempt<()> {
        if self.mount.access == Access::ReadOnly {
            self.dir.stat(self.path, self.how)?;
            return Err(Errno::ROFS.into());
        }
        Ok(())
    }

    /// `EEXIST` if there is such an entry.
    fn absent(&self) -> Attempt<()> {
        if self.dir.has_entry(self.path, self.how.scope)? {
            return Err(Errno::EXIST.into());
        }
        Ok(())
    }

    /// Whether an entry may be made here: not in a read-only mount, nor in place of a granted file, which is made by
    /// opening it only.
    fn new_entry(&self) -> Attempt<()> {
        if self.mount.entry.is_some() {
            self.absent()?;
            return Err(Errno::ACCESS.into());
        }
        if self.mount.access == Access::ReadOnly {
            self.absent()?;
            return Err(Errno::ROFS.into());
        }
        Ok(())
    }
}
