//! The names of symbol versions, which other objects must have (`DT_VERNEED`) or this one defines (`DT_VERDEF`).

use object::LittleEndian as LE;
use object::elf::{Verdaux, Verdef, Vernaux, Verneed};
use object::pod::Pod;

use crate::dynamic::Dynamic;
use crate::error::{ErrorKind, Result};
use crate::layout::Image;
use crate::symbols::string;

/// An index has 15 bits, so no table has more entries.
const MOST: u64 = 1 << 15;

/// The names, by index; 0 and 1 (local and unversioned) have none.
pub(crate) fn names(image: &Image<'_>, dynamic: &Dynamic, strings: &str) -> Result<Vec<Option<String>>> {
    let mut names = Vec::new();
    let mut add = |index: u16, name: u32| -> Result<()> {
        let index = usize::from(index & 0x7fff);
        if index > 1 {
            names.resize(names.len().max(index + 1), None);
            names[index] = Some(string(strings, u64::from(name))?.to_owned());
        }
        Ok(())
    };
    if let Some((address, count)) = dynamic.version_definitions {
        let table = image.from(address, "the version definitions")?;
        let mut at = 0;
        for _ in 0..count.min(MOST) {
            let entry: &Verdef<LE> = read(table, at)?;
            // The first auxiliary entry is the version itself; further ones are what it builds on.
            let own: &Verdaux<LE> = read(table, step(at, entry.vd_aux.get(LE))?)?;
            add(entry.vd_ndx.get(LE).0, own.vda_name.get(LE))?;
            match entry.vd_next.get(LE) {
                0 => break,
                next => at = step(at, next)?,
            }
        }
    }
    if let Some((address, count)) = dynamic.version_needs {
        let table = image.from(address, "the versions needed")?;
        let mut at = 0;
        // One limit for both loops, so that overlapping tables cannot multiply.
        let mut left = MOST;
        for _ in 0..count.min(MOST) {
            let library: &Verneed<LE> = read(table, at)?;
            let mut inner = step(at, library.vn_aux.get(LE))?;
            for _ in 0..library.vn_cnt.get(LE) {
                left = left.checked_sub(1).ok_or_else(|| ErrorKind::malformed("it needs too many versions"))?;
                let entry: &Vernaux<LE> = read(table, inner)?;
                add(entry.vna_other.get(LE).0, entry.vna_name.get(LE))?;
                match entry.vna_next.get(LE) {
                    0 => break,
                    next => inner = step(inner, next)?,
                }
            }
            match library.vn_next.get(LE) {
                0 => break,
                next => at = step(at, next)?,
            }
        }
    }
    Ok(names)
}

fn step(at: usize, by: u32) -> Result<usize> {
    at.checked_add(by as usize).ok_or_else(outside)
}

fn read<T: Pod>(table: &[u8], at: usize) -> Result<&T> {
    let bytes = table.get(at..).ok_or_else(outside)?;
    let (entry, _) = object::from_bytes(bytes).map_err(|()| outside())?;
    Ok(entry)
}

fn outside() -> ErrorKind {
    ErrorKind::malformed("a symbol version is outside of the file")
}
