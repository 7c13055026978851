//! Which definition each reference goes to, across programs, libraries and modules.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::closure::{Closure, close};
use crate::input::{InputId, Members, Pool};
use crate::unit::Unit;
use crate::{Error, Refusal};

/// A part of the unit with symbols of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Place {
    Program(usize),
    Library(usize),
    Module(usize),
}

/// The inputs that the unit's description names.
pub(crate) struct Inputs {
    pub(crate) programs: Vec<Vec<InputId>>,
    pub(crate) archives: Vec<Members>,
    pub(crate) libraries: Vec<(Vec<InputId>, Vec<Members>)>,
    pub(crate) modules: Vec<(Vec<InputId>, Vec<Members>)>,
}

/// Where a reference goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// To a definition of the unit, by its name in the linked module.
    Unit(String),
    /// Out of the unit.
    External(String),
}

impl Target {
    pub(crate) fn name(&self) -> &str {
        let (Self::Unit(name) | Self::External(name)) = self;
        name
    }
}

/// An input as part of a place: the same input may be linked into several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(crate) place: Place,
    pub(crate) input: InputId,
}

/// A definition: the part of the unit that holds it, and the input.
type Found = (Place, InputId);

/// The link of a whole unit.
pub(crate) struct Resolution<'a> {
    unit: &'a Unit,
    programs: Vec<Closure>,
    libraries: Vec<Closure>,
    modules: Vec<Closure>,
    exports: Vec<HashSet<String>>,
    /// Inputs that are a program's own, because they are its objects or use such: only where there are several programs.
    own: HashSet<(usize, InputId)>,
    refusals: std::cell::RefCell<BTreeSet<Refusal>>,
}

impl<'a> Resolution<'a> {
    pub(crate) fn new(unit: &'a Unit, pool: &Pool, inputs: &Inputs) -> Self {
        let mut refusals = BTreeSet::new();
        let nothing = BTreeSet::new();
        let mut close_all = |parts: &[(Vec<InputId>, Vec<Members>)]| -> Vec<Closure> {
            let close = |(objects, archives): &(Vec<_>, Vec<_>)| {
                close(pool, objects, archives, &nothing, &unit.wrap, &mut refusals)
            };
            parts.iter().map(close).collect()
        };
        let libraries = close_all(&inputs.libraries);
        let modules = close_all(&inputs.modules);
        // A module may want a member that no program does.
        let wanted: BTreeSet<&str> = modules.iter().flat_map(|module| module.undefined(pool)).collect();
        let programs: Vec<Closure> = (inputs.programs.iter())
            .map(|objects| close(pool, objects, &inputs.archives, &wanted, &unit.wrap, &mut refusals))
            .collect();
        let mut resolution = Self {
            unit,
            programs,
            exports: Vec::new(),
            libraries,
            modules,
            own: HashSet::new(),
            refusals: std::cell::RefCell::new(BTreeSet::new()),
        };
        resolution.exports = resolution.find_exports(&mut refusals);
        if unit.programs.len() > 1 {
            resolution.find_own(pool, inputs);
        }
        let asked = (unit.replace.keys().map(|name| (name.clone(), "`replace`")))
            .chain(unit.wrap.iter().map(|name| (format!("__wrap_{name}"), "`wrap`")));
        for (symbol, wanted) in asked {
            if !pool.defines(&symbol) {
                refusals.insert(Refusal::Missing { symbol, wanted: wanted.to_owned() });
            }
        }
        *resolution.refusals.borrow_mut() = refusals;
        resolution
    }

