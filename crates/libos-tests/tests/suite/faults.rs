//! Programs that do something illegal end, and nothing else does.

use std::sync::atomic::{AtomicUsize, Ordering};

use libos::{Hooks, Status, Stream};
use libos_tests::{Event, Machine, Options, build, in_own_process, in_prepared_process, native, spawn};

/// The process dies of `signal`, its neighbour and the host go on.
#[track_caller]
fn dies(command: &str, signal: i32) {
    let machine = Machine::new();
    let neighbour = machine.start("child", &["sleep", "30"]);
    let running = machine.start("faults", &[command]);
    assert_eq!(running.wait(), Status::Signaled(signal), "{command}");
    let told = machine
        .log
        .events()
        .iter()
        .any(|event| matches!(event, Event::Fault(pid, by, _) if *pid == running.child.pid() && *by == signal));
    assert!(told, "{command}: {:?}", machine.log.events());
    assert!(neighbour.wait().success());
    assert_eq!(native("faults", &[command], &[]).status, Status::Signaled(signal), "{command}, under the kernel");
}

#[test]
fn bad_pointers() {
    dies("null", libc::SIGSEGV);
    dies("library", libc::SIGSEGV);
    dies("call", libc::SIGSEGV);
    dies("read_only", libc::SIGSEGV);
    dies("in_handler", libc::SIGSEGV);
    dies("holding", libc::SIGSEGV);
}

#[test]
fn bus_errors() {
    dies("bus", libc::SIGBUS);
}

#[test]
fn arithmetic() {
    dies("divide", libc::SIGFPE);
}

#[test]
fn illegal_instructions() {
    dies("illegal", libc::SIGILL);
}

#[test]
fn stack_overflows() {
    dies("overflow", libc::SIGSEGV);
}

/// The stack ends inside a function of the library OS, or of the C library.
#[test]
fn stack_overflows_inside_calls() {
    dies("overflow_malloc", libc::SIGSEGV);
    dies("overflow_calls", libc::SIGSEGV);
    dies("overflow_access", libc::SIGSEGV);
}

/// A program that overwrites its heap's records ends inside `free`, or does not: nobody else notices.
#[test]
fn overwritten_heaps() {
    let machine = Machine::new();
    let neighbour = machine.start("memory", &["heap", "300000"]);
    assert_eq!(machine.run("faults", &["free_wild"]).status, Status::Signaled(libc::SIGSEGV));
    for seed in 1..200u32 {
        machine.run("faults", &["corrupt", &seed.to_string()]);
    }
    assert!(neighbour.wait().success());
}

#[test]
fn many_faults_at_once() {
    let machine = Machine::new();
    for _ in 0..20 {
        let all =
            ["null", "divide", "illegal", "overflow", "library", "holding"].map(|c| machine.start("faults", &[c]));
        let signals = [libc::SIGSEGV, libc::SIGFPE, libc::SIGILL, libc::SIGSEGV, libc::SIGSEGV, libc::SIGSEGV];
        for (running, signal) in all.iter().zip(signals) {
            assert_eq!(running.wait(), Status::Signaled(signal));
        }
    }
}

static CAUGHT: AtomicUsize = AtomicUsize::new(0);

extern "C" fn on_host_fault(_: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel's information.
    CAUGHT.store(unsafe { (*info).si_addr() } as usize, Ordering::SeqCst);
    // Skips the faulting instruction, `mov byte ptr [rax], 1` of three bytes.
    // SAFETY: the kernel's context.
    unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_RIP as usize] += 3 };
}

/// A host with a fault handler of its own, as runtimes with garbage collectors have.
#[test]
fn faults_of_the_hosts_threads_go_to_the_hosts_handler() {
    in_own_process("faults::faults_of_the_hosts_threads_go_to_the_hosts_handler", || {
        // SAFETY: the disposition of a process of our own.
        unsafe {
            let mut new: libc::sigaction = std::mem::zeroed();
            new.sa_sigaction = on_host_fault as *const () as usize;
            new.sa_flags = libc::SA_SIGINFO;
            assert_eq!(libc::sigaction(libc::SIGSEGV, &new, std::ptr::null_mut()), 0);
        }
        let fault = |at: usize| {
            // SAFETY: the handler goes on behind the instruction.
            unsafe { std::arch::asm!("mov byte ptr [rax], 1", in("rax") at) };
            assert_eq!(CAUGHT.swap(0, Ordering::SeqCst), at);
        };
        fault(0x100);
        let machine = Machine::new();
        fault(0x200);
        assert_eq!(machine.run("faults", &["null"]).status, Status::Signaled(libc::SIGSEGV));
        fault(0x300);
        assert_eq!(CAUGHT.load(Ordering::SeqCst), 0, "the process's fault was none of the host's");
        drop(machine);
        fault(0x400);
    });
}

/// A host without a handler dies of its own faults, with the right status.
#[test]
fn a_fault_of_the_host_is_still_fatal() {
    use std::os::unix::process::ExitStatusExt;
    in_prepared_process(
        "faults::a_fault_of_the_host_is_still_fatal",
        |_| {},
        || {
            // SAFETY: the disposition of a process of our own. Rust has a handler, other hosts have none.
            unsafe { libc::signal(libc::SIGSEGV, libc::SIG_DFL) };
            let machine = Machine::new();
            assert_eq!(machine.run("faults", &["null"]).status, Status::Signaled(libc::SIGSEGV));
            // SAFETY: meant to end this process.
            unsafe { std::ptr::null_mut::<u8>().wrapping_add(8).write_volatile(1) };
        },
        |status, text| assert_eq!(status.signal(), Some(libc::SIGSEGV), "{text}"),
    );
}

/// Somebody sends the host a SIGSEGV: the first one is meant.
#[test]
fn a_fault_signal_from_outside_is_the_hosts() {
    use std::os::unix::process::ExitStatusExt;
    in_prepared_process(
        "faults::a_fault_signal_from_outside_is_the_hosts",
        |_| {},
        || {
            // SAFETY: the disposition of a process of our own.
            unsafe { libc::signal(libc::SIGSEGV, libc::SIG_DFL) };
            let machine = Machine::new();
            let running = machine.start("targets", &["spin"]);
            running.wait_for("ready");
            // SAFETY: meant to end this process.
            unsafe { libc::kill(libc::getpid(), libc::SIGSEGV) };
            std::thread::sleep(libos_tests::PATIENCE);
        },
        |status, text| assert_eq!(status.signal(), Some(libc::SIGSEGV), "{text}"),
    );
}

struct Panics;

impl Hooks for Panics {
    fn output(&self, _: i32, _: Stream, _: &[u8]) {
        panic!("a hook panics, as this test wants");
    }

    fn fault(&self, _: i32, _: i32, _: usize) {
        panic!("a hook panics, as this test wants");
    }
}

/// Hazard 9: a panic never unwinds into C. The process that caused it ends as if it had aborted.
#[test]
fn a_panic_in_a_hook_ends_the_process() {
    in_own_process("faults::a_panic_in_a_hook_ends_the_process", || {
        let system = build(&Options::default(), Panics);
        let child = system.spawn(spawn("child", &["echo", "text"])).expect("a process");
        assert_eq!(child.wait(), Status::Signaled(libc::SIGABRT));
        let child = system.spawn(spawn("faults", &["null"])).expect("a process");
        assert_eq!(child.wait(), Status::Signaled(libc::SIGSEGV));
        system.shutdown();
    });
}
