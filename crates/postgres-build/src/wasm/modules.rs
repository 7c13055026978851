//! The tables of what loadable modules offer, and of what of them is in files: they are linked in, and `dlopen` and `dlsym` look there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::Toolchain;
use super::tables::SECTION;
use crate::child;
use crate::record::Link;

/// A module that is linked in.
#[derive(Debug)]
pub(super) struct Module {
    /// Its name, that of its file without `.so`.
    pub(super) name: String,
    /// Its objects.
    pub(super) objects: Vec<PathBuf>,
    /// What can be asked for, and the symbol that it is.
    symbols: BTreeMap<String, String>,
}

impl Module {
    /// Reads the symbols of a module's objects.
    pub(super) fn read(link: &Link, toolchain: &Toolchain) -> Result<Self> {
        let mut command = child::command(&toolchain.nm);
        command.args(["--defined-only", "--extern-only", "--format=posix"]).args(&link.objects);
        let text =
            child::output(&mut command).with_context(|| format!("cannot list the symbols of {}", link.name()))?;
        Ok(Self { name: link.name().into(), objects: link.objects.clone(), symbols: symbols(&text) })
    }
}

/// What of a listing by nm is asked for by name: the functions that SQL knows, with their descriptions, and the three that the compiler's stand-in
/// has renamed.
fn symbols(listing: &str) -> BTreeMap<String, String> {
    let functions: BTreeSet<&str> = listing
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let name = words.next()?;
            (words.next() == Some("T")).then_some(name)
        })
        .collect();
    let mut found = BTreeMap::new();
    for name in &functions {
        for (prefix, original) in [
            ("pgl_magic_", "Pg_magic_func"),
            ("pgl_init_", "_PG_init"),
            ("pgl_output_plugin_", "_PG_output_plugin_init"),
        ] {
            if name.starts_with(prefix) {
                found.insert(original.to_owned(), (*name).to_owned());
            }
        }
        if let Some(function) = name.strip_prefix("pg_finfo_").filter(|function| functions.contains(function)) {
            found.insert((*name).to_owned(), (*name).to_owned());
            found.insert(function.to_owned(), function.to_owned());
        }
    }
    found
}

/// Both, as C.
pub(super) fn table(modules: &[Module]) -> String {
    let mut text = String::from("struct symbol { const char *module, *name; void *address; };\n");
    let symbols: BTreeMap<&String, &String> =
        modules.iter().flat_map(|module| module.symbols.iter().map(|(name, symbol)| (symbol, name))).collect();
    for (symbol, name) in symbols {
        // a function of another type would not be the same one
        let _ = match name.as_str() {
            "_PG_init" => writeln!(text, "extern void {symbol}(void);"),
            "_PG_output_plugin_init" => writeln!(text, "extern void {symbol}(void *);"),
            name if name == "Pg_magic_func" || name.starts_with("pg_finfo_") => {
                writeln!(text, "extern const void *{symbol}(void);")
            }
            _ => writeln!(text, "extern unsigned long {symbol}(void *);"),
        };
    }
    let _ = writeln!(text, "const struct symbol pgl_module_symbols[] = {{");
    for module in modules {
        for (name, symbol) in &module.symbols {
            let _ = writeln!(text, "{{\"{}\", \"{name}\", (void *) {symbol}}},", module.name);
        }
    }
    text.push_str("{0, 0, 0}};\n");
    text.push_str("struct tables { const char *module; char *start, *end; };\n");
    // Whether one has tables, the linker knows.
    for Module { name, .. } in modules {
        let _ = writeln!(text, "extern char __start_{SECTION}{name}[] __attribute__((weak));");
        let _ = writeln!(text, "extern char __stop_{SECTION}{name}[] __attribute__((weak));");
    }
    text.push_str("const struct tables pgl_module_tables[] = {\n");
    for Module { name, .. } in modules {
        let _ = writeln!(text, "{{\"{name}\", __start_{SECTION}{name}, __stop_{SECTION}{name}}},");
    }
    text.push_str("{0, 0, 0}};\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sql_asks_for_is_found() {
        let listing =
            "x.o:\npgl_magic_contrib_x T 1 2\npg_finfo_f T 1 2\nf T 3 4\nhelper T 5 6\npg_finfo_g T 7 8\ndata D 1\n";
        let found = symbols(listing);
        let names: Vec<_> = found.iter().map(|(name, symbol)| format!("{name}={symbol}")).collect();
        assert_eq!(names, ["Pg_magic_func=pgl_magic_contrib_x", "f=f", "pg_finfo_f=pg_finfo_f"]);
    }
}
