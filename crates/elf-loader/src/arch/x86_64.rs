//! x86-64, after the System V ABI's processor supplement.
//!
//! Relies on: the two functions below follow the calling conventions that compilers assume for them.

use std::arch::naked_asm;

use object::elf;

use super::{Action, MOST_HOST_MODULES, host_tls_get_addr};

pub(crate) const MACHINE: elf::Machine = elf::EM_X86_64;
pub(crate) const MACHINE_NAME: &str = "x86-64";

/// What the relocation of this type does; `None` for one that no linker leaves in a shared object.
pub(crate) fn action(kind: elf::RelocationType) -> Option<Action> {
    Some(match kind {
        elf::R_X86_64_NONE => Action::None,
        elf::R_X86_64_64 => Action::SymbolAddend,
        elf::R_X86_64_GLOB_DAT | elf::R_X86_64_JUMP_SLOT => Action::Symbol,
        elf::R_X86_64_RELATIVE => Action::Relative,
        elf::R_X86_64_IRELATIVE => Action::Indirect,
        elf::R_X86_64_DTPMOD64 => Action::TlsModule,
        elf::R_X86_64_DTPOFF64 => Action::TlsOffset,
        elf::R_X86_64_TLSDESC => Action::TlsDescriptor,
        elf::R_X86_64_TPOFF64 | elf::R_X86_64_TPOFF32 => Action::TlsStatic,
        elf::R_X86_64_COPY => Action::Copy,
        elf::R_X86_64_PC8
        | elf::R_X86_64_PC16
        | elf::R_X86_64_PC32
        | elf::R_X86_64_PC64
        | elf::R_X86_64_PLT32
        | elf::R_X86_64_8
        | elf::R_X86_64_16
        | elf::R_X86_64_32
        | elf::R_X86_64_32S => Action::Text,
        _ => return None,
    })
}

/// The ABI's name of a relocation type, for messages.
pub(crate) fn relocation_name(kind: elf::RelocationType) -> String {
    let name = match kind {
        elf::R_X86_64_64 => "64",
        elf::R_X86_64_GLOB_DAT => "GLOB_DAT",
        elf::R_X86_64_JUMP_SLOT => "JUMP_SLOT",
        elf::R_X86_64_RELATIVE => "RELATIVE",
        elf::R_X86_64_IRELATIVE => "IRELATIVE",
        elf::R_X86_64_DTPMOD64 => "DTPMOD64",
        elf::R_X86_64_DTPOFF64 => "DTPOFF64",
        elf::R_X86_64_TLSDESC => "TLSDESC",
        elf::R_X86_64_TPOFF64 => "TPOFF64",
        elf::R_X86_64_COPY => "COPY",
        elf::R_X86_64_PC32 => "PC32",
        elf::R_X86_64_PC64 => "PC64",
        elf::R_X86_64_PLT32 => "PLT32",
        elf::R_X86_64_32 => "32",
        elf::R_X86_64_32S => "32S",
        other => return format!("number {}", other.0),
    };
    format!("R_X86_64_{name}")
}

/// `void *__tls_get_addr(struct { void *module; size_t offset; } *)`: a module word that is too small for an address is
/// the host's number of one of its objects, and the host's function answers.
///
/// In assembly because old compilers call it with a stack that is not aligned.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn tls_get_addr() {
    naked_asm!(
        "mov rax, [rdi]",
        "cmp rax, {most}",
        "jbe 2f",
        "add rax, [rdi + 8]",
        "ret",
        "2: jmp {host}@PLT",
        most = const MOST_HOST_MODULES,
        host = sym host_tls_get_addr,
    )
}

/// The function of a TLS descriptor: the descriptor's address comes in `rax`, and the variable's distance from the
/// thread pointer returns there. All other registers are kept. Our second word is the variable's address.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn tls_descriptor() {
    naked_asm!("mov rax, [rax + 8]", "sub rax, fs:[0]", "ret")
}

/// Calls the resolver function of an `STT_GNU_IFUNC` symbol.
///
/// # Safety
/// `function` is such a function, and all that it uses is relocated.
pub(crate) unsafe fn call_indirect(function: *const ()) -> u64 {
    // SAFETY: the caller's promise; on this processor it has no parameters.
    let function: extern "C" fn() -> u64 = unsafe { std::mem::transmute(function) };
    function()
}
