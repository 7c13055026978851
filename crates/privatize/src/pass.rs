//! The steps of the pass, in their order.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use crate::directives::Directives;
use crate::emit::{Address, Emitter, Image, ModuleTable, TableEntry};
use crate::imports::Importer;
use crate::input::Pool;
use crate::link::{Hook, Hooks, Linked, link, plain_name};
use crate::llvm::{Context, Linkage, Value};
use crate::private::{Block, resolve_aliases, resolve_thread_locals};
use crate::resolve::{Inputs, Place, Resolution, Target};
use crate::rewrite::Rewriter;
use crate::{Error, Refusal, Report, Unit, template};

/// The section of all functions.
const SECTION: &str = "privatized_text";

/// Links a unit, makes its mutable globals private, and writes the result as bitcode.
///
/// The report tells what was done. Takes about 20 times the memory of the bitcode.
pub fn privatize(unit: &Unit, output: &Path) -> Result<Report, Error> {
    unit.check()?;
    let directives = match &unit.os {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| Error::Read(path.clone(), error))?;
            Directives::parse(&text, &path.display().to_string())?
        }
        None => Directives::default(),
    };
    let context = Context::new();
    let mut pool = Pool::new(unit);
    let inputs = read(unit, &context, &mut pool)?;
    let resolution = Resolution::new(unit, &pool, &inputs);
    resolution.check()?;
    let mut refusals = BTreeSet::new();
    let linked = link(&context, &pool, &resolution, &directives, &mut refusals)?;
    resolution.check()?;
    let pass = Pass { unit, context: &context, pool: &pool, resolution: &resolution, linked: &linked };
    let report = pass.run(&directives, refusals)?;
    linked.module.write(output).map_err(|error| Error::Write(output.to_owned(), error))?;
    Ok(report)
}

fn read(unit: &Unit, context: &Context, pool: &mut Pool) -> Result<Inputs, Error> {
    let programs = unit.programs.iter().map(|p| pool.objects(context, &p.objects)).collect::<Result<_, _>>()?;
    let archives = pool.archives(context, &unit.archives)?;
    let mut both = |objects, archives| Ok((pool.objects(context, objects)?, pool.archives(context, archives)?));
    let libraries = unit.libraries.iter().map(|l| both(&l.objects, &l.archives)).collect::<Result<_, Error>>()?;
    let modules = unit.modules.iter().map(|m| both(&m.objects, &m.archives)).collect::<Result<_, Error>>()?;
    Ok(Inputs { programs, archives, libraries, modules })
}

struct Pass<'a> {
    unit: &'a Unit,
    context: &'a Context,
    pool: &'a Pool,
    resolution: &'a Resolution<'a>,
    linked: &'a Linked,
}

/// What must survive: by its name in the linked module.
struct Roots {
    mains: Vec<String>,
    exports: Option<Vec<(String, Target)>>,
    modules: Vec<Vec<(String, Target)>>,
}

