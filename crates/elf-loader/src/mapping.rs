//! One mapping of an object: the memory, variables and obligations of one process.
//!
//! Relies on: whoever runs initialisers and finalisers has the file's code run, and answers for that code.

use std::ffi::{c_char, c_int, c_void};
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use crate::arch;
use crate::bind::Deferred;
use crate::error::{Error, Result};
use crate::loaded::{Moment, Registration};
use crate::memory::Memory;
use crate::shared_object::Parsed;
use crate::symbols::Place;
use crate::thread_local::Block;
use crate::unwind::FrameRegistration;

const MAPPED: u8 = 0;
const INITIALISED: u8 = 1;
const FINALISED: u8 = 2;

/// An object in memory, with data of its own. Dropping it unmaps it; no code of the object runs then, so
/// that a process that crashed can be cleaned up.
///
/// It belongs to one process, that is, one thread at a time: thread-local variables have one copy.
#[derive(Debug)]
pub struct Mapping {
    // In the order in which they must go.
    _frames: Option<FrameRegistration>,
    registration: Registration,
    deferred: Vec<Deferred>,
    /// Addresses of `STT_GNU_IFUNC` symbols, by index in ascending order, once they are known.
    indirect: OnceLock<Vec<(u32, u64)>>,
    state: AtomicU8,
    memory: Memory,
    block: Option<Block>,
    object: Arc<Parsed>,
}

impl Mapping {
    pub(crate) fn new(
        object: Arc<Parsed>,
        memory: Memory,
        block: Option<Block>,
        registration: Registration,
        frames: Option<FrameRegistration>,
        deferred: Vec<Deferred>,
    ) -> Self {
        Self {
            _frames: frames,
            registration,
            deferred,
            indirect: OnceLock::new(),
            state: AtomicU8::new(MAPPED),
            memory,
            block,
            object,
        }
    }

    /// The address of what the object exports by this name: of a name with versions, the default one.
    ///
    /// A thread-local variable's is that of the mapping's only copy. A function with a resolver of its own
    /// (`STT_GNU_IFUNC`) is found only after [`run_initialisers`](Self::run_initialisers).
    pub fn symbol(&self, name: &str) -> Option<*const c_void> {
        let index = self.object.symbols.find(name)?;
        let symbol = self.object.symbols.get(index);
        let address = match symbol.place {
            Place::Undefined => return None,
            Place::Absolute => ptr::without_provenance(symbol.value as usize),
            Place::Memory => self.memory.at(symbol.value).cast_const(),
            Place::Indirect => ptr::with_exposed_provenance(self.indirect(index)? as usize),
            Place::ThreadLocal => {
                let start = self.block.as_ref()?.start().cast_const();
                start.wrapping_add(symbol.value as usize)
            }
        };
        Some(address.cast())
    }

    /// The addresses that the object takes, from the first segment to the last.
    pub fn addresses(&self) -> Range<usize> {
        self.memory.addresses()
    }

    /// Resolves the object's indirect functions, then calls its initialisers in their order, as a C library does at
    /// `dlopen`. Only the first call does anything.
    ///
    /// A `longjmp` out of an initialiser is allowed; the rest then never run.
    ///
    /// # Errors
    /// The system refuses to change the protection of memory.
    ///
    /// # Safety
    /// The object's code does what its declarations say and is meant for this process; all that the
    /// resolver found is valid; `argv` and `envp` are null-terminated arrays of strings (or what the object can cope with).
    pub unsafe fn run_initialisers(
        &self,
        argc: c_int,
        argv: *const *const c_char,
        envp: *const *const c_char,
    ) -> std::result::Result<(), Error> {
        let first = self.state.compare_exchange(MAPPED, INITIALISED, Ordering::AcqRel, Ordering::Acquire);
        if first.is_err() {
            return Ok(());
        }
        // SAFETY: the caller's promise.
        unsafe { self.bind_deferred() }.map_err(|kind| kind.of(&self.object.name))?;

        type Initialiser = unsafe extern "C" fn(c_int, *const *const c_char, *const *const c_char);
        let functions = self.object.initialisers;
        if let Some(address) = functions.single {
            let function = self.memory.at(address).cast_const();
            // SAFETY: it is in code; the caller's promise.
            unsafe { std::mem::transmute::<*const u8, Initialiser>(function)(argc, argv, envp) };
        }
        for index in 0..functions.array.size / 8 {
            if let Some(function) = self.function(functions.array.address + index * 8) {
                // SAFETY: the caller's promise.
                unsafe {
                    std::mem::transmute::<*const c_void, Initialiser>(function)(argc, argv, envp);
                }
            }
        }
        Ok(())
    }

