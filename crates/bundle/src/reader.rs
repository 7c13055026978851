use std::collections::VecDeque;
use std::ops::{Deref, Range};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::format::{self, Cursor, HEADER_LEN, Header, MAX_BLOCK, MAX_INDEX};
use crate::{Error, Manifest, Result};

/// Decompressed blocks that are kept for the next read.
const CACHED_BLOCKS: usize = 8;

/// Where a bundle's bytes are: in the program, or on the heap.
#[derive(Clone)]
pub enum Bytes {
    /// Embedded into the program.
    Static(&'static [u8]),
    /// Read from somewhere.
    Shared(Arc<[u8]>),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Static(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl From<&'static [u8]> for Bytes {
    fn from(bytes: &'static [u8]) -> Self {
        Self::Static(bytes)
    }
}

impl From<Arc<[u8]>> for Bytes {
    fn from(bytes: Arc<[u8]>) -> Self {
        Self::Shared(bytes)
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Shared(bytes.into())
    }
}

/// A file or a directory of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Relative path with `/` between components.
    pub path: &'a str,
    /// Permission bits.
    pub mode: u32,
    /// Which of the two it is.
    pub kind: EntryKind,
}

/// Directory or file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A file, with what [`Bundle::read`] needs.
    File(FileRef),
}

/// The content of a file; equal for files with equal contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileRef {
    content: u32,
    size: u32,
}

impl FileRef {
    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size.into()
    }
}

/// A file's bytes. Cheap to clone; keeps the block that it is in.
#[derive(Clone)]
pub struct Content {
    block: Arc<[u8]>,
    range: Range<usize>,
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.block[self.range.clone()]
    }
}

impl AsRef<[u8]> for Content {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Content({} bytes)", self.range.len())
    }
}

struct Block {
    stored: Range<usize>,
    len: u32,
}

struct Place {
    block: u32,
    offset: u32,
    len: u32,
}

struct Record {
    path: Range<usize>,
    mode: u32,
    kind: EntryKind,
}

/// An open bundle. Listing needs no decompression; reading a file decompresses the block that it is
/// in.
pub struct Bundle {
    bytes: Bytes,
    manifest: Manifest,
    index: Vec<u8>,
    blocks: Vec<Block>,
    places: Vec<Place>,
    records: Vec<Record>,
    cache: Mutex<VecDeque<(u32, Arc<[u8]>)>>,
}

impl Bundle {
    /// Reads header and index and checks every offset in them.
    pub fn open(bytes: impl Into<Bytes>) -> Result<Self> {
        let bytes = bytes.into();
        let header = Header::decode(&bytes)?;
        let start = usize::try_from(header.index_offset).ok().filter(|start| *start >= HEADER_LEN);
        let end = start.and_then(|start| start.checked_add(header.index_stored_len as usize));
        let (Some(start), Some(end)) = (start, end.filter(|end| *end == bytes.len())) else {
            return Err(Error::Corrupt("the index is not where the header says".into()));
        };
        if u64::from(header.index_len) > MAX_INDEX {
            return Err(Error::Corrupt(format!("an index of {} bytes", header.index_len)));
        }
        let index =
            decompress(&bytes[start..end], header.index_len).map_err(|e| Error::Corrupt(format!("index: {e}")))?;
        Self::parse(bytes, index, start)
    }

