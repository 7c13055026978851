use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use crate::format::{self, HEADER_LEN, Header, MAX_BLOCK, MAX_INDEX};
use crate::{Error, Manifest, Result};

/// How to compress.
#[derive(Debug, Clone, Copy)]
pub struct WriteOptions {
    /// zstd's level, 1 to 22.
    pub level: i32,
    /// Bytes of content a block holds before the next one begins. Small blocks make single files
    /// cheap to read, large ones make the bundle smaller.
    pub block_size: usize,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { level: 19, block_size: 256 << 10 }
    }
}

enum Node {
    Directory,
    File { content: u32 },
}

/// Collects files and directories, then compresses them.
///
/// Equal input gives equal bytes.
pub struct Writer {
    manifest: Manifest,
    nodes: BTreeMap<String, (u32, Node)>,
    contents: Vec<(Arc<[u8]>, usize)>,
    by_content: HashMap<Arc<[u8]>, u32>,
    groups: Vec<String>,
}

impl Writer {
    /// An empty bundle that will carry `manifest`.
    pub fn new(manifest: Manifest) -> Self {
        Self { manifest, nodes: BTreeMap::new(), contents: Vec::new(), by_content: HashMap::new(), groups: Vec::new() }
    }

    /// Adds a directory, or sets the mode (permission bits) of one that a file's path made.
    pub fn add_directory(&mut self, path: &str, mode: u32) -> Result<()> {
        format::check_path(path).map_err(|reason| Error::Path { path: path.into(), reason })?;
        self.add_parents(path)?;
        match self.nodes.insert(path.into(), (mode, Node::Directory)) {
            Some((_, Node::File { .. })) => {
                Err(Error::Path { path: path.into(), reason: "there is a file of that name" })
            }
            _ => Ok(()),
        }
    }

    /// Adds a file of mode (permission bits) `mode`. Parent directories that are missing are made
    /// with mode 0755. Files of one `group` share blocks: give those the same group that are read
    /// together, or are alike.
    pub fn add_file(&mut self, path: &str, mode: u32, group: &str, content: impl Into<Arc<[u8]>>) -> Result<()> {
        format::check_path(path).map_err(|reason| Error::Path { path: path.into(), reason })?;
        let content: Arc<[u8]> = content.into();
        let size = content.len() as u64;
        if size > MAX_BLOCK {
            return Err(Error::TooLarge { path: path.into(), size, limit: MAX_BLOCK });
        }
        if self.nodes.contains_key(path) {
            return Err(Error::Path { path: path.into(), reason: "it is there already" });
        }
        self.add_parents(path)?;
        let group = match self.groups.iter().position(|known| known == group) {
            Some(group) => group,
            None => {
                self.groups.push(group.into());
                self.groups.len() - 1
            }
        };
        let id = match self.by_content.get(&content) {
            Some(id) => *id,
            None => {
                let id = index_u32(self.contents.len(), "contents")?;
                self.contents.push((content.clone(), group));
                self.by_content.insert(content, id);
                id
            }
        };
        self.nodes.insert(path.into(), (mode, Node::File { content: id }));
        Ok(())
    }

    /// Adds everything below the host's directory `dir` as `prefix/...` (or without a prefix, where
    /// it is empty), with the modes that are there. `group` names the group of a file from its path
    /// below `dir`. Anything but files and directories is an error.
    pub fn add_tree(&mut self, prefix: &str, dir: &Path, group: &dyn Fn(&str) -> String) -> Result<()> {
        let mut pending = vec![(dir.to_path_buf(), String::new())];
        while let Some((host, below)) = pending.pop() {
            let listing = std::fs::read_dir(&host).map_err(Error::io(format!("cannot list {}", host.display())))?;
            let mut children = listing
                .map(|child| child.map(|child| child.file_name()))
                .collect::<std::io::Result<Vec<_>>>()
                .map_err(Error::io(format!("cannot list {}", host.display())))?;
            children.sort();
            for name in children {
                let host = host.join(&name);
                let context = || format!("cannot read {}", host.display());
                let name = name
                    .to_str()
                    .ok_or_else(|| Error::Path { path: host.display().to_string(), reason: "the name is not UTF-8" })?;
                let relative = if below.is_empty() { name.into() } else { format!("{below}/{name}") };
                let path = if prefix.is_empty() { relative.clone() } else { format!("{prefix}/{relative}") };
                let kind = std::fs::symlink_metadata(&host).map_err(Error::io(context()))?;
                let mode = mode_of(&kind);
                if kind.is_dir() {
                    self.add_directory(&path, mode)?;
                    pending.push((host, relative));
                } else if kind.is_file() {
                    let content = std::fs::read(&host).map_err(Error::io(context()))?;
                    self.add_file(&path, mode, &group(&relative), content)?;
                } else {
                    return Err(Error::Path { path, reason: "only files and directories can be stored" });
                }
            }
        }
        Ok(())
    }

    fn add_parents(&mut self, path: &str) -> Result<()> {
        for (slash, _) in path.match_indices('/') {
            let parent = &path[..slash];
            match self.nodes.get(parent) {
                Some((_, Node::Directory)) => {}
                Some(_) => {
                    return Err(Error::Path { path: path.into(), reason: "a file is in the place of a directory" });
                }
                None => {
                    self.nodes.insert(parent.into(), (0o755, Node::Directory));
                }
            }
        }
        Ok(())
    }

