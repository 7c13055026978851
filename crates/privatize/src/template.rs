//! The template of a private block: the initialisers, and the pointers in them that each process fixes up.

use std::collections::{BTreeSet, HashMap};

use crate::Refusal;
use crate::link::plain_name;
use crate::llvm::{Context, Layout, Module, Opcode, Value, vector};
use crate::private::{Block, HEADER};

/// Initialisers with private addresses taken out.
pub(crate) struct Template {
    /// A packed structure as long as the block's `template_size`.
    pub(crate) data: Value,
    /// Slot and value, as offsets in the block.
    pub(crate) fixups: Vec<(u64, u64)>,
}

/// `bases` times the base pointer, plus a number.
#[derive(Clone, Copy)]
struct Sum {
    bases: i64,
    offset: i64,
}

pub(crate) struct Builder<'a> {
    pub(crate) context: &'a Context,
    pub(crate) module: &'a Module,
    pub(crate) layout: Layout,
    pub(crate) block: &'a Block,
    pub(crate) refusals: &'a mut BTreeSet<Refusal>,
}

impl Builder<'_> {
    pub(crate) fn build(&mut self) -> Template {
        let byte = self.context.int(8);
        let mut fields = vec![byte.array(HEADER).null()];
        let mut fixups = Vec::new();
        let mut end = HEADER;
        let mut private = HashMap::new();
        for &(variable, offset) in &self.block.variables {
            if offset >= self.block.template_size {
                break;
            }
            if offset > end {
                fields.push(byte.array(offset - end).null());
            }
            let mut walk = Walk { builder: self, variable, start: offset, private: &mut private, fixups: &mut fixups };
            let value = walk.rewrite(variable.initializer(), offset);
            fields.push(value);
            end = offset + self.layout.size(variable.value_type());
        }
        Template { data: self.context.structure(&fields, true), fixups }
    }
}

/// The walk through one initialiser.
struct Walk<'a, 'b> {
    builder: &'a mut Builder<'b>,
    variable: Value,
    start: u64,
    /// Constants known to hold a private address, or not to.
    private: &'a mut HashMap<Value, bool>,
    fixups: &'a mut Vec<(u64, u64)>,
}

impl Walk<'_, '_> {
    fn holds_private(&mut self, constant: Value) -> bool {
        if constant.is_global() {
            return self.builder.block.offsets.contains_key(&constant);
        }
        if let Some(&known) = self.private.get(&constant) {
            return known;
        }
        let operands: Vec<_> = constant.operands().filter(|operand| operand.is_constant()).collect();
        let result = operands.into_iter().any(|operand| self.holds_private(operand));
        self.private.insert(constant, result);
        result
    }

    /// The constant as the template holds it, at an offset in the block.
    fn rewrite(&mut self, constant: Value, at: u64) -> Value {
        if !self.holds_private(constant) {
            return constant;
        }
        let layout = self.builder.layout;
        let ty = constant.type_of();
        if constant.is_struct() || constant.is_array() || constant.is_constant_vector() {
            let operands: Vec<_> = constant.operands().collect();
            let element_at = |index: usize| match ty.is_structure() {
                true => layout.field_offset(ty, index as u32),
                false => index as u64 * layout.size(ty.element()),
            };
            let fields: Vec<_> =
                (operands.into_iter().enumerate()).map(|(i, field)| self.rewrite(field, at + element_at(i))).collect();
            return match () {
                () if ty.is_structure() => ty.structure(&fields),
                () if ty.is_vector() => vector(&fields),
                () => ty.element().array_of(&fields),
            };
        }
        let whole = layout.size(ty) == u64::from(layout.pointer_size()) && (ty.is_pointer() || ty.is_integer());
        let int = self.builder.context.int(64);
        match self.sum(constant) {
            Some(Sum { bases: 1, offset }) if whole => {
                self.fixups.push((at, offset as u64));
                ty.null()
            }
            Some(Sum { bases: 0, offset }) if ty.is_integer() => ty.constant(offset as u64),
            Some(Sum { bases: 0, offset }) if ty.is_pointer() => int.constant(offset as u64).int_to_ptr(ty),
            _ => {
                let variable = plain_name(self.variable);
                self.builder.refusals.insert(Refusal::Initializer { variable, at: at - self.start });
                ty.null()
            }
        }
    }

    /// The value of an address computation, if it is as simple as that.
    fn sum(&self, constant: Value) -> Option<Sum> {
        if let Some(&offset) = self.builder.block.offsets.get(&constant) {
            return Some(Sum { bases: 1, offset: offset as i64 });
        }
        if constant.is_integer() {
            return Some(Sum { bases: 0, offset: constant.integer() });
        }
        if constant.is_null() {
            return Some(Sum { bases: 0, offset: 0 });
        }
        if !constant.is_expression() {
            return None;
        }
        let operand = |index| self.sum(constant.operand(index));
        match constant.expression_opcode() {
            Opcode::LLVMGetElementPtr => {
                let (base, offset) = self.builder.module.constant_offset(constant);
                if base == constant {
                    return None;
                }
                let base = self.sum(base)?;
                Some(Sum { offset: base.offset + offset, ..base })
            }
            Opcode::LLVMPtrToInt | Opcode::LLVMIntToPtr | Opcode::LLVMBitCast | Opcode::LLVMTrunc => {
                let sum = operand(0)?;
                let narrow =
                    self.builder.layout.size(constant.type_of()) < u64::from(self.builder.layout.pointer_size());
                (sum.bases == 0 || !narrow).then_some(sum)
            }
            Opcode::LLVMAdd => {
                let (a, b) = (operand(0)?, operand(1)?);
                Some(Sum { bases: a.bases + b.bases, offset: a.offset.wrapping_add(b.offset) })
            }
            Opcode::LLVMSub => {
                let (a, b) = (operand(0)?, operand(1)?);
                Some(Sum { bases: a.bases - b.bases, offset: a.offset.wrapping_sub(b.offset) })
            }
            _ => None,
        }
    }
}
