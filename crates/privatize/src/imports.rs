//! Undefined symbols: each goes where the library OS's directives say.

use std::collections::{BTreeMap, BTreeSet};

use crate::directives::{Directive, Directives};
use crate::input::{InputId, Pool};
use crate::llvm::{Context, Layout, Linkage, Module, Value, Visibility};
use crate::{Refusal, unit};

/// Facts about a C library function that need not be true of the library OS's: it may run a signal handler of the program,
/// end the process, and has an allocator of its own.
const DROPPED: [&str; 9] = [
    "memory",
    "nocallback",
    "nosync",
    "nofree",
    "norecurse",
    "willreturn",
    "speculatable",
    "allockind",
    "mustprogress",
];
const DROPPED_TEXTS: [&str; 2] = ["alloc-family", "alloc-variant-zeroed"];

/// What the unit takes from outside, by name.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    /// The variables of the C library that became private.
    pub(crate) data: Vec<(String, Value)>,
    pub(crate) redirected: BTreeSet<String>,
    pub(crate) passed: BTreeSet<String>,
}

pub(crate) struct Importer<'a> {
    pub(crate) context: &'a Context,
    pub(crate) module: &'a Module,
    pub(crate) layout: Layout,
    pub(crate) pool: &'a Pool,
    /// The inputs that were linked.
    pub(crate) linked: &'a [InputId],
    pub(crate) directives: &'a Directives,
    pub(crate) replace: &'a BTreeMap<String, unit::Replacement>,
    pub(crate) refusals: &'a mut BTreeSet<Refusal>,
}

impl Importer<'_> {
    pub(crate) fn run(&mut self) -> Imports {
        let mut imports = Imports::default();
        for global in self.module.globals() {
            if !global.is_declaration() {
                continue;
            }
            if !global.is_used() {
                global.delete();
                continue;
            }
            self.import(global, &mut imports);
        }
        imports
    }

    fn import(&mut self, global: Value, imports: &mut Imports) {
        let name = global.name();
        if let Some(replacement) = self.replace.values().find(|replacement| replacement.with == name) {
            self.detach(global);
            if replacement.returns_twice || self.directives.twice(&name) {
                self.mark_twice(global);
            }
            imports.redirected.insert(name);
            return;
        }
        match self.directives.find(&name) {
            None if global.linkage() == Linkage::LLVMExternalWeakLinkage => {
                // Nothing defines it: a linker makes it null.
                global.replace_all_uses(global.type_of().null());
                global.delete();
            }
            None => {
                let (function, user) = (global.is_function(), self.pool.user(&name, self.linked));
                self.refusals.insert(Refusal::Undefined { symbol: name, function, user });
            }
            Some(Directive::Data) => self.make_private(global, name, imports),
            Some(Directive::Pass) => {
                if self.directives.twice(&name) {
                    self.mark_twice(global);
                }
                imports.passed.insert(name);
            }
            Some(Directive::Redirect | Directive::Setjmp) if !global.is_function() => {
                self.refuse(name, "it is a variable: `data` or `pass` it");
            }
            Some(Directive::Redirect) => {
                self.redirect(global, &name);
                imports.redirected.insert(name);
            }
            Some(Directive::Setjmp) => {
                self.keep_mask(global, &name);
                imports.passed.insert(name);
            }
        }
    }

    fn refuse(&mut self, symbol: String, reason: &str) {
        self.refusals.insert(Refusal::Directive { symbol, reason: reason.to_owned() });
    }

    fn make_private(&mut self, variable: Value, name: String, imports: &mut Imports) {
        if !variable.is_variable() {
            return self.refuse(name, "`data` is for variables, it is a function");
        }
        let ty = variable.value_type();
        if !ty.is_sized() || self.layout.size(ty) == 0 {
            return self.refuse(name, "`data` needs a size, its declaration has none");
        }
        if variable.is_thread_local() {
            return self.refuse(name, "`data` is for ordinary variables, it is thread-local");
        }
        variable.set_initializer(ty.null());
        variable.set_constant_variable(false);
        variable.set_linkage(Linkage::LLVMInternalLinkage);
        imports.data.push((name, variable));
    }

    fn redirect(&mut self, function: Value, name: &str) {
        let new = Directives::redirected(name);
        let twice = self.directives.twice(name) || self.directives.twice(&new);
        let function = match self.module.global(&new) {
            Some(other) => {
                function.replace_all_uses(other);
                function.delete();
                other
            }
            None => {
                function.set_name(&new);
                function.set_linkage(Linkage::LLVMExternalLinkage);
                function.set_visibility(Visibility::LLVMDefaultVisibility);
                function
            }
        };
        self.detach(function);
        if twice {
            self.mark_twice(function);
        }
    }

    /// Removes what was known of the C library's function. What a caller may rely on in any implementation stays.
    fn detach(&self, function: Value) {
        for kind in DROPPED {
            function.remove_attribute(kind);
        }
        for kind in DROPPED_TEXTS {
            function.remove_text_attribute(kind);
        }
        for call in calls(function) {
            for kind in DROPPED {
                call.remove_call_attribute(kind);
            }
            for kind in DROPPED_TEXTS {
                call.remove_call_text_attribute(kind);
            }
        }
    }

    fn mark_twice(&self, function: Value) {
        let attribute = self.context.enum_attribute("returns_twice");
        function.add_attribute(attribute);
        for call in calls(function) {
            call.add_call_attribute(attribute);
            if call.is_call() {
                // The frame must still be there the second time.
                call.set_never_tail_call();
            }
        }
    }

    /// Has the library OS keep the virtual signal mask before each call of a `sigsetjmp`.
    fn keep_mask(&mut self, function: Value, name: &str) {
        let calls = calls(function);
        if calls.len() != function.users().len() {
            return self.refuse(name.to_owned(), "`setjmp` functions can only be called: its address is taken");
        }
        let (pointer, int) = (self.context.pointer(), self.context.int(32));
        let ty = self.context.void().function(&[pointer, int]);
        let keeper = "libos_setjmp_mask";
        let keeper = self.module.global(keeper).unwrap_or_else(|| self.module.add_function(ty, keeper));
        let builder = self.context.builder();
        for call in calls {
            builder.before(call);
            match call.argument_count() {
                1 => {
                    builder.call(ty, keeper, &[call.operand(0), int.constant(0)]);
                }
                2 if call.operand(1).type_of() == int => {
                    builder.call(ty, keeper, &[call.operand(0), call.operand(1)]);
                    call.set_operand(1, int.constant(0));
                }
                _ => {
                    return self.refuse(name.to_owned(), "a `setjmp` function takes a buffer and an int");
                }
            }
        }
        self.mark_twice(function);
    }
}

/// The direct calls of a function.
fn calls(function: Value) -> Vec<Value> {
    let direct = |user: &Value| user.is_any_call() && user.called() == function;
    function.users().into_iter().filter(direct).collect()
}
