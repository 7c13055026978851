//! Chooses the variables that become private, and lays them out in the block.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::Refusal;
use crate::link::plain_name;
use crate::llvm::{Layout, Module, Value};

/// The library OS's own header at the start of a block, in bytes.
pub(crate) const HEADER: u64 = 64;
/// A block's size is a multiple of this, and no variable is aligned to more.
pub(crate) const PAGE: u64 = 4096;
/// Zero variables larger than this come last, so that small ones share pages.
const LARGE: u64 = 1024;

/// Where everything is in a private block.
#[derive(Debug, Default)]
pub(crate) struct Block {
    /// In the order of their offsets.
    pub(crate) variables: Vec<(Value, u64)>,
    pub(crate) offsets: HashMap<Value, u64>,
    /// The variables before this offset have an initialiser other than zero.
    pub(crate) template_size: u64,
    pub(crate) size: u64,
    pub(crate) alignment: u64,
    /// Variables that the program can change; the others point at private ones.
    pub(crate) mutable: usize,
}

/// Resolves the aliases of variables, which become offsets. What each pointed at, by name.
pub(crate) fn resolve_aliases(module: &Module) -> HashMap<String, (Value, i64)> {
    let mut resolved = HashMap::new();
    for alias in module.aliases() {
        let (base, offset) = module.constant_offset(alias.aliasee());
        if base.is_variable() {
            resolved.insert(alias.name(), (base, offset));
        }
    }
    for alias in module.aliases() {
        if resolved.contains_key(&alias.name()) {
            alias.replace_all_uses(alias.aliasee());
            alias.delete();
        }
    }
    resolved
}

/// Makes the unit's thread-local variables ordinary ones.
pub(crate) fn resolve_thread_locals(module: &Module) {
    let intrinsic = |f: &Value| f.name().starts_with("llvm.threadlocal.address");
    for function in module.functions().into_iter().filter(intrinsic) {
        for call in function.users() {
            let (base, _) = module.constant_offset(call.operand(0));
            if call.is_thread_local_address() && base.is_variable() && !base.is_declaration() {
                call.replace_all_uses(call.operand(0));
                call.erase();
            }
        }
    }
    for variable in module.variables() {
        if variable.is_thread_local() && !variable.is_declaration() {
            variable.clear_thread_local();
        }
    }
}

/// Everything that can change, and every constant that points at such.
fn choose(module: &Module) -> (Vec<Value>, usize) {
    let ours = |v: &Value| !v.is_declaration() && !v.name().starts_with("llvm.");
    let mut chosen: Vec<Value> =
        module.variables().into_iter().filter(|v| ours(v) && !v.is_constant_variable()).collect();
    let mutable = chosen.len();
    let mut known: HashSet<Value> = chosen.iter().copied().collect();
    let mut seen = HashSet::new();
    let mut next = 0;
    while next < chosen.len() {
        let mut users = chosen[next].users();
        next += 1;
        while let Some(user) = users.pop() {
            if !user.is_constant() || !seen.insert(user) {
                continue;
            }
            if !user.is_global() {
                users.extend(user.users());
            } else if user.is_variable() && known.insert(user) {
                chosen.push(user);
            }
        }
    }
    (chosen, mutable)
}

impl Block {
    pub(crate) fn new(module: &Module, layout: Layout, refusals: &mut BTreeSet<Refusal>) -> Self {
        let (chosen, mutable) = choose(module);
        let mut block = Self { mutable, size: HEADER, alignment: HEADER, ..Self::default() };
        let zero = |v: &Value| v.initializer().is_null() || v.initializer().is_undef();
        let size = |v: &Value| layout.size(v.value_type());
        let (zeros, initialized): (Vec<_>, Vec<_>) = chosen.into_iter().partition(zero);
        let (large, small): (Vec<_>, Vec<_>) = zeros.into_iter().partition(|v| size(v) > LARGE);
        for variable in initialized {
            block.place(variable, layout, refusals);
        }
        block.template_size = block.size;
        for variable in small.into_iter().chain(large) {
            block.place(variable, layout, refusals);
        }
        block.size = block.size.next_multiple_of(PAGE);
        if block.size > u64::from(u32::MAX) {
            let reason = format!("the private variables of the unit take {} bytes, 4 GiB is the limit", block.size);
            refusals.insert(Refusal::Unsupported { symbol: "private block".into(), reason });
        }
        block
    }

    fn place(&mut self, variable: Value, layout: Layout, refusals: &mut BTreeSet<Refusal>) {
        let alignment = match variable.alignment() {
            0 => layout.preferred_alignment(variable),
            explicit => explicit,
        };
        let mut refuse = |reason: &str| {
            refusals.insert(Refusal::Unsupported { symbol: plain_name(variable), reason: reason.to_owned() });
        };
        if alignment > PAGE {
            refuse("it is aligned to more than 4096 bytes");
        }
        if variable.address_space() != 0 {
            refuse("it is in an address space of its own");
        }
        self.size = self.size.next_multiple_of(alignment.max(1));
        self.alignment = self.alignment.max(alignment).min(PAGE);
        self.offsets.insert(variable, self.size);
        self.variables.push((variable, self.size));
        self.size += layout.size(variable.value_type());
    }
}
