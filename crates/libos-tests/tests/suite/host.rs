//! Hazards 5 to 8: the host does not notice the system, whatever it does itself; and nothing stays.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use libos::{Status, System};
use libos_tests::{Counts, Machine, PATIENCE, in_own_process, in_prepared_process, no_longer_than, spawn};

/// The disposition of every signal, as numbers.
fn dispositions() -> BTreeMap<i32, (usize, i32)> {
    let one = |signal| {
        // SAFETY: asks only.
        let action = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, std::ptr::null(), &mut action);
            action
        };
        // The C library adds this flag when it sets one.
        (signal, (action.sa_sigaction, action.sa_flags & !0x0400_0000))
    };
    (1..=libc::SIGRTMAX()).map(one).collect()
}

fn mask() -> u64 {
    // SAFETY: asks only; the first word has the signals 1 to 64.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &mut set);
        *(&raw const set).cast()
    }
}

/// Everything that a process can change.
fn exercise(machine: &Machine) {
    for (program, arguments) in [
        ("signals", &["masks"][..]),
        ("signals", &["timers"]),
        ("signals", &["pipe"]),
        ("paths", &["inherit", "/tmp"]),
        ("args", &["environment"]),
        ("locales", &["locale"]),
        ("faults", &["null"]),
        ("faults", &["overflow"]),
        ("family", &["many", "10"]),
        ("child", &["raise", "9"]),
    ] {
        machine.run_with(program, arguments, &["GIVEN=yes"]);
    }
    let mut coroutine = machine.system.spawn_coroutine(spawn("console", &["timer", "1", "1"])).expect("a coroutine");
    coroutine.resume();
}

#[test]
fn the_hosts_state_is_untouched() {
    in_own_process("host::the_hosts_state_is_untouched", || {
        let folder = tempfile::tempdir().expect("a folder");
        std::env::set_current_dir(folder.path()).expect("a directory");
        // SAFETY: a process of our own.
        unsafe {
            libc::umask(0o031);
            libc::signal(libc::SIGUSR1, libc::SIG_IGN);
            libc::setenv(c"HOST".as_ptr(), c"value".as_ptr(), 1);
        }
        let look = || {
            // SAFETY: system calls, and the mask is put back.
            let umask = unsafe {
                let umask = libc::umask(0);
                libc::umask(umask);
                umask
            };
            let cwd = std::env::current_dir().expect("a directory");
            (umask, cwd, std::env::vars().collect::<Vec<_>>(), mask())
        };
        let (state, before) = (look(), dispositions());
        let machine = Machine::new();
        exercise(&machine);
        assert_eq!(look(), state);
        let changed = |now: &BTreeMap<i32, (usize, i32)>| -> Vec<i32> {
            now.iter().filter(|(signal, action)| before[signal] != **action).map(|(signal, _)| *signal).collect()
        };
        let during = changed(&dispositions());
        let faults = [libc::SIGILL, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV];
        let (reserved, rest): (Vec<i32>, Vec<i32>) = during.into_iter().partition(|s| *s >= libc::SIGRTMIN());
        assert_eq!((reserved.len(), rest.as_slice()), (2, &faults[..]));
        let other = Machine::new();
        drop(machine);
        assert_eq!(changed(&dispositions()).len(), 6, "as long as a system lives");
        drop(other);
        assert_eq!(changed(&dispositions()), reserved, "afterwards");
        assert_eq!(look(), state);
    });
}

#[test]
fn what_the_host_changes_is_not_seen() {
    in_own_process("host::what_the_host_changes_is_not_seen", || {
        let machine = Machine::new();
        let before = machine.run("paths", &["inherit", "/tmp"]).ok();
        std::env::set_current_dir("/").expect("a directory");
        // SAFETY: a process of our own.
        unsafe {
            libc::umask(0o777);
            libc::setenv(c"GIVEN".as_ptr(), c"by the host".as_ptr(), 1);
            libc::signal(libc::SIGUSR1, libc::SIG_IGN);
            libc::signal(libc::SIGTERM, libc::SIG_IGN);
            libc::signal(libc::SIGALRM, libc::SIG_IGN);
        }
        assert_eq!(machine.run("paths", &["inherit", "/tmp"]).ok(), before);
        assert_eq!(machine.run("args", &["show"]).out, "- -\n");
        machine.run("signals", &["masks"]).ok();
        machine.run("signals", &["timers"]).ok();
        assert_eq!(machine.run("child", &["raise", "15"]).status, Status::Signaled(libc::SIGTERM));
        let folder = tempfile::tempdir();
        assert!(
            folder.is_err() || std::fs::write(folder.expect("a folder").path().join("x"), "").is_err() || is_root()
        );
    });
}

