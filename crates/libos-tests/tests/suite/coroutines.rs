//! Processes that the caller runs a piece at a time.

use std::thread;
use std::time::Duration;

use libos::{Coroutine, Status, Stream};
use libos_tests::{Counts, Machine, in_own_process, spawn};

const KILLED: Status = Status::Signaled(libc::SIGKILL);

fn coroutine(machine: &Machine, arguments: &[&str]) -> Coroutine {
    machine.system.spawn_coroutine(spawn("console", arguments)).expect("a coroutine")
}

/// Sends a line and takes the answer.
fn ask(coroutine: &mut Coroutine, line: &str) -> String {
    coroutine.send(line.as_bytes());
    assert_eq!(coroutine.resume(), None);
    String::from_utf8(coroutine.receive()).expect("text")
}

#[test]
fn lines_come_and_go() {
    let machine = Machine::new();
    let mut coroutine = coroutine(&machine, &["echo"]);
    assert_eq!(ask(&mut coroutine, ""), "");
    assert!(coroutine.wants_input());
    assert_eq!(ask(&mut coroutine, "half"), "");
    assert_eq!(ask(&mut coroutine, " line\nnext\n"), "half line\nnext\n");
    let shown = {
        coroutine.send(b"third\n");
        coroutine.resume();
        coroutine.drain(|bytes| bytes.to_vec())
    };
    assert_eq!(shown, b"third\n");
    coroutine.end_of_input();
    assert_eq!(coroutine.resume(), Some(Status::Exited(3)));
    assert_eq!(coroutine.resume(), Some(Status::Exited(3)), "once more, after the end");
    assert_eq!(machine.system.process_count(), 0);
}

#[test]
fn a_process_with_a_thread_is_not_suspended() {
    let machine = Machine::new();
    assert_eq!(machine.run("console", &["thread"]).ok(), "0\n");
    assert!(machine.log.events().iter().any(|event| {
        matches!(event, libos_tests::Event::Notified(_, name, value) if name == "name" && value == "value")
    }));
}

#[test]
fn it_moves_between_threads_while_it_is_suspended() {
    let machine = Machine::new();
    let mut coroutine = coroutine(&machine, &["move"]);
    for round in 0..20 {
        coroutine = thread::scope(|scope| {
            let moved = scope.spawn(move || {
                let answer = ask(&mut coroutine, "\n");
                assert_eq!(answer, format!("{} {} {} kept 1 1.5\n", 5 + round, 6 + round, 7 + round));
                coroutine
            });
            moved.join().expect("the answer")
        });
    }
    coroutine.end_of_input();
    assert_eq!(coroutine.resume(), Some(Status::Exited(0)));
}

/// What the C library would have locked in one thread is used in another.
#[test]
fn it_moves_after_a_jump_out_of_the_c_library() {
    let machine = Machine::new();
    let mut coroutine = coroutine(&machine, &["jump"]);
    // On this thread, which stays: the C library knows threads by their addresses.
    assert_eq!(coroutine.resume(), None);
    let _guard = libos_tests::no_longer_than(libos_tests::PATIENCE, "a stream that was left by a jump");
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(coroutine.resume(), Some(Status::Exited(0)))).join().expect("it runs");
    });
    assert_eq!(coroutine.receive(), b"x\n");
}

#[test]
fn a_timer_that_expires_while_it_is_suspended_is_caught_up_with() {
    let machine = Machine::new();
    let mut coroutine = coroutine(&machine, &["timer", "10", "0"]);
    assert_eq!(coroutine.resume(), None);
    thread::sleep(Duration::from_millis(50));
    // On another thread, whose own the signal is.
    coroutine = thread::scope(|scope| {
        scope
            .spawn(move || {
                assert_eq!(ask(&mut coroutine, "\n"), "1\n");
                coroutine
            })
            .join()
            .expect("the answer")
    });
    thread::sleep(Duration::from_millis(30));
    assert_eq!(ask(&mut coroutine, "\n"), "1\n", "once is once");
}

