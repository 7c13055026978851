//! Tables of characters, which are a seventh of the program and which few sessions need: out of the modules, into files.
//!
//! `compiler.sh` gives the tables of each conversion a section of its own. Here what is in it becomes the file of that loadable module, and zeros in
//! the program, which cost nothing there; `dlopen` in `crates/wasi-guest` reads the file. A table has no addresses in it, so it is the same in
//! both modules.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use wasmparser::{DataKind, Operator, Parser, Payload};

/// What the sections' names begin with; then follows the name of the loadable module.
pub(super) const SECTION: &str = "pgl_tables_";

/// The tables of each loadable module.
pub(super) type Tables = BTreeMap<String, Vec<u8>>;

/// Takes the tables out of a linked module, by the linker's map of it.
pub(super) fn take_out(module: &Path, map: &Path) -> Result<Tables> {
    let map = std::fs::read_to_string(map).with_context(|| format!("cannot read {}", map.display()))?;
    let mut bytes = std::fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    let segments = segments(&bytes).with_context(|| format!("cannot parse {}", module.display()))?;
    let mut tables = Tables::new();
    for (name, address, size) in places(&map) {
        let found = segments.iter().find(|(start, place)| *start <= address && address + size <= start + place.len());
        let (start, place) = found.with_context(|| format!("the map of {name} is wrong"))?;
        let part = &mut bytes[place.start + address - start..][..size];
        tables.entry(name.to_owned()).or_default().extend_from_slice(part);
        part.fill(0);
    }
    ensure!(!tables.is_empty(), "the linker's map has no tables of characters");
    std::fs::write(module, bytes).with_context(|| format!("cannot write {}", module.display()))?;
    Ok(tables)
}

/// Loadable module, address, and size of all parts of such sections. The map's offsets in the file are not exact, and not used.
fn places(map: &str) -> impl Iterator<Item = (&str, usize, usize)> {
    map.lines().filter_map(|line| {
        let (_, name) = line.strip_suffix(')')?.rsplit_once(":(")?;
        let mut words = line.split_whitespace().map(|word| usize::from_str_radix(word, 16).ok());
        Some((name.strip_prefix(SECTION)?, words.next()??, words.nth(1)??))
    })
}

/// The addresses of a module's segments of data, and where they are in its file.
fn segments(module: &[u8]) -> Result<Vec<(usize, Range<usize>)>> {
    let mut found = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        let Payload::DataSection(section) = payload? else { continue };
        for data in section {
            let data = data?;
            let DataKind::Active { offset_expr, .. } = data.kind else { continue };
            let Operator::I32Const { value } = offset_expr.get_operators_reader().read()? else { continue };
            let end = data.range.end;
            found.push((usize::try_from(value.cast_unsigned())?, end - data.data.len()..end));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "    Addr      Off     Size Out     In      Symbol
      10        9        6 pgl_tables_a
      10        9        3         a.o:(pgl_tables_a)
      10        9        3                 table
      13        9        1         b.o:(.rodata.other)
      14        9        1         c.o:(pgl_tables_b)
";
    /// A module with one segment, at address 16.
    const MODULE: &[u8] = b"\0asm\x01\0\0\0\x0b\x0c\x01\0\x41\x10\x0b\x06abcdef";

    #[test]
    fn tables_become_zeros() {
        let folder = tempfile::tempdir().unwrap();
        let (module, map) = (folder.path().join("module"), folder.path().join("map"));
        std::fs::write(&module, MODULE).unwrap();
        std::fs::write(&map, MAP).unwrap();
        let tables = take_out(&module, &map).unwrap();
        let tables: Vec<(&str, &[u8])> = tables.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
        assert_eq!(tables, [("a", &b"abc"[..]), ("b", b"e")]);
        assert!(std::fs::read(&module).unwrap().ends_with(b"\x06\0\0\0d\0f"));
        std::fs::write(&map, MAP.replace("  10  ", "  1a  ")).unwrap();
        assert!(take_out(&module, &map).is_err(), "it is not in the segment");
        std::fs::write(&map, "").unwrap();
        assert!(take_out(&module, &map).is_err());
    }
}