    /// Compresses what was added.
    pub fn finish(&self, options: &WriteOptions) -> Result<Vec<u8>> {
        let plan = self.plan(options.block_size);
        let frames = compress_all(&plan.blocks, options.level)?;

        let mut out = vec![0; HEADER_LEN];
        let mut index = Vec::new();
        let manifest = serde_json::to_vec(&self.manifest)
            .map_err(|error| Error::Io { context: "cannot write the manifest".into(), source: error.into() })?;
        index.extend(index_u32(manifest.len(), "manifest bytes")?.to_le_bytes());
        index.extend(manifest);
        index.extend(index_u32(frames.len(), "blocks")?.to_le_bytes());
        for (frame, block) in frames.iter().zip(&plan.blocks) {
            index.extend((out.len() as u64).to_le_bytes());
            index.extend(index_u32(frame.len(), "bytes of a block")?.to_le_bytes());
            index.extend(index_u32(block.len(), "bytes of a block")?.to_le_bytes());
            out.extend(frame);
        }
        index.extend(index_u32(plan.places.len(), "contents")?.to_le_bytes());
        for (place, (content, _)) in plan.places.iter().zip(&self.contents) {
            index.extend(place.block.to_le_bytes());
            index.extend(place.offset.to_le_bytes());
            index.extend(index_u32(content.len(), "bytes of a file")?.to_le_bytes());
        }
        index.extend(index_u32(self.nodes.len(), "entries")?.to_le_bytes());
        for (path, (mode, node)) in &self.nodes {
            let (kind, content) = match node {
                Node::Directory => (0u8, 0),
                Node::File { content } => (1, *content),
            };
            index.push(kind);
            index.extend(mode.to_le_bytes());
            index.extend(content.to_le_bytes());
            // check_path has seen that the length fits
            index.extend((path.len() as u16).to_le_bytes());
            index.extend(path.as_bytes());
        }
        if index.len() as u64 > MAX_INDEX {
            return Err(Error::TooLarge { path: "(index)".into(), size: index.len() as u64, limit: MAX_INDEX });
        }

        let index_offset = out.len() as u64;
        let stored = compressor(options.level)?.compress(&index).map_err(Error::io("cannot compress the index"))?;
        out.extend(&stored);
        let header = Header {
            total_len: out.len() as u64,
            index_offset,
            index_stored_len: index_u32(stored.len(), "bytes of the index")?,
            index_len: index_u32(index.len(), "bytes of the index")?,
        };
        out[..HEADER_LEN].copy_from_slice(&header.encode());
        Ok(out)
    }

    /// Decides which content goes into which block: group by group, in the order of paths.
    fn plan(&self, block_size: usize) -> Plan {
        let mut order = Vec::with_capacity(self.contents.len());
        let mut seen = vec![false; self.contents.len()];
        for (_, node) in self.nodes.values() {
            if let Node::File { content } = node
                && !std::mem::replace(&mut seen[*content as usize], true)
            {
                order.push(*content);
            }
        }
        order.sort_by_key(|id| self.contents[*id as usize].1);

        let mut blocks: Vec<Vec<u8>> = Vec::new();
        let mut places = vec![Place { block: 0, offset: 0 }; self.contents.len()];
        let mut open_group = None;
        for id in order {
            let (content, group) = &self.contents[id as usize];
            let full = blocks.last().is_none_or(|block| !block.is_empty() && block.len() + content.len() > block_size);
            if full || open_group != Some(*group) {
                blocks.push(Vec::new());
                open_group = Some(*group);
            }
            let last = blocks.len() - 1;
            places[id as usize] = Place { block: last as u32, offset: blocks[last].len() as u32 };
            blocks[last].extend_from_slice(content);
        }
        Plan { blocks, places }
    }
}

struct Plan {
    blocks: Vec<Vec<u8>>,
    places: Vec<Place>,
}

#[derive(Clone, Copy)]
struct Place {
    block: u32,
    offset: u32,
}

fn index_u32(value: usize, what: &str) -> Result<u32> {
    u32::try_from(value).map_err(|_| Error::TooLarge {
        path: format!("({what})"),
        size: value as u64,
        limit: u32::MAX.into(),
    })
}

fn compressor(level: i32) -> Result<Compressor<'static>> {
    let build = || {
        let mut compressor = Compressor::new(level)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        compressor.set_parameter(CParameter::ContentSizeFlag(true))?;
        compressor.set_parameter(CParameter::EnableLongDistanceMatching(true))?;
        Ok(compressor)
    };
    build().map_err(Error::io("cannot set up the compressor"))
}

/// Compresses the blocks on all processors; each is independent of the others.
fn compress_all(blocks: &[Vec<u8>], level: i32) -> Result<Vec<Vec<u8>>> {
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get()).min(blocks.len().max(1));
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(usize, Vec<u8>)>> {
        let mut compressor = compressor(level)?;
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(block) = blocks.get(at) else {
                return Ok(done);
            };
            done.push((at, compressor.compress(block).map_err(Error::io("cannot compress a block"))?));
        }
    };
    let mut frames = vec![Vec::new(); blocks.len()];
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            let done = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            for (at, frame) in done {
                frames[at] = frame;
            }
        }
        Ok(frames)
    })
}

#[cfg(unix)]
fn mode_of(metadata: &std::fs::Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o7777
}

#[cfg(not(unix))]
fn mode_of(metadata: &std::fs::Metadata) -> u32 {
    if metadata.is_dir() { 0o755 } else { 0o644 }
}
