//! The description of a unit: what is linked together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Error;

/// A whole-program link: programs, their static libraries, shared libraries and loadable modules.
///
/// Paths are relative to the working directory; [`Unit::load`] makes them relative to the file that it reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// The unit's name, for people to read.
    pub name: String,
    /// At least one, each with a `main`.
    pub programs: Vec<Program>,
    /// Static libraries that the programs share.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub archives: Vec<Archive>,
    /// What would be shared libraries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub libraries: Vec<Library>,
    /// What a program would `dlopen`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<LoadableModule>,
    /// Functions whose uses go to a function from outside of the unit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub replace: BTreeMap<String, Replacement>,
    /// Functions whose uses go to `__wrap_NAME`, as for `ld --wrap`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub wrap: BTreeSet<String>,
    /// Whether a table of the program's global symbols is emitted.
    #[serde(default)]
    pub export: bool,
    /// Parts of paths: the functions of inputs that have one of them in theirs are optimised for size.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub small: Vec<String>,
    /// Names of functions that are inlined into all their callers, which makes arguments constants that the compiler would not have
    /// cloned them for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub inlined: BTreeSet<String>,
    /// Whether unwind tables are left out. Debug information then has its own, where there is debug information.
    #[serde(default)]
    pub no_unwind_tables: bool,
    /// The file with the library OS's directives; none means that every undefined symbol is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<PathBuf>,
}

/// A program: objects with a `main`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Names the emitted constant `privatized_program_NAME`; characters that C does not allow become `_` there.
    pub name: String,
    /// Files of LLVM bitcode.
    pub objects: Vec<PathBuf>,
    /// Names of the [`Unit::libraries`] whose exports the program, and the archives' members in it, can see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub libraries: Vec<String>,
}

/// A static library.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// An `ar` archive, thin or not, of LLVM bitcode.
    pub path: PathBuf,
    /// All members are taken, instead of those that define a symbol that is undefined.
    #[serde(default)]
    pub whole: bool,
}

/// A shared library: linked for itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Library {
    /// The name by which programs and modules ask for it.
    pub name: String,
    /// Files of LLVM bitcode.
    pub objects: Vec<PathBuf>,
    /// Its own static libraries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub archives: Vec<Archive>,
    /// Names of libraries that it needs itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub libraries: Vec<String>,
    /// What can be seen from outside; all global symbols that are not hidden where this is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exports: Option<Vec<String>>,
}

/// A loadable module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadableModule {
    /// The name in the table of modules.
    pub name: String,
    /// Files of LLVM bitcode.
    pub objects: Vec<PathBuf>,
    /// Its own static libraries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub archives: Vec<Archive>,
    /// Names of libraries that it needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub libraries: Vec<String>,
}

/// What takes a function's place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replacement {
    /// The external function.
    pub with: String,
    /// Whether it may return twice, as `vfork` does.
    #[serde(default)]
    pub returns_twice: bool,
}

impl Unit {
    /// Reads a description; paths in it are relative to the folder that holds it.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|error| Error::Read(path.to_owned(), error))?;
        let mut unit: Self =
            serde_json::from_str(&text).map_err(|error| Error::Unit(path.display().to_string(), error.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        for path in unit.paths() {
            *path = folder.join(&*path);
        }
        Ok(unit)
    }

    fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let programs = self.programs.iter_mut().flat_map(|p| p.objects.iter_mut());
        let libraries = self
            .libraries
            .iter_mut()
            .flat_map(|l| l.objects.iter_mut().chain(l.archives.iter_mut().map(|a| &mut a.path)));
        let modules = self
            .modules
            .iter_mut()
            .flat_map(|m| m.objects.iter_mut().chain(m.archives.iter_mut().map(|a| &mut a.path)));
        let archives = self.archives.iter_mut().map(|a| &mut a.path);
        programs.chain(libraries).chain(modules).chain(archives).chain(self.os.as_mut())
    }

    /// What can be said to be wrong without reading any input.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let fail = |what: String| Err(Error::Unit(self.name.clone(), what));
        if self.programs.is_empty() {
            return fail("it has no program".into());
        }
        if self.export && self.programs.len() > 1 {
            return fail("`export` needs a unit with one program: whose symbols would the table hold?".into());
        }
        let names = (self.programs.iter().map(|p| &p.name))
            .chain(self.libraries.iter().map(|l| &l.name))
            .chain(self.modules.iter().map(|m| &m.name));
        let mut seen = BTreeSet::new();
        for name in names {
            if name.is_empty() || name.contains(':') || name.contains('\0') {
                return fail(format!("`{name}` is no name for a part of it"));
            }
            if !seen.insert(name) {
                return fail(format!("two parts of it have the name `{name}`"));
            }
        }
        let wanted = (self.programs.iter().flat_map(|p| &p.libraries))
            .chain(self.libraries.iter().flat_map(|l| &l.libraries))
            .chain(self.modules.iter().flat_map(|m| &m.libraries));
        for name in wanted {
            if !self.libraries.iter().any(|library| library.name == *name) {
                return fail(format!("it has no library `{name}`, which a part of it names"));
            }
        }
        if let Some(name) = self.wrap.iter().find(|name| self.replace.contains_key(*name)) {
            return fail(format!("`{name}` is both wrapped and replaced"));
        }
        Ok(())
    }
}
