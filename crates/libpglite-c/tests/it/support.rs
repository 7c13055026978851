//! Where things are, and C programs that are compiled and run.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The folder of this crate.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of the libraries: cargo puts them beside the tests.
pub(crate) fn libraries() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().to_owned()
}

/// How a program is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Linking {
    Shared,
    Static,
}

/// Compiles a C program against our headers.
pub(crate) fn compile(source: &Path, to: &Path, linking: Linking, more: &[&str]) -> PathBuf {
    let program = to.join(source.file_stem().unwrap());
    let mut command = Command::new("cc");
    command.args(["-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", "-D_GNU_SOURCE"]);
    command.arg("-I").arg(folder().join("include")).arg(source).arg("-o").arg(&program);
    match linking {
        Linking::Shared => {
            // The name that the loader looks for.
            let link = to.join("libpglite.so.1");
            let _ = std::os::unix::fs::symlink(libraries().join("libpglite.so"), link);
            command.arg(to.join("libpglite.so.1")).arg(format!("-Wl,-rpath,{}", to.display()));
        }
        Linking::Static => {
            command.arg(libraries().join("libpglite.a")).args(["-lm", "-ldl", "-lpthread", "-lgcc_s"]);
        }
    }
    let output = command.args(more).output().expect("a C compiler, cc, is needed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

/// Runs a program to its end, which must be a good one; what it wrote.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = show(&output);
    assert!(output.status.success(), "{command:?}: {}\n{text}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// All that a program wrote.
pub(crate) fn show(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