    fn parse(bytes: Bytes, index: Vec<u8>, index_start: usize) -> Result<Self> {
        let mut cursor = Cursor::new(&index);
        let manifest_len = cursor.u32()? as usize;
        let manifest = serde_json::from_slice(cursor.take(manifest_len)?)
            .map_err(|error| Error::Corrupt(format!("manifest: {error}")))?;

        let mut blocks = Vec::new();
        for number in 0..cursor.u32()? {
            let offset = cursor.u64()?;
            let stored_len = cursor.u32()? as usize;
            let len = cursor.u32()?;
            let offset = usize::try_from(offset).ok().filter(|offset| *offset >= HEADER_LEN);
            let stored = offset.and_then(|offset| Some(offset..offset.checked_add(stored_len)?));
            let Some(stored) = stored.filter(|stored| stored.end <= index_start && u64::from(len) <= MAX_BLOCK) else {
                return Err(Error::Corrupt(format!("block {number} is outside of the bundle")));
            };
            blocks.push(Block { stored, len });
        }

        let mut places = Vec::new();
        for number in 0..cursor.u32()? {
            let place = Place { block: cursor.u32()?, offset: cursor.u32()?, len: cursor.u32()? };
            let inside = blocks
                .get(place.block as usize)
                .is_some_and(|block| u64::from(place.offset) + u64::from(place.len) <= u64::from(block.len));
            if !inside {
                return Err(Error::Corrupt(format!("content {number} is outside of its block")));
            }
            places.push(place);
        }

        let mut records: Vec<Record> = Vec::new();
        for _ in 0..cursor.u32()? {
            let kind = cursor.u8()?;
            let mode = cursor.u32()?;
            let content = cursor.u32()?;
            let path_len = usize::from(cursor.u16()?);
            let path_start = cursor.position();
            let path =
                str::from_utf8(cursor.take(path_len)?).map_err(|_| Error::Corrupt("a path is not UTF-8".into()))?;
            if let Err(reason) = format::check_path(path) {
                return Err(Error::Corrupt(format!("path {path:?}: {reason}")));
            }
            if records.last().is_some_and(|last| &index[last.path.clone()] >= path.as_bytes()) {
                return Err(Error::Corrupt(format!("path {path:?} is out of order")));
            }
            let kind = match (kind, places.get(content as usize)) {
                (0, _) => EntryKind::Directory,
                (1, Some(place)) => EntryKind::File(FileRef { content, size: place.len }),
                _ => {
                    return Err(Error::Corrupt(format!("entry {path:?} is neither file nor directory")));
                }
            };
            records.push(Record { path: path_start..path_start + path_len, mode, kind });
        }
        if cursor.position() != index.len() {
            return Err(Error::Corrupt("the index is longer than its tables".into()));
        }
        Ok(Self { bytes, manifest, index, blocks, places, records, cache: Mutex::default() })
    }

