//! Modules and the linker.

use std::ffi::{CStr, c_void};
use std::path::Path;
use std::ptr;

use llvm_sys::analysis::*;
use llvm_sys::bit_writer::*;
use llvm_sys::core::*;
use llvm_sys::error::*;
use llvm_sys::prelude::*;
use llvm_sys::target::*;
use llvm_sys::transforms::pass_builder::*;

use super::{
    Type, Value, c_string, message, privatize_constant_offset, privatize_linker_create, privatize_linker_dispose,
    privatize_linker_link, text,
};

/// A module; it is freed with this value unless it was linked into another.
pub(crate) struct Module {
    pub(super) raw: LLVMModuleRef,
}

macro_rules! collect {
    ($name:ident, $first:ident, $next:ident) => {
        pub(crate) fn $name(&self) -> Vec<Value> {
            let mut list = Vec::new();
            let mut item = call!($first(self.raw));
            while !item.is_null() {
                list.push(Value(item));
                item = call!($next(item));
            }
            list
        }
    };
}

impl Module {
    collect!(functions, LLVMGetFirstFunction, LLVMGetNextFunction);
    collect!(variables, LLVMGetFirstGlobal, LLVMGetNextGlobal);
    collect!(aliases, LLVMGetFirstGlobalAlias, LLVMGetNextGlobalAlias);
    collect!(ifuncs, LLVMGetFirstGlobalIFunc, LLVMGetNextGlobalIFunc);

    /// Functions, variables, aliases and ifuncs, without LLVM's own.
    pub(crate) fn globals(&self) -> Vec<Value> {
        let mut list = self.functions();
        list.extend(self.variables());
        list.extend(self.aliases());
        list.extend(self.ifuncs());
        list.retain(|global| !global.name().starts_with("llvm."));
        list
    }

    pub(crate) fn global(&self, name: &str) -> Option<Value> {
        let (data, length) = (name.as_ptr().cast(), name.len());
        let found = [
            call!(LLVMGetNamedFunctionWithLength(self.raw, data, length)),
            call!(LLVMGetNamedGlobalWithLength(self.raw, data, length)),
            call!(LLVMGetNamedGlobalAlias(self.raw, data, length)),
            call!(LLVMGetNamedGlobalIFunc(self.raw, data, length)),
        ];
        found.into_iter().find(|raw| !raw.is_null()).map(Value)
    }

    pub(crate) fn assembly(&self) -> String {
        let mut length = 0;
        text(call!(LLVMGetModuleInlineAsm(self.raw, &mut length)), length)
    }

    pub(crate) fn add_variable(&self, ty: Type, name: &str) -> Value {
        Value(call!(LLVMAddGlobal(self.raw, ty.0, c_string(name).as_ptr())))
    }

    pub(crate) fn add_function(&self, ty: Type, name: &str) -> Value {
        Value(call!(LLVMAddFunction(self.raw, c_string(name).as_ptr(), ty.0)))
    }

    /// The intrinsic `llvm.threadlocal.address` and its type.
    pub(crate) fn thread_local_address(&self, pointer: Type) -> (Type, Value) {
        let name = "llvm.threadlocal.address";
        let mut types = [pointer.0];
        let id = call!(LLVMLookupIntrinsicID(name.as_ptr().cast(), name.len()));
        let function = Value(call!(LLVMGetIntrinsicDeclaration(self.raw, id, types.as_mut_ptr(), 1)));
        (function.value_type(), function)
    }

    pub(crate) fn triple(&self) -> String {
        let raw = call!(LLVMGetTarget(self.raw));
        // SAFETY: the triple is NUL-terminated and belongs to the module.
        unsafe { CStr::from_ptr(raw) }.to_string_lossy().into_owned()
    }

    pub(crate) fn data_layout(&self) -> String {
        let raw = call!(LLVMGetDataLayoutStr(self.raw));
        // SAFETY: the layout is NUL-terminated and belongs to the module.
        unsafe { CStr::from_ptr(raw) }.to_string_lossy().into_owned()
    }

    pub(crate) fn set_target(&self, triple: &str, data_layout: &str) {
        call!(LLVMSetTarget(self.raw, c_string(triple).as_ptr()));
        call!(LLVMSetDataLayout(self.raw, c_string(data_layout).as_ptr()));
    }

    pub(crate) fn layout(&self) -> Layout {
        Layout(call!(LLVMGetModuleDataLayout(self.raw)))
    }

    /// The object that a constant pointer points into, and the distance in bytes.
    pub(crate) fn constant_offset(&self, pointer: Value) -> (Value, i64) {
        let mut offset = 0;
        let base = call!(privatize_constant_offset(self.raw, pointer.0, &mut offset));
        (Value(base), offset)
    }

    /// Runs a pipeline of LLVM's passes.
    pub(crate) fn run_passes(&self, pipeline: &str) -> Result<(), String> {
        // SAFETY: the options live as long as the call; an error's message is taken once, which frees the error.
        unsafe {
            let options = LLVMCreatePassBuilderOptions();
            let error = LLVMRunPasses(self.raw, c_string(pipeline).as_ptr(), ptr::null_mut(), options);
            LLVMDisposePassBuilderOptions(options);
            if error.is_null() {
                return Ok(());
            }
            let raw = LLVMGetErrorMessage(error);
            let text = CStr::from_ptr(raw).to_string_lossy().into_owned();
            LLVMDisposeErrorMessage(raw);
            Err(text)
        }
    }

    pub(crate) fn verify(&self) -> Result<(), String> {
        let mut text = ptr::null_mut();
        let action = LLVMVerifierFailureAction::LLVMReturnStatusAction;
        let failed = call!(LLVMVerifyModule(self.raw, action, &mut text)) != 0;
        let text = message(text);
        if failed { Err(text) } else { Ok(()) }
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), std::io::Error> {
        let Some(name) = path.to_str() else {
            return Err(std::io::Error::other("the path is not UTF-8"));
        };
        match call!(LLVMWriteBitcodeToFile(self.raw, c_string(name).as_ptr())) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        call!(LLVMDisposeModule(self.raw));
    }
}

/// Sizes and offsets on the target.
#[derive(Clone, Copy)]
pub(crate) struct Layout(LLVMTargetDataRef);

impl Layout {
    /// What a variable of the type takes, padding included.
    pub(crate) fn size(self, ty: Type) -> u64 {
        call!(LLVMABISizeOfType(self.0, ty.0))
    }

    pub(crate) fn preferred_alignment(self, variable: Value) -> u64 {
        call!(LLVMPreferredAlignmentOfGlobal(self.0, variable.0)).into()
    }

    pub(crate) fn field_offset(self, structure: Type, index: u32) -> u64 {
        call!(LLVMOffsetOfElement(self.0, structure.0, index))
    }

    pub(crate) fn pointer_size(self) -> u32 {
        call!(LLVMPointerSize(self.0))
    }
}

/// Links modules into one.
pub(crate) struct Linker<'a> {
    raw: *mut c_void,
    destination: &'a Module,
}

impl<'a> Linker<'a> {
    pub(crate) fn new(destination: &'a Module) -> Self {
        Self { raw: call!(privatize_linker_create(destination.raw)), destination }
    }

    /// False on failure, with the reason among the context's errors.
    pub(crate) fn link(&mut self, source: Module) -> bool {
        let raw = source.raw;
        std::mem::forget(source);
        !call!(privatize_linker_link(self.raw, raw))
    }

    pub(crate) fn destination(&self) -> &'a Module {
        self.destination
    }
}

impl Drop for Linker<'_> {
    fn drop(&mut self) {
        call!(privatize_linker_dispose(self.raw));
    }
}
