//! The kernel, by rustix, in a directory of its own.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;

use rustix::fs::{AtFlags, Mode, OFlags, SeekFrom, Timespec, Timestamps};
use vfs::Errno;

use crate::op::{DEEP, Op, Outcome, Path, SLOTS, System, Value, names_value, pattern, stat_value};

pub(crate) struct Kernel {
    root: String,
    cwd: OwnedFd,
    cwd_path: Vec<u8>,
    files: [Option<OwnedFd>; SLOTS],
    _directory: tempfile::TempDir,
}

const DIR: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A directory, its canonical path, with the directories that the tests work in.
pub(crate) fn prepare() -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap().to_str().unwrap().to_owned();
    fs::create_dir_all(format!("{root}{DEEP}")).unwrap();
    fs::set_permissions(format!("{root}{DEEP}"), fs::Permissions::from_mode(0o755)).unwrap();
    (directory, root)
}

impl Kernel {
    pub(crate) fn new() -> Self {
        let (directory, root) = prepare();
        let cwd = rustix::fs::open(format!("{root}{DEEP}"), DIR, Mode::empty()).unwrap();
        Self { root, cwd_path: real_path(&cwd), cwd, files: [const { None }; SLOTS], _directory: directory }
    }

    /// The current directory was renamed or removed; then a [`vfs::Cwd`] keeps its old path.
    pub(crate) fn cwd_moved(&self) -> bool {
        real_path(&self.cwd) != self.cwd_path
    }

    fn path(&self, path: &Path) -> Vec<u8> {
        path.below(&self.root)
    }

    fn file(&self, slot: usize) -> Result<&OwnedFd, Errno> {
        self.files[slot].as_ref().ok_or(Errno::BADF)
    }

    fn stat(&self, path: &Path, flags: AtFlags) -> Result<rustix::fs::Stat, Errno> {
        rustix::fs::statat(&self.cwd, self.path(path), flags)
    }
}

