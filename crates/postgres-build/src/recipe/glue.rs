//! The C that we write ourselves: compiled as PostgreSQL's own files are, and linked with the
//! server.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::compile::Tree;
use crate::layout::Workspace;
use crate::{child, hash, tools};

/// Compiles every C file in the glue's folder, though not in those below it, into `output`, and returns the objects in the order of their
/// names. There may be none.
pub fn compile(tree: &Tree, workspace: &Workspace, output: &Path) -> Result<Vec<PathBuf>> {
    let compiler = tools::llvm("clang")?;
    let flags = flags(tree)?;
    let (glue, headers) = (workspace.glue(), workspace.headers());
    let mut objects = Vec::new();
    for source in sources(&glue)? {
        let object = output.join(source.file_name().unwrap_or_default()).with_extension("o");
        let mut command = child::command(&compiler);
        command.args(&flags);
        for folder in [&glue, &headers] {
            command.arg("-I").arg(folder);
        }
        command.arg("-c").arg(&source).arg("-o").arg(&object);
        child::run(command).with_context(|| format!("cannot compile {}", source.display()))?;
        objects.push(object);
    }
    Ok(objects)
}

/// The functions that are wrapped: one name a line in `wrap.txt`, `#` begins a comment. The file
/// may be missing.
pub fn wrapped(glue: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(glue.join("wrap.txt")).unwrap_or_default();
    let names = text.lines().filter_map(|line| line.split('#').next()).map(str::trim);
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn sources(glue: &Path) -> Result<Vec<PathBuf>> {
    let files = hash::files_below(glue)?.into_iter();
    Ok(files.filter(|path| path.parent() == Some(glue) && path.extension().is_some_and(|ext| ext == "c")).collect())
}

/// What PostgreSQL's makefiles compile the server with.
fn flags(tree: &Tree) -> Result<Vec<String>> {
    let path = tree.build.join("src/Makefile.global");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut flags = Vec::new();
    for name in ["CFLAGS", "CPPFLAGS"] {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='));
        let value = value.with_context(|| format!("{} does not set {name}", path.display()))?;
        flags.extend(value.split_whitespace().map(str::to_owned));
    }
    for folder in [tree.build.join("src/include"), tree.source.join("src/include")] {
        flags.push(format!("-I{}", folder.display()));
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_to_wrap() {
        let dir = tempfile::tempdir().unwrap();
        assert!(wrapped(dir.path()).is_empty());
        std::fs::write(dir.path().join("wrap.txt"), "# why\nInitProcess\n\n  secure_read # also\n").unwrap();
        assert_eq!(wrapped(dir.path()), ["InitProcess", "secure_read"]);
    }
}
