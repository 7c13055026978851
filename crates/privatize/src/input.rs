//! The objects and archive members of a unit, and their symbols.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::llvm::{Context, Linkage, Module, Value, Visibility};
use crate::unit::{self, Unit};
use crate::{Error, archive};

/// An object or an archive member, by its place in the [`Pool`].
pub(crate) type InputId = usize;

/// How much a definition weighs against another of the same symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Strength {
    Weak,
    Common,
    Strong,
}

/// What an input has to do with a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binding {
    Defined { strength: Strength, hidden: bool },
    Undefined { weak: bool },
}

/// A global symbol of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Symbol {
    pub(crate) name: String,
    pub(crate) binding: Binding,
}

/// An object or an archive member.
pub(crate) struct Input {
    /// The file, and the member.
    pub(crate) origin: String,
    pub(crate) symbols: Vec<Symbol>,
    bitcode: Vec<u8>,
    treatment: Changes,
    /// Kept from the reading of symbols for the first link.
    module: RefCell<Option<Module>>,
}

impl Input {
    /// The module, with names that LLVM need not mangle, and without copies of functions that live elsewhere.
    pub(crate) fn module(&self, context: &Context) -> Result<Module, Error> {
        match self.module.borrow_mut().take() {
            Some(module) => Ok(module),
            None => parse(context, &self.bitcode, &self.origin, &self.treatment),
        }
    }
}

/// Which inputs are changed, and how.
struct Treatment {
    small: Vec<String>,
    inlined: Arc<BTreeSet<String>>,
    no_unwind_tables: bool,
}

/// How the functions of an input are changed.
#[derive(Clone)]
struct Changes {
    small: bool,
    inlined: Arc<BTreeSet<String>>,
    no_unwind_tables: bool,
}

impl Treatment {
    fn of(&self, origin: &str) -> Changes {
        let small = self.small.iter().any(|part| origin.contains(part.as_str()));
        Changes { small, inlined: self.inlined.clone(), no_unwind_tables: self.no_unwind_tables }
    }
}

impl Changes {
    fn apply(&self, context: &Context, function: Value) {
        let never_called = function.is_never_called();
        if self.small || never_called {
            function.add_attribute(context.enum_attribute("optsize"));
        }
        // Work that the profile knows nothing of, contrib's, may spend its time in what is small by its path.
        if never_called && !self.small {
            function.add_attribute(context.enum_attribute("minsize"));
        }
        if self.inlined.contains(&function.name()) {
            function.remove_attribute("noinline");
            function.add_attribute(context.enum_attribute("alwaysinline"));
        }
        if self.no_unwind_tables {
            function.remove_attribute("uwtable");
        }
    }
}

/// A static library.
#[derive(Debug, Clone)]
pub(crate) struct Members {
    pub(crate) whole: bool,
    pub(crate) inputs: Vec<InputId>,
}

/// All inputs of a unit; each file is read once.
pub(crate) struct Pool {
    pub(crate) inputs: Vec<Input>,
    treatment: Treatment,
    objects: HashMap<PathBuf, InputId>,
    archives: HashMap<PathBuf, Vec<InputId>>,
}

impl Pool {
    pub(crate) fn new(unit: &Unit) -> Pool {
        let treatment = Treatment {
            small: unit.small.clone(),
            inlined: Arc::new(unit.inlined.clone()),
            no_unwind_tables: unit.no_unwind_tables,
        };
        Pool { inputs: Vec::new(), treatment, objects: HashMap::new(), archives: HashMap::new() }
    }

    pub(crate) fn objects(&mut self, context: &Context, paths: &[PathBuf]) -> Result<Vec<InputId>, Error> {
        paths.iter().map(|path| self.object(context, path)).collect()
    }

    fn object(&mut self, context: &Context, path: &Path) -> Result<InputId, Error> {
        if let Some(&id) = self.objects.get(path) {
            return Ok(id);
        }
        let bitcode = std::fs::read(path).map_err(|error| Error::Read(path.to_owned(), error))?;
        let id = self.add(context, path.display().to_string(), bitcode)?;
        self.objects.insert(path.to_owned(), id);
        Ok(id)
    }

