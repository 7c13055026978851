//! A name space with the file system under test mounted at the path that its directory has on the host.

use std::sync::Arc;

use vfs::{Access, Cwd, Errno, File, HostFs, Identity, MemoryFs, MemoryHandle, Namespace};

use crate::kernel::{prepare, without};
use crate::op::{DEEP, Op, Outcome, Path, SLOTS, System, Value, names_value, pattern, stat_value};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Variant {
    Host,
    HostWalking,
    /// With another mount below, which takes the fast paths that must look out for it.
    HostNested,
    Memory,
    MemoryNested,
}

pub(crate) struct Virtual {
    root: String,
    namespace: Namespace,
    cwd: Cwd,
    files: [Option<File>; SLOTS],
    _directory: tempfile::TempDir,
}

impl Virtual {
    pub(crate) fn new(variant: Variant) -> Self {
        let (directory, root) = prepare();
        let identity = Identity::new(rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let namespace = Namespace::new(identity);
        let at = root.as_bytes();
        let memory = || {
            let fs = MemoryFs::new(None);
            fs.insert_directory(DEEP.as_bytes(), 0o755).unwrap();
            fs
        };
        let fs: Arc<dyn vfs::FileSystem> = match variant {
            Variant::Host | Variant::HostNested => HostFs::open(directory.path()).unwrap(),
            Variant::HostWalking => HostFs::open_walking(directory.path()).unwrap(),
            Variant::Memory | Variant::MemoryNested => memory(),
        };
        namespace.mount(at, fs, Access::ReadWrite).unwrap();
        if matches!(variant, Variant::HostNested | Variant::MemoryNested) {
            let nested = format!("{root}/1/nested");
            namespace.mount(nested.as_bytes(), MemoryFs::new(None), Access::ReadWrite).unwrap();
        }
        let mut cwd = namespace.root();
        namespace.chdir(&mut cwd, format!("{root}{DEEP}").as_bytes()).unwrap();
        Self { root, namespace, cwd, files: [const { None }; SLOTS], _directory: directory }
    }

    fn path(&self, path: &Path) -> Vec<u8> {
        path.below(&self.root)
    }

    fn file(&self, slot: usize) -> Result<&File, Errno> {
        self.files[slot].as_ref().ok_or(Errno::BADF)
    }

    fn stat(&self, path: &Path) -> Result<libc::stat, Errno> {
        self.namespace.stat(&self.cwd, &self.path(path))
    }
}

/// Either kind of open file.
fn on<T>(
    file: &File,
    kernel: impl FnOnce(&std::os::fd::OwnedFd) -> Result<T, Errno>,
    memory: impl FnOnce(&MemoryHandle) -> Result<T, Errno>,
) -> Result<T, Errno> {
    match file {
        File::Kernel(fd) => kernel(fd),
        File::Memory(handle) => memory(handle),
        File::Special(_) => unreachable!("none are made"),
    }
}

impl System for Virtual {
    fn apply(&mut self, op: &Op) -> Outcome {
        let unit = |()| Value::Unit;
        let count = |n: usize| Value::Number(n as u64);
        let (namespace, cwd) = (&self.namespace, &self.cwd);
        match op {
            Op::Open(slot, path, flags, mode) => {
                self.files[*slot] = Some(namespace.open(cwd, &self.path(path), *flags, *mode)?);
                Ok(Value::Unit)
            }
            Op::Close(slot) => {
                self.files[*slot] = None;
                Ok(Value::Unit)
            }
            Op::Read(slot, length) => {
                let mut buffer = vec![0; *length];
                let mut buffer2 = vec![0; *length];
                let n = on(
                    self.file(*slot)?,
                    |fd| rustix::io::read(fd, &mut buffer[..]),
                    |handle| handle.read(&mut buffer2),
                )?;
                let mut buffer = if matches!(self.file(*slot)?, File::Kernel(_)) { buffer } else { buffer2 };
                buffer.truncate(n);
                Ok(Value::Bytes(buffer))
            }
            Op::Write(slot, length) => {
                let data = pattern(*length, 3);
                on(self.file(*slot)?, |fd| rustix::io::write(fd, &data), |handle| handle.write(&data)).map(count)
            }
            Op::Pread(slot, length, offset) => {
                let mut buffer = vec![0; *length];
                let n = match self.file(*slot)? {
                    File::Kernel(fd) => rustix::io::pread(fd, &mut buffer[..], *offset as u64)?,
                    File::Memory(handle) => handle.pread(&mut buffer, *offset)?,
                    File::Special(_) => unreachable!(),
                };
                buffer.truncate(n);
                Ok(Value::Bytes(buffer))
            }
            Op::Pwrite(slot, length, offset) => {
                let data = pattern(*length, 5);
                on(
                    self.file(*slot)?,
                    |fd| rustix::io::pwrite(fd, &data, *offset as u64),
                    |handle| handle.pwrite(&data, *offset),
                )
                .map(count)
            }
            Op::Seek(slot, offset, whence) => on(
                self.file(*slot)?,
                |fd| {
                    if rustix::fs::fstat(fd)?.st_mode & libc::S_IFMT == libc::S_IFDIR {
                        return Ok(Value::Unit);
                    }
                    let to = match *whence {
                        libc::SEEK_SET => rustix::fs::SeekFrom::Start(*offset as u64),
                        libc::SEEK_CUR => rustix::fs::SeekFrom::Current(*offset),
                        libc::SEEK_END => rustix::fs::SeekFrom::End(*offset),
                        _ => return Err(Errno::INVAL),
                    };
                    rustix::fs::seek(fd, to).map(Value::Number)
                },
                |handle| {
                    if handle.stat().st_mode & libc::S_IFMT == libc::S_IFDIR {
                        return Ok(Value::Unit);
                    }
                    handle.seek(*offset, *whence).map(Value::Number)
                },
            ),
            Op::SetLength(slot, length) => {
                on(self.file(*slot)?, |fd| rustix::fs::ftruncate(fd, *length as u64), |handle| handle.truncate(*length))
                    .map(unit)
            }
            Op::Fstat(slot) => match self.file(*slot)? {
                File::Kernel(fd) => {
                    let stat = rustix::fs::fstat(fd)?;
                    stat_value(stat.st_mode, stat.st_nlink, stat.st_size)
                }
                File::Memory(handle) => {
                    let stat = handle.stat();
                    stat_value(stat.st_mode, stat.st_nlink, stat.st_size)
                }
                File::Special(_) => unreachable!(),
            },
            Op::Truncate(path, length) => namespace.truncate(cwd, &self.path(path), *length).map(unit),
            Op::Mkdir(path) => namespace.mkdir(cwd, &self.path(path), 0o700).map(unit),
            Op::Rmdir(path) => namespace.rmdir(cwd, &self.path(path)).map(unit),
            Op::Unlink(path) => namespace.unlink(cwd, &self.path(path)).map(unit),
            Op::Rename(from, to) => namespace.rename(cwd, &self.path(from), &self.path(to)).map(unit),
            Op::Link(from, to) => namespace.link(cwd, &self.path(from), &self.path(to)).map(unit),
            Op::Symlink(target, path) => namespace.symlink(cwd, &self.path(target), &self.path(path)).map(unit),
            Op::Readlink(path) => {
                let text = namespace.readlink(cwd, &self.path(path))?;
                Ok(Value::Bytes(without(&text, &self.root)))
            }
            Op::Stat(path) => {
                let stat = self.stat(path)?;
                stat_value(stat.st_mode, stat.st_nlink, stat.st_size)
            }
            Op::Lstat(path) => {
                let stat = namespace.lstat(cwd, &self.path(path))?;
                stat_value(stat.st_mode, stat.st_nlink, stat.st_size)
            }
            Op::SameFile(a, b) => {
                let (a, b) = (self.stat(a)?, self.stat(b)?);
                Ok(Value::Flag((a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)))
            }
            Op::List(path) => {
                let entries = namespace.read_dir(cwd, &self.path(path))?;
                names_value(entries.into_iter().map(|entry| (entry.name, entry.file_type)).collect())
            }
            Op::Chdir(path) => {
                let mut new = cwd.clone();
                namespace.chdir(&mut new, &self.path(path))?;
                self.cwd = new;
                Ok(Value::Unit)
            }
            Op::Realpath(path) => {
                let real = namespace.canonicalize(cwd, &self.path(path))?;
                Ok(Value::Bytes(without(&real, &self.root)))
            }
            Op::Access(path, mode) => namespace.access(cwd, &self.path(path), *mode).map(unit),
            Op::Chmod(path, mode) => namespace.chmod(cwd, &self.path(path), *mode).map(unit),
            Op::Touch(path, seconds) => {
                let time = libc::timespec { tv_sec: *seconds, tv_nsec: 5 };
                namespace.set_times(cwd, &self.path(path), &[time, time], true)?;
                Ok(Value::Number(self.stat(path)?.st_mtime as u64))
            }
        }
    }
}