#[test]
fn a_periodic_timer_goes_on() {
    let machine = Machine::new();
    let mut coroutine = coroutine(&machine, &["timer", "5", "5"]);
    let _guard = libos_tests::no_longer_than(libos_tests::PATIENCE, "a periodic timer");
    let mut last = 0;
    while last < 5 {
        let answer = ask(&mut coroutine, "\n");
        let now: i32 = answer.trim().parse().expect("a number");
        assert!(now >= last);
        last = now;
        thread::sleep(Duration::from_millis(6));
    }
}

/// The timer of a suspended process must not interrupt the host's thread.
#[test]
fn the_host_thread_is_not_interrupted_by_a_suspended_process() {
    let machine = Machine::new();
    let mut coroutine = coroutine(&machine, &["timer", "2", "2"]);
    assert_eq!(coroutine.resume(), None);
    // SAFETY: no descriptors.
    let result = unsafe { libc::poll(std::ptr::null_mut(), 0, 60) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Hazard 3: who signals a suspended process does not interrupt the thread that ran it.
#[test]
fn the_host_thread_is_not_interrupted_by_late_signals() {
    let machine = Machine::new();
    let mut all: Vec<_> = (0..10).map(|_| coroutine(&machine, &["signals"])).collect();
    for coroutine in &mut all {
        assert_eq!(coroutine.resume(), None);
    }
    let handles: Vec<_> = all.iter().map(Coroutine::handle).collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            for handle in &handles {
                thread::sleep(Duration::from_millis(5));
                handle.kill(libc::SIGTERM);
            }
        });
        // SAFETY: no descriptors.
        let result = unsafe { libc::poll(std::ptr::null_mut(), 0, 100) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    });
}

#[test]
fn a_signal_while_it_is_suspended() {
    let machine = Machine::new();
    let mut coroutine = coroutine(&machine, &["signals"]);
    assert_eq!(coroutine.resume(), None);
    assert_eq!(coroutine.receive(), b"ready\n");
    assert_eq!(coroutine.resume(), None);
    let handle = coroutine.handle();
    thread::spawn(move || handle.kill(libc::SIGTERM)).join().expect("sent");
    assert_eq!(coroutine.resume(), Some(Status::Exited(11)));
    assert_eq!(coroutine.receive(), b"asked\n");
}

#[test]
fn sigkill_while_it_is_suspended_and_before_it_begins() {
    let machine = Machine::new();
    let mut running = coroutine(&machine, &["hold"]);
    assert_eq!(running.resume(), None);
    running.kill(libc::SIGKILL);
    assert_eq!(running.resume(), Some(KILLED));
    let mut fresh = coroutine(&machine, &["hold"]);
    fresh.kill(libc::SIGKILL);
    assert_eq!(fresh.resume(), Some(KILLED));
}

#[test]
fn sigkill_from_another_thread_while_it_runs() {
    let machine = Machine::new();
    let mut coroutine = coroutine(&machine, &["spin"]);
    let (handle, pid, log) = (coroutine.handle(), coroutine.pid(), machine.log.clone());
    let killer = thread::spawn(move || {
        log.wait_for(pid, "ready");
        handle.kill(libc::SIGKILL);
    });
    assert_eq!(coroutine.resume(), Some(KILLED));
    killer.join().expect("the killer");
}

/// A host may handle its signals in one thread and block them in all others.
#[test]
fn sigkill_reaches_a_thread_that_blocks_all_signals() {
    thread::spawn(|| {
        // SAFETY: valid sets, and the mask of this thread.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
        }
        sigkill_from_another_thread_while_it_runs();
    })
    .join()
    .expect("it passes");
}

#[test]
fn output_that_is_not_taken_suspends_it() {
    let machine = Machine::new();
    let mut coroutine = coroutine(&machine, &["flood"]);
    let mut bytes = 0;
    let mut turns = 0;
    let status = loop {
        let status = coroutine.resume();
        bytes += coroutine.drain(<[u8]>::len);
        turns += 1;
        if let Some(status) = status {
            break status;
        }
    };
    assert_eq!((status, bytes), (Status::Exited(0), 100 << 16));
    assert!(turns > 3, "{turns}");
}

