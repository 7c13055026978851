//! Tries an archive out: unpacked somewhere else, with nothing but a C compiler and pkg-config.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{functions_of, need};

/// Ways to link, each with the arguments of pkg-config.
const WAYS: [(&str, &[&str]); 3] = [
    ("shared", &["pglite"]),
    ("with --static", &["--static", "pglite"]),
    ("static library", &["--static", "pglite-static"]),
];

/// Unpacks the archive and runs the examples with it.
pub(crate) fn run(archive: &Path, name: &str, workspace: &Path) -> Result<()> {
    need("pkg-config", "pkg-config")?;
    need("cc", "gcc")?;
    let place = std::env::temp_dir().join(format!("pglite dist {}", std::process::id()));
    fs::create_dir_all(&place)?;
    let result = check(&place, archive, name, workspace);
    fs::remove_dir_all(&place).with_context(|| format!("cannot remove {}", place.display()))?;
    result
}

fn check(place: &Path, archive: &Path, name: &str, workspace: &Path) -> Result<()> {
    output(Command::new("tar").arg("-C").arg(place).arg("-xzf").arg(archive))?;
    // Without a space in its name: flags of pkg-config are split at spaces.
    let root = std::env::temp_dir().join(format!("pglite-dist-{}", std::process::id()));
    fs::rename(place.join(name), &root)?;
    let result = check_unpacked(&root, place, workspace);
    fs::remove_dir_all(&root)?;
    result
}

fn check_unpacked(root: &Path, place: &Path, workspace: &Path) -> Result<()> {
    for (way, package) in WAYS {
        let flags_of_package = output(
            Command::new("pkg-config")
                .args(["--cflags", "--libs"])
                .args(package)
                .env("PKG_CONFIG_PATH", root.join("lib/pkgconfig")),
        )?;
        for example in ["modern", "compat"] {
            let program = place.join(format!("{example} {way}"));
            let mut compiler = Command::new("cc");
            compiler.arg("-o").arg(&program);
            compiler.arg(workspace.join("examples/c").join(format!("{example}.c")));
            output(compiler.args(flags_of_package.split_whitespace()))?;
            let mut run = Command::new(&program);
            run.arg(place.join(format!("data {way}"))).env("PREFIX", place.join(format!("prefix {way}")));
            output(&mut run)?;
            println!("{example}: {way}: runs");
        }
    }
    only_ours(root)
}

/// The static library shows its users our functions, and nothing else.
fn only_ours(root: &Path) -> Result<()> {
    let ours = functions_of(root)?;
    let symbols =
        output(Command::new("nm").args(["--defined-only", "--extern-only"]).arg(root.join("lib/libpglite.a")))?;
    for name in symbols.lines().filter_map(|line| line.split(' ').nth(2)) {
        if !ours.iter().any(|our| our == name) {
            bail!("the static library shows the symbol {name}, which is not in a header");
        }
    }
    Ok(())
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
