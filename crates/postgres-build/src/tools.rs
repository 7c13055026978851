//! The programs and libraries that building PostgreSQL needs: which are missing, how to get them,
//! where they are.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::child;
use crate::progress::Progress;
use crate::version::LLVM_MAJOR;

/// How to tell whether something is installed.
enum Check {
    /// A program of LLVM, by its name without version.
    Llvm(&'static str),
    /// A program.
    Program(&'static str),
    /// A header of C.
    Header(&'static str),
    /// A file in LLVM's own folder.
    LlvmFile(&'static str),
    /// A file, on Debian only.
    DebianFile(&'static str),
}

/// What is needed, with the names of packages of Debian, Fedora and Arch.
struct Requirement(Check, [&'static str; 3]);

const REQUIREMENTS: [Requirement; 16] = [
    Requirement(Check::Llvm("clang"), ["clang-22", "clang", "clang"]),
    Requirement(Check::Llvm("ld.lld"), ["lld-22", "lld", "lld"]),
    Requirement(Check::Llvm("llvm-ar"), ["llvm-22", "llvm", "llvm"]),
    Requirement(Check::LlvmFile("include/llvm-c/Core.h"), ["llvm-22-dev", "llvm-devel", "llvm"]),
    Requirement(Check::LlvmFile("lib/libPolly.a"), ["libpolly-22-dev", "llvm-static", "llvm"]),
    Requirement(Check::Header("zstd.h"), ["libzstd-dev", "libzstd-devel", "zstd"]),
    Requirement(Check::Header("zlib.h"), ["zlib1g-dev", "zlib-devel", "zlib"]),
    Requirement(Check::Program("bison"), ["bison", "bison", "bison"]),
    Requirement(Check::Program("flex"), ["flex", "flex", "flex"]),
    Requirement(Check::Program("perl"), ["perl", "perl", "perl"]),
    Requirement(Check::Program("make"), ["make", "make", "make"]),
    Requirement(Check::Program("cc"), ["gcc", "gcc", "gcc"]),
    Requirement(Check::Program("c++"), ["g++", "gcc-c++", "gcc"]),
    Requirement(Check::Header("stdlib.h"), ["libc6-dev", "glibc-devel", "glibc"]),
    Requirement(
        Check::DebianFile("/etc/ssl/certs/ca-certificates.crt"),
        ["ca-certificates", "ca-certificates", "ca-certificates"],
    ),
    Requirement(Check::DebianFile(crate::source::DEBIAN_KEYRING), ["debian-archive-keyring", "", ""]),
];

/// What the tests need on top: clients that know nothing of us.
const TEST_REQUIREMENTS: [Requirement; 2] = [
    Requirement(Check::Program("psql"), ["postgresql-client", "postgresql", "postgresql"]),
    Requirement(Check::Program("pkg-config"), ["pkg-config", "pkgconf", "pkgconf"]),
];

/// Which distribution's package names and commands are used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Debian,
    Fedora,
    Arch,
    Other,
}

impl Family {
    fn of_this_machine() -> Self {
        let has = |path| Path::new(path).exists();
        if has("/etc/debian_version") {
            Self::Debian
        } else if has("/etc/fedora-release") {
            Self::Fedora
        } else if has("/etc/arch-release") {
            Self::Arch
        } else {
            Self::Other
        }
    }

    /// The one command that installs these packages.
    fn command(self, packages: &[&str], root: bool) -> String {
        let packages = packages.join(" ");
        let sudo = if root { "" } else { "sudo " };
        match self {
            Self::Debian => {
                format!("{sudo}apt-get update && {sudo}apt-get install -y --no-install-recommends {packages}")
            }
            Self::Fedora => format!("{sudo}dnf install -y {packages}"),
            Self::Arch => format!("{sudo}pacman -S --needed {packages}"),
            Self::Other => format!("(install with your system's package manager: {packages})"),
        }
    }
}

/// The packages that are missing, by the names that this machine's distribution gives them.
fn missing(requirements: &[Requirement], family: Family) -> Vec<&'static str> {
    let column = match family {
        Family::Debian | Family::Other => 0,
        Family::Fedora => 1,
        Family::Arch => 2,
    };
    let mut packages = Vec::new();
    for Requirement(check, names) in requirements {
        let present = match check {
            Check::Llvm(name) => llvm(name).is_ok(),
            Check::Program(name) => in_path(name).is_some(),
            Check::Header(name) => has_header(name),
            Check::LlvmFile(path) => llvm_prefix().is_some_and(|prefix| prefix.join(path).exists()),
            Check::DebianFile(path) => family != Family::Debian || Path::new(path).exists(),
        };
        if !present && !packages.contains(&names[column]) {
            packages.push(names[column]);
        }
    }
    packages
}

/// Makes sure that all tools are there. As root on Debian, where `may_install`, the missing ones
/// are installed, after saying so; elsewhere the error names the one command to run.
pub fn ensure(progress: &Progress, may_install: bool) -> Result<()> {
    ensure_all(&REQUIREMENTS, "building PostgreSQL", progress, may_install)
}

/// As [`ensure`], for what the tests need on top.
pub fn ensure_for_tests(progress: &Progress, may_install: bool) -> Result<()> {
    ensure_all(&TEST_REQUIREMENTS, "testing", progress, may_install)
}

fn ensure_all(requirements: &[Requirement], what_for: &str, progress: &Progress, may_install: bool) -> Result<()> {
    let family = Family::of_this_machine();
    let packages = missing(requirements, family);
    if packages.is_empty() {
        return Ok(());
    }
    let root = rustix::process::geteuid().is_root();
    if !(may_install && root && family == Family::Debian) {
        bail!(
            "{what_for} needs tools that are not installed: {}\nInstall them with\n\n    {}\n",
            packages.join(" "),
            family.command(&packages, root)
        );
    }
    progress.note(&format!("these packages are missing and will be installed with apt-get: {}", packages.join(" ")));
    let apt = |arguments: &[&str]| {
        let mut command = child::command("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        child::run(command)
    };
    let step = progress.step("install tools", 0);
    apt(&["update"])?;
    apt(&[&["install", "-y", "--no-install-recommends"], packages.as_slice()].concat())?;
    step.finish("");
    let still = missing(requirements, family);
    if !still.is_empty() {
        bail!("apt-get has installed {}, but they still cannot be found: {}", packages.join(" "), still.join(" "));
    }
    Ok(())
}

/// The path of a program of LLVM, such as `clang` or `llvm-ar`: with the version in its name, or in
/// LLVM's own folder, or plain where it says that it is of that version.
pub fn llvm(name: &str) -> Result<PathBuf> {
    let versioned = in_path(&format!("{name}-{LLVM_MAJOR}"));
    let own = || Some(own_folder().join("bin").join(name)).filter(|path| path.exists());
    let plain = || in_path(name).filter(|path| is_wanted_version(path));
    match versioned.or_else(own).or_else(plain) {
        Some(path) => Ok(path),
        None => {
            bail!("there is no {name} of LLVM {LLVM_MAJOR}: install it with `cargo xtask setup`")
        }
    }
}

/// LLVM's own folder, with `bin`, `include` and `lib`.
pub fn llvm_prefix() -> Option<PathBuf> {
    let config = llvm("llvm-config").ok()?;
    let prefix = child::output(Command::new(config).arg("--prefix")).ok()?;
    Some(PathBuf::from(prefix.trim()))
}

/// Where Debian puts it.
fn own_folder() -> PathBuf {
    format!("/usr/lib/llvm-{LLVM_MAJOR}").into()
}

fn is_wanted_version(program: &Path) -> bool {
    let Ok(text) = child::output(Command::new(program).arg("--version")) else {
        return false;
    };
    let mut words = text.split(|c: char| c.is_whitespace() || c == '-');
    words.any(|word| word.split_once('.').is_some_and(|(major, _)| major.parse() == Ok(LLVM_MAJOR)))
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn has_header(name: &str) -> bool {
    let mut command = Command::new("cc");
    command.args(["-E", "-x", "c", "-include", name, "/dev/null"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_installs_all_at_once() {
        let command = Family::Debian.command(&["bison", "flex"], false);
        assert_eq!(command, "sudo apt-get update && sudo apt-get install -y --no-install-recommends bison flex");
        assert!(!Family::Debian.command(&["bison"], true).contains("sudo"));
    }

    #[test]
    fn a_header_that_is_nowhere_is_missed() {
        assert!(!has_header("no-such-header.h"));
    }
}
