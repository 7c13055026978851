//! Rewrites code: each use of a private variable becomes an offset from the base pointer.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::link::plain_name;
use crate::llvm::{Context, Linkage, Module, Type, Value, Visibility, expand_constant_users};
use crate::private::Block;
use crate::{Refusal, assembly};

/// The variable that holds a thread's base pointer.
const BASE: &str = "privatized_base";

/// A place in code that needs the address of a private variable.
struct Use {
    instruction: Value,
    operand: u32,
    variable: Value,
}

pub(crate) struct Rewriter<'a> {
    context: &'a Context,
    module: &'a Module,
    block: &'a Block,
    base: Value,
    pointer: Type,
}

/// What was done to the code.
#[derive(Debug, Default)]
pub(crate) struct Rewritten {
    pub(crate) uses: usize,
    /// The functions that load the base pointer.
    pub(crate) functions: HashSet<Value>,
}

impl<'a> Rewriter<'a> {
    pub(crate) fn new(context: &'a Context, module: &'a Module, block: &'a Block) -> Self {
        let pointer = context.pointer();
        let base = module.add_variable(pointer, BASE);
        base.set_initializer(pointer.null());
        base.set_initial_exec();
        base.set_linkage(Linkage::LLVMLinkOnceODRLinkage);
        base.set_visibility(Visibility::LLVMHiddenVisibility);
        Self { context, module, block, base, pointer }
    }

    /// Rewrites all uses and removes the variables.
    pub(crate) fn run(&self, refusals: &mut BTreeSet<Refusal>) -> Rewritten {
        let variables: Vec<Value> = self.block.variables.iter().map(|(variable, _)| *variable).collect();
        // Initialisers are in the template by now.
        for variable in &variables {
            variable.set_initializer(variable.value_type().poison());
        }
        self.check_assembly(refusals);
        expand_constant_users(&variables);
        let mut order = Vec::new();
        let mut uses: HashMap<Value, Vec<Use>> = HashMap::new();
        for &variable in &variables {
            for user in distinct_users(variable) {
                if !user.is_instruction() || user.is_landing_pad() {
                    let reason = "it is used where only a constant can be, such as an exception handler's list";
                    refusals.insert(Refusal::Unsupported { symbol: plain_name(variable), reason: reason.into() });
                    continue;
                }
                let list = uses.entry(user.function()).or_insert_with(|| {
                    order.push(user.function());
                    Vec::new()
                });
                for operand in 0..user.operand_count() {
                    if user.operand(operand) == variable {
                        list.push(Use { instruction: user, operand, variable });
                    }
                }
            }
        }
        let mut result = Rewritten::default();
        for function in order {
            result.uses += uses[&function].len();
            if self.rewrite(function, &uses[&function]) {
                result.functions.insert(function);
            }
        }
        if refusals.is_empty() {
            for variable in variables {
                variable.replace_all_uses(self.pointer.poison());
                variable.delete();
            }
        }
        result
    }

    /// Refuses inline assembly with an operand that must be a link-time constant.
    fn check_assembly(&self, refusals: &mut BTreeSet<Refusal>) {
        for function in self.module.functions() {
            for call in function.instructions() {
                if !call.is_any_call() || !call.called().is_inline_assembly() {
                    continue;
                }
                let wants = assembly::wants_constant(&call.called().assembly().1);
                for index in 0..call.argument_count() {
                    let operand = call.operand(index);
                    if !wants.get(index as usize).is_some_and(|wants| *wants) || !operand.is_constant() {
                        continue;
                    }
                    if let Some(variable) = self.find_private(operand) {
                        let place = format!("function {}", plain_name(function));
                        refusals.insert(Refusal::Assembly { symbol: plain_name(variable), place });
                    }
                }
            }
        }
    }

    fn find_private(&self, constant: Value) -> Option<Value> {
        if self.block.offsets.contains_key(&constant) {
            return Some(constant);
        }
        let inner: Vec<_> = if constant.is_global() { Vec::new() } else { constant.operands().collect() };
        inner.into_iter().filter(|operand| operand.is_constant()).find_map(|operand| self.find_private(operand))
    }

    /// Whether the function loads the base now: not if none of the uses can be reached.
    fn rewrite(&self, function: Value, uses: &[Use]) -> bool {
        let points: Vec<Value> = uses
            .iter()
            .map(|u| if u.instruction.is_phi() { u.instruction.incoming_terminator(u.operand) } else { u.instruction })
            .collect();
        let (position, points) = function.base_position(&points);
        let base = position.map(|position| self.load_base(position));
        let builder = self.context.builder();
        let (byte, int) = (self.context.int(8), self.context.int(64));
        let mut incoming = HashMap::new();
        for (u, point) in uses.iter().zip(points) {
            let (Some(point), Some(base)) = (point, base) else {
                u.instruction.set_operand(u.operand, self.pointer.poison());
                continue;
            };
            let make = || {
                builder.before(point);
                builder.offset(byte, base, int.constant(self.block.offsets[&u.variable]))
            };
            let address = if u.instruction.is_phi() {
                // A block that comes in twice must bring the same value.
                let key = (u.instruction, u.instruction.incoming_block(u.operand), u.variable);
                *incoming.entry(key).or_insert_with(make)
            } else {
                make()
            };
            u.instruction.set_operand(u.operand, address);
        }
        base.is_some()
    }

    fn load_base(&self, before: Value) -> Value {
        let builder = self.context.builder();
        builder.before(before);
        let (ty, intrinsic) = self.module.thread_local_address(self.pointer);
        let slot = builder.call(ty, intrinsic, &[self.base]);
        let base = builder.load(self.pointer, slot, c"private");
        // The base never changes while a process lives, and the whole block is there.
        let int = self.context.int(64);
        let facts: [(&str, Option<u64>); 5] = [
            ("invariant.load", None),
            ("nonnull", None),
            ("noundef", None),
            ("align", Some(self.block.alignment)),
            ("dereferenceable", Some(self.block.size)),
        ];
        for (name, value) in facts {
            let values: Vec<_> = value.map(|value| int.constant(value)).into_iter().collect();
            base.set_metadata(self.context.metadata_kind(name), self.context.metadata(&values));
        }
        base
    }

    /// A function that returns the address of the calling thread's base pointer.
    pub(crate) fn base_slot(&self) -> Value {
        let function = self.module.add_function(self.pointer.function(&[]), "privatized_base_slot");
        let builder = self.context.builder();
        builder.at_end(self.context.append_block(function));
        let (ty, intrinsic) = self.module.thread_local_address(self.pointer);
        builder.ret(builder.call(ty, intrinsic, &[self.base]));
        function
    }
}

/// What uses a value, each once, in order: an instruction may use it several times.
fn distinct_users(value: Value) -> Vec<Value> {
    let mut seen = HashSet::new();
    value.users().into_iter().filter(|user| seen.insert(*user)).collect()
}
