//! Values and globals.

use std::ffi::c_uint;
use std::ptr;

use llvm_sys::comdat::*;
use llvm_sys::core::*;
use llvm_sys::prelude::*;
use llvm_sys::*;

use super::{
    Linkage, Opcode, Type, Visibility, attribute_kind, c_string, privatize_delete_global,
    privatize_is_thread_local_address, privatize_never_called, privatize_replace_uses, text,
};

/// Any value: a global, a constant, an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Value(pub(super) LLVMValueRef);

macro_rules! is_a {
    ($($name:ident = $function:ident),* $(,)?) => {
        $(pub(crate) fn $name(self) -> bool { !call!($function(self.0)).is_null() })*
    };
}

impl Value {
    is_a!(
        is_function = LLVMIsAFunction,
        is_variable = LLVMIsAGlobalVariable,
        is_alias = LLVMIsAGlobalAlias,
        is_ifunc = LLVMIsAGlobalIFunc,
        is_global = LLVMIsAGlobalValue,
        is_constant = LLVMIsAConstant,
        is_expression = LLVMIsAConstantExpr,
        is_array = LLVMIsAConstantArray,
        is_struct = LLVMIsAConstantStruct,
        is_constant_vector = LLVMIsAConstantVector,
        is_integer = LLVMIsAConstantInt,
        is_undef = LLVMIsAUndefValue,
        is_instruction = LLVMIsAInstruction,
        is_phi = LLVMIsAPHINode,
        is_call = LLVMIsACallInst,
        is_landing_pad = LLVMIsALandingPadInst,
        is_inline_assembly = LLVMIsAInlineAsm,
    );

    pub(crate) fn is_any_call(self) -> bool {
        self.is_call() || !call!(LLVMIsAInvokeInst(self.0)).is_null() || !call!(LLVMIsACallBrInst(self.0)).is_null()
    }

    pub(crate) fn is_null(self) -> bool {
        call!(LLVMIsNull(self.0)) != 0
    }

    /// A call of `llvm.threadlocal.address`.
    pub(crate) fn is_thread_local_address(self) -> bool {
        call!(privatize_is_thread_local_address(self.0))
    }

    pub(crate) fn name(self) -> String {
        let mut length = 0;
        text(call!(LLVMGetValueName2(self.0, &mut length)), length)
    }

    pub(crate) fn set_name(self, name: &str) {
        call!(LLVMSetValueName2(self.0, name.as_ptr().cast(), name.len()));
    }

    pub(crate) fn type_of(self) -> Type {
        Type(call!(LLVMTypeOf(self.0)))
    }

    pub(crate) fn integer(self) -> i64 {
        call!(LLVMConstIntGetSExtValue(self.0))
    }

    pub(crate) fn int_to_ptr(self, to: Type) -> Value {
        Value(call!(LLVMConstIntToPtr(self.0, to.0)))
    }

    pub(crate) fn ptr_to_int(self, to: Type) -> Value {
        Value(call!(LLVMConstPtrToInt(self.0, to.0)))
    }

    pub(crate) fn minus(self, other: Value) -> Value {
        Value(call!(LLVMConstSub(self.0, other.0)))
    }

    /// The constant address of `bytes` further on.
    pub(crate) fn offset(self, byte: Type, by: Value) -> Value {
        let mut indices = [by.0];
        Value(call!(LLVMConstInBoundsGEP2(byte.0, self.0, indices.as_mut_ptr(), 1)))
    }

    pub(crate) fn expression_opcode(self) -> Opcode {
        call!(LLVMGetConstOpcode(self.0))
    }

    pub(crate) fn operand_count(self) -> u32 {
        call!(LLVMGetNumOperands(self.0)) as u32
    }

    pub(crate) fn operand(self, index: u32) -> Value {
        Value(call!(LLVMGetOperand(self.0, index)))
    }

    pub(crate) fn set_operand(self, index: u32, value: Value) {
        call!(LLVMSetOperand(self.0, index, value.0));
    }

    pub(crate) fn operands(self) -> impl Iterator<Item = Value> {
        (0..self.operand_count()).map(move |index| self.operand(index))
    }

    /// Everything that uses this value, once for each use.
    pub(crate) fn users(self) -> Vec<Value> {
        let mut users = Vec::new();
        let mut next = call!(LLVMGetFirstUse(self.0));
        while !next.is_null() {
            users.push(Value(call!(LLVMGetUser(next))));
            next = call!(LLVMGetNextUse(next));
        }
        users
    }

