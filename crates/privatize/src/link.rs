//! Links all inputs of a unit into one module, each symbol under the name that the resolution gives it.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::directives::{Directive, Directives};
use crate::input::Pool;
use crate::llvm::{Context, Linkage, Linker, Module, Value, Visibility};
use crate::resolve::{Instance, Place, Resolution, Target};
use crate::{Error, Refusal, assembly};

/// A global's name without what the link put before it.
pub(crate) fn plain_name(global: Value) -> String {
    let name = global.name();
    match name.split_once("::") {
        Some((_, plain)) => plain.to_owned(),
        None => name,
    }
}

/// A constructor or destructor, by its name in the linked module.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    pub(crate) priority: i64,
    pub(crate) function: String,
}

/// The constructors and destructors of a part of the unit, in the order of its inputs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) constructors: Vec<Hook>,
    pub(crate) destructors: Vec<Hook>,
}

/// A unit as one module.
pub(crate) struct Linked {
    pub(crate) module: Module,
    pub(crate) hooks: HashMap<Place, Hooks>,
}

pub(crate) fn link(
    context: &Context,
    pool: &Pool,
    resolution: &Resolution<'_>,
    directives: &Directives,
    refusals: &mut BTreeSet<Refusal>,
) -> Result<Linked, Error> {
    let module = context.module("unit");
    let mut linker = Linker::new(&module);
    let mut hooks: HashMap<Place, Hooks> = HashMap::new();
    let mut target: Option<(String, String)> = None;
    for (number, instance) in resolution.instances().into_iter().enumerate() {
        let input = &pool.inputs[instance.input];
        let source = input.module(context)?;
        let its_target = (source.triple(), source.data_layout());
        match &target {
            None => {
                linker.destination().set_target(&its_target.0, &its_target.1);
                target = Some(its_target);
            }
            Some(target) if *target != its_target => {
                let reason = format!("it is for the target {}, others are for {}", its_target.0, target.0);
                return Err(Error::Input(input.origin.clone(), reason));
            }
            Some(_) => {}
        }
        let mut adapter = Adapter { resolution, module: &source, instance, number, refusals };
        adapter.check_assembly(&input.origin, directives);
        adapter.take_hooks(hooks.entry(group(instance.place)).or_default());
        adapter.rename();
        adapter.simplify();
        if !linker.link(source) {
            return Err(Error::Input(input.origin.clone(), context.take_errors()));
        }
    }
    drop(linker);
    Ok(Linked { module, hooks })
}

/// The constructors of all programs run together.
fn group(place: Place) -> Place {
    if let Place::Program(_) = place { Place::Program(0) } else { place }
}

/// Prepares one input's module for the link.
struct Adapter<'a> {
    resolution: &'a Resolution<'a>,
    module: &'a Module,
    instance: Instance,
    number: usize,
    refusals: &'a mut BTreeSet<Refusal>,
}

