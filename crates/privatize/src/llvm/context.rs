//! The context and its types.

use std::cell::RefCell;
use std::ffi::{c_uint, c_void};
use std::ptr;

use llvm_sys::bit_reader::*;
use llvm_sys::core::*;
use llvm_sys::prelude::*;
use llvm_sys::*;

use super::{Builder, Module, Value, attribute_kind, c_string, message, raw_values};

/// LLVM's context: types, constants and the errors that it reported.
pub(crate) struct Context {
    raw: LLVMContextRef,
    errors: Box<RefCell<Vec<String>>>,
}

extern "C" fn on_diagnostic(info: LLVMDiagnosticInfoRef, errors: *mut c_void) {
    // SAFETY: `errors` is the context's own list (see `Context::new`), which outlives the LLVM context.
    unsafe {
        if matches!(LLVMGetDiagInfoSeverity(info), LLVMDiagnosticSeverity::LLVMDSError) {
            let text = message(LLVMGetDiagInfoDescription(info));
            (*errors.cast::<RefCell<Vec<String>>>()).borrow_mut().push(text);
        }
    }
}

impl Context {
    pub(crate) fn new() -> Self {
        let errors = Box::new(RefCell::new(Vec::new()));
        let raw = call!(LLVMContextCreate());
        let list = ptr::from_ref::<RefCell<Vec<String>>>(&errors).cast_mut().cast();
        call!(LLVMContextSetDiagnosticHandler(raw, Some(on_diagnostic), list));
        Self { raw, errors }
    }

    /// The errors reported since the last call.
    pub(crate) fn take_errors(&self) -> String {
        self.errors.borrow_mut().drain(..).collect::<Vec<_>>().join("; ")
    }

    pub(crate) fn module(&self, name: &str) -> Module {
        Module { raw: call!(LLVMModuleCreateWithNameInContext(c_string(name).as_ptr(), self.raw)) }
    }

    /// Reads bitcode; `None` if it is none, the reason is among the errors.
    pub(crate) fn parse(&self, bitcode: &[u8], name: &str) -> Option<Module> {
        let mut raw = ptr::null_mut();
        // SAFETY: the buffer copies the bytes, and lives until the parser is done, which reads all of it.
        let failed = unsafe {
            let buffer = LLVMCreateMemoryBufferWithMemoryRangeCopy(
                bitcode.as_ptr().cast(),
                bitcode.len(),
                c_string(name).as_ptr(),
            );
            let failed = LLVMParseBitcodeInContext2(self.raw, buffer, &mut raw) != 0;
            LLVMDisposeMemoryBuffer(buffer);
            failed
        };
        (!failed).then_some(Module { raw })
    }

    pub(crate) fn int(&self, bits: u32) -> Type {
        Type(call!(LLVMIntTypeInContext(self.raw, bits)))
    }

    pub(crate) fn pointer(&self) -> Type {
        Type(call!(LLVMPointerTypeInContext(self.raw, 0)))
    }

    pub(crate) fn void(&self) -> Type {
        Type(call!(LLVMVoidTypeInContext(self.raw)))
    }

    /// A constant structure; packed ones have no padding.
    pub(crate) fn structure(&self, fields: &[Value], packed: bool) -> Value {
        let mut raw = raw_values(fields);
        let count = raw.len() as c_uint;
        Value(call!(LLVMConstStructInContext(self.raw, raw.as_mut_ptr(), count, packed.into())))
    }

    /// An array of bytes, exactly these.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Value {
        Value(call!(LLVMConstStringInContext2(self.raw, bytes.as_ptr().cast(), bytes.len(), 1)))
    }

    pub(crate) fn metadata_kind(&self, name: &str) -> u32 {
        call!(LLVMGetMDKindIDInContext(self.raw, name.as_ptr().cast(), name.len() as c_uint))
    }

    /// A metadata node with these integers.
    pub(crate) fn metadata(&self, integers: &[Value]) -> Value {
        let mut nodes: Vec<_> = integers.iter().map(|v| call!(LLVMValueAsMetadata(v.0))).collect();
        let node = call!(LLVMMDNodeInContext2(self.raw, nodes.as_mut_ptr(), nodes.len()));
        Value(call!(LLVMMetadataAsValue(self.raw, node)))
    }

    pub(crate) fn builder(&self) -> Builder {
        Builder(call!(LLVMCreateBuilderInContext(self.raw)))
    }

    /// A new block at the end of a function.
    pub(crate) fn append_block(&self, function: Value) -> LLVMBasicBlockRef {
        call!(LLVMAppendBasicBlockInContext(self.raw, function.0, c"".as_ptr()))
    }

    pub(crate) fn enum_attribute(&self, kind: &str) -> LLVMAttributeRef {
        call!(LLVMCreateEnumAttribute(self.raw, attribute_kind(kind), 0))
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        call!(LLVMContextDispose(self.raw));
    }
}

/// A type.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Type(pub(super) LLVMTypeRef);

impl Type {
    pub(crate) fn array(self, length: u64) -> Type {
        Type(call!(LLVMArrayType2(self.0, length)))
    }

    pub(crate) fn function(self, parameters: &[Type]) -> Type {
        let mut raw: Vec<_> = parameters.iter().map(|t| t.0).collect();
        let count = raw.len() as c_uint;
        Type(call!(LLVMFunctionType(self.0, raw.as_mut_ptr(), count, 0)))
    }

    pub(crate) fn null(self) -> Value {
        Value(call!(LLVMConstNull(self.0)))
    }

    pub(crate) fn poison(self) -> Value {
        Value(call!(LLVMGetPoison(self.0)))
    }

    /// A constant of an integer type.
    pub(crate) fn constant(self, value: u64) -> Value {
        Value(call!(LLVMConstInt(self.0, value, 0)))
    }

    pub(crate) fn array_of(self, elements: &[Value]) -> Value {
        let mut raw = raw_values(elements);
        Value(call!(LLVMConstArray2(self.0, raw.as_mut_ptr(), raw.len() as u64)))
    }

    /// A constant of this structure type, which may be a named one.
    pub(crate) fn structure(self, fields: &[Value]) -> Value {
        let mut raw = raw_values(fields);
        let count = raw.len() as c_uint;
        Value(call!(LLVMConstNamedStruct(self.0, raw.as_mut_ptr(), count)))
    }

    pub(crate) fn is_pointer(self) -> bool {
        self.kind() == LLVMTypeKind::LLVMPointerTypeKind
    }

    pub(crate) fn is_integer(self) -> bool {
        self.kind() == LLVMTypeKind::LLVMIntegerTypeKind
    }

    pub(crate) fn is_structure(self) -> bool {
        self.kind() == LLVMTypeKind::LLVMStructTypeKind
    }

    pub(crate) fn is_vector(self) -> bool {
        self.kind() == LLVMTypeKind::LLVMVectorTypeKind
    }

    pub(crate) fn is_sized(self) -> bool {
        call!(LLVMTypeIsSized(self.0)) != 0
    }

    /// Of an array or a vector.
    pub(crate) fn element(self) -> Type {
        Type(call!(LLVMGetElementType(self.0)))
    }

    fn kind(self) -> LLVMTypeKind {
        call!(LLVMGetTypeKind(self.0))
    }
}
