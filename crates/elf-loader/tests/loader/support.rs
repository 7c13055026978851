//! Compiles small modules and maps them.

use std::ffi::c_void;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr;

use elf_loader::{Error, HostResolver, Mapping, Resolver, SharedObject};
use tempfile::TempDir;

/// A compiled module, in a folder of its own.
pub(crate) struct Module {
    pub(crate) path: PathBuf,
    _folder: TempDir,
}

impl Module {
    /// Compiles C with gcc.
    pub(crate) fn c(source: &str, flags: &[&str]) -> Self {
        Self::build("cc", "c", source, flags)
    }

    /// Compiles C++ with gcc.
    pub(crate) fn cxx(source: &str, flags: &[&str]) -> Self {
        Self::build("c++", "cc", source, flags)
    }

    /// Compiles with any compiler.
    pub(crate) fn build(compiler: &str, suffix: &str, source: &str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join(format!("module.{suffix}"));
        let path = folder.path().join("module.so");
        std::fs::write(&input, source).unwrap();
        let output = Command::new(compiler)
            .args(["-shared", "-fPIC", "-O1", "-g0", "-o"])
            .args([&path, &input])
            .args(flags)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self { path, _folder: folder }
    }

    pub(crate) fn open(&self) -> Result<SharedObject, Error> {
        open(&self.path)
    }

    /// The message with which the loader refuses the file.
    pub(crate) fn refusal(&self) -> String {
        self.open().expect_err("the file is accepted").to_string()
    }

    /// Maps it with the host's names and runs its initialisers.
    pub(crate) fn load(&self) -> Loaded {
        let object = self.open().unwrap();
        // SAFETY: stock libraries of the compiler.
        let host = unsafe { HostResolver::open(object.needed()) }.unwrap();
        let mapping = object.map(&host).unwrap();
        initialise(&mapping);
        Loaded { mapping, _host: host }
    }
}

pub(crate) fn open(path: &Path) -> Result<SharedObject, Error> {
    SharedObject::open(File::open(path).unwrap(), path.to_str().unwrap())
}

pub(crate) fn initialise(mapping: &Mapping) {
    // SAFETY: a module of ours that does not look at its arguments.
    unsafe { mapping.run_initialisers(0, ptr::null(), ptr::null()) }.unwrap();
}

pub(crate) fn finalise(mapping: &Mapping) {
    // SAFETY: a module of ours, on its thread.
    unsafe { mapping.run_finalisers() };
}

/// An initialised mapping that keeps its libraries open.
pub(crate) struct Loaded {
    pub(crate) mapping: Mapping,
    _host: HostResolver,
}

impl Loaded {
    /// Calls `int name(int)`.
    pub(crate) fn call(&self, name: &str, argument: i32) -> i32 {
        call(&self.mapping, name, argument)
    }
}

/// Calls `int name(int)`; functions without parameters do not mind.
pub(crate) fn call(mapping: &Mapping, name: &str, argument: i32) -> i32 {
    let function = mapping.symbol(name).unwrap_or_else(|| panic!("no {name}"));
    // SAFETY: all functions of the test modules have this type.
    let function: extern "C" fn(i32) -> i32 = unsafe { std::mem::transmute(function) };
    function(argument)
}

/// Answers from a list, and asks the host only for what the compiler's startup code wants.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) global: Vec<(&'static str, *const c_void)>,
    pub(crate) dependency: Vec<(&'static str, *const c_void)>,
}

impl Resolver for Names {
    fn resolve(&self, name: &str, _version: Option<&str>) -> Option<*const c_void> {
        find(&self.global, name)
    }

    fn resolve_dependency(&self, name: &str, _version: Option<&str>) -> Option<*const c_void> {
        find(&self.dependency, name)
    }
}

fn find(list: &[(&'static str, *const c_void)], name: &str) -> Option<*const c_void> {
    list.iter().find(|(n, _)| *n == name).map(|(_, a)| *a)
}

/// The C compilers there are.
pub(crate) fn compilers() -> Vec<&'static str> {
    let candidates = ["cc", "clang-22", "clang"];
    candidates.into_iter().filter(|c| exists(c)).collect()
}

pub(crate) fn exists(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}