impl System for Kernel {
    fn apply(&mut self, op: &Op) -> Outcome {
        let unit = |()| Value::Unit;
        let count = |n: usize| Value::Number(n as u64);
        match op {
            Op::Open(slot, path, flags, mode) => {
                let flags = OFlags::from_bits_retain(*flags as u32) | OFlags::CLOEXEC;
                let mode = Mode::from_raw_mode(*mode);
                self.files[*slot] = Some(rustix::fs::openat(&self.cwd, self.path(path), flags, mode)?);
                Ok(Value::Unit)
            }
            Op::Close(slot) => {
                self.files[*slot] = None;
                Ok(Value::Unit)
            }
            Op::Read(slot, length) => {
                let mut buffer = vec![0; *length];
                let n = rustix::io::read(self.file(*slot)?, &mut buffer[..])?;
                buffer.truncate(n);
                Ok(Value::Bytes(buffer))
            }
            Op::Write(slot, length) => rustix::io::write(self.file(*slot)?, &pattern(*length, 3)).map(count),
            Op::Pread(slot, length, offset) => {
                let mut buffer = vec![0; *length];
                let n = rustix::io::pread(self.file(*slot)?, &mut buffer[..], *offset as u64)?;
                buffer.truncate(n);
                Ok(Value::Bytes(buffer))
            }
            Op::Pwrite(slot, length, offset) => {
                rustix::io::pwrite(self.file(*slot)?, &pattern(*length, 5), *offset as u64).map(count)
            }
            Op::Seek(slot, offset, whence) => {
                let file = self.file(*slot)?;
                if rustix::fs::fstat(file)?.st_mode & libc::S_IFMT == libc::S_IFDIR {
                    return Ok(Value::Unit);
                }
                let to = match *whence {
                    libc::SEEK_SET => SeekFrom::Start(*offset as u64),
                    libc::SEEK_CUR => SeekFrom::Current(*offset),
                    libc::SEEK_END => SeekFrom::End(*offset),
                    _ => return Err(Errno::INVAL),
                };
                rustix::fs::seek(file, to).map(Value::Number)
            }
            Op::SetLength(slot, length) => rustix::fs::ftruncate(self.file(*slot)?, *length as u64).map(unit),
            Op::Fstat(slot) => {
                let stat = rustix::fs::fstat(self.file(*slot)?)?;
                stat_value(stat.st_mode, stat.st_nlink, stat.st_size)
            }
            Op::Truncate(path, length) => {
                if *length < 0 {
                    return Err(Errno::INVAL);
                }
                let flags = OFlags::WRONLY | OFlags::CLOEXEC;
                let file = rustix::fs::openat(&self.cwd, self.path(path), flags, Mode::empty())?;
                rustix::fs::ftruncate(&file, *length as u64).map(unit)
            }
            Op::Mkdir(path) => rustix::fs::mkdirat(&self.cwd, self.path(path), Mode::RWXU).map(unit),
            Op::Rmdir(path) => rustix::fs::unlinkat(&self.cwd, self.path(path), AtFlags::REMOVEDIR).map(unit),
            Op::Unlink(path) => rustix::fs::unlinkat(&self.cwd, self.path(path), AtFlags::empty()).map(unit),
            Op::Rename(from, to) => {
                rustix::fs::renameat(&self.cwd, self.path(from), &self.cwd, self.path(to)).map(unit)
            }
            Op::Link(from, to) => {
                let (from, to) = (self.path(from), self.path(to));
                rustix::fs::linkat(&self.cwd, from, &self.cwd, to, AtFlags::empty()).map(unit)
            }
            Op::Symlink(target, path) => rustix::fs::symlinkat(self.path(target), &self.cwd, self.path(path)).map(unit),
            Op::Readlink(path) => {
                let text = rustix::fs::readlinkat(&self.cwd, self.path(path), Vec::new())?.into_bytes();
                Ok(Value::Bytes(without(&text, &self.root)))
            }
            Op::Stat(path) => {
                let stat = self.stat(path, AtFlags::empty())?;
                stat_value(stat.st_mode, stat.st_nlink, stat.st_size)
            }
            Op::Lstat(path) => {
                let stat = self.stat(path, AtFlags::SYMLINK_NOFOLLOW)?;
                stat_value(stat.st_mode, stat.st_nlink, stat.st_size)
            }
            Op::SameFile(a, b) => {
                let a = self.stat(a, AtFlags::empty())?;
                let b = self.stat(b, AtFlags::empty())?;
                Ok(Value::Flag((a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)))
            }
            Op::List(path) => {
                let fd = rustix::fs::openat(&self.cwd, self.path(path), DIR, Mode::empty())?;
                let entries = rustix::fs::Dir::new(fd)?.map(|entry| {
                    let entry = entry?;
                    let name = entry.file_name().to_bytes().to_vec();
                    let kind = entry.file_type().as_raw_mode() >> 12;
                    Ok((name, kind as u8))
                });
                names_value(entries.collect::<Result<_, Errno>>()?)
            }
            Op::Chdir(path) => {
                self.cwd = rustix::fs::openat(&self.cwd, self.path(path), DIR, Mode::empty())?;
                self.cwd_path = real_path(&self.cwd);
                Ok(Value::Unit)
            }
            Op::Realpath(path) => {
                let fd = rustix::fs::openat(&self.cwd, self.path(path), OFlags::PATH, Mode::empty())?;
                Ok(Value::Bytes(without(&real_path(&fd), &self.root)))
            }
            Op::Access(path, mode) => {
                let access = rustix::fs::Access::from_bits_retain(*mode as u32);
                rustix::fs::accessat(&self.cwd, self.path(path), access, AtFlags::EACCESS).map(unit)
            }
            Op::Chmod(path, mode) => {
                let mode = Mode::from_raw_mode(*mode);
                rustix::fs::chmodat(&self.cwd, self.path(path), mode, AtFlags::empty()).map(unit)
            }
            Op::Touch(path, seconds) => {
                let time = Timespec { tv_sec: *seconds, tv_nsec: 5 };
                let times = Timestamps { last_access: time, last_modification: time };
                rustix::fs::utimensat(&self.cwd, self.path(path), &times, AtFlags::empty())?;
                Ok(Value::Number(self.stat(path, AtFlags::empty())?.st_mtime as u64))
            }
        }
    }
}

fn real_path(fd: &OwnedFd) -> Vec<u8> {
    let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
    fs::read_link(link).unwrap().into_os_string().into_vec()
}

/// The text with the root, which is each system's own, taken out.
pub(crate) fn without(text: &[u8], root: &str) -> Vec<u8> {
    match text.strip_prefix(std::ffi::OsStr::new(root).as_bytes()) {
        Some(rest) => [b"ROOT", rest].concat(),
        None => text.to_vec(),
    }
}