fn is_root() -> bool {
    // SAFETY: a system call.
    unsafe { libc::geteuid() == 0 }
}

static HANDLED: AtomicBool = AtomicBool::new(false);

extern "C" fn on_host_signal(_: i32) {
    HANDLED.store(true, Ordering::SeqCst);
}

/// The host's own signals go to the host's threads.
#[test]
fn signals_to_the_host_are_the_hosts() {
    in_own_process("host::signals_to_the_host_are_the_hosts", || {
        // SAFETY: a handler that only sets a flag, in a process of our own.
        unsafe { libc::signal(libc::SIGUSR2, on_host_signal as *const () as usize) };
        let machine = Machine::new();
        let all = [0; 4].map(|_| machine.start("targets", &["spin"]));
        all.iter().for_each(|running| running.wait_for("ready"));
        for _ in 0..100 {
            HANDLED.store(false, Ordering::SeqCst);
            // SAFETY: a signal to this process, which handles it.
            unsafe { libc::kill(libc::getpid(), libc::SIGUSR2) };
            while !HANDLED.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
        }
        all.iter().for_each(|running| assert_eq!(running.child.try_wait(), None));
    });
}

/// Hazard 6: the caller just exits. What its processes have not flushed is not written.
#[test]
fn the_host_exits_while_processes_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let mark = folder.path().join("buffered");
    in_prepared_process(
        "host::the_host_exits_while_processes_run",
        |command| {
            command.env("MARK", &mark);
        },
        || {
            let machine = std::mem::ManuallyDrop::new(Machine::new());
            for command in ["spin", "read", "fgetc", "semaphore", "heap", "files", "format"] {
                let running = machine.start("targets", &[command]);
                running.wait_for("ready");
                std::mem::forget(running);
            }
            std::process::exit(17);
        },
        |status, text| assert_eq!(status.code(), Some(17), "{text}"),
    );
}

/// A child of the host's fork: neither its end nor the use of the system may hang.
fn in_forked_child(body: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child runs `body`, which is what is tested, and ends.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        no_longer_than_in_child();
        let code = body();
        // SAFETY: with exit handlers, as a child of a C program would.
        unsafe { libc::exit(code) };
    }
    let mut status = 0;
    // SAFETY: our child.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 1000 + libc::WTERMSIG(status) }
}

/// SIGALRM ends a child that hangs: it has no threads to watch it.
fn no_longer_than_in_child() {
    // SAFETY: a system call.
    unsafe { libc::alarm(PATIENCE.as_secs() as u32) };
}

/// Hazard 5.
#[test]
fn after_fork_the_child_has_no_system_and_does_not_hang() {
    in_own_process("host::after_fork_the_child_has_no_system_and_does_not_hang", || {
        let machine = Machine::new();
        let busy: Vec<_> = ["heap", "files"].map(|c| machine.start("targets", &[c])).into();
        busy.iter().for_each(|running| running.wait_for("ready"));
        let churn = machine.start("family", &["many", "100000"]);
        let system: &System = &machine.system;
        let lost = |result: Result<(), i32>| i32::from(result != Err(libc::EOWNERDEAD));
        for _ in 0..10 {
            assert_eq!(in_forked_child(|| 5), 5, "a clean exit");
            let code = in_forked_child(|| {
                let spawned = system.spawn(spawn("child", &["exit", "0"])).map(drop).map_err(|e| e.raw_os_error());
                let coroutine =
                    system.spawn_coroutine(spawn("console", &["echo"])).map(drop).map_err(|e| e.raw_os_error());
                let connected = system.connect("/tmp/x").map(drop).map_err(|e| e.raw_os_error());
                let killed = busy[0].child.kill(0).map_err(|e| e.raw_os_error());
                lost(spawned) + 2 * lost(coroutine) + 4 * lost(connected) + 8 * lost(killed)
            });
            assert_eq!(code, 0, "the errors");
            let code = in_forked_child(|| {
                let ended = busy[0].child.wait() == Status::Signaled(libc::SIGKILL);
                system.shutdown();
                i32::from(!(ended && system.process_count() == 0))
            });
            assert_eq!(code, 0, "waiting and shutting down");
        }
        // The parent's goes on.
        assert!(machine.run("child", &["exit", "0"]).status.success());
        churn.kill(libc::SIGKILL);
        churn.wait();
    });
}

