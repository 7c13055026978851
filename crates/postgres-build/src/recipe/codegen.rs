//! From units to a static library: the pass, code generation, and the separation of debug
//! information.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::options::{GLOBAL_SYMBOLS, LINK_ARGUMENTS};
use super::unit::Unit;
use crate::hash::{self, Sum};
use crate::layout::{Cache, Workspace};
use crate::progress::Progress;
use crate::{child, key, programs, tools};

/// Builds the pass and returns the path of its program. It needs LLVM's libraries, so it is built
/// here and not as a dependency.
pub fn build_pass(workspace: &Workspace, cache: &Cache, progress: &Progress) -> Result<PathBuf> {
    let target = programs::folder(workspace, cache)?;
    let step = progress.step("build the compiler pass", 0);
    let mut command = child::cargo();
    command.current_dir(&workspace.root);
    command.args(["build", "--release", "--package", "privatize", "--bin", "privatize", "--target-dir"]).arg(&target);
    child::run(command).context("cannot build the compiler pass")?;
    step.finish("");
    Ok(target.join("release/privatize"))
}

/// Runs the pass and generates code. The object is `NAME.o` in `output`, with debug information.
pub fn compile(unit: &Unit, pass: &Path, cache: &Cache, output: &Path, progress: &Progress) -> Result<PathBuf> {
    let file = |extension: &str| output.join(format!("{}.{extension}", unit.name));
    let (description, bitcode, object) = (file("json"), file("bc"), file("o"));
    std::fs::write(&description, serde_json::to_vec_pretty(unit)?)
        .with_context(|| format!("cannot write {}", description.display()))?;

    let step = progress.step(&format!("privatize {}", unit.name), 0);
    let mut command = child::command(pass);
    command.arg("--unit").arg(&description).arg("--output").arg(&bitcode).arg("--report").arg(file("report.json"));
    child::run(command).with_context(|| format!("cannot privatize {}", unit.name))?;
    step.finish("");

    // generated code is kept by what it was generated from: a change of the glue leaves the clients
    // as they are
    let known = cache.folder("objects").join(format!("{}.o", object_key(&bitcode)?));
    if !known.exists() {
        let step = progress.step(&format!("generate code of {}", unit.name), 0);
        let mut command = child::command(tools::llvm("ld.lld")?);
        command.args(LINK_ARGUMENTS).arg("-o").arg(&object).arg(&bitcode);
        child::run(command).with_context(|| format!("cannot generate code of {}", unit.name))?;
        hide_symbols(&object)?;
        std::fs::create_dir_all(cache.folder("objects"))?;
        std::fs::rename(&object, &known).with_context(|| format!("cannot write {}", known.display()))?;
        step.finish("");
    }
    std::fs::copy(&known, &object).with_context(|| format!("cannot copy {}", known.display()))?;
    std::fs::remove_file(&bitcode).with_context(|| format!("cannot remove {}", bitcode.display()))?;
    Ok(object)
}

/// Makes all symbols local but those that are meant to be seen. They were, until code generation
/// was split over processors: then the parts refer to each other by name.
fn hide_symbols(object: &Path) -> Result<()> {
    let keep = GLOBAL_SYMBOLS.map(|name| format!("--keep-global-symbol={name}"));
    let mut arguments = vec!["--wildcard"];
    arguments.extend(keep.iter().map(String::as_str));
    objcopy(&arguments, object, object)
}

fn object_key(bitcode: &Path) -> Result<String> {
    let linker = tools::llvm("ld.lld")?;
    let mut sum = Sum::default();
    sum.part(hash::file(bitcode)?).part(child::output(child::command(linker).arg("--version"))?);
    for argument in LINK_ARGUMENTS.iter().chain(&GLOBAL_SYMBOLS) {
        sum.part(argument);
    }
    Ok(key::short(sum))
}

/// Makes the static library `name` in `output` of the objects, without debug information; `debug` gets the
/// same library with it, and for each object a file `NAME.debug` that has only that.
///
/// An object's debug information has relocations, which a debugger applies when it is told where
/// the unit's code is: `add-symbol-file postgres.debug -s privatized_text ADDRESS`.
pub fn archive(name: &str, objects: &[PathBuf], output: &Path, debug: &Path) -> Result<()> {
    // neither a debugger nor a line table asks for what is in other sections
    const CODE_RELOCATIONS: [&str; 3] = [".relaprivatized_text", ".rela.rodata*", ".rela.data*"];
    std::fs::create_dir_all(debug).with_context(|| format!("cannot create {}", debug.display()))?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for object in objects {
        let separate = debug.join(object.file_name().unwrap_or_default()).with_extension("debug");
        let mut arguments = vec!["--wildcard", "--only-keep-debug", "--compress-debug-sections=zlib"];
        arguments.extend(CODE_RELOCATIONS.iter().flat_map(|section| ["--remove-section", section]));
        objcopy(&arguments, object, &separate)?;
        let compressed = object.with_extension("compressed.o");
        objcopy(&["--compress-debug-sections=zlib"], object, &compressed)?;
        with.push(compressed);
        let stripped = object.with_extension("stripped.o");
        objcopy(&["--strip-debug"], object, &stripped)?;
        without.push(stripped);
    }
    ar(&debug.join(format!("lib{name}.a")), &with)?;
    ar(&output.join(format!("lib{name}.a")), &without)
}

fn objcopy(arguments: &[&str], from: &Path, to: &Path) -> Result<()> {
    let mut command = child::command(tools::llvm("llvm-objcopy")?);
    command.args(arguments).arg(from).arg(to);
    child::run(command)
}

pub(crate) fn ar(library: &Path, objects: &[PathBuf]) -> Result<()> {
    let mut command = child::command(tools::llvm("llvm-ar")?);
    command.arg("rcsD").arg(library).args(objects);
    child::run(command)
}
