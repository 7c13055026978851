//! The dynamic section: where the tables are, what the object needs.

use object::LittleEndian as LE;
use object::elf::{self, Dyn64, Rela64, Relr64, Sym64};

use crate::error::{ErrorKind, Result};
use crate::layout::Image;

/// A table in the file: address and size in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Table {
    pub(crate) address: u64,
    pub(crate) size: u64,
}

/// The entries that a loader uses; addresses are the file's.
#[derive(Debug, Default)]
pub(crate) struct Dynamic {
    pub(crate) strings: Table,
    pub(crate) symbols: Option<u64>,
    pub(crate) gnu_hash: Option<u64>,
    pub(crate) hash: Option<u64>,
    pub(crate) versions: Option<u64>,
    pub(crate) version_definitions: Option<(u64, u64)>,
    pub(crate) version_needs: Option<(u64, u64)>,
    pub(crate) relocations: Table,
    pub(crate) plt_relocations: Table,
    pub(crate) relative_relocations: Table,
    pub(crate) init: Option<u64>,
    pub(crate) fini: Option<u64>,
    pub(crate) init_array: Table,
    pub(crate) fini_array: Table,
    pub(crate) symbolic: bool,
    /// Offsets into the strings.
    pub(crate) needed: Vec<u64>,
    pub(crate) soname: Option<u64>,
}

impl Dynamic {
    pub(crate) fn parse(image: &Image<'_>) -> Result<Self> {
        let range = &image.layout.dynamic;
        let bytes = image.at(range.start, range.end - range.start, "the dynamic section")?;
        let count = bytes.len() / size_of::<Dyn64<LE>>();
        let (entries, _) = object::slice_from_bytes::<Dyn64<LE>>(bytes, count)
            .map_err(|()| ErrorKind::malformed("the dynamic section cannot be read"))?;

        let mut found = Self::default();
        let (mut definitions, mut definition_count) = (None, 0);
        let (mut needs, mut need_count) = (None, 0);
        let mut executable = false;
        let mut plt_relocation_type = elf::DT_RELA.0 as u64;
        for entry in entries {
            let value = entry.d_val.get(LE);
            match entry.d_tag.get(LE) {
                elf::DT_NULL => break,
                elf::DT_NEEDED => found.needed.push(value),
                elf::DT_SONAME => found.soname = Some(value),
                elf::DT_STRTAB => found.strings.address = value,
                elf::DT_STRSZ => found.strings.size = value,
                elf::DT_SYMTAB => found.symbols = Some(value),
                elf::DT_SYMENT => entry_size(value, size_of::<Sym64<LE>>(), "symbol")?,
                elf::DT_GNU_HASH => found.gnu_hash = Some(value),
                elf::DT_HASH => found.hash = Some(value),
                elf::DT_VERSYM => found.versions = Some(value),
                elf::DT_VERDEF => definitions = Some(value),
                elf::DT_VERDEFNUM => definition_count = value,
                elf::DT_VERNEED => needs = Some(value),
                elf::DT_VERNEEDNUM => need_count = value,
                elf::DT_RELA => found.relocations.address = value,
                elf::DT_RELASZ => found.relocations.size = value,
                elf::DT_RELAENT => entry_size(value, size_of::<Rela64<LE>>(), "relocation")?,
                elf::DT_JMPREL => found.plt_relocations.address = value,
                elf::DT_PLTRELSZ => found.plt_relocations.size = value,
                elf::DT_PLTREL => plt_relocation_type = value,
                elf::DT_RELR => found.relative_relocations.address = value,
                elf::DT_RELRSZ => found.relative_relocations.size = value,
                elf::DT_RELRENT => {
                    entry_size(value, size_of::<Relr64<LE>>(), "relative relocation")?;
                }
                elf::DT_REL => {
                    return Err(ErrorKind::malformed(
                        "it has relocations without addends, which this processor's ABI does not use",
                    ));
                }
                elf::DT_INIT => found.init = Some(value),
                elf::DT_FINI => found.fini = Some(value),
                elf::DT_INIT_ARRAY => found.init_array.address = value,
                elf::DT_INIT_ARRAYSZ => found.init_array.size = value,
                elf::DT_FINI_ARRAY => found.fini_array.address = value,
                elf::DT_FINI_ARRAYSZ => found.fini_array.size = value,
                elf::DT_SYMBOLIC => found.symbolic = true,
                elf::DT_FLAGS => found.symbolic |= value & elf::DF_SYMBOLIC.0 != 0,
                elf::DT_FLAGS_1 => executable |= value & elf::DF_1_PIE.0 != 0,
                // Linkers put it into executables only.
                elf::DT_DEBUG => executable = true,
                _ => {}
            }
        }
        if executable {
            return Err(ErrorKind::NotShared(if image.layout.interpreter {
                "an executable (position-independent)"
            } else {
                "an executable (static and position-independent)"
            }));
        }
        if plt_relocation_type != elf::DT_RELA.0 as u64 {
            return Err(ErrorKind::malformed("its procedure linkage relocations have no addends"));
        }
        found.version_definitions = definitions.map(|at| (at, definition_count));
        found.version_needs = needs.map(|at| (at, need_count));
        found.check_functions(image)?;
        Ok(found)
    }

    fn check_functions(&self, image: &Image<'_>) -> Result<()> {
        for function in [self.init, self.fini].into_iter().flatten() {
            if !image.layout.is_code(function) {
                return Err(ErrorKind::malformed("its initialiser or finaliser is not in code"));
            }
        }
        for array in [self.init_array, self.fini_array] {
            if array.size > 0
                && (array.size % 8 != 0
                    || array.address % 8 != 0
                    || image.layout.segment(array.address, array.size).is_none_or(|s| !s.read))
            {
                return Err(ErrorKind::malformed("its table of initialisers or finalisers is in no segment"));
            }
        }
        Ok(())
    }
}

fn entry_size(found: u64, expected: usize, what: &str) -> Result<()> {
    if found == expected as u64 {
        Ok(())
    } else {
        Err(ErrorKind::malformed(format!("a {what} entry has {found} bytes instead of {expected}")))
    }
}
