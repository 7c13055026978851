//! LLVM behind handles: all of the crate's `unsafe` code.
//!
//! Relies on: LLVM's C API and `shim/shim.cpp`. A [`Context`] owns every type and constant, a [`Module`] every
//! global and instruction; handles are plain pointers into them. The rest of the crate keeps these rules, which the
//! types do not enforce: one context at a time, alive as long as any handle; no use of a handle after `delete` or
//! `erase`, or after its module was linked into another; the calls that ask for a certain kind of value (a function, a
//! variable, a call) get that kind, which is checked by LLVM only in builds with assertions.

/// The calls into LLVM whose only condition is the module's contract.
macro_rules! call {
    ($e:expr) => {
        // SAFETY: the handles are alive and of the kind asked for, by the contract in the module's documentation.
        unsafe { $e }
    };
}

mod context;
mod instruction;
mod module;
mod value;

use std::ffi::{CStr, CString, c_char, c_void};

use llvm_sys::core::{LLVMDisposeMessage, LLVMGetEnumAttributeKindForName};
use llvm_sys::prelude::*;

pub(crate) use context::{Context, Type};
pub(crate) use instruction::{Builder, expand_constant_users, vector};
pub(crate) use llvm_sys::{LLVMLinkage as Linkage, LLVMOpcode as Opcode, LLVMVisibility as Visibility};
pub(crate) use module::{Layout, Linker, Module};
pub(crate) use value::Value;

unsafe extern "C" {
    fn privatize_linker_create(destination: LLVMModuleRef) -> *mut c_void;
    fn privatize_linker_dispose(linker: *mut c_void);
    fn privatize_linker_link(linker: *mut c_void, source: LLVMModuleRef) -> bool;
    fn privatize_never_called(function: LLVMValueRef) -> bool;
    fn privatize_replace_uses(from: LLVMValueRef, to: LLVMValueRef);
    fn privatize_expand_constant_users(constants: *mut LLVMValueRef, count: usize);
    fn privatize_constant_offset(module: LLVMModuleRef, pointer: LLVMValueRef, offset: *mut i64) -> LLVMValueRef;
    fn privatize_delete_global(global: LLVMValueRef);
    fn privatize_is_thread_local_address(value: LLVMValueRef) -> bool;
    fn privatize_base_position(function: LLVMValueRef, points: *mut LLVMValueRef, count: usize) -> LLVMValueRef;
}

/// Text that LLVM owns, copied.
fn text(data: *const c_char, length: usize) -> String {
    if data.is_null() {
        return String::new();
    }
    // SAFETY: LLVM returns the length of the text together with its address.
    let bytes = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) };
    String::from_utf8_lossy(bytes).into_owned()
}

/// A message that LLVM allocated, copied and freed.
fn message(data: *mut c_char) -> String {
    if data.is_null() {
        return String::new();
    }
    // SAFETY: LLVM's messages are NUL-terminated and belong to the caller.
    unsafe {
        let result = CStr::from_ptr(data).to_string_lossy().trim_end().to_owned();
        LLVMDisposeMessage(data);
        result
    }
}

fn c_string(text: &str) -> CString {
    CString::new(text).expect("a symbol's name holds no NUL")
}

fn attribute_kind(name: &str) -> u32 {
    call!(LLVMGetEnumAttributeKindForName(name.as_ptr().cast(), name.len()))
}

fn raw_values(values: &[Value]) -> Vec<LLVMValueRef> {
    values.iter().map(|value| value.0).collect()
}
