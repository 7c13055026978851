//! What the compiler pass emits, as the library OS sees it. `docs/privatization.md` is the contract.
//!
//! Relies on: the structures come from the pass, in the caller's own program, and are constant.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::NonNull;

/// Version of the structures that this library OS understands.
pub(crate) const ABI_VERSION: u32 = 1;

pub(crate) type Main = unsafe extern "C-unwind" fn(c_int, *mut *mut c_char, *mut *mut c_char) -> c_int;
pub(crate) type Hook = unsafe extern "C-unwind" fn();

#[repr(C)]
pub(crate) struct RawProgram {
    name: *const c_char,
    main: Option<Main>,
    image: *const RawImage,
}

#[repr(C)]
pub(crate) struct RawImage {
    abi_version: u32,
    pointer_size: u32,
    name: *const c_char,
    template_data: *const u8,
    template_size: u64,
    block_size: u64,
    block_align: u64,
    fixups: *const Fixup,
    fixup_count: u64,
    libc_data: *const RawDatum,
    libc_data_count: u64,
    constructors: *const Option<Hook>,
    constructor_count: u64,
    destructors: *const Option<Hook>,
    destructor_count: u64,
    exports: *const RawSymbols,
    modules: *const RawModule,
    module_count: u64,
    base_slot: unsafe extern "C" fn() -> *mut *mut c_void,
    text_start: *const u8,
    text_end: *const u8,
}

/// A pointer to a private variable inside the template: `*(base + at) = base + to`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Fixup {
    pub(crate) at: u32,
    pub(crate) to: u32,
}

#[repr(C)]
struct RawDatum {
    name: *const c_char,
    offset: u64,
    size: u64,
}

#[repr(C)]
struct RawSymbols {
    count: u64,
    symbols: *const RawSymbol,
    names: *const c_char,
}

#[repr(C)]
struct RawSymbol {
    name: u32,
    is_private: u32,
    value: i64,
}

#[repr(C)]
struct RawModule {
    name: *const c_char,
    symbols: *const RawSymbols,
    constructors: *const Option<Hook>,
    constructor_count: u64,
}

/// A program that went through the pass.
#[derive(Clone, Copy)]
pub struct Program(NonNull<RawProgram>);

// SAFETY: the structures behind the pointer are constants of the caller's program.
unsafe impl Send for Program {}
// SAFETY: as above.
unsafe impl Sync for Program {}

/// A built-in module of a program: what `dlopen` finds by name.
#[derive(Clone, Copy)]
pub(crate) struct Module {
    symbols: &'static RawSymbols,
    pub(crate) constructors: &'static [Option<Hook>],
}

/// Makes a slice of a table that may be null when it is empty.
///
/// # Safety
/// `data` points at `len` constants that live as long as the program, or `len` is 0.
unsafe fn table<T>(data: *const T, len: u64) -> &'static [T] {
    if len == 0 {
        return &[];
    }
    // SAFETY: by the caller's promise.
    unsafe { std::slice::from_raw_parts(data, len as usize) }
}

impl Program {
    /// Takes the address of a `privatized_program_NAME` constant.
    ///
    /// # Safety
    /// `program` is such a constant, and its code is linked to this library OS.
    ///
    /// # Panics
    /// Panics if the pass that made it speaks another version of the contract.
    pub unsafe fn from_descriptor(program: *const c_void) -> Program {
        let this = Program(NonNull::new(program as *mut RawProgram).expect("a program descriptor"));
        let image = this.image();
        assert!(
            image.abi_version == ABI_VERSION && image.pointer_size as usize == size_of::<usize>(),
            "program made by a pass of contract version {} for {}-byte pointers, this library OS speaks {} for {}",
            image.abi_version,
            image.pointer_size,
            ABI_VERSION,
            size_of::<usize>()
        );
        this
    }

