//! x86-64, System V ABI: rbx, rbp, r12 to r15 and rsp belong to the caller of a function.

use std::arch::{asm, naked_asm};
use std::ffi::c_void;

/// Where `run` was called: its stack pointer, below which the callee-saved registers are.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Context {
    stack_pointer: usize,
}

/// What the caller of `libos_vfork` needs to be returned to a second time.
#[repr(C)]
#[derive(Default)]
pub(crate) struct VforkContext {
    registers: [usize; 8],
}

/// Calls `f(arg)`; returns its result, or the value given to `leave`.
///
/// # Safety
/// `context` is valid until the call returns.
#[unsafe(naked)]
pub(crate) unsafe extern "C-unwind" fn run(
    context: *mut Context,
    f: unsafe extern "C-unwind" fn(*mut c_void) -> usize,
    arg: *mut c_void,
) -> usize {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi], rsp",
        "sub rsp, 8", // calls need a stack aligned to 16
        "mov rdi, rdx",
        "call rsi",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// Makes the `run` that filled `context` return `value`.
///
/// # Safety
/// That `run` has not returned, is on this stack, and no frame in between has anything to drop.
#[unsafe(naked)]
pub(crate) unsafe extern "C-unwind" fn leave(context: *const Context, value: usize) -> ! {
    naked_asm!(
        "mov rsp, [rdi]",
        "mov rax, rsi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// The program's `fork`: what follows runs as the child, until it calls `execv` or exits. The new program begins with
/// every signal blocked, for the time until it has set its handlers.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_vfork() -> i32 {
    naked_asm!(
        "sub rsp, 8",
        "call {begin}",
        "add rsp, 8",
        "mov [rax], rbx",
        "mov [rax + 8], rbp",
        "mov [rax + 16], r12",
        "mov [rax + 24], r13",
        "mov [rax + 32], r14",
        "mov [rax + 40], r15",
        "mov [rax + 48], rsp",
        "mov rcx, [rsp]", // the child's frames reuse the place of the return address
        "mov [rax + 56], rcx",
        "xor eax, eax",
        "ret",
        begin = sym crate::abi::process::vfork_begin,
    )
}

/// Returns from the `libos_vfork` that filled `context` again, with `pid`.
///
/// # Safety
/// The function that called it has not returned, and no frame in between has anything to drop.
#[unsafe(naked)]
pub(crate) unsafe extern "C-unwind" fn vfork_return(context: *const VforkContext, pid: i32) -> ! {
    naked_asm!(
        "mov rbx, [rdi]",
        "mov rbp, [rdi + 8]",
        "mov r12, [rdi + 16]",
        "mov r13, [rdi + 24]",
        "mov r14, [rdi + 32]",
        "mov r15, [rdi + 40]",
        "mov rsp, [rdi + 48]",
        "add rsp, 8",
        "mov eax, esi",
        "jmp qword ptr [rdi + 56]",
    )
}

/// What `va_start` makes: numbers of registers that are used up, where more arguments are, and where registers were saved.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct ArgumentList {
    general_offset: u32,
    vector_offset: u32,
    overflow: usize,
    registers: usize,
}

/// Defines C functions with variable arguments: each calls another one with its fixed arguments and a list of the rest.
macro_rules! variadic {
    ($($(#[$doc:meta])* $name:ident($fixed:tt) => $target:path;)*) => {$(
        $(#[$doc])*
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C-unwind" fn $name() {
            std::arch::naked_asm!(
                ".cfi_startproc",
                "sub rsp, 216",
                ".cfi_adjust_cfa_offset 216",
                "mov [rsp + 32], rdi",
                "mov [rsp + 40], rsi",
                "mov [rsp + 48], rdx",
                "mov [rsp + 56], rcx",
                "mov [rsp + 64], r8",
                "mov [rsp + 72], r9",
                "test al, al", // the number of vector registers that are used
                "je 2f",
                "movaps [rsp + 80], xmm0",
                "movaps [rsp + 96], xmm1",
                "movaps [rsp + 112], xmm2",
                "movaps [rsp + 128], xmm3",
                "movaps [rsp + 144], xmm4",
                "movaps [rsp + 160], xmm5",
                "movaps [rsp + 176], xmm6",
                "movaps [rsp + 192], xmm7",
                "2:",
                "mov dword ptr [rsp], 8 * {fixed}",
                "mov dword ptr [rsp + 4], 48",
                "lea rax, [rsp + 224]", // behind the return address
                "mov [rsp + 8], rax",
                "lea rax, [rsp + 32]",
                "mov [rsp + 16], rax",
                concat!("mov ", $crate::arch::variadic_register!($fixed), ", rsp"),
                "call {target}",
                "add rsp, 216",
                ".cfi_adjust_cfa_offset -216",
                "ret",
                ".cfi_endproc",
                fixed = const $fixed,
                target = sym $target,
            )
        }
    )*};
}
pub(crate) use variadic;

/// The register of the argument behind so many.
macro_rules! variadic_register {
    (1) => {
        "rsi"
    };
    (2) => {
        "rdx"
    };
    (3) => {
        "rcx"
    };
}
pub(crate) use variadic_register;

/// `__sigsetjmp`, for code that did not go through the pass: it keeps the virtual mask, not the host's.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos___sigsetjmp() {
    naked_asm!(
        ".cfi_startproc",
        "push rdi",
        ".cfi_adjust_cfa_offset 8",
        "call {keep}",
        "pop rdi",
        ".cfi_adjust_cfa_offset -8",
        "xor esi, esi",
        // It returns twice to our caller: not through a frame of ours.
        "jmp {set}",
        ".cfi_endproc",
        keep = sym crate::abi::signals::libos_setjmp_mask,
        set = sym __sigsetjmp,
    )
}