impl Adapter<'_> {
    /// Refuses assembly that names what is about to get another name or address.
    fn check_assembly(&mut self, origin: &str, directives: &Directives) {
        self.check_text(&self.module.assembly(), origin, directives);
        for function in self.module.functions() {
            for instruction in function.instructions() {
                if instruction.is_any_call() && instruction.called().is_inline_assembly() {
                    let (text, _) = instruction.called().assembly();
                    let place = format!("{origin}, function {}", function.name());
                    self.check_text(&text, &place, directives);
                }
            }
        }
    }

    fn check_text(&mut self, text: &str, place: &str, directives: &Directives) {
        for word in assembly::operands(text) {
            let local = self.module.global(word).is_some_and(|global| !global.is_declaration());
            let elsewhere = || match self.resolution.reference(self.instance.place, word) {
                Target::Unit(_) => true,
                Target::External(name) => {
                    name != word || directives.find(word).is_some_and(|directive| directive != Directive::Pass)
                }
            };
            if local || elsewhere() {
                self.refusals.insert(Refusal::Assembly { symbol: word.to_owned(), place: place.to_owned() });
            }
        }
    }

    /// Takes `llvm.global_ctors` and `llvm.global_dtors` out of the module.
    fn take_hooks(&mut self, hooks: &mut Hooks) {
        self.take_hook_list("llvm.global_ctors", &mut hooks.constructors);
        self.take_hook_list("llvm.global_dtors", &mut hooks.destructors);
    }

    fn take_hook_list(&mut self, list: &str, hooks: &mut Vec<Hook>) {
        let Some(variable) = self.module.global(list) else {
            return;
        };
        let place = self.instance.place;
        for entry in variable.initializer().operands() {
            let function = entry.operand(1);
            if !function.is_global() {
                continue;
            }
            let plain = function.name();
            let function = if function.is_local() {
                let label = self.resolution.label(place, self.instance.input);
                let name = format!("{label}#{}.{}::{plain}", self.number, hooks.len());
                function.set_linkage(Linkage::LLVMExternalLinkage);
                function.set_visibility(Visibility::LLVMHiddenVisibility);
                function.set_name(&name);
                name
            } else {
                self.resolution.reference(place, &plain).name().to_owned()
            };
            if self.resolution.is_own(self.instance) {
                let reason = "constructors and destructors run in all programs of a unit: \
                              put a program that has its own into a unit of its own";
                self.unsupported(&plain, reason);
            }
            if list.ends_with("dtors") && matches!(place, Place::Module(_)) {
                self.unsupported(&plain, "a module's destructors would never run: use atexit in its constructor");
            }
            hooks.push(Hook { priority: entry.operand(0).integer(), function });
        }
        variable.delete();
    }

    fn unsupported(&mut self, symbol: &str, reason: &str) {
        let (symbol, reason) = (symbol.to_owned(), reason.to_owned());
        self.refusals.insert(Refusal::Unsupported { symbol, reason });
    }

    /// Gives every global symbol the name that it has in the linked module.
    fn rename(&mut self) {
        let place = self.instance.place;
        let mut definitions = Vec::new();
        let mut references = Vec::new();
        for global in self.module.globals() {
            let name = global.name();
            // Hooks have their final names already.
            if global.is_local() || name.contains("::") {
                continue;
            }
            let target = self.resolution.reference(place, &name);
            if global.is_declaration() {
                references.push((global, target));
                continue;
            }
            let own = self.resolution.definition(place, &name).expect("it is defined here");
            if target != Target::Unit(own.clone()) {
                if global.is_function() {
                    let stand_in = self.declaration(global);
                    global.replace_references(stand_in);
                    references.push((stand_in, target));
                } else {
                    self.unsupported(&name, "only functions can be wrapped or replaced");
                }
            }
            definitions.push((global, own));
        }
        // Names may trade places, so that all are taken away first.
        let all = definitions.iter().map(|(global, _)| global).chain(references.iter().map(|(global, _)| global));
        for (number, global) in all.enumerate() {
            global.set_name(&format!("::{number}"));
        }
        let mut taken: HashMap<String, Value> = HashMap::new();
        for (global, name) in definitions {
            global.set_name(&name);
            taken.insert(name, global);
        }
        for (global, target) in references {
            match taken.get(target.name()) {
                Some(&other) => {
                    global.replace_all_uses(other);
                    global.delete();
                }
                None => {
                    global.set_name(target.name());
                    taken.insert(target.name().to_owned(), global);
                }
            }
        }
    }

    fn declaration(&self, function: Value) -> Value {
        self.module.add_function(function.value_type(), "")
    }

    /// Removes what has no meaning in a program whose symbols are all known.
    fn simplify(&self) {
        for list in ["llvm.used", "llvm.compiler.used", "llvm.global.annotations"] {
            if let Some(variable) = self.module.global(list) {
                variable.delete();
            }
        }
        for global in self.module.globals() {
            if !global.is_alias() && !global.is_ifunc() {
                global.clear_comdat();
            }
        }
    }
}

impl Linked {
    /// Makes everything local but the roots, and drops what is not used then.
    pub(crate) fn internalize(&self, roots: &HashSet<String>) -> Result<(), Error> {
        for global in self.module.globals() {
            if global.is_declaration() || global.is_local() {
                continue;
            }
            let root = roots.contains(&global.name());
            global.set_linkage(if root { Linkage::LLVMExternalLinkage } else { Linkage::LLVMInternalLinkage });
        }
        self.module.run_passes("globaldce").map_err(Error::Llvm)
    }

    /// The symbols of every input that was linked in had colons; now that all are local, most can have their own names.
    pub(crate) fn restore_names(&self) {
        let globals = self.module.globals();
        let mut taken: HashSet<String> = globals.iter().map(|global| global.name()).collect();
        for global in globals {
            let name = global.name();
            let Some((label, plain)) = name.split_once("::") else {
                continue;
            };
            let label = match label.split('#').next() {
                None | Some("") => "shared",
                Some(label) => label,
            };
            // A `main` could meet the caller's own.
            let own = (plain != "main").then(|| plain.to_owned());
            let candidates = own.into_iter().chain([format!("{plain}.{label}")]);
            if let Some(free) = candidates.into_iter().find(|name| !taken.contains(name)) {
                global.set_name(&free);
                taken.insert(free);
            }
        }
    }
}
