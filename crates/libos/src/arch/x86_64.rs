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

/// Makes the innermost call from the program's code return to `signal::end_now` instead. The return address is the first
/// word on the stack that `is_code` knows; a word that only looks like one belongs to a frame of the C library, which then takes it
/// for a function of the program: it must cope with both.
///
/// # Safety
/// `ucontext` is what the kernel gave the handler, on the stack of the `run` that filled `context`.
pub(crate) unsafe fn divert_return(ucontext: *mut c_void, context: *const Context, is_code: impl Fn(usize) -> bool) {
    // SAFETY: the words between the two are on this thread's stack.
    unsafe {
        let mut word = (*ucontext.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_RSP as usize] as *mut usize;
        let end = (*context).stack_pointer as *mut usize;
        while word < end {
            if is_code(word.read()) {
                *word = diverted as *const () as usize;
                return;
            }
            word = word.add(1);
        }
    }
}

/// Aligns the stack as a call does.
#[unsafe(naked)]
unsafe extern "C-unwind" fn diverted() -> ! {
    naked_asm!("and rsp, -16", "call {end}", "ud2", end = sym crate::signal::end_now)
}