    pub(crate) fn is_used(self) -> bool {
        !call!(LLVMGetFirstUse(self.0)).is_null()
    }

    pub(crate) fn replace_all_uses(self, with: Value) {
        call!(LLVMReplaceAllUsesWith(self.0, with.0));
    }

    /// As [`Self::replace_all_uses`], but an alias of the function and addresses of its blocks stay its own.
    pub(crate) fn replace_references(self, with: Value) {
        call!(privatize_replace_uses(self.0, with.0));
    }
}

/// Globals: functions, variables, aliases, ifuncs.
impl Value {
    pub(crate) fn is_declaration(self) -> bool {
        call!(LLVMIsDeclaration(self.0)) != 0
    }

    pub(crate) fn linkage(self) -> Linkage {
        call!(LLVMGetLinkage(self.0))
    }

    pub(crate) fn set_linkage(self, linkage: Linkage) {
        call!(LLVMSetLinkage(self.0, linkage));
    }

    pub(crate) fn is_local(self) -> bool {
        matches!(self.linkage(), Linkage::LLVMInternalLinkage | Linkage::LLVMPrivateLinkage)
    }

    pub(crate) fn visibility(self) -> Visibility {
        call!(LLVMGetVisibility(self.0))
    }

    pub(crate) fn set_visibility(self, visibility: Visibility) {
        call!(LLVMSetVisibility(self.0, visibility));
    }

    pub(crate) fn clear_comdat(self) {
        call!(LLVMSetComdat(self.0, ptr::null_mut()));
    }

    pub(crate) fn value_type(self) -> Type {
        Type(call!(LLVMGlobalGetValueType(self.0)))
    }

    pub(crate) fn set_section(self, section: &str) {
        call!(LLVMSetSection(self.0, c_string(section).as_ptr()));
    }

    /// The explicit alignment in bytes, 0 where there is none.
    pub(crate) fn alignment(self) -> u64 {
        call!(LLVMGetAlignment(self.0)).into()
    }

    pub(crate) fn set_alignment(self, bytes: u64) {
        call!(LLVMSetAlignment(self.0, bytes as c_uint));
    }

    pub(crate) fn address_space(self) -> u32 {
        call!(LLVMGetPointerAddressSpace(LLVMTypeOf(self.0)))
    }

    pub(crate) fn initializer(self) -> Value {
        Value(call!(LLVMGetInitializer(self.0)))
    }

    pub(crate) fn set_initializer(self, value: Value) {
        call!(LLVMSetInitializer(self.0, value.0));
    }

    pub(crate) fn is_constant_variable(self) -> bool {
        call!(LLVMIsGlobalConstant(self.0)) != 0
    }

    pub(crate) fn set_constant_variable(self, constant: bool) {
        call!(LLVMSetGlobalConstant(self.0, constant.into()));
    }

    pub(crate) fn is_thread_local(self) -> bool {
        call!(LLVMIsThreadLocal(self.0)) != 0
    }

    pub(crate) fn clear_thread_local(self) {
        call!(LLVMSetThreadLocal(self.0, 0));
    }

    pub(crate) fn set_initial_exec(self) {
        call!(LLVMSetThreadLocalMode(self.0, LLVMThreadLocalMode::LLVMInitialExecTLSModel));
    }

    pub(crate) fn aliasee(self) -> Value {
        Value(call!(LLVMAliasGetAliasee(self.0)))
    }

    pub(crate) fn resolver(self) -> Value {
        Value(call!(LLVMGetGlobalIFuncResolver(self.0)))
    }

    /// Removes a global that is not used any more.
    pub(crate) fn delete(self) {
        call!(privatize_delete_global(self.0));
    }

    pub(crate) fn add_attribute(self, attribute: LLVMAttributeRef) {
        call!(LLVMAddAttributeAtIndex(self.0, LLVMAttributeFunctionIndex, attribute));
    }

    /// Whether a profile says that this function is never called.
    pub(crate) fn is_never_called(self) -> bool {
        call!(privatize_never_called(self.0))
    }

    pub(crate) fn remove_attribute(self, kind: &str) {
        call!(LLVMRemoveEnumAttributeAtIndex(self.0, LLVMAttributeFunctionIndex, attribute_kind(kind)));
    }

    pub(crate) fn remove_text_attribute(self, kind: &str) {
        let (data, length) = (kind.as_ptr().cast(), kind.len() as c_uint);
        call!(LLVMRemoveStringAttributeAtIndex(self.0, LLVMAttributeFunctionIndex, data, length));
    }
}
