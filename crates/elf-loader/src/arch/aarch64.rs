//! AArch64, after "ELF for the Arm 64-bit Architecture".
//!
//! Relies on: the two functions below follow the calling conventions that compilers assume for them.

use std::arch::naked_asm;

use object::elf;

use super::{Action, MOST_HOST_MODULES, host_tls_get_addr};

pub(crate) const MACHINE: elf::Machine = elf::EM_AARCH64;
pub(crate) const MACHINE_NAME: &str = "AArch64";

/// What the relocation of this type does; `None` for one that no linker leaves in a shared object.
pub(crate) fn action(kind: elf::RelocationType) -> Option<Action> {
    Some(match kind {
        elf::R_AARCH64_NONE => Action::None,
        elf::R_AARCH64_ABS64 | elf::R_AARCH64_GLOB_DAT | elf::R_AARCH64_JUMP_SLOT => Action::SymbolAddend,
        elf::R_AARCH64_RELATIVE => Action::Relative,
        elf::R_AARCH64_IRELATIVE => Action::Indirect,
        elf::R_AARCH64_TLS_DTPMOD => Action::TlsModule,
        elf::R_AARCH64_TLS_DTPREL => Action::TlsOffset,
        elf::R_AARCH64_TLSDESC => Action::TlsDescriptor,
        elf::R_AARCH64_TLS_TPREL => Action::TlsStatic,
        elf::R_AARCH64_COPY => Action::Copy,
        elf::R_AARCH64_ABS32
        | elf::R_AARCH64_ABS16
        | elf::R_AARCH64_PREL64
        | elf::R_AARCH64_PREL32
        | elf::R_AARCH64_PREL16 => Action::Text,
        _ => return None,
    })
}

/// The relocation type's number, for messages.
pub(crate) fn relocation_name(kind: elf::RelocationType) -> String {
    format!("number {} (AArch64)", kind.0)
}

/// `void *__tls_get_addr(struct { void *module; size_t offset; } *)`: a module word that is too small for an address is
/// the host's number of one of its objects, and the host's function answers.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn tls_get_addr() {
    naked_asm!(
        "ldp x1, x2, [x0]",
        "mov w3, {most}",
        "cmp x1, x3",
        "b.ls 2f",
        "add x0, x1, x2",
        "ret",
        "2: b {host}",
        most = const MOST_HOST_MODULES,
        host = sym host_tls_get_addr,
    )
}

/// The function of a TLS descriptor: the descriptor's address comes in `x0`, and the variable's distance from the
/// thread pointer returns there. All other registers are kept. Our second word is the variable's address.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn tls_descriptor() {
    naked_asm!(
        "str x1, [sp, #-16]!",
        "ldr x0, [x0, #8]",
        "mrs x1, tpidr_el0",
        "sub x0, x0, x1",
        "ldr x1, [sp], #16",
        "ret"
    )
}

/// Calls the resolver function of an `STT_GNU_IFUNC` symbol.
///
/// # Safety
/// `function` is such a function, and all that it uses is relocated.
pub(crate) unsafe fn call_indirect(function: *const ()) -> u64 {
    #[repr(C)]
    struct Argument {
        size: u64,
        hwcap: u64,
        hwcap2: u64,
    }
    /// In the first argument: the second one is there.
    const IFUNC_ARG_HWCAP: u64 = 1 << 62;

    // SAFETY: getauxval has no preconditions.
    let (hwcap, hwcap2) = unsafe { (libc::getauxval(libc::AT_HWCAP), libc::getauxval(libc::AT_HWCAP2)) };
    let argument = Argument { size: size_of::<Argument>() as u64, hwcap, hwcap2 };
    // SAFETY: the caller's promise; glibc passes these parameters.
    let function: extern "C" fn(u64, *const Argument) -> u64 = unsafe { std::mem::transmute(function) };
    function(hwcap | IFUNC_ARG_HWCAP, &argument)
}
