//! The dynamic symbol table, with its names and versions, copied out of the file.
//!
//! Hash tables are used for what only they tell, the number of symbols; to find a name we keep our own sorted index, so that
//! a damaged hash table can at worst hide a name.

use object::LittleEndian as LE;
use object::elf::{self, FileHeader64, Sym64, Versym};
use object::read::elf::{GnuHashTable, HashTable, Sym as _};

use crate::dynamic::Dynamic;
use crate::error::{ErrorKind, Result, Undefined};
use crate::layout::Image;
use crate::versions;

type Header = FileHeader64<LE>;

/// Where a symbol's value counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Another object defines it.
    Undefined,
    /// It is a number.
    Absolute,
    /// It is an address of the file, of a variable or function.
    Memory,
    /// It is the address of a function that returns the symbol's address (`STT_GNU_IFUNC`).
    Indirect,
    /// It is an offset in the thread-local block.
    ThreadLocal,
}

/// One entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Symbol {
    name: u32,
    version: u16,
    pub(crate) place: Place,
    pub(crate) weak: bool,
    /// Another object's definition may come first.
    pub(crate) preemptible: bool,
    pub(crate) value: u64,
}

/// The whole table.
#[derive(Debug)]
pub(crate) struct Symbols {
    entries: Vec<Symbol>,
    strings: String,
    versions: Vec<Option<String>>,
    /// Indexes of what other objects can see, by name; a name's default version only.
    exported: Vec<u32>,
}

impl Symbols {
    /// Copies the table. `least` is the number of symbols that relocations need, for objects without a hash table.
    pub(crate) fn parse(image: &Image<'_>, dynamic: &Dynamic, least: u32) -> Result<Self> {
        let strings = strings(image, dynamic)?;
        let count = count(image, dynamic)?.max(least);
        let entries: &[Sym64<LE>] = match dynamic.symbols {
            Some(address) => slice(image, address, u64::from(count), "the symbol table")?,
            None if count == 0 => &[],
            None => return Err(ErrorKind::malformed("it has no symbol table")),
        };
        let versyms: &[Versym<LE>] = match dynamic.versions {
            Some(address) => slice(image, address, u64::from(count), "the symbols' versions")?,
            None => &[],
        };
        let mut found = Self {
            entries: Vec::with_capacity(entries.len()),
            versions: versions::names(image, dynamic, &strings)?,
            strings,
            exported: Vec::new(),
        };
        for (index, entry) in entries.iter().enumerate() {
            let version = versyms.get(index).map(|v| v.0.get(LE));
            let symbol = found.symbol(image, index, entry, version.map_or(0, |v| v.index().0))?;
            let default = version.is_none_or(|v| !v.is_hidden() && v.index().0 != 0);
            let visible = matches!(entry.st_visibility(), elf::STV_DEFAULT | elf::STV_PROTECTED);
            let named = symbol.name != 0 && symbol.place != Place::Undefined;
            if named && default && visible && entry.st_bind() != elf::STB_LOCAL {
                found.exported.push(index as u32);
            }
            found.entries.push(symbol);
        }
        let mut exported = std::mem::take(&mut found.exported);
        exported.sort_by(|a, b| found.name(*a).cmp(found.name(*b)));
        found.exported = exported;
        Ok(found)
    }

    fn symbol(&self, image: &Image<'_>, index: usize, entry: &Sym64<LE>, version: u16) -> Result<Symbol> {
        let name = entry.st_name(LE);
        string(&self.strings, u64::from(name))?;
        let value = entry.st_value(LE);
        let section = entry.st_shndx(LE);
        let thread_local = entry.st_type() == elf::STT_TLS;
        let layout = image.layout;
        let (place, valid) = if index == 0 || section == elf::SHN_UNDEF {
            (Place::Undefined, true)
        } else if section == elf::SHN_ABS {
            (Place::Absolute, true)
        } else if thread_local {
            let size = layout.thread_local.as_ref().map_or(0, |t| t.size);
            (Place::ThreadLocal, value <= size)
        } else if entry.st_type() == elf::STT_GNU_IFUNC {
            (Place::Indirect, layout.is_code(value))
        } else {
            let span = &layout.span;
            (Place::Memory, span.start <= value && value <= span.end)
        };
        if !valid {
            return Err(ErrorKind::malformed(format!(
                "the symbol {} is outside of the object",
                string(&self.strings, u64::from(name))?
            )));
        }
        Ok(Symbol {
            name,
            version,
            place,
            weak: entry.st_bind() == elf::STB_WEAK,
            preemptible: entry.st_bind() != elf::STB_LOCAL && entry.st_visibility() == elf::STV_DEFAULT,
            value,
        })
    }