    /// Fails if anything was refused so far.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refusals: Vec<_> = self.refusals.borrow().iter().cloned().collect();
        if refusals.is_empty() { Ok(()) } else { Err(Error::Refused { unit: self.unit.name.clone(), refusals }) }
    }

    fn find_exports(&self, refusals: &mut BTreeSet<Refusal>) -> Vec<HashSet<String>> {
        let mut result = Vec::new();
        for (library, closure) in self.unit.libraries.iter().zip(&self.libraries) {
            let Some(exports) = &library.exports else {
                let visible = closure.definitions.iter().filter(|(_, definition)| !definition.hidden);
                result.push(visible.map(|(name, _)| name.clone()).collect());
                continue;
            };
            for symbol in exports.iter().filter(|name| !closure.definitions.contains_key(*name)) {
                let wanted = format!("`exports` of library {}", library.name);
                refusals.insert(Refusal::Missing { symbol: symbol.clone(), wanted });
            }
            result.push(exports.iter().cloned().collect());
        }
        result
    }

    /// Programs share an archive's member unless it depends on something that is one program's.
    fn find_own(&mut self, pool: &Pool, inputs: &Inputs) {
        let mut edges: Vec<((usize, InputId), (usize, InputId))> = Vec::new();
        let mut first: HashMap<(InputId, &str), (usize, Option<Found>)> = HashMap::new();
        for (program, objects) in inputs.programs.iter().enumerate() {
            self.own.extend(objects.iter().map(|&input| (program, input)));
        }
        for (program, closure) in self.programs.iter().enumerate() {
            for &input in &closure.inputs {
                for symbol in &pool.inputs[input].symbols {
                    let found = self.find_reference(Place::Program(program), &symbol.name).0;
                    if let Some((Place::Program(_), other)) = found {
                        edges.push(((program, input), (program, other)));
                    }
                    // Another program's copy must see the same, apart from which program it is.
                    let neutral = found.map(|(place, other)| match place {
                        Place::Program(_) => (Place::Program(0), other),
                        place => (place, other),
                    });
                    let seen = first.entry((input, &symbol.name)).or_insert((program, neutral));
                    if seen.1 != neutral {
                        self.own.insert((program, input));
                        self.own.insert((seen.0, input));
                    }
                }
            }
        }
        loop {
            let before = self.own.len();
            for (from, to) in &edges {
                if self.own.contains(to) {
                    self.own.insert(*from);
                }
            }
            if self.own.len() == before {
                return;
            }
        }
    }

    /// The inputs to link, each with the part of the unit that it belongs to.
    pub(crate) fn instances(&self) -> Vec<Instance> {
        let mut result = Vec::new();
        let mut shared = HashSet::new();
        for (index, closure) in self.programs.iter().enumerate() {
            for &input in &closure.inputs {
                if self.unit.programs.len() == 1 || self.own.contains(&(index, input)) || shared.insert(input) {
                    result.push(Instance { place: Place::Program(index), input });
                }
            }
        }
        let others = (self.libraries.iter().enumerate().map(|(index, closure)| (Place::Library(index), closure)))
            .chain(self.modules.iter().enumerate().map(|(index, closure)| (Place::Module(index), closure)));
        for (place, closure) in others {
            result.extend(closure.inputs.iter().map(|&input| Instance { place, input }));
        }
        result
    }

    /// Whether an input is a program's own where there are several.
    pub(crate) fn is_own(&self, instance: Instance) -> bool {
        matches!(instance.place, Place::Program(program) if self.own.contains(&(program, instance.input)))
    }

    /// What a place's symbols are called in the linked module, before the colons.
    pub(crate) fn label(&self, place: Place, input: InputId) -> &str {
        match place {
            Place::Program(index) => {
                let shared = self.unit.programs.len() > 1 && !self.own.contains(&(index, input));
                if shared { "" } else { &self.unit.programs[index].name }
            }
            Place::Library(index) => &self.unit.libraries[index].name,
            Place::Module(index) => &self.unit.modules[index].name,
        }
    }

    /// A symbol's own definition in a place, by its name in the linked module.
    pub(crate) fn definition(&self, place: Place, name: &str) -> Option<String> {
        let found = self.own_definition(place, name)?;
        Some(self.mangle(found, name))
    }

    /// Where a reference to a symbol goes.
    pub(crate) fn reference(&self, place: Place, name: &str) -> Target {
        let (found, wanted) = self.find_reference(place, name);
        match (found, self.unit.replace.get(&wanted)) {
            (Some(_), Some(replacement)) => Target::External(replacement.with.clone()),
            (Some(found), None) => Target::Unit(self.mangle(found, &wanted)),
            (None, _) => Target::External(wanted),
        }
    }

    /// The global, visible symbols of a place, sorted, with where each goes.
    pub(crate) fn table(&self, place: Place) -> Vec<(String, Target)> {
        let closure = self.closure(place);
        let visible = closure.definitions.iter().filter(|(_, definition)| !definition.hidden);
        let mut table: Vec<_> = visible.map(|(name, _)| (name.clone(), self.reference(place, name))).collect();
        table.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
        table
    }

    fn closure(&self, place: Place) -> &Closure {
        match place {
            Place::Program(index) => &self.programs[index],
            Place::Library(index) => &self.libraries[index],
            Place::Module(index) => &self.modules[index],
        }
    }

    fn mangle(&self, (place, input): Found, name: &str) -> String {
        format!("{}::{name}", self.label(place, input))
    }

    fn own_definition(&self, place: Place, name: &str) -> Option<Found> {
        self.closure(place).definitions.get(name).map(|definition| (place, definition.input))
    }

    /// The definition that a reference goes to, after `wrap`, and the name under which it was found.
    fn find_reference(&self, place: Place, name: &str) -> (Option<Found>, String) {
        if let Some(original) = name.strip_prefix("__real_")
            && self.unit.wrap.contains(original)
        {
            return (self.find(place, original), original.to_owned());
        }
        let found = self.find(place, name);
        if self.unit.wrap.contains(name) {
            let wrapper = format!("__wrap_{name}");
            let wrapped = match found {
                // A module's own function of the same name is not the one that is wrapped.
                Some((owner, _)) => self.own_definition(owner, &wrapper),
                None => self.find(place, &wrapper),
            };
            if wrapped.is_some() {
                return (wrapped, wrapper);
            }
        }
        (found, name.to_owned())
    }

    fn find(&self, place: Place, name: &str) -> Option<Found> {
        if let Some(found) = self.own_definition(place, name) {
            return Some(found);
        }
        let libraries = match place {
            Place::Program(index) => &self.unit.programs[index].libraries,
            Place::Library(index) => &self.unit.libraries[index].libraries,
            Place::Module(index) => {
                if let Some(found) = self.find_in_programs(index, name) {
                    return Some(found);
                }
                &self.unit.modules[index].libraries
            }
        };
        libraries.iter().find_map(|wanted| {
            let index = self.unit.libraries.iter().position(|library| library.name == *wanted)?;
            let visible = self.exports.get(index).is_some_and(|exports| exports.contains(name));
            visible.then(|| self.own_definition(Place::Library(index), name)).flatten()
        })
    }

    fn find_in_programs(&self, module: usize, name: &str) -> Option<Found> {
        let mut found: Option<Found> = None;
        for index in 0..self.programs.len() {
            let Some(new) = self.own_definition(Place::Program(index), name) else {
                continue;
            };
            match found {
                None => found = Some(new),
                Some(old) if self.mangle(old, name) == self.mangle(new, name) => {}
                Some(_) => {
                    let user = format!("module {}", self.unit.modules[module].name);
                    self.refusals.borrow_mut().insert(Refusal::Ambiguous { symbol: name.to_owned(), user });
                }
            }
        }
        found
    }
}