#[test]
fn faults_end_the_process_and_not_the_thread() {
    let machine = Machine::new();
    let mut null = coroutine(&machine, &["null"]);
    assert_eq!(null.resume(), None);
    assert_eq!(null.resume(), Some(Status::Signaled(libc::SIGSEGV)));
    let mut overflow = coroutine(&machine, &["overflow"]);
    assert_eq!(overflow.resume(), Some(Status::Signaled(libc::SIGSEGV)));
}

/// Threads of a host in C have no alternative signal stack, unlike Rust's.
#[test]
fn a_stack_overflow_on_a_plain_thread() {
    extern "C" fn body(_: *mut libc::c_void) -> *mut libc::c_void {
        let machine = Machine::new();
        let mut overflow = coroutine(&machine, &["overflow"]);
        let status = overflow.resume();
        usize::from(status == Some(Status::Signaled(libc::SIGSEGV))) as *mut libc::c_void
    }
    in_own_process("coroutines::a_stack_overflow_on_a_plain_thread", || {
        // SAFETY: a thread that ends before the values that it uses.
        let result = unsafe {
            let mut thread: libc::pthread_t = std::mem::zeroed();
            let mut result = std::ptr::null_mut();
            assert_eq!(libc::pthread_create(&mut thread, std::ptr::null(), body, std::ptr::null_mut()), 0);
            assert_eq!(libc::pthread_join(thread, &mut result), 0);
            result as usize
        };
        assert_eq!(result, 1);
    });
}

/// Rust ignores SIGPIPE; other hosts die of it.
#[test]
fn a_closed_pipe_is_the_processs_and_not_the_hosts() {
    in_own_process("coroutines::a_closed_pipe_is_the_processs_and_not_the_hosts", || {
        // SAFETY: the disposition of a process of our own.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        let machine = Machine::new();
        let mut coroutine = coroutine(&machine, &["pipe"]);
        assert_eq!(coroutine.resume(), Some(Status::Signaled(libc::SIGPIPE)));
        // The host's own still works.
        // SAFETY: a system call.
        let before = unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &mut set);
            libc::sigismember(&set, libc::SIGPIPE)
        };
        assert_eq!(before, 0);
    });
}

#[test]
fn it_can_have_children() {
    let machine = Machine::new();
    assert_eq!(coroutine(&machine, &["child"]).resume(), Some(Status::Exited(23)));
}

#[test]
fn dropping_it_in_the_middle_gives_everything_back() {
    in_own_process("coroutines::dropping_it_in_the_middle_gives_everything_back", || {
        let machine = Machine::new();
        let round = || {
            let mut held = coroutine(&machine, &["hold"]);
            assert_eq!(held.resume(), None);
            drop(held);
            drop(coroutine(&machine, &["hold"]));
        };
        (0..50).for_each(|_| round());
        let before = Counts::now();
        (0..1000).for_each(|_| round());
        Counts::now().assert_not_grown(&before, 4 << 20);
        assert_eq!(machine.system.process_count(), 0);
    });
}

#[test]
fn a_thousand_at_once() {
    in_own_process("coroutines::a_thousand_at_once", || {
        let machine = Machine::new();
        drop(coroutine(&machine, &["echo"]));
        let before = Counts::now();
        let mut all: Vec<_> = (0..1000).map(|_| coroutine(&machine, &["echo"])).collect();
        for round in 0..3 {
            for (i, coroutine) in all.iter_mut().enumerate() {
                let line = format!("{round} {i}\n");
                assert_eq!(ask(coroutine, &line), line);
            }
        }
        assert_eq!(machine.system.process_count(), 1000);
        drop(all);
        let after = Counts::now();
        assert_eq!((after.threads, after.descriptors), (before.threads, before.descriptors));
        assert!(after.resident < before.resident + (32 << 20), "{after:?} {before:?}");
        assert_eq!(machine.log.text(Stream::Error, None), "");
    });
}