    fn raw(&self) -> &'static RawProgram {
        // SAFETY: `from_descriptor` got a constant of the program.
        unsafe { self.0.as_ref() }
    }

    fn image(&self) -> &'static RawImage {
        // SAFETY: the pass fills the field with the unit's constant.
        unsafe { &*self.raw().image }
    }

    /// The program's name, as the pass was given it.
    pub fn name(&self) -> &'static str {
        // SAFETY: the pass emits a NUL-terminated constant.
        unsafe { CStr::from_ptr(self.raw().name) }.to_str().unwrap_or("?")
    }

    pub(crate) fn main(&self) -> Main {
        self.raw().main.expect("a program has a main")
    }

    pub(crate) fn template(&self) -> &'static [u8] {
        // SAFETY: the pass emits the template with this size.
        unsafe { table(self.image().template_data, self.image().template_size) }
    }

    /// Size of a process's private block, in bytes.
    pub fn block_size(&self) -> usize {
        self.image().block_size as usize
    }

    pub(crate) fn fixups(&self) -> &'static [Fixup] {
        // SAFETY: as for the template.
        unsafe { table(self.image().fixups, self.image().fixup_count) }
    }

    /// Offset of the C library's variable `name` in the block, where the program uses it.
    pub(crate) fn libc_datum(&self, name: &str) -> Option<usize> {
        // SAFETY: as for the template; names are NUL-terminated constants.
        unsafe {
            table(self.image().libc_data, self.image().libc_data_count)
                .iter()
                .find(|d| CStr::from_ptr(d.name).to_bytes() == name.as_bytes())
                .map(|d| d.offset as usize)
        }
    }

    pub(crate) fn constructors(&self) -> &'static [Option<Hook>] {
        // SAFETY: as for the template.
        unsafe { table(self.image().constructors, self.image().constructor_count) }
    }

    pub(crate) fn destructors(&self) -> &'static [Option<Hook>] {
        // SAFETY: as for the template.
        unsafe { table(self.image().destructors, self.image().destructor_count) }
    }

    /// The names of the modules that are built into the program.
    pub fn module_names(&self) -> impl Iterator<Item = &'static str> {
        self.raw_modules().iter().map(|m| {
            // SAFETY: NUL-terminated constants.
            unsafe { CStr::from_ptr(m.name) }.to_str().unwrap_or("?")
        })
    }

    fn raw_modules(&self) -> &'static [RawModule] {
        // SAFETY: as for the template.
        unsafe { table(self.image().modules, self.image().module_count) }
    }

    pub(crate) fn module(&self, name: &[u8]) -> Option<Module> {
        self.raw_modules()
            .iter()
            // SAFETY: NUL-terminated constants.
            .find(|m| unsafe { CStr::from_ptr(m.name) }.to_bytes() == name)
            .map(|m| Module {
                // SAFETY: the pass emits one table a module.
                symbols: unsafe { &*m.symbols },
                // SAFETY: as for the template.
                constructors: unsafe { table(m.constructors, m.constructor_count) },
            })
    }

    /// The address of an exported symbol in the process whose block is at `base`.
    pub(crate) fn symbol(&self, base: *mut u8, name: &[u8]) -> Option<*mut c_void> {
        // SAFETY: the pass emits the table or null.
        unsafe { self.image().exports.as_ref() }.and_then(|s| s.lookup(base, name))
    }

    /// The address of the calling thread's base pointer.
    pub(crate) fn base_slot(&self) -> *mut *mut c_void {
        // SAFETY: the pass emits a function that only takes an address.
        unsafe { (self.image().base_slot)() }
    }

    /// Whether `pc` is in the program's code.
    pub(crate) fn is_text(&self, pc: usize) -> bool {
        (self.image().text_start as usize..self.image().text_end as usize).contains(&pc)
    }
}

impl Module {
    pub(crate) fn symbol(&self, base: *mut u8, name: &[u8]) -> Option<*mut c_void> {
        self.symbols.lookup(base, name)
    }
}

impl RawSymbols {
    fn lookup(&self, base: *mut u8, name: &[u8]) -> Option<*mut c_void> {
        // SAFETY: the pass emits `count` symbols, sorted, with offsets of NUL-terminated names.
        unsafe {
            let all = table(self.symbols, self.count);
            let at =
                all.binary_search_by(|s| CStr::from_ptr(self.names.add(s.name as usize)).to_bytes().cmp(name)).ok()?;
            let found = &all[at];
            Some(if found.is_private != 0 {
                base.offset(found.value as isize).cast()
            } else {
                self.names.offset(found.value as isize).cast_mut().cast()
            })
        }
    }
}