#[test]
fn after_fork_a_coroutine_is_dropped_without_running() {
    in_own_process("host::after_fork_a_coroutine_is_dropped_without_running", || {
        let machine = Machine::new();
        let mut coroutine = machine.system.spawn_coroutine(spawn("console", &["echo"])).expect("a coroutine");
        coroutine.resume();
        let mut slot = Some(coroutine);
        let code = in_forked_child(|| {
            let mut coroutine = slot.take().expect("the child's copy");
            coroutine.send(b"line\n");
            let ended = coroutine.resume() == Some(Status::Signaled(libc::SIGKILL));
            let silent = coroutine.receive().is_empty();
            coroutine.kill(libc::SIGKILL);
            drop(coroutine);
            i32::from(!(ended && silent))
        });
        assert_eq!(code, 0);
        let coroutine = slot.as_mut().expect("the parent's");
        coroutine.send(b"line\n");
        assert_eq!(coroutine.resume(), None);
        assert_eq!(coroutine.receive(), b"line\n");
    });
}

/// A program that forks to become a daemon opens its system afterwards.
#[test]
fn after_fork_the_child_can_have_a_system_of_its_own() {
    in_own_process("host::after_fork_the_child_can_have_a_system_of_its_own", || {
        let machine = Machine::new();
        machine.run("child", &["exit", "0"]);
        let code = in_forked_child(|| {
            let own = Machine::new();
            let ok = own.run("child", &["exit", "7"]).status == Status::Exited(7);
            let fault = own.run("faults", &["null"]).status == Status::Signaled(libc::SIGSEGV);
            i32::from(!(ok && fault))
        });
        assert_eq!(code, 0);
    });
}

/// Hazard 8.
#[test]
fn a_thousand_systems() {
    in_own_process("host::a_thousand_systems", || {
        let _guard = no_longer_than(PATIENCE * 2, "a thousand systems");
        let round = || {
            let machine = Machine::new();
            machine.run("child", &["exit", "3"]);
            let left = machine.start("child", &["forever"]);
            let mut coroutine = machine.system.spawn_coroutine(spawn("console", &["hold"])).expect("a coroutine");
            coroutine.resume();
            drop(coroutine);
            drop(left);
        };
        (0..50).for_each(|_| round());
        let before = Counts::now();
        (0..1000).for_each(|_| round());
        Counts::now().assert_not_grown(&before, 4 << 20);
    });
}

#[test]
fn two_thousand_processes() {
    in_own_process("host::two_thousand_processes", || {
        let machine = Machine::new();
        let round = || {
            machine.run("family", &["many", "20"]).ok();
            machine.run("faults", &["null"]);
            machine.run("family", &["exec_fails"]).ok();
            machine.run("child", &["raise", "9"]);
            // Nobody waits for this one.
            drop(machine.start("child", &["exit", "0"]));
            // Nor for this one's child.
            machine.run("family", &["orphans"]).ok();
        };
        (0..10).for_each(|_| round());
        let settled = || {
            let end = std::time::Instant::now() + PATIENCE;
            while machine.system.process_count() > 0 {
                assert!(std::time::Instant::now() < end, "a process is left");
                std::thread::sleep(Duration::from_millis(1));
            }
            // The next process collects the threads of those before.
            machine.run("child", &["exit", "0"]);
            Counts::now()
        };
        let before = settled();
        (0..80).for_each(|_| round());
        let mut after = settled();
        // A thread that has just ended may still be counted.
        for _ in 0..100 {
            if after.threads <= before.threads {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
            after = settled();
        }
        after.threads = after.threads.min(before.threads);
        after.assert_not_grown(&before, 6 << 20);
    });
}

/// A host that has no real-time signal left is told so.
#[test]
fn a_host_that_uses_every_real_time_signal() {
    in_prepared_process(
        "host::a_host_that_uses_every_real_time_signal",
        |_| {},
        || {
            for signal in libc::SIGRTMIN()..=libc::SIGRTMAX() {
                // SAFETY: a handler that only sets a flag, in a process of our own.
                unsafe { libc::signal(signal, on_host_signal as *const () as usize) };
            }
            let namespace = vfs::Namespace::new(vfs::Identity::new(1000, 1000));
            let error = libos::Builder::new(namespace).build(libos_tests::Recorder::default()).err().expect("an error");
            assert!(error.to_string().contains("real-time signal"), "{error}");
        },
        |status, text| {
            assert_eq!(status.signal(), None, "{text}");
            assert!(status.success(), "{text}");
        },
    );
}