impl Pass<'_> {
    fn run(&self, directives: &Directives, mut refusals: BTreeSet<Refusal>) -> Result<Report, Error> {
        let module = &self.linked.module;
        let layout = module.layout();
        if layout.pointer_size() != 8 {
            let reason = format!("pointers of {} bytes are not supported yet", layout.pointer_size());
            return Err(Error::Unit(self.unit.name.clone(), reason));
        }
        let roots = self.roots(&mut refusals);
        self.linked.internalize(&self.root_names(&roots))?;
        let instances = self.resolution.instances();
        let inputs: Vec<_> = instances.iter().map(|instance| instance.input).collect();
        let imports = Importer {
            context: self.context,
            module,
            layout,
            pool: self.pool,
            linked: &inputs,
            directives,
            replace: &self.unit.replace,
            refusals: &mut refusals,
        }
        .run();
        self.check(&refusals)?;
        let aliases = resolve_aliases(module);
        resolve_thread_locals(module);
        let block = Block::new(module, layout, &mut refusals);
        let template =
            template::Builder { context: self.context, module, layout, block: &block, refusals: &mut refusals }.build();
        self.check(&refusals)?;

        let address = |target: &Target| self.address(target, &aliases, &block);
        let table = |entries: &[(String, Target)]| -> Vec<TableEntry> {
            entries.iter().map(|(name, target)| (name.clone(), address(target))).collect()
        };
        let exports = roots.exports.as_deref().map(table);
        let mut modules = Vec::new();
        for (index, (described, symbols)) in self.unit.modules.iter().zip(&roots.modules).enumerate() {
            let constructors = self.constructors(Place::Module(index));
            modules.push(ModuleTable { name: described.name.clone(), symbols: table(symbols), constructors });
        }
        let datum = |(name, variable): &(String, Value)| {
            (name.clone(), block.offsets[variable], layout.size(variable.value_type()))
        };
        let data: Vec<_> = imports.data.iter().map(datum).collect();

        let rewriter = Rewriter::new(self.context, module, &block);
        let rewritten = rewriter.run(&mut refusals);
        self.check_ifuncs(&rewritten.functions, &mut refusals);
        self.check(&refusals)?;

        let (constructors, destructors) = self.hooks();
        let image = Image {
            name: self.unit.name.clone(),
            template: template.data,
            template_size: block.template_size,
            block_size: block.size,
            block_alignment: block.alignment,
            fixups: template.fixups,
            data,
            constructors,
            destructors,
            exports,
            modules,
            base_slot: rewriter.base_slot(),
        };
        let programs = self.emit(&image, &roots.mains);
        let functions = self.finish(&programs)?;
        Ok(Report {
            unit: self.unit.name.clone(),
            programs: programs.iter().map(|program| program.name()).collect(),
            inputs: inputs.len(),
            functions,
            functions_with_base: rewritten.functions.len(),
            mutable_variables: block.mutable,
            private_variables: block.variables.len(),
            uses: rewritten.uses,
            block_size: block.size,
            block_align: block.alignment,
            template_size: block.template_size,
            fixups: image.fixups.len(),
            exports: image.exports.as_ref().map_or(0, Vec::len),
            constructors: image.constructors.len(),
            destructors: image.destructors.len(),
            modules: image.modules.iter().map(|module| (module.name.clone(), module.symbols.len())).collect(),
            libc_data: image.data.iter().map(|datum| datum.0.clone()).collect(),
            redirected: imports.redirected.into_iter().collect(),
            passed: imports.passed.into_iter().collect(),
        })
    }

    fn check(&self, refusals: &BTreeSet<Refusal>) -> Result<(), Error> {
        if refusals.is_empty() {
            return Ok(());
        }
        Err(Error::Refused { unit: self.unit.name.clone(), refusals: refusals.iter().cloned().collect() })
    }

    fn roots(&self, refusals: &mut BTreeSet<Refusal>) -> Roots {
        let mut mains = Vec::new();
        for (index, program) in self.unit.programs.iter().enumerate() {
            match self.resolution.definition(Place::Program(index), "main") {
                Some(name) => mains.push(name),
                None => {
                    let wanted = format!("program {}", program.name);
                    refusals.insert(Refusal::Missing { symbol: "main".into(), wanted });
                }
            }
        }
        let exports = self.unit.export.then(|| self.resolution.table(Place::Program(0)));
        let modules = (0..self.unit.modules.len()).map(|index| self.resolution.table(Place::Module(index))).collect();
        Roots { mains, exports, modules }
    }

    fn root_names(&self, roots: &Roots) -> HashSet<String> {
        let tables = roots.exports.iter().chain(&roots.modules).flatten().map(|(_, target)| target.name());
        let hooks = self.linked.hooks.values().flat_map(|hooks| hooks.constructors.iter().chain(&hooks.destructors));
        let names =
            tables.chain(hooks.map(|hook| hook.function.as_str())).chain(roots.mains.iter().map(String::as_str));
        names.map(str::to_owned).collect()
    }

    fn address(&self, target: &Target, aliases: &HashMap<String, (Value, i64)>, block: &Block) -> Address {
        let (value, by) = match target {
            Target::Unit(name) => match aliases.get(name) {
                Some(&alias) => alias,
                None => (self.linked.module.global(name).expect("roots survive"), 0),
            },
            Target::External(name) => {
                let module = &self.linked.module;
                let ty = self.context.void().function(&[]);
                (module.global(name).unwrap_or_else(|| module.add_function(ty, name)), 0)
            }
        };
        match block.offsets.get(&value) {
            Some(offset) => Address::Private(offset.wrapping_add_signed(by)),
            None => Address::Shared(value, by),
        }
    }

    fn constructors(&self, place: Place) -> Vec<Value> {
        self.linked.hooks.get(&place).map_or_else(Vec::new, |hooks| self.in_order(&hooks.constructors))
    }

    /// By priority, and in link order where that is equal.
    fn in_order(&self, hooks: &[Hook]) -> Vec<Value> {
        let mut hooks = hooks.to_vec();
        hooks.sort_by_key(|hook| hook.priority);
        hooks.iter().map(|hook| self.linked.module.global(&hook.function).expect("roots survive")).collect()
    }

    /// The image's constructors and destructors: libraries start before the program, and end after it.
    fn hooks(&self) -> (Vec<Value>, Vec<Value>) {
        let libraries = (0..self.unit.libraries.len()).map(Place::Library);
        let groups: Vec<&Hooks> =
            libraries.chain([Place::Program(0)]).filter_map(|place| self.linked.hooks.get(&place)).collect();
        let constructors = groups.iter().flat_map(|hooks| self.in_order(&hooks.constructors)).collect();
        let mut destructors: Vec<_> = groups.iter().flat_map(|hooks| self.in_order(&hooks.destructors)).collect();
        destructors.reverse();
        (constructors, destructors)
    }

    /// A resolver runs when the caller's program is loaded, before any process exists.
    fn check_ifuncs(&self, with_base: &HashSet<Value>, refusals: &mut BTreeSet<Refusal>) {
        for ifunc in self.linked.module.ifuncs() {
            let mut reached = vec![self.linked.module.constant_offset(ifunc.resolver()).0];
            let mut next = 0;
            while next < reached.len() {
                let function = reached[next];
                next += 1;
                if with_base.contains(&function) {
                    let symbol = plain_name(ifunc);
                    let function = plain_name(function);
                    refusals.insert(Refusal::Ifunc { symbol, function });
                    break;
                }
                for operand in function.instructions().into_iter().flat_map(|i| i.operands().collect::<Vec<_>>()) {
                    if operand.is_function() && !reached.contains(&operand) {
                        reached.push(operand);
                    }
                }
            }
        }
    }

    fn emit(&self, image: &Image, mains: &[String]) -> Vec<Value> {
        let module = &self.linked.module;
        let emitter = Emitter { context: self.context, module };
        let described = emitter.image(image);
        let mut programs = Vec::new();
        for (program, main) in self.unit.programs.iter().zip(mains) {
            let main = module.global(main).expect("roots survive");
            programs.push(emitter.program(&program.name, main, described));
        }
        programs
    }

    /// Hides everything but the programs' constants. Returns the number of functions.
    fn finish(&self, programs: &[Value]) -> Result<usize, Error> {
        let module = &self.linked.module;
        for global in module.globals() {
            let external = global.linkage() == Linkage::LLVMExternalLinkage;
            if external && !global.is_declaration() && !programs.contains(&global) {
                global.set_linkage(Linkage::LLVMInternalLinkage);
            }
        }
        module.run_passes("globaldce").map_err(Error::Llvm)?;
        self.linked.restore_names();
        let defined: Vec<_> = module.functions().into_iter().filter(|function| !function.is_declaration()).collect();
        for function in &defined {
            function.set_section(SECTION);
        }
        module.verify().map_err(Error::Llvm)?;
        Ok(defined.len())
    }
}