    /// Calls what the object registered for the end of its thread and of its process, then its finalisers in reverse
    /// order, as a C library does at `exit`. Does nothing before the initialisers ran, and nothing the second time.
    ///
    /// # Safety
    /// As [`run_initialisers`](Self::run_initialisers), on the process's thread.
    pub unsafe fn run_finalisers(&self) {
        let first = self.state.compare_exchange(INITIALISED, FINALISED, Ordering::AcqRel, Ordering::Acquire);
        if first.is_err() {
            return;
        }
        // SAFETY: the caller's promise.
        unsafe {
            self.registration.0.run(Moment::ThreadExit);
            self.registration.0.run(Moment::ProcessExit);
        }
        type Finaliser = unsafe extern "C" fn();
        let functions = self.object.finalisers;
        for index in (0..functions.array.size / 8).rev() {
            if let Some(function) = self.function(functions.array.address + index * 8) {
                // SAFETY: the caller's promise.
                unsafe { std::mem::transmute::<*const c_void, Finaliser>(function)() };
            }
        }
        if let Some(address) = functions.single {
            let function = self.memory.at(address).cast_const();
            // SAFETY: it is in code; the caller's promise.
            unsafe { std::mem::transmute::<*const u8, Finaliser>(function)() };
        }
    }

    /// The entry of a table of functions, unless it is one of the two values that mean none.
    fn function(&self, entry: u64) -> Option<*const c_void> {
        // SAFETY: the tables are in readable segments.
        let value = unsafe { self.memory.read(entry) } as usize;
        (value != 0 && value != usize::MAX).then(|| ptr::with_exposed_provenance(value))
    }

    fn indirect(&self, index: u32) -> Option<u64> {
        let known = self.indirect.get()?;
        let at = known.binary_search_by_key(&index, |(index, _)| *index);
        Some(known[at.ok()?].1)
    }

    /// Carries out the relocations that need the object's code.
    ///
    /// # Safety
    /// The object's resolver functions may run; its other code has not run yet.
    unsafe fn bind_deferred(&self) -> Result<()> {
        let symbols = &self.object.symbols;
        let indexes = (0..symbols.len() as u32).filter(|i| symbols.get(*i).place == Place::Indirect);
        let call = |function: u64| {
            // SAFETY: it is in code, and all that does not need such functions is bound; the caller's promise.
            unsafe { arch::call_indirect(self.memory.at(function).cast()) }
        };
        let known: Vec<_> = indexes.map(|index| (index, call(symbols.get(index).value))).collect();
        let _ = self.indirect.set(known);
        if self.deferred.is_empty() {
            return Ok(());
        }

        let layout = &self.object.layout;
        if let Some(relro) = &layout.relro {
            self.memory.set_writable(relro, true)?;
        }
        for deferred in &self.deferred {
            let (address, value) = match *deferred {
                Deferred::Function { address, function } => (address, call(function)),
                Deferred::Symbol { address, symbol, addend } => {
                    let value = self.indirect(symbol).unwrap_or(0);
                    (address, value.wrapping_add_signed(addend))
                }
            };
            // SAFETY: a checked address.
            unsafe { self.memory.write(address, value) };
        }
        if let (Some(template), Some(block)) = (&layout.thread_local, &self.block) {
            // SAFETY: only resolver functions ran, which cannot use variables yet.
            unsafe { block.fill(template, &self.memory) };
        }
        match &layout.relro {
            Some(relro) => self.memory.set_writable(relro, false),
            None => Ok(()),
        }
    }
}