    pub(crate) fn archives(&mut self, context: &Context, archives: &[unit::Archive]) -> Result<Vec<Members>, Error> {
        let mut result = Vec::new();
        for archive in archives {
            let inputs = match self.archives.get(&archive.path) {
                Some(inputs) => inputs.clone(),
                None => {
                    let mut inputs = Vec::new();
                    for (member, bitcode) in archive::members(&archive.path)? {
                        let origin = format!("{}({member})", archive.path.display());
                        inputs.push(self.add(context, origin, bitcode)?);
                    }
                    self.archives.insert(archive.path.clone(), inputs.clone());
                    inputs
                }
            };
            result.push(Members { whole: archive.whole, inputs });
        }
        Ok(result)
    }

    fn add(&mut self, context: &Context, origin: String, bitcode: Vec<u8>) -> Result<InputId, Error> {
        let treatment = self.treatment.of(&origin);
        let module = parse(context, &bitcode, &origin, &treatment)?;
        let symbols = symbols(&module);
        self.inputs.push(Input { origin, symbols, bitcode, treatment, module: RefCell::new(Some(module)) });
        Ok(self.inputs.len() - 1)
    }

    /// Which of the inputs leaves the symbol undefined, for messages.
    pub(crate) fn user(&self, symbol: &str, linked: &[InputId]) -> String {
        let uses = |s: &Symbol| s.name == symbol && matches!(s.binding, Binding::Undefined { .. });
        let mut inputs = linked.iter().map(|&id| &self.inputs[id]);
        let found = inputs.find(|input| input.symbols.iter().any(uses));
        found.map_or_else(|| "an optimised call".to_owned(), |input| input.origin.clone())
    }

    /// Whether any input, linked or not, defines the symbol.
    pub(crate) fn defines(&self, symbol: &str) -> bool {
        let defines = |s: &Symbol| s.name == symbol && matches!(s.binding, Binding::Defined { .. });
        self.inputs.iter().any(|input| input.symbols.iter().any(defines))
    }
}

fn parse(context: &Context, bitcode: &[u8], origin: &str, changes: &Changes) -> Result<Module, Error> {
    let Some(module) = context.parse(bitcode, origin) else {
        let reason = match context.take_errors() {
            _ if bitcode.starts_with(b"\x7fELF") => {
                "it is machine code, not LLVM bitcode: compile it with clang -flto".to_owned()
            }
            reason => format!("not LLVM bitcode (compile with clang -flto): {reason}"),
        };
        return Err(Error::Input(origin.to_owned(), reason));
    };
    let globals = module.globals();
    if globals.iter().any(|global| global.linkage() == Linkage::LLVMAvailableExternallyLinkage) {
        module.run_passes("elim-avail-extern,globaldce").map_err(Error::Llvm)?;
    }
    for global in module.globals() {
        // \1 tells LLVM to leave a name alone; ELF targets do not change names anyway.
        if let Some(plain) = global.name().strip_prefix('\u{1}') {
            global.set_name(plain);
        }
        if global.is_function() && !global.is_declaration() {
            changes.apply(context, global);
        }
    }
    Ok(module)
}

fn symbols(module: &Module) -> Vec<Symbol> {
    let mut symbols = Vec::new();
    for global in module.globals() {
        let linkage = global.linkage();
        let binding = if global.is_local() {
            continue;
        } else if global.is_declaration() {
            if !global.is_used() {
                continue;
            }
            Binding::Undefined { weak: linkage == Linkage::LLVMExternalWeakLinkage }
        } else {
            let strength = match linkage {
                Linkage::LLVMExternalLinkage => Strength::Strong,
                Linkage::LLVMCommonLinkage => Strength::Common,
                _ => Strength::Weak,
            };
            Binding::Defined { strength, hidden: global.visibility() == Visibility::LLVMHiddenVisibility }
        };
        symbols.push(Symbol { name: global.name(), binding });
    }
    symbols
}