    /// The symbol with this index, which relocations were checked to stay below.
    pub(crate) fn get(&self, index: u32) -> &Symbol {
        &self.entries[index as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn name(&self, index: u32) -> &str {
        string(&self.strings, u64::from(self.get(index).name)).unwrap_or_default()
    }

    pub(crate) fn version(&self, index: u32) -> Option<&str> {
        self.versions.get(usize::from(self.get(index).version))?.as_deref()
    }

    /// The definition that others see by this name.
    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        let at = self.exported.binary_search_by(|index| self.name(*index).cmp(name)).ok()?;
        Some(self.exported[at])
    }

    /// The names of all definitions that others see, in order.
    pub(crate) fn exported(&self) -> impl Iterator<Item = &str> {
        self.exported.iter().map(|index| self.name(*index))
    }

    /// What other objects have to define.
    pub(crate) fn undefined(&self) -> impl Iterator<Item = Undefined> {
        (1..self.len() as u32)
            .filter(|index| {
                let symbol = self.get(*index);
                symbol.place == Place::Undefined && symbol.name != 0
            })
            .map(|index| self.reference(index))
    }

    /// The symbol as a reference to another object.
    pub(crate) fn reference(&self, index: u32) -> Undefined {
        Undefined {
            name: self.name(index).to_owned(),
            version: self.version(index).map(str::to_owned),
            weak: self.get(index).weak,
        }
    }
}

/// The string table, copied.
pub(crate) fn strings(image: &Image<'_>, dynamic: &Dynamic) -> Result<String> {
    let table = dynamic.strings;
    let bytes = image.at(table.address, table.size, "the string table")?;
    String::from_utf8(bytes.to_vec()).map_err(|_| ErrorKind::malformed("the string table is not UTF-8"))
}

/// The string that begins at `offset`.
pub(crate) fn string(strings: &str, offset: u64) -> Result<&str> {
    usize::try_from(offset)
        .ok()
        .and_then(|offset| strings.get(offset..)?.split_once('\0'))
        .map(|(string, _)| string)
        .ok_or_else(|| ErrorKind::malformed("a name is outside of the string table"))
}

fn slice<'i, T: object::pod::Pod>(image: &'i Image<'_>, address: u64, count: u64, what: &str) -> Result<&'i [T]> {
    let size = count.saturating_mul(size_of::<T>() as u64);
    let bytes = image.at(address, size, what)?;
    let (slice, _) = object::slice_from_bytes(bytes, count as usize)
        .map_err(|()| ErrorKind::malformed(format!("{what} cannot be read")))?;
    Ok(slice)
}

/// The number of symbols that the hash tables know of.
fn count(image: &Image<'_>, dynamic: &Dynamic) -> Result<u32> {
    let malformed = |error: object::read::Error| ErrorKind::malformed(error.to_string());
    if let Some(address) = dynamic.hash {
        let bytes = image.from(address, "the hash table")?;
        let table = HashTable::<Header>::parse(LE, bytes).map_err(malformed)?;
        return Ok(table.symbol_table_length());
    }
    let Some(address) = dynamic.gnu_hash else {
        return Ok(0);
    };
    let bytes = image.from(address, "the GNU hash table")?;
    let table = GnuHashTable::<Header>::parse(LE, bytes).map_err(malformed)?;
    // A table of no definitions still says where they would begin.
    Ok(table.symbol_table_length(LE).unwrap_or_else(|| table.symbol_base()))
}
