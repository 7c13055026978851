//! The relocations, decoded and checked once, so that mapping only carries them out.

use object::LittleEndian as LE;
use object::elf::{FileHeader64, Rela64, RelocationType, Relr64};
use object::read::elf::{Rela as _, RelrIterator};

use crate::arch::{self, Action};
use crate::dynamic::{Dynamic, Table};
use crate::error::{ErrorKind, Result};
use crate::layout::{Image, Layout};
use crate::symbols::{Place, Symbols};

/// One entry of `DT_RELA` or `DT_JMPREL`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Relocation {
    /// Where to write, as an address of the file.
    pub(crate) address: u64,
    pub(crate) addend: i64,
    /// An index, or 0 for none.
    pub(crate) symbol: u32,
    kind: u32,
    pub(crate) action: Action,
}

/// All relocations of an object.
#[derive(Debug)]
pub(crate) struct Relocations {
    pub(crate) entries: Vec<Relocation>,
    /// `DT_RELR`, packed as in the file.
    packed: Vec<Relr64<LE>>,
}

impl Relocations {
    /// Decodes the tables; nothing is checked yet but their own form.
    pub(crate) fn parse(image: &Image<'_>, dynamic: &Dynamic) -> Result<Self> {
        let mut entries = Vec::new();
        for table in [dynamic.relocations, dynamic.plt_relocations] {
            for entry in slice::<Rela64<LE>>(image, table)? {
                entries.push(decode(entry)?);
            }
        }
        Ok(Self { entries, packed: slice(image, dynamic.relative_relocations)?.to_vec() })
    }

    /// The addresses of words to which the difference between memory and file is added (`DT_RELR`).
    pub(crate) fn packed(&self) -> impl Iterator<Item = u64> {
        RelrIterator::<FileHeader64<LE>>::new(LE, &self.packed)
    }

    /// How many symbols there must be.
    pub(crate) fn symbol_count(&self) -> u32 {
        let last = self.entries.iter().map(|r| r.symbol).max().unwrap_or(0);
        // Index 0 means no symbol.
        if last == 0 { 0 } else { last.saturating_add(1) }
    }

    /// Refuses all that cannot be carried out.
    pub(crate) fn check(&self, layout: &Layout, symbols: &Symbols) -> Result<()> {
        for address in self.packed() {
            if !writable(layout, address, 8) {
                return Err(text_relocation("RELR".to_owned(), address, None));
            }
        }
        let mut fixed = Vec::new();
        for entry in &self.entries {
            entry.check(layout, symbols)?;
            if entry.action == Action::TlsStatic {
                fixed.push(entry.variable(symbols));
            }
        }
        fixed.dedup();
        if !fixed.is_empty() {
            return Err(ErrorKind::StaticThreadLocal { symbols: fixed });
        }
        Ok(())
    }
}

impl Relocation {
    fn check(&self, layout: &Layout, symbols: &Symbols) -> Result<()> {
        let name = || (self.symbol != 0).then(|| symbols.name(self.symbol).to_owned()).filter(|name| !name.is_empty());
        let kind = || arch::relocation_name(RelocationType(self.kind));
        let unsupported = |advice| ErrorKind::UnsupportedRelocation { relocation: kind(), symbol: name(), advice };
        if self.action != Action::None && !writable(layout, self.address, self.action.size()) {
            return Err(if layout.segment(self.address, self.action.size()).is_some() {
                text_relocation(kind(), self.address, name())
            } else {
                ErrorKind::malformed("a relocation is outside of the object")
            });
        }
        match self.action {
            Action::Copy => Err(unsupported("; only executables have it, build with -shared")),
            Action::Text => Err(unsupported("; compile with -fPIC")),
            Action::Indirect if !layout.is_code(self.addend as u64) => {
                Err(ErrorKind::malformed("the function of an indirect relocation is not in code"))
            }
            _ if self.action.is_thread_local() && layout.thread_local.is_none() && self.is_own_variable(symbols) => {
                Err(ErrorKind::malformed("it refers to thread-local variables, but has no template of them"))
            }
            Action::Symbol | Action::SymbolAddend if symbols.get(self.symbol).place == Place::ThreadLocal => {
                Err(unsupported("; the symbol is a thread-local variable"))
            }
            _ => Ok(()),
        }
    }

    fn is_own_variable(&self, symbols: &Symbols) -> bool {
        self.symbol == 0 || symbols.get(self.symbol).place == Place::ThreadLocal
    }

    /// What to call the thread-local variable in a message.
    fn variable(&self, symbols: &Symbols) -> String {
        match symbols.name(self.symbol) {
            "" => format!("a static variable at offset {:#x} of the thread-local block", self.addend),
            name => name.to_owned(),
        }
    }
}

fn decode(entry: &Rela64<LE>) -> Result<Relocation> {
    let kind = entry.r_type(LE, false);
    let symbol = entry.r_sym(LE, false);
    let action = arch::action(kind).ok_or_else(|| ErrorKind::UnsupportedRelocation {
        relocation: arch::relocation_name(kind),
        symbol: None,
        advice: "",
    })?;
    Ok(Relocation { address: entry.r_offset(LE), addend: entry.r_addend(LE), symbol, kind: kind.0, action })
}

fn slice<'i, T: object::pod::Pod>(image: &'i Image<'_>, table: Table) -> Result<&'i [T]> {
    if table.size == 0 {
        return Ok(&[]);
    }
    let bytes = image.at(table.address, table.size, "a relocation table")?;
    let count = bytes.len() / size_of::<T>();
    let (entries, rest) = object::slice_from_bytes(bytes, count)
        .map_err(|()| ErrorKind::malformed("a relocation table cannot be read"))?;
    if rest.is_empty() {
        Ok(entries)
    } else {
        Err(ErrorKind::malformed("a relocation table's size is no multiple of an entry's"))
    }
}

fn writable(layout: &Layout, address: u64, size: u64) -> bool {
    layout.segment(address, size).is_some_and(|s| s.write)
}

fn text_relocation(relocation: String, address: u64, symbol: Option<String>) -> ErrorKind {
    ErrorKind::TextRelocation { relocation, address, symbol }
}
