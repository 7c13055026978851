//! Names of prepared builds: sums of everything that goes into one.
//!
//! The build script of `postgres-sys` computes the same key without a compiler or a network, and so
//! finds what was built before.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::hash::Sum;
use crate::layout::Workspace;

/// What a prepared build depends on, beside PostgreSQL's source and the target: paths below the
/// checkout.
const INPUTS: [&str; 8] = [
    "crates/privatize/Cargo.toml",
    "crates/privatize/build.rs",
    "crates/privatize/src",
    "crates/postgres-build/src/recipe",
    "crates/privatize/shim",
    "crates/libos/names.txt",
    "crates/libos/include",
    "glue",
];

/// What the template cluster depends on, beside the prepared build.
const TEMPLATE_INPUTS: [&str; 3] =
    ["crates/mkcluster/Cargo.toml", "crates/mkcluster/src", "crates/engine/src/cluster/initdb.rs"];

/// What the WebAssembly modules depend on, beside PostgreSQL's source: paths below the checkout.
pub(crate) const WASM_INPUTS: [&str; 8] = [
    "crates/postgres-build/src/wasm",
    "crates/postgres-build/src/recipe",
    "crates/postgres-build/src/profile.rs",
    "crates/wasi-guest",
    "crates/cluster-files",
    "crates/draft/Cargo.toml",
    "crates/draft/src",
    "glue",
];
/// What their template depends on, beside that.
pub(crate) const WASM_TEMPLATE_INPUTS: [&str; 2] = ["crates/wasm-host/Cargo.toml", "crates/wasm-host/src/bin"];

/// The key of the prepared build of a source with this checksum.
pub fn prepared(workspace: &Workspace, source_checksum: &str, target: &str) -> Result<String> {
    let mut sum = Sum::default();
    sum.part("prepared build 1").part(source_checksum).part(target);
    for input in INPUTS {
        sum.tree(&workspace.root, Path::new(input))?;
    }
    Ok(short(sum))
}

/// The key of the template cluster of a prepared build; `None` where the checkout has no program
/// that makes one.
pub fn template(workspace: &Workspace, prepared_key: &str) -> Result<Option<String>> {
    if !workspace.root.join(TEMPLATE_INPUTS[0]).exists() {
        return Ok(None);
    }
    let mut sum = Sum::default();
    sum.part("template 2").part(prepared_key);
    for input in TEMPLATE_INPUTS {
        sum.tree(&workspace.root, Path::new(input))?;
    }
    Ok(Some(short(sum)))
}

/// The files and folders whose change means another key: those that are there.
pub fn inputs(workspace: &Workspace) -> Vec<PathBuf> {
    let all = INPUTS.iter().chain(&TEMPLATE_INPUTS);
    all.map(|input| workspace.root.join(input)).filter(|path| path.exists()).collect()
}

/// The same for the WebAssembly modules.
pub fn wasm_inputs(workspace: &Workspace) -> Vec<PathBuf> {
    WASM_INPUTS.iter().chain(&WASM_TEMPLATE_INPUTS).map(|input| workspace.root.join(input)).collect()
}

/// Half of a sum is enough to tell builds apart, and makes shorter paths.
pub(crate) fn short(sum: Sum) -> String {
    let mut sum = sum.finish();
    sum.truncate(32);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_changes_the_key() {
        let dir = tempfile::tempdir().unwrap();
        let workspace = Workspace { root: dir.path().to_owned() };
        let mut keys = vec![
            prepared(&workspace, "1", "x86_64").unwrap(),
            prepared(&workspace, "2", "x86_64").unwrap(),
            prepared(&workspace, "1", "aarch64").unwrap(),
        ];
        for input in INPUTS {
            let path = dir.path().join(input).join("file.rs");
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
            keys.push(prepared(&workspace, "1", "x86_64").unwrap());
        }
        let before = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), before);
    }

    #[test]
    fn no_template_without_its_program() {
        let dir = tempfile::tempdir().unwrap();
        let workspace = Workspace { root: dir.path().to_owned() };
        assert_eq!(template(&workspace, "k").unwrap(), None);
        std::fs::create_dir_all(dir.path().join("crates/mkcluster")).unwrap();
        std::fs::write(dir.path().join("crates/mkcluster/Cargo.toml"), "").unwrap();
        let first = template(&workspace, "k").unwrap();
        assert!(first.is_some() && first != template(&workspace, "l").unwrap());
    }
}
