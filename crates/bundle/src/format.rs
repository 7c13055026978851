//! The byte layout, shared by reader and writer. All integers are little-endian.

use crate::{Error, Result};

pub(crate) const MAGIC: [u8; 8] = *b"pgbundle";
pub(crate) const VERSION: u32 = 1;
pub(crate) const HEADER_LEN: usize = 40;
/// No block, and so no file, is larger when decompressed.
pub(crate) const MAX_BLOCK: u64 = 1 << 30;
/// The index is no larger when decompressed.
pub(crate) const MAX_INDEX: u64 = 1 << 26;

/// The first [`HEADER_LEN`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) total_len: u64,
    pub(crate) index_offset: u64,
    pub(crate) index_stored_len: u32,
    pub(crate) index_len: u32,
}

impl Header {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_LEN);
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend(0u32.to_le_bytes());
        out.extend(self.total_len.to_le_bytes());
        out.extend(self.index_offset.to_le_bytes());
        out.extend(self.index_stored_len.to_le_bytes());
        out.extend(self.index_len.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let prefix = &bytes[..bytes.len().min(MAGIC.len())];
        if *prefix != MAGIC[..prefix.len()] {
            return Err(Error::NotABundle { found: prefix.to_vec() });
        }
        let Some(header) = bytes.get(..HEADER_LEN) else {
            return Err(Error::Truncated { expected: HEADER_LEN as u64, found: bytes.len() as u64 });
        };
        let mut cursor = Cursor::new(&header[MAGIC.len()..]);
        let version = cursor.u32()?;
        if version != VERSION {
            return Err(Error::Version { found: version, expected: VERSION });
        }
        if cursor.u32()? != 0 {
            return Err(Error::Corrupt("unknown flags in the header".into()));
        }
        let header = Self {
            total_len: cursor.u64()?,
            index_offset: cursor.u64()?,
            index_stored_len: cursor.u32()?,
            index_len: cursor.u32()?,
        };
        let found = bytes.len() as u64;
        if found < header.total_len {
            return Err(Error::Truncated { expected: header.total_len, found });
        }
        if found > header.total_len {
            return Err(Error::Corrupt(format!("it has {found} bytes, its header says {}", header.total_len)));
        }
        Ok(header)
    }
}

/// Reads integers and strings off the front of a slice.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(len);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| Error::Corrupt("the index ends too early".into()))?;
        self.at += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }
}

/// Says what is wrong with a path, if anything.
pub(crate) fn check_path(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("the path is empty");
    }
    if path.len() > usize::from(u16::MAX) {
        return Err("the path is too long");
    }
    if path.contains('\0') {
        return Err("the path has a NUL in it");
    }
    if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return Err("the path must be relative, without empty, `.`, or `..` components");
    }
    Ok(())
}