    /// What the bundle says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// All entries, in the bytewise order of their paths: a directory comes before what is in it.
    pub fn entries(&self) -> Entries<'_> {
        Entries { bundle: self, range: 0..self.records.len() }
    }

    /// The entry at `path`.
    pub fn get(&self, path: &str) -> Option<Entry<'_>> {
        let found = self.records.binary_search_by(|record| self.index[record.path.clone()].cmp(path.as_bytes()));
        found.ok().map(|at| self.entry(at))
    }

    /// Everything below the directory `path` (all, where it is empty), without the directory
    /// itself.
    pub fn below(&self, path: &str) -> Entries<'_> {
        if path.is_empty() {
            return self.entries();
        }
        let prefix = format!("{path}/");
        let start = self.records.partition_point(|record| &self.index[record.path.clone()] < prefix.as_bytes());
        let inside = |record: &Record| self.index[record.path.clone()].starts_with(prefix.as_bytes());
        let len = self.records[start..].partition_point(inside);
        Entries { bundle: self, range: start..start + len }
    }

    /// What is directly in the directory `path` (or at the top, where it is empty).
    pub fn children(&self, path: &str) -> impl Iterator<Item = Entry<'_>> {
        let skip = if path.is_empty() { 0 } else { path.len() + 1 };
        self.below(path).filter(move |entry| !entry.path[skip..].contains('/'))
    }

    /// The bytes of a file of this bundle.
    pub fn read(&self, file: FileRef) -> Result<Content> {
        let place = self.places.get(file.content as usize);
        let place = place.ok_or_else(|| Error::NotFound(format!("content {}", file.content)))?;
        let block = self.block(place.block)?;
        Ok(Content { block, range: range_of(place) })
    }

    /// The bytes of the file at `path`.
    pub fn read_path(&self, path: &str) -> Result<Content> {
        match self.get(path).map(|entry| entry.kind) {
            Some(EntryKind::File(file)) => self.read(file),
            _ => Err(Error::NotFound(path.into())),
        }
    }

    /// Hands every entry whose path is `wanted` to `visit`: files on up to `threads` threads, each of
    /// which takes block after block, so that each is decompressed once. Directories come first, on the
    /// calling thread, with an empty content, parents before children.
    ///
    /// The first error of a block, or of `visit`, ends it.
    pub fn unpack<E: From<Error> + Send>(
        &self,
        threads: usize,
        wanted: impl Fn(&str) -> bool,
        visit: impl Fn(Entry<'_>, &[u8]) -> Result<(), E> + Sync,
    ) -> Result<(), E> {
        let mut files = Vec::new();
        for entry in self.entries().filter(|entry| wanted(entry.path)) {
            match entry.kind {
                EntryKind::Directory => visit(entry, &[])?,
                EntryKind::File(file) => {
                    let place = &self.places[file.content as usize];
                    files.push((place.block, place.offset, entry, range_of(place)));
                }
            }
        }
        files.sort_by_key(|(block, offset, entry, _)| (*block, *offset, entry.path));
        let blocks: Vec<_> = files.chunk_by(|a, b| a.0 == b.0).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(files) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
                let result = self.decompress_block(files[0].0).map_err(E::from).and_then(|block| {
                    files.iter().try_for_each(|(_, _, entry, range)| visit(*entry, &block[range.clone()]))
                });
                if result.is_err() {
                    next.store(blocks.len(), Ordering::Relaxed);
                    return result;
                }
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads.min(blocks.len())).map(|_| scope.spawn(work)).collect();
            let own = work();
            others.into_iter().fold(own, |result, other| match other.join() {
                Ok(theirs) => result.and(theirs),
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })
    }

    /// Decompresses every block and compares its checksum.
    pub fn verify(&self) -> Result<()> {
        (0..self.blocks.len() as u32).try_for_each(|number| self.decompress_block(number).map(drop))
    }

    /// Frees the decompressed blocks that are kept for the next read (at most eight).
    pub fn forget_blocks(&self) {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn entry(&self, at: usize) -> Entry<'_> {
        let record = &self.records[at];
        let path =
            str::from_utf8(&self.index[record.path.clone()]).expect("paths were checked when the bundle was opened");
        Entry { path, mode: record.mode, kind: record.kind }
    }

    fn block(&self, number: u32) -> Result<Arc<[u8]>> {
        let lock = || self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, block)) = lock().iter().find(|(cached, _)| *cached == number) {
            return Ok(block.clone());
        }
        let block: Arc<[u8]> = self.decompress_block(number)?.into();
        let mut cache = lock();
        cache.truncate(CACHED_BLOCKS - 1);
        cache.push_front((number, block.clone()));
        Ok(block)
    }

    fn decompress_block(&self, number: u32) -> Result<Vec<u8>> {
        let block = &self.blocks[number as usize];
        decompress(&self.bytes[block.stored.clone()], block.len)
            .map_err(|error| Error::Corrupt(format!("block {number}: {error}")))
    }
}

fn range_of(place: &Place) -> Range<usize> {
    place.offset as usize..place.offset as usize + place.len as usize
}

/// Decompresses one frame that must hold exactly `len` bytes. The frame's own checksum is compared
/// by zstd.
fn decompress(frame: &[u8], len: u32) -> Result<Vec<u8>, String> {
    // before anything is allocated: a damaged length must not ask for a gigabyte
    match zstd::zstd_safe::get_frame_content_size(frame) {
        Ok(Some(size)) if size == u64::from(len) => {}
        _ => {
            return Err(format!("the frame does not hold the {len} bytes that the index says"));
        }
    }
    let content = zstd::bulk::decompress(frame, len as usize).map_err(|error| error.to_string())?;
    if content.len() != len as usize {
        return Err(format!("{} of {len} bytes", content.len()));
    }
    Ok(content)
}

/// Iterates over entries in the order of their paths.
#[derive(Clone)]
pub struct Entries<'a> {
    bundle: &'a Bundle,
    range: Range<usize>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        self.range.next().map(|at| self.bundle.entry(at))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.range.size_hint()
    }
}

impl ExactSizeIterator for Entries<'_> {}