unsafe extern "C" {
    fn __sigsetjmp();
}

/// Where the caller's stack is.
#[inline(always)]
pub(crate) fn stack_pointer() -> usize {
    let value;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rsp", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// The interrupted instruction of a signal handler's context.
///
/// # Safety
/// `ucontext` is what the kernel gave the handler.
pub(crate) unsafe fn interrupted_pc(ucontext: *const c_void) -> usize {
    // SAFETY: by the caller's promise.
    unsafe { (*ucontext.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_RIP as usize] as usize }
}

/// Makes the return from a signal handler go to `leave(context, value)`, on any stack.
///
/// # Safety
/// As for `leave`; `ucontext` is what the kernel gave the handler.
pub(crate) unsafe fn return_to_leave(ucontext: *mut c_void, context: *const Context, value: usize) {
    // SAFETY: by the caller's promise.
    let registers = unsafe { &mut (*ucontext.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    registers[libc::REG_RIP as usize] = leave as *const () as i64;
    registers[libc::REG_RDI as usize] = context as i64;
    registers[libc::REG_RSI as usize] = value as i64;
}

/// A return address on the stack that was replaced.
#[derive(Clone, Copy)]
pub(crate) struct Diversion {
    place: *mut usize,
    original: usize,
}

impl Diversion {
    /// Where the call returns to that was diverted.
    pub(crate) fn original(self) -> usize {
        self.original
    }

    /// Whether the return is still to come.
    ///
    /// # Safety
    /// `ucontext` is what the kernel gave the handler, on the stack that the return address is on.
    pub(crate) unsafe fn is_ahead(self, ucontext: *const c_void) -> bool {
        // SAFETY: by the caller's promise; what is above the stack pointer can be read.
        unsafe {
            let top = (*ucontext.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_RSP as usize] as usize;
            self.place as usize >= top && self.place.read() == diverted as *const () as usize
        }
    }
}

/// Makes the innermost call from the program's code return to `signal::returned` first. The return address is the first
/// word on the stack that `is_code` knows; a word that only looks like one belongs to a frame of the C library, which then takes it
/// for a function of the program: it must cope with both.
///
/// # Safety
/// `ucontext` is what the kernel gave the handler, on the stack of the `run` that filled `context`.
pub(crate) unsafe fn divert_return(
    ucontext: *mut c_void,
    context: *const Context,
    is_code: impl Fn(usize) -> bool,
) -> Option<Diversion> {
    // SAFETY: the words between the two are on this thread's stack.
    unsafe {
        let mut place = (*ucontext.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_RSP as usize] as *mut usize;
        let end = (*context).stack_pointer as *mut usize;
        while place < end {
            let original = place.read();
            if is_code(original) {
                place.write(diverted as *const () as usize);
                return Some(Diversion { place, original });
            }
            place = place.add(1);
        }
        None
    }
}

/// Calls `signal::returned` and goes on where that says, as if it had not been there: with the results of the call that
/// returned, or the arguments of the one that is made.
#[unsafe(naked)]
unsafe extern "C-unwind" fn diverted() {
    naked_asm!(
        "push rax", // the place of the address to go on at
        "push rax",
        "push rcx",
        "push rdx",
        "push rsi",
        "push rdi",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "push rbx",
        "mov rbx, rsp",
        "sub rsp, 128",
        "and rsp, -16",
        "movaps [rsp], xmm0",
        "movaps [rsp + 16], xmm1",
        "movaps [rsp + 32], xmm2",
        "movaps [rsp + 48], xmm3",
        "movaps [rsp + 64], xmm4",
        "movaps [rsp + 80], xmm5",
        "movaps [rsp + 96], xmm6",
        "movaps [rsp + 112], xmm7",
        "call {returned}",
        "movaps xmm0, [rsp]",
        "movaps xmm1, [rsp + 16]",
        "movaps xmm2, [rsp + 32]",
        "movaps xmm3, [rsp + 48]",
        "movaps xmm4, [rsp + 64]",
        "movaps xmm5, [rsp + 80]",
        "movaps xmm6, [rsp + 96]",
        "movaps xmm7, [rsp + 112]",
        "mov rsp, rbx",
        "mov [rsp + 80], rax",
        "pop rbx",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rdi",
        "pop rsi",
        "pop rdx",
        "pop rcx",
        "pop rax",
        "ret",
        returned = sym crate::signal::returned,
    )
}
