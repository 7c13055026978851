//! Emits the constants that describe a unit to the library OS; `docs/privatization.md` has their layout.

use crate::llvm::{Context, Linkage, Module, Value, Visibility};

/// The version of the structures.
const ABI_VERSION: u64 = 1;

/// Where a symbol of a table is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Address {
    /// An offset in the private block.
    Private(u64),
    /// A function or constant, and a distance from it in bytes.
    Shared(Value, i64),
}

/// A global symbol with its address.
pub(crate) type TableEntry = (String, Address);

/// A loadable module.
pub(crate) struct ModuleTable {
    pub(crate) name: String,
    pub(crate) symbols: Vec<TableEntry>,
    pub(crate) constructors: Vec<Value>,
}

/// What a unit's image says.
pub(crate) struct Image {
    pub(crate) name: String,
    pub(crate) template: Value,
    pub(crate) template_size: u64,
    pub(crate) block_size: u64,
    pub(crate) block_alignment: u64,
    pub(crate) fixups: Vec<(u64, u64)>,
    /// Name, offset and size.
    pub(crate) data: Vec<(String, u64, u64)>,
    pub(crate) constructors: Vec<Value>,
    pub(crate) destructors: Vec<Value>,
    pub(crate) exports: Option<Vec<TableEntry>>,
    pub(crate) modules: Vec<ModuleTable>,
    pub(crate) base_slot: Value,
}

/// Makes constants.
pub(crate) struct Emitter<'a> {
    pub(crate) context: &'a Context,
    pub(crate) module: &'a Module,
}

impl Emitter<'_> {
    pub(crate) fn image(&self, image: &Image) -> Value {
        let template = self.constant(image.template, "privatized.template");
        template.set_alignment(image.block_alignment);
        let (text_start, text_end) = (self.bound("__start_privatized_text"), self.bound("__stop_privatized_text"));
        let fields = [
            self.u32(ABI_VERSION),
            self.u32(8),
            self.string(&image.name),
            template,
            self.u64(image.template_size),
            self.u64(image.block_size),
            self.u64(image.block_alignment),
            self.fixups(&image.fixups),
            self.u64(image.fixups.len() as u64),
            self.data(&image.data),
            self.u64(image.data.len() as u64),
            self.pointers(&image.constructors, "privatized.constructors"),
            self.u64(image.constructors.len() as u64),
            self.pointers(&image.destructors, "privatized.destructors"),
            self.u64(image.destructors.len() as u64),
            image.exports.as_ref().map_or_else(|| self.null(), |exports| self.symbols(exports)),
            self.modules(&image.modules),
            self.u64(image.modules.len() as u64),
            image.base_slot,
            text_start,
            text_end,
        ];
        self.constant(self.context.structure(&fields, false), "privatized.image")
    }

    /// The one visible constant of a program.
    pub(crate) fn program(&self, name: &str, main: Value, image: Value) -> Value {
        let symbol: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let value = self.context.structure(&[self.string(name), main, image], false);
        let program = self.constant(value, &format!("privatized_program_{symbol}"));
        program.set_linkage(Linkage::LLVMExternalLinkage);
        program
    }

    fn u32(&self, value: u64) -> Value {
        self.context.int(32).constant(value)
    }

    fn u64(&self, value: u64) -> Value {
        self.context.int(64).constant(value)
    }

    fn null(&self) -> Value {
        self.context.pointer().null()
    }

    fn constant(&self, value: Value, name: &str) -> Value {
        let variable = self.module.add_variable(value.type_of(), name);
        variable.set_initializer(value);
        variable.set_constant_variable(true);
        variable.set_linkage(Linkage::LLVMInternalLinkage);
        variable
    }

    fn string(&self, text: &str) -> Value {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        let string = self.constant(self.context.bytes(&bytes), "privatized.string");
        string.set_linkage(Linkage::LLVMPrivateLinkage);
        string.set_alignment(1);
        string
    }

    /// A bound of the section that the linker defines.
    fn bound(&self, name: &str) -> Value {
        let variable = self.module.add_variable(self.context.int(8), name);
        variable.set_constant_variable(true);
        variable.set_visibility(Visibility::LLVMHiddenVisibility);
        variable
    }

    fn list(&self, elements: &[Value], name: &str) -> Value {
        match elements.first() {
            Some(first) => self.constant(first.type_of().array_of(elements), name),
            None => self.null(),
        }
    }

    fn pointers(&self, functions: &[Value], name: &str) -> Value {
        self.list(functions, name)
    }

    fn fixups(&self, fixups: &[(u64, u64)]) -> Value {
        let pair = |&(at, to): &(u64, u64)| self.context.structure(&[self.u32(at), self.u32(to)], false);
        self.list(&fixups.iter().map(pair).collect::<Vec<_>>(), "privatized.fixups")
    }

    fn data(&self, data: &[(String, u64, u64)]) -> Value {
        let datum = |(name, offset, size): &(String, u64, u64)| {
            self.context.structure(&[self.string(name), self.u64(*offset), self.u64(*size)], false)
        };
        self.list(&data.iter().map(datum).collect::<Vec<_>>(), "privatized.libc_data")
    }

    fn modules(&self, modules: &[ModuleTable]) -> Value {
        let describe = |module: &ModuleTable| {
            let fields = [
                self.string(&module.name),
                self.symbols(&module.symbols),
                self.pointers(&module.constructors, "privatized.module_constructors"),
                self.u64(module.constructors.len() as u64),
            ];
            self.context.structure(&fields, false)
        };
        self.list(&modules.iter().map(describe).collect::<Vec<_>>(), "privatized.modules")
    }

    /// A table, sorted by name. Symbols and names are one variable: an assembler can only subtract addresses of one section.
    fn symbols(&self, entries: &[TableEntry]) -> Value {
        let (int, wide, byte) = (self.context.int(32), self.context.int(64), self.context.int(8));
        let mut names = Vec::new();
        let mut offsets = Vec::new();
        for (name, _) in entries {
            offsets.push(names.len() as u64);
            names.extend_from_slice(name.as_bytes());
            names.push(0);
        }
        let entry_type = self.context.structure(&[int.null(), int.null(), wide.null()], false).type_of();
        let head = entry_type.array(entries.len() as u64);
        let whole = self.context.structure(&[head.null(), byte.array(names.len() as u64).null()], false).type_of();
        let table = self.module.add_variable(whole, "privatized.symbols");
        table.set_constant_variable(true);
        table.set_linkage(Linkage::LLVMInternalLinkage);
        let names_at = table.offset(byte, self.u64(self.module.layout().field_offset(whole, 1)));
        let origin = names_at.ptr_to_int(wide);
        let mut symbols = Vec::new();
        for ((_, address), name) in entries.iter().zip(offsets) {
            let (private, value) = match *address {
                Address::Private(offset) => (1, self.u64(offset)),
                Address::Shared(global, 0) => (0, global.ptr_to_int(wide).minus(origin)),
                Address::Shared(global, by) => {
                    (0, global.offset(byte, self.u64(by as u64)).ptr_to_int(wide).minus(origin))
                }
            };
            symbols.push(self.context.structure(&[self.u32(name), self.u32(private), value], false));
        }
        table.set_initializer(
            self.context.structure(&[entry_type.array_of(&symbols), self.context.bytes(&names)], false),
        );
        let fields = [self.u64(entries.len() as u64), table, names_at];
        self.constant(self.context.structure(&fields, false), "privatized.symbol_table")
    }
}
