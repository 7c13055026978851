//! An open file in memory.

use std::ffi::c_int;
use std::io::{IoSlice, IoSliceMut};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::file::{At, FileData};
use super::inode::{Inode, Kind};

/// An open file description: what `open` makes and `dup` shares. Clones share the offset and the flags. The file lives
/// as long as a handle does, also without a name.
#[derive(Clone)]
pub struct MemoryHandle {
    open: Arc<Open>,
}

struct Open {
    inode: Arc<Inode>,
    offset: Mutex<u64>,
    flags: AtomicI32,
    read_only: AtomicBool,
}

/// The flags that `fcntl(F_SETFL)` can change.
const CHANGEABLE: c_int = libc::O_APPEND | libc::O_NONBLOCK | libc::O_ASYNC | libc::O_DIRECT | libc::O_NOATIME;
/// The flags that only speak to `open`.
const TRANSIENT: c_int = libc::O_CREAT | libc::O_EXCL | libc::O_TRUNC | libc::O_NOCTTY | libc::O_CLOEXEC;

impl std::fmt::Debug for MemoryHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryHandle").field("inode", &self.open.inode.number).field("flags", &self.flags()).finish()
    }
}

impl MemoryHandle {
    pub(crate) fn new(inode: Arc<Inode>, flags: c_int) -> Self {
        let flags = AtomicI32::new(flags & !TRANSIENT);
        Self { open: Arc::new(Open { inode, offset: Mutex::new(0), flags, read_only: AtomicBool::new(false) }) }
    }

    /// Says that it was opened through a mount that allows no change.
    pub(crate) fn set_read_only(&self) {
        self.open.read_only.store(true, Ordering::Relaxed);
    }

    fn changeable(&self) -> Result<(), Errno> {
        self.not_path_only()?;
        if self.open.read_only.load(Ordering::Relaxed) { Err(Errno::ROFS) } else { Ok(()) }
    }

    /// The access mode and the status flags, as `fcntl(F_GETFL)`.
    pub fn flags(&self) -> c_int {
        self.open.flags.load(Ordering::Relaxed)
    }

    /// Sets the status flags that can be changed, as `fcntl(F_SETFL)`.
    pub fn set_flags(&self, flags: c_int) {
        let kept = self.flags() & !CHANGEABLE;
        self.open.flags.store(kept | flags & CHANGEABLE, Ordering::Relaxed);
    }

    fn offset(&self) -> MutexGuard<'_, u64> {
        self.open.offset.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn readable(&self) -> Result<&FileData, Errno> {
        let flags = self.flags();
        if flags & libc::O_PATH != 0 || flags & libc::O_ACCMODE == libc::O_WRONLY {
            return Err(Errno::BADF);
        }
        match &self.open.inode.kind {
            Kind::File(data) => Ok(data),
            Kind::Directory => Err(Errno::ISDIR),
            _ => Err(Errno::INVAL),
        }
    }

    fn writable(&self) -> Result<&FileData, Errno> {
        let flags = self.flags();
        if flags & libc::O_PATH != 0 || flags & libc::O_ACCMODE == libc::O_RDONLY {
            return Err(Errno::BADF);
        }
        match &self.open.inode.kind {
            Kind::File(data) => Ok(data),
            _ => Err(Errno::INVAL),
        }
    }

    fn not_path_only(&self) -> Result<(), Errno> {
        if self.flags() & libc::O_PATH != 0 { Err(Errno::BADF) } else { Ok(()) }
    }

