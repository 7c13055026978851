//! Loadable modules: `dlopen` of what is built into the program, and of stock shared objects.
//!
//! A handle is the module's index plus one. Modules stay until the process ends, as they would with
//! `RTLD_NODELETE`: code may still be on the stack when `dlclose` is called.

use crate::abi::stock::{Meaning, meaning};
use crate::image;
use crate::process::Process;
use elf_loader::{HostResolver, Mapping, Resolver, SharedObject};
use std::ffi::{CString, c_void};

/// The loaded modules of a process, and the last error.
#[derive(Default)]
pub(crate) struct Modules {
    loaded: Vec<Loaded>,
    pub(crate) error: Option<CString>,
    pub(crate) told: CString,
}

struct Loaded {
    path: Vec<u8>,
    code: Code,
}

enum Code {
    BuiltIn(image::Module),
    /// Boxed: its code runs while the list may grow.
    Stock(Box<Mapping>, #[allow(dead_code, reason = "keeps the host's libraries open")] HostResolver),
}

/// What a module has to run before it is used.
#[derive(Clone, Copy)]
pub(crate) enum Initialise {
    Nothing,
    Hooks(&'static [Option<image::Hook>]),
    Stock(usize),
}

impl Modules {
    fn fail<T>(&mut self, message: String) -> Option<T> {
        self.error = CString::new(message.replace('\0', "?")).ok();
        None
    }

    pub(crate) fn symbol(&mut self, p: &Process, handle: usize, name: &[u8]) -> Option<*mut c_void> {
        let base = p.local.base.get();
        let found = match handle.checked_sub(1).and_then(|i| self.loaded.get(i)) {
            // RTLD_DEFAULT and the program itself.
            None => p.program.symbol(base, name),
            Some(Loaded { code: Code::BuiltIn(module), .. }) => module.symbol(base, name),
            Some(Loaded { code: Code::Stock(mapping, _), .. }) => {
                std::str::from_utf8(name).ok().and_then(|n| mapping.symbol(n)).map(|s| s.cast_mut())
            }
        };
        if found.is_none() {
            let path = handle.checked_sub(1).and_then(|i| self.loaded.get(i)).map_or(&b"the program"[..], |l| &l.path);
            let text =
                format!("{}: undefined symbol: {}", String::from_utf8_lossy(path), String::from_utf8_lossy(name));
            return self.fail(text);
        }
        found
    }

    /// How many modules there are.
    pub(crate) fn count(&self) -> usize {
        self.loaded.len()
    }

    /// Whether a stock module is at `address`.
    pub(crate) fn contains(&self, address: usize) -> bool {
        self.loaded.iter().any(|l| matches!(&l.code, Code::Stock(mapping, _) if mapping.addresses().contains(&address)))
    }

    /// The stock module of that index.
    pub(crate) fn stock(&self, index: usize) -> Option<&Mapping> {
        match &self.loaded.get(index)?.code {
            Code::Stock(mapping, _) => Some(mapping),
            Code::BuiltIn(_) => None,
        }
    }
}

/// Loads a module; its handle, and what to run. `None`: see `Modules::error`.
pub(crate) fn open(p: &Process, path: &[u8]) -> Option<(usize, Initialise)> {
    let mut modules = p.local.modules.borrow_mut();
    if let Some(i) = modules.loaded.iter().position(|l| l.path == path) {
        return Some((i + 1, Initialise::Nothing));
    }
    if let Some(module) = built_in(p, path) {
        modules.loaded.push(Loaded { path: path.to_vec(), code: Code::BuiltIn(module) });
        return Some((modules.loaded.len(), Initialise::Hooks(module.constructors)));
    }
    match load(p, path) {
        Ok(code) => {
            modules.loaded.push(Loaded { path: path.to_vec(), code });
            let index = modules.loaded.len() - 1;
            Some((index + 1, Initialise::Stock(index)))
        }
        Err(message) => modules.fail(message),
    }
}

fn built_in(p: &Process, path: &[u8]) -> Option<image::Module> {
    let name = path.strip_prefix(p.system.module_directory.as_slice())?.strip_prefix(b"/")?.strip_suffix(b".so")?;
    p.program.module(name)
}

fn load(p: &Process, path: &[u8]) -> Result<Code, String> {
    let name = String::from_utf8_lossy(path);
    let file = p
        .system
        .namespace
        .open(&p.local.cwd.borrow(), path, libc::O_RDONLY, 0)
        .map_err(|e| format!("cannot open {name}: {e}"))?;
    let vfs::File::Kernel(file) = file else {
        return Err(format!("cannot load {name}: it is not a file of the host"));
    };
    let object = SharedObject::open(&file, name.as_ref()).map_err(|e| e.to_string())?;
    // Libraries that are ours by name are bound to the program's symbols instead.
    let needed = object.needed().iter().filter(|name| !is_own(name));
    // SAFETY: the host's libraries run their initialisers, as they would for any program that needs them.
    let host = unsafe { HostResolver::open(needed) }.map_err(|e| e.to_string())?;
    let mapping = object.map(&Names { p, host: &host }).map_err(|e| e.to_string())?;
    Ok(Code::Stock(Box::new(mapping), host))
}

/// The C library and the loader are there already.
fn is_own(library: &str) -> bool {
    library.starts_with("ld-linux")
}

/// What a stock module's names mean: the program's first, then the library OS's, then the host's.
struct Names<'a> {
    p: &'a Process,
    host: &'a HostResolver,
}

impl Resolver for Names<'_> {
    fn resolve(&self, name: &str, version: Option<&str>) -> Option<*const c_void> {
        if let Some(own) = self.p.program.symbol(self.p.local.base.get(), name.as_bytes()) {
            return Some(own);
        }
        match meaning(name) {
            Meaning::At(address) => Some(address),
            Meaning::Variable(name) => self.p.libc_datum::<c_void>(name).map(<*mut c_void>::cast_const),
            Meaning::Refused => None,
            Meaning::Host => self.host.resolve(name, version),
        }
    }

    fn resolve_dependency(&self, name: &str, version: Option<&str>) -> Option<*const c_void> {
        match meaning(name) {
            Meaning::Host => self.host.resolve_dependency(name, version),
            _ => None,
        }
    }
}
