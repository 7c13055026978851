//! Binds one mapping: finds the symbols, then carries out the relocations.
//!
//! Relies on: [`Relocations::check`](crate::relocation::Relocations::check), after which every relocation writes into a
//! writable segment.

use std::ffi::c_void;

use crate::arch::{self, Action};
use crate::error::{ErrorKind, Result};
use crate::memory::Memory;
use crate::provided;
use crate::relocation::Relocation;
use crate::resolver::Resolver;
use crate::shared_object::Parsed;
use crate::symbols::Place;
use crate::thread_local::{Block, HostVariable};

/// What a symbol was found to be.
#[derive(Debug, Clone, Copy)]
enum Target {
    /// For a thread-local variable: its only copy's.
    Address(u64),
    /// Our own symbol, whose address its resolver function has yet to tell.
    Indirect,
    /// A thread-local variable of the host.
    Host(HostVariable),
}

/// A relocation that needs the object's code to run, which binding does not do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Deferred {
    /// The word becomes what the function at an address of the file returns.
    Function { address: u64, function: u64 },
    /// The word becomes the address of our indirect symbol, plus the addend.
    Symbol { address: u64, symbol: u32, addend: i64 },
}

/// Binds all relocations but those returned.
///
/// # Safety
/// `memory` and `block` are a new mapping of this object, which nobody uses yet.
pub(crate) unsafe fn bind(
    object: &Parsed,
    resolver: &dyn Resolver,
    memory: &Memory,
    block: Option<&Block>,
) -> Result<Vec<Deferred>> {
    let scope = Scope {
        object,
        resolver,
        bias: memory.bias(),
        block: block.map_or(0, |block| block.start().expose_provenance() as u64),
    };
    let targets = scope.find_all()?;
    let mut deferred = Vec::new();

    for address in object.relocations.packed() {
        // SAFETY: a checked address.
        unsafe { memory.write(address, memory.read(address).wrapping_add(scope.bias)) };
    }
    for entry in &object.relocations.entries {
        let Relocation { address, symbol, .. } = *entry;
        let addend = match entry.action {
            Action::Symbol => 0,
            _ => entry.addend,
        };
        let target = match targets[symbol as usize] {
            Some(target) => target,
            // No symbol means the block for thread-local variables, and nothing for others.
            None if entry.action.is_thread_local() => Target::Address(scope.block),
            None => Target::Address(0),
        };
        let value = match (entry.action, target) {
            (Action::Relative, _) => scope.bias.wrapping_add_signed(addend),
            (Action::Symbol | Action::SymbolAddend, Target::Address(target)) => target.wrapping_add_signed(addend),
            (Action::Symbol | Action::SymbolAddend, Target::Indirect) => {
                deferred.push(Deferred::Symbol { address, symbol, addend });
                continue;
            }
            (Action::Indirect, _) => {
                deferred.push(Deferred::Function { address, function: addend as u64 });
                continue;
            }
            (Action::TlsModule, Target::Address(target)) => target,
            (Action::TlsOffset, Target::Address(_)) => addend as u64,
            (Action::TlsModule, Target::Host(variable)) => variable.module,
            (Action::TlsOffset, Target::Host(variable)) => variable.offset.wrapping_add_signed(addend),
            (Action::TlsDescriptor, Target::Address(target)) => {
                // SAFETY: a checked address of two words.
                unsafe { memory.write(address + 8, target.wrapping_add_signed(addend)) };
                (arch::tls_descriptor as *const ()).expose_provenance() as u64
            }
            // Either refused or nothing to do.
            _ => continue,
        };
        // SAFETY: a checked address.
        unsafe { memory.write(address, value) };
    }
    Ok(deferred)
}

/// Where an object's names are looked up.
struct Scope<'a> {
    object: &'a Parsed,
    resolver: &'a dyn Resolver,
    bias: u64,
    /// Address of the object's thread-local block.
    block: u64,
}

impl Scope<'_> {
    /// Finds every symbol that a relocation needs; an error names all that are nowhere.
    fn find_all(&self) -> Result<Vec<Option<Target>>> {
        let symbols = &self.object.symbols;
        let mut targets = vec![None; symbols.len().max(1)];
        let mut missing = Vec::new();
        let mut refused = Vec::new();
        for entry in &self.object.relocations.entries {
            let thread_local = entry.action.is_thread_local();
            let by_symbol = thread_local || matches!(entry.action, Action::Symbol | Action::SymbolAddend);
            if !by_symbol || entry.symbol == 0 {
                continue;
            }
            let target = &mut targets[entry.symbol as usize];
            if target.is_none() {
                *target = self.find(entry.symbol, thread_local);
            }
            match target {
                None => {
                    missing.push(symbols.reference(entry.symbol));
                    // Asked once is enough.
                    *target = Some(Target::Address(0));
                }
                Some(Target::Host(_)) if entry.action == Action::TlsDescriptor => {
                    refused.push(symbols.name(entry.symbol).to_owned());
                }
                Some(_) => {}
            }
        }
        if !missing.is_empty() {
            return Err(ErrorKind::Unresolved(missing));
        }
        refused.dedup();
        if !refused.is_empty() {
            return Err(ErrorKind::ForeignThreadLocal { symbols: refused });
        }
        Ok(targets)
    }

    /// One symbol, in ELF's order: the global scope, the object, its dependencies. An object linked with `-Bsymbolic` comes
    /// first, as do symbols that are not the world's to replace.
    fn find(&self, index: u32, thread_local: bool) -> Option<Target> {
        let symbol = self.object.symbols.get(index);
        let name = self.object.symbols.name(index);
        let version = self.object.symbols.version(index);
        let outside = |found: *const c_void| {
            let variable = if thread_local { HostVariable::find(found) } else { None };
            match variable {
                Some(variable) => Target::Host(variable),
                None => Target::Address(found.expose_provenance() as u64),
            }
        };

        let own = match symbol.place {
            Place::Undefined => None,
            Place::Absolute => Some(Target::Address(symbol.value)),
            Place::Indirect => Some(Target::Indirect),
            Place::Memory => Some(Target::Address(self.bias.wrapping_add(symbol.value))),
            Place::ThreadLocal => Some(Target::Address(self.block.wrapping_add(symbol.value))),
        };
        if own.is_some() {
            if !symbol.preemptible || self.object.symbolic {
                return own;
            }
            return self.resolver.resolve(name, version).map(outside).or(own);
        }
        provided::address(name)
            .or_else(|| self.resolver.resolve(name, version))
            .or_else(|| self.resolver.resolve_dependency(name, version))
            .map(outside)
            .or_else(|| (symbol.weak && !thread_local).then_some(Target::Address(0)))
    }
}
