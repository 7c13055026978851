//! Directory streams: a snapshot of the names, in the library OS's own memory.

use rustix::io::Result;
use std::collections::HashMap;

/// What `opendir` returns a pointer to.
pub(crate) struct Stream {
    entries: Vec<vfs::DirEntry>,
    next: usize,
    current: libc::dirent,
}

/// The open directory streams of a process.
#[derive(Default)]
pub(crate) struct Open(HashMap<usize, Box<Stream>>);

impl Open {
    pub(crate) fn insert(&mut self, entries: Vec<vfs::DirEntry>) -> *mut Stream {
        // SAFETY: plain data.
        let current = unsafe { std::mem::zeroed() };
        let mut stream = Box::new(Stream { entries, next: 0, current });
        let address: *mut Stream = &mut *stream;
        self.0.insert(address as usize, stream);
        address
    }

    pub(crate) fn get(&mut self, stream: *mut Stream) -> Result<&mut Stream> {
        self.0.get_mut(&(stream as usize)).map(|s| &mut **s).ok_or(rustix::io::Errno::BADF)
    }

    pub(crate) fn remove(&mut self, stream: *mut Stream) -> Result<()> {
        self.0.remove(&(stream as usize)).map(drop).ok_or(rustix::io::Errno::BADF)
    }
}

impl Stream {
    /// The next entry; valid until the next call.
    pub(crate) fn next(&mut self) -> Option<*mut libc::dirent> {
        let entry = self.entries.get(self.next)?;
        self.next += 1;
        let d = &mut self.current;
        d.d_ino = entry.inode;
        d.d_off = self.next as libc::off_t;
        d.d_reclen = size_of::<libc::dirent>() as u16;
        d.d_type = entry.file_type;
        let length = entry.name.len().min(d.d_name.len() - 1);
        for (to, from) in d.d_name.iter_mut().zip(&entry.name[..length]) {
            *to = *from as libc::c_char;
        }
        d.d_name[length] = 0;
        Some(d)
    }

    pub(crate) fn rewind(&mut self) {
        self.next = 0;
    }
}
