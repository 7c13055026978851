//! Instructions, and what makes them.

use std::ffi::{CStr, c_uint};

use llvm_sys::core::*;
use llvm_sys::prelude::*;
use llvm_sys::*;

use super::{Type, Value, attribute_kind, privatize_base_position, privatize_expand_constant_users, raw_values, text};

/// Instructions.
impl Value {
    pub(crate) fn block(self) -> LLVMBasicBlockRef {
        call!(LLVMGetInstructionParent(self.0))
    }

    /// The function that holds the instruction.
    pub(crate) fn function(self) -> Value {
        Value(call!(LLVMGetBasicBlockParent(self.block())))
    }

    pub(crate) fn incoming_block(self, index: u32) -> LLVMBasicBlockRef {
        call!(LLVMGetIncomingBlock(self.0, index))
    }

    pub(crate) fn incoming_terminator(self, index: u32) -> Value {
        Value(call!(LLVMGetBasicBlockTerminator(self.incoming_block(index))))
    }

    pub(crate) fn called(self) -> Value {
        Value(call!(LLVMGetCalledValue(self.0)))
    }

    pub(crate) fn argument_count(self) -> u32 {
        call!(LLVMGetNumArgOperands(self.0))
    }

    pub(crate) fn set_never_tail_call(self) {
        call!(LLVMSetTailCallKind(self.0, LLVMTailCallKind::LLVMTailCallKindNoTail));
    }

    pub(crate) fn add_call_attribute(self, attribute: LLVMAttributeRef) {
        call!(LLVMAddCallSiteAttribute(self.0, LLVMAttributeFunctionIndex, attribute));
    }

    pub(crate) fn remove_call_attribute(self, kind: &str) {
        call!(LLVMRemoveCallSiteEnumAttribute(self.0, LLVMAttributeFunctionIndex, attribute_kind(kind)));
    }

    pub(crate) fn remove_call_text_attribute(self, kind: &str) {
        let (data, length) = (kind.as_ptr().cast(), kind.len() as c_uint);
        call!(LLVMRemoveCallSiteStringAttribute(self.0, LLVMAttributeFunctionIndex, data, length));
    }

    /// The text and the constraints of inline assembly.
    pub(crate) fn assembly(self) -> (String, String) {
        let (mut asm, mut constraints) = (0, 0);
        let code = call!(LLVMGetInlineAsmAsmString(self.0, &mut asm));
        let list = call!(LLVMGetInlineAsmConstraintString(self.0, &mut constraints));
        (text(code, asm), text(list, constraints))
    }

    pub(crate) fn set_metadata(self, kind: u32, node: Value) {
        call!(LLVMSetMetadata(self.0, kind, node.0));
    }

    pub(crate) fn erase(self) {
        call!(LLVMInstructionEraseFromParent(self.0));
    }

    /// Where this function needs its base pointer loaded; see `privatize_base_position`.
    pub(crate) fn base_position(self, points: &[Value]) -> (Option<Value>, Vec<Option<Value>>) {
        let mut raw = raw_values(points);
        let position = call!(privatize_base_position(self.0, raw.as_mut_ptr(), raw.len()));
        let reachable = raw.into_iter().map(|point| (!point.is_null()).then_some(Value(point)));
        ((!position.is_null()).then_some(Value(position)), reachable.collect())
    }

    /// All instructions of a function.
    pub(crate) fn instructions(self) -> Vec<Value> {
        let mut list = Vec::new();
        let mut block = call!(LLVMGetFirstBasicBlock(self.0));
        while !block.is_null() {
            let mut instruction = call!(LLVMGetFirstInstruction(block));
            while !instruction.is_null() {
                list.push(Value(instruction));
                instruction = call!(LLVMGetNextInstruction(instruction));
            }
            block = call!(LLVMGetNextBasicBlock(block));
        }
        list
    }
}

/// Turns constant expressions that use these globals into instructions, wherever code uses them.
pub(crate) fn expand_constant_users(globals: &[Value]) {
    let mut raw = raw_values(globals);
    call!(privatize_expand_constant_users(raw.as_mut_ptr(), raw.len()));
}

/// A constant vector.
pub(crate) fn vector(elements: &[Value]) -> Value {
    let mut raw = raw_values(elements);
    let count = raw.len() as c_uint;
    Value(call!(LLVMConstVector(raw.as_mut_ptr(), count)))
}

/// Makes instructions.
pub(crate) struct Builder(pub(super) LLVMBuilderRef);

impl Builder {
    pub(crate) fn before(&self, instruction: Value) {
        call!(LLVMPositionBuilderBefore(self.0, instruction.0));
    }

    pub(crate) fn at_end(&self, block: LLVMBasicBlockRef) {
        call!(LLVMPositionBuilderAtEnd(self.0, block));
    }

    pub(crate) fn call(&self, ty: Type, function: Value, arguments: &[Value]) -> Value {
        let mut raw = raw_values(arguments);
        let count = raw.len() as c_uint;
        Value(call!(LLVMBuildCall2(self.0, ty.0, function.0, raw.as_mut_ptr(), count, c"".as_ptr())))
    }

    pub(crate) fn load(&self, ty: Type, pointer: Value, name: &CStr) -> Value {
        Value(call!(LLVMBuildLoad2(self.0, ty.0, pointer.0, name.as_ptr())))
    }

    /// The address `offset` elements further on, within the same object.
    pub(crate) fn offset(&self, element: Type, pointer: Value, offset: Value) -> Value {
        let mut indices = [offset.0];
        // In bounds, and the sum does not wrap.
        let flags = LLVMGEPFlagInBounds | LLVMGEPFlagNUW;
        let (indices, name) = (indices.as_mut_ptr(), c"".as_ptr());
        Value(call!(LLVMBuildGEPWithNoWrapFlags(self.0, element.0, pointer.0, indices, 1, name, flags)))
    }

    pub(crate) fn ret(&self, value: Value) {
        call!(LLVMBuildRet(self.0, value.0));
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        call!(LLVMDisposeBuilder(self.0));
    }
}
