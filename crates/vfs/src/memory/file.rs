//! The content of a file: pages of its own over a shared base.

use std::io::{IoSlice, IoSliceMut};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rustix::io::Errno;

use super::Content;
use super::content::Base;
use super::pages::{MAX_SIZE, PAGE, Pages, Space};

pub(crate) struct FileData {
    base: Base,
    body: RwLock<Body>,
}

/// A byte below `size` is in its page if that exists, else in the base if it lies below `base_size`, else zero. Pages
/// are zero from `size` on.
struct Body {
    size: u64,
    base_size: u64,
    pages: Pages,
}

/// Where to write.
#[derive(Clone, Copy)]
pub(crate) enum At {
    Offset(u64),
    End,
}

impl FileData {
    pub(super) fn new(content: Option<Content>, space: Arc<Space>) -> Self {
        let base = Base::new(content);
        let body = Body { size: base.length(), base_size: base.length(), pages: Pages::new(space) };
        Self { base, body: RwLock::new(body) }
    }

    fn body(&self) -> RwLockReadGuard<'_, Body> {
        self.body.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn body_mut(&self) -> RwLockWriteGuard<'_, Body> {
        self.body.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn size(&self) -> u64 {
        self.body().size
    }

    /// The size in bytes and the number of its own pages.
    pub(crate) fn usage(&self) -> (u64, u64) {
        let body = self.body();
        (body.size, body.pages.count())
    }

    /// The part of the base that shows; empty, and not loaded, where nothing of it does.
    fn base_below(&self, size: u64) -> Result<&[u8], Errno> {
        if size == 0 {
            return Ok(&[]);
        }
        Ok(&self.base.bytes()?[..size as usize])
    }

    /// Reads until the buffers are full or the file ends.
    pub(crate) fn read(&self, mut offset: u64, buffers: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
        let body = self.body();
        if offset >= body.size {
            return Ok(0);
        }
        let base = self.base_below(body.base_size)?;
        let start = offset;
        for buffer in buffers {
            let left = usize::try_from(body.size - offset).unwrap_or(usize::MAX);
            let length = buffer.len().min(left);
            let mut buffer = &mut buffer[..length];
            while !buffer.is_empty() {
                let (index, at) = ((offset / PAGE as u64) as usize, (offset % PAGE as u64) as usize);
                let (part, rest) = buffer.split_at_mut((PAGE - at).min(buffer.len()));
                match body.pages.get(index) {
                    Some(page) => part.copy_from_slice(&page[at..at + part.len()]),
                    None => copy_base(part, base, offset),
                }
                offset += part.len() as u64;
                buffer = rest;
            }
        }
        Ok((offset - start) as usize)
    }

    /// Writes all buffers, or as much as there is space for; returns the bytes and the offset behind them.
    pub(crate) fn write(&self, at: At, buffers: &[IoSlice<'_>]) -> Result<(usize, u64), Errno> {
        let mut body = self.body_mut();
        let start = match at {
            At::Offset(offset) => offset,
            At::End => body.size,
        };
        if buffers.iter().all(|buffer| buffer.is_empty()) {
            return Ok((0, start));
        }
        if start >= MAX_SIZE {
            return Err(Errno::FBIG);
        }
        let base = self.base_below(body.base_size)?;
        let mut offset = start;
        let mut outcome = Ok(());
        'all: for buffer in buffers {
            let room = usize::try_from(MAX_SIZE - offset).unwrap_or(usize::MAX);
            let mut buffer = &buffer[..buffer.len().min(room)];
            while !buffer.is_empty() {
                let (index, at) = ((offset / PAGE as u64) as usize, (offset % PAGE as u64) as usize);
                let (part, rest) = buffer.split_at((PAGE - at).min(buffer.len()));
                let page_start = index as u64 * PAGE as u64;
                match body.pages.get_or_insert(index, |page| copy_base(page, base, page_start)) {
                    Ok(page) => page[at..at + part.len()].copy_from_slice(part),
                    Err(errno) => {
                        outcome = Err(errno);
                        break 'all;
                    }
                }
                offset += part.len() as u64;
                buffer = rest;
            }
        }
        body.size = body.size.max(offset);
        if offset == start {
            outcome?;
        }
        Ok(((offset - start) as usize, offset))
    }

    /// Cuts the file, or extends it by a hole.
    pub(crate) fn truncate(&self, size: u64) -> Result<(), Errno> {
        if size > MAX_SIZE {
            return Err(Errno::FBIG);
        }
        let mut body = self.body_mut();
        if size < body.size {
            body.pages.truncate(size.div_ceil(PAGE as u64) as usize);
            if let Some(page) = body.pages.get_mut((size / PAGE as u64) as usize) {
                page[(size % PAGE as u64) as usize..].fill(0);
            }
            body.base_size = body.base_size.min(size);
        }
        body.size = size;
        Ok(())
    }

    /// Sees that there is space for the range, and extends the file to its end unless `keep_size`. Nothing is reserved.
    pub(crate) fn allocate(&self, offset: u64, length: u64, keep_size: bool) -> Result<(), Errno> {
        let end = offset.checked_add(length).filter(|&end| end <= MAX_SIZE);
        let end = end.ok_or(Errno::FBIG)?;
        let mut body = self.body_mut();
        let pages = end.div_ceil(PAGE as u64) - offset / PAGE as u64;
        let free = body.pages.space().free() / PAGE as u64;
        if pages > free.saturating_add(body.pages.count()) {
            return Err(Errno::NOSPC);
        }
        if pages > free {
            let (first, last) = (offset / PAGE as u64, end.div_ceil(PAGE as u64));
            let held = (first..last).filter(|&index| body.pages.get(index as usize).is_some());
            if pages - held.count() as u64 > free {
                return Err(Errno::NOSPC);
            }
        }
        if !keep_size {
            body.size = body.size.max(end);
        }
        Ok(())
    }

    /// Makes the range read as zeros; whole pages are given back.
    pub(crate) fn punch(&self, offset: u64, length: u64) -> Result<(), Errno> {
        let mut body = self.body_mut();
        let end = offset.saturating_add(length).min(body.size);
        let base = self.base_below(body.base_size)?;
        let mut at = offset;
        while at < end {
            let index = (at / PAGE as u64) as usize;
            let page_start = index as u64 * PAGE as u64;
            let stop = end.min(page_start + PAGE as u64);
            let whole = at == page_start && stop - at == PAGE as u64;
            if whole && page_start >= base.len() as u64 {
                body.pages.remove(index);
            } else if body.pages.get(index).is_some() || page_start < base.len() as u64 {
                let page = body.pages.get_or_insert(index, |page| copy_base(page, base, page_start))?;
                page[(at - page_start) as usize..(stop - page_start) as usize].fill(0);
            }
            at = stop;
        }
        Ok(())
    }
}

/// Fills `to` with the base's bytes from `offset` on, then with zeros.
fn copy_base(to: &mut [u8], base: &[u8], offset: u64) {
    let from = usize::try_from(offset).ok().and_then(|at| base.get(at..)).unwrap_or(&[]);
    let length = from.len().min(to.len());
    to[..length].copy_from_slice(&from[..length]);
    to[length..].fill(0);
}
