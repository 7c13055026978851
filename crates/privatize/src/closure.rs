//! Which inputs a link takes: objects, and the archive members that something needs.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use crate::Refusal;
use crate::input::{Binding, InputId, Members, Pool, Strength};

/// The definition that a link uses for a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Definition {
    pub(crate) input: InputId,
    pub(crate) hidden: bool,
    strength: Strength,
}

/// The outcome of one link, as far as symbols go.
#[derive(Debug, Default)]
pub(crate) struct Closure {
    /// In the order in which a linker would take them.
    pub(crate) inputs: Vec<InputId>,
    pub(crate) definitions: HashMap<String, Definition>,
}

impl Closure {
    /// Symbols that an input of the closure wants and none defines, sorted.
    pub(crate) fn undefined<'a>(&'a self, pool: &'a Pool) -> BTreeSet<&'a str> {
        let symbols = self.inputs.iter().flat_map(|&id| &pool.inputs[id].symbols);
        let wanted = symbols.filter(|s| matches!(s.binding, Binding::Undefined { weak: false }));
        wanted.map(|s| s.name.as_str()).filter(|name| !self.definitions.contains_key(*name)).collect()
    }
}

/// Links objects and archives as a linker does: a definition in what is already taken wins; otherwise the first archive
/// member that has one is taken. `wanted` names are looked for as well.
pub(crate) fn close(
    pool: &Pool,
    objects: &[InputId],
    archives: &[Members],
    wanted: &BTreeSet<&str>,
    wrap: &BTreeSet<String>,
    refusals: &mut BTreeSet<Refusal>,
) -> Closure {
    let mut state =
        State { pool, wrap, refusals, closure: Closure::default(), taken: HashSet::new(), queue: VecDeque::new() };
    let mut lazy: HashMap<&str, InputId> = HashMap::new();
    for &id in objects {
        state.take(id);
    }
    for archive in archives {
        for &id in &archive.inputs {
            if archive.whole {
                state.take(id);
                continue;
            }
            for symbol in &pool.inputs[id].symbols {
                if matches!(symbol.binding, Binding::Defined { .. }) {
                    lazy.entry(&symbol.name).or_insert(id);
                }
            }
        }
    }
    state.queue.extend(wanted.iter().map(|name| (*name).to_owned()));
    while let Some(name) = state.queue.pop_front() {
        if state.closure.definitions.contains_key(&name) {
            continue;
        }
        if let Some(&id) = lazy.get(name.as_str()) {
            state.take(id);
        }
    }
    state.closure
}

struct State<'a> {
    pool: &'a Pool,
    wrap: &'a BTreeSet<String>,
    refusals: &'a mut BTreeSet<Refusal>,
    closure: Closure,
    taken: HashSet<InputId>,
    queue: VecDeque<String>,
}

impl State<'_> {
    fn take(&mut self, id: InputId) {
        if !self.taken.insert(id) {
            return;
        }
        self.closure.inputs.push(id);
        for symbol in &self.pool.inputs[id].symbols {
            match symbol.binding {
                Binding::Defined { strength, hidden } => {
                    self.define(&symbol.name, Definition { input: id, hidden, strength });
                }
                Binding::Undefined { weak: false } => self.want(&symbol.name),
                Binding::Undefined { weak: true } => {}
            }
        }
    }

    fn define(&mut self, name: &str, new: Definition) {
        match self.closure.definitions.get_mut(name) {
            None => {
                self.closure.definitions.insert(name.to_owned(), new);
            }
            Some(old) if old.strength == Strength::Strong && new.strength == Strength::Strong => {
                self.refusals.insert(Refusal::Duplicate {
                    symbol: name.to_owned(),
                    first: self.pool.inputs[old.input].origin.clone(),
                    second: self.pool.inputs[new.input].origin.clone(),
                });
            }
            Some(old) if new.strength > old.strength => *old = new,
            Some(_) => {}
        }
        if self.wrap.contains(name) {
            self.queue.push_back(format!("__wrap_{name}"));
        }
    }

    fn want(&mut self, name: &str) {
        self.queue.push_back(name.to_owned());
        if self.wrap.contains(name) {
            self.queue.push_back(format!("__wrap_{name}"));
        }
        if let Some(original) = name.strip_prefix("__real_")
            && self.wrap.contains(original)
        {
            self.queue.push_back(original.to_owned());
        }
    }
}