    /// Reads at the offset and moves it; returns the bytes read, 0 at the end.
    ///
    /// # Errors
    /// `EBADF` if not open for reading, `EISDIR`, `EIO` if the content could not be loaded.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        self.readv(&mut [IoSliceMut::new(buffer)])
    }

    /// As [`MemoryHandle::read`], into several buffers.
    ///
    /// # Errors
    /// As [`MemoryHandle::read`].
    pub fn readv(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
        let data = self.readable()?;
        let mut offset = self.offset();
        let count = data.read(*offset, buffers)?;
        *offset += count as u64;
        Ok(count)
    }

    /// Writes at the offset, or at the end with `O_APPEND`, and moves it; returns the bytes written.
    ///
    /// # Errors
    /// `EBADF` if not open for writing, `ENOSPC`, `EFBIG`, `EIO`.
    pub fn write(&self, buffer: &[u8]) -> Result<usize, Errno> {
        self.writev(&[IoSlice::new(buffer)])
    }

    /// As [`MemoryHandle::write`], from several buffers.
    ///
    /// # Errors
    /// As [`MemoryHandle::write`].
    pub fn writev(&self, buffers: &[IoSlice<'_>]) -> Result<usize, Errno> {
        let data = self.writable()?;
        let mut offset = self.offset();
        let (count, end) = self.write_at(data, *offset, buffers)?;
        if count > 0 {
            *offset = end;
        }
        Ok(count)
    }

    fn write_at(&self, data: &FileData, offset: u64, buffers: &[IoSlice<'_>]) -> Result<(usize, u64), Errno> {
        // As with the kernel, O_APPEND beats the offset of a pwrite too.
        let at = if self.flags() & libc::O_APPEND != 0 { At::End } else { At::Offset(offset) };
        let written = data.write(at, buffers)?;
        if written.0 > 0 {
            self.open.inode.touch();
        }
        Ok(written)
    }

    /// Reads at `offset`, in bytes, and leaves the handle's offset alone.
    ///
    /// # Errors
    /// As [`MemoryHandle::read`]; `EINVAL` for a negative offset.
    pub fn pread(&self, buffer: &mut [u8], offset: i64) -> Result<usize, Errno> {
        self.preadv(&mut [IoSliceMut::new(buffer)], offset)
    }

    /// As [`MemoryHandle::pread`], into several buffers.
    ///
    /// # Errors
    /// As [`MemoryHandle::pread`].
    pub fn preadv(&self, buffers: &mut [IoSliceMut<'_>], offset: i64) -> Result<usize, Errno> {
        let offset = u64::try_from(offset).map_err(|_| Errno::INVAL)?;
        self.readable()?.read(offset, buffers)
    }

    /// Writes at `offset`, in bytes, and leaves the handle's offset alone.
    ///
    /// # Errors
    /// As [`MemoryHandle::write`]; `EINVAL` for a negative offset.
    pub fn pwrite(&self, buffer: &[u8], offset: i64) -> Result<usize, Errno> {
        self.pwritev(&[IoSlice::new(buffer)], offset)
    }

    /// As [`MemoryHandle::pwrite`], from several buffers.
    ///
    /// # Errors
    /// As [`MemoryHandle::pwrite`].
    pub fn pwritev(&self, buffers: &[IoSlice<'_>], offset: i64) -> Result<usize, Errno> {
        let offset = u64::try_from(offset).map_err(|_| Errno::INVAL)?;
        Ok(self.write_at(self.writable()?, offset, buffers)?.0)
    }

    /// Moves the offset as `lseek` does, and returns it. `whence` is one of `libc::SEEK_*`; all of a file counts as data.
    ///
    /// # Errors
    /// `EINVAL`; `ENXIO` for `SEEK_DATA` and `SEEK_HOLE` beyond the end.
    pub fn seek(&self, offset: i64, whence: c_int) -> Result<u64, Errno> {
        self.not_path_only()?;
        let size = match &self.open.inode.kind {
            Kind::File(data) => data.size(),
            _ => 0,
        };
        let mut at = self.offset();
        let from = match whence {
            libc::SEEK_SET => 0,
            libc::SEEK_CUR => *at,
            libc::SEEK_END => size,
            libc::SEEK_DATA | libc::SEEK_HOLE => {
                let offset = u64::try_from(offset).ok().filter(|&offset| offset < size);
                let offset = offset.ok_or(Errno::NXIO)?;
                *at = if whence == libc::SEEK_DATA { offset } else { size };
                return Ok(*at);
            }
            _ => return Err(Errno::INVAL),
        };
        let to = i64::try_from(from).ok().and_then(|from| from.checked_add(offset));
        *at = to.and_then(|to| u64::try_from(to).ok()).ok_or(Errno::INVAL)?;
        Ok(*at)
    }

    /// Cuts or extends the file to `length` bytes.
    ///
    /// # Errors
    /// `EINVAL` if the length is negative or the file is not open for writing, `EFBIG`.
    pub fn truncate(&self, length: i64) -> Result<(), Errno> {
        self.not_path_only()?;
        let length = u64::try_from(length).map_err(|_| Errno::INVAL)?;
        let data = self.writable().map_err(|_| Errno::INVAL)?;
        data.truncate(length)?;
        self.open.inode.touch();
        Ok(())
    }

    /// `fallocate`: mode 0 and `FALLOC_FL_KEEP_SIZE` see that there is space (none is reserved),
    /// `FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE` makes the range zero.
    ///
    /// # Errors
    /// `EBADF`, `EINVAL`, `ENODEV` for a directory, `ENOSPC`, `EFBIG`; `EOPNOTSUPP` for other modes.
    pub fn fallocate(&self, mode: c_int, offset: i64, length: i64) -> Result<(), Errno> {
        if offset < 0 || length <= 0 {
            return Err(Errno::INVAL);
        }
        let punch = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        if mode != 0 && mode != libc::FALLOC_FL_KEEP_SIZE && mode != punch {
            return Err(Errno::OPNOTSUPP);
        }
        let data = self.writable()?;
        let (offset, length) = (offset as u64, length as u64);
        if mode == punch {
            data.punch(offset, length)?;
        } else {
            data.allocate(offset, length, mode != 0)?;
        }
        self.open.inode.touch();
        Ok(())
    }

    /// `fsync`: memory is as safe as it gets.
    ///
    /// # Errors
    /// `EBADF` for an `O_PATH` handle.
    pub fn sync(&self) -> Result<(), Errno> {
        self.not_path_only()
    }

    /// The status, with the host's ids: see [`crate::Identity::map_stat`].
    pub fn stat(&self) -> libc::stat {
        self.open.inode.stat()
    }

    /// `fchmod`.
    ///
    /// # Errors
    /// `EBADF` for an `O_PATH` handle, `EROFS` if it was opened in a read-only mount.
    pub fn chmod(&self, mode: u32) -> Result<(), Errno> {
        self.changeable()?;
        self.open.inode.chmod(mode);
        Ok(())
    }

    /// `fchown` of one's own file to oneself, which is all that [`crate::Identity`] lets through.
    ///
    /// # Errors
    /// As [`MemoryHandle::chmod`].
    pub fn chown(&self) -> Result<(), Errno> {
        self.changeable()
    }

    /// `futimens`: access and modification time.
    ///
    /// # Errors
    /// `EINVAL` for nanoseconds out of range; else as [`MemoryHandle::chmod`].
    pub fn set_times(&self, times: &[libc::timespec; 2]) -> Result<(), Errno> {
        self.changeable()?;
        self.open.inode.set_times(times)
    }
}
