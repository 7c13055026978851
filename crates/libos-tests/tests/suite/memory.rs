//! The heap, mappings, shared memory and semaphores.

use std::os::fd::OwnedFd;

use libos::{Status, Stdio};
use libos_tests::{Counts, Machine, Options, in_own_process, native, spawn};

#[track_caller]
fn same(arguments: &[&str]) {
    assert_eq!(Machine::new().run("memory", arguments), native("memory", arguments, &[]), "{arguments:?}");
}

#[test]
fn heap() {
    same(&["heap", "100000"]);
    let machine = Machine::new();
    let all = [0; 4].map(|_| machine.start("memory", &["heap", "50000"]));
    all.iter().for_each(|running| assert!(running.wait().success()));
}

/// Hazard 11.
#[test]
fn leaked_memory_is_given_back() {
    in_own_process("memory::leaked_memory_is_given_back", || {
        let machine = Machine::new();
        machine.run("memory", &["leak", "100"]).ok();
        let before = Counts::now();
        for _ in 0..5 {
            let running = machine.start("memory", &["leak", "100", "wait"]);
            running.wait_for("leaked");
            assert!(Counts::now().resident > before.resident + (90 << 20));
            running.kill(libc::SIGKILL);
            assert_eq!(running.wait(), Status::Signaled(libc::SIGKILL));
        }
        machine.run("memory", &["leak", "100"]).ok();
        Counts::now().assert_not_grown(&before, 4 << 20);
    });
}

/// One after the other, and each may get the memory of those before.
#[test]
fn memory_that_was_anothers_is_zero() {
    let machine = Machine::new();
    for _ in 0..5 {
        machine.run("memory", &["dirty"]).ok();
    }
}

#[test]
fn mappings_are_given_back() {
    in_own_process("memory::mappings_are_given_back", || {
        let machine = Machine::new();
        let round = || machine.run("memory", &["map"]).ok();
        (0..5).for_each(|_| drop(round()));
        let before = Counts::now();
        (0..30).for_each(|_| drop(round()));
        Counts::now().assert_not_grown(&before, 4 << 20);
    });
}

/// The program has two megabytes of zeros, which it never looks at.
#[test]
fn zeros_that_nobody_looks_at_take_no_memory() {
    in_own_process("memory::zeros_that_nobody_looks_at_take_no_memory", || {
        let machine = Machine::new();
        let start = || {
            let running = machine.start("targets", &["read"]);
            running.wait_for("ready");
            running
        };
        let _first = start();
        let before = Counts::now();
        let all = [(); 20].map(|()| start());
        let each = (Counts::now().resident - before.resident) / all.len();
        assert!(each < 512 << 10, "{each} bytes a process");
    });
}

/// What a process has unmapped may be somebody else's when it ends.
#[test]
fn the_end_of_a_process_unmaps_only_what_is_its_own() {
    let machine = Machine::new();
    let (input, go) = std::io::pipe().expect("a pipe");
    let mut parts = spawn("memory", &["parts"]);
    parts.stdio[0] = Stdio::Fd(OwnedFd::from(input));
    let running = machine.start_spawn(parts);
    running.wait_for("\n");
    let text = machine.log.text(libos::Stream::Output, Some(running.child.pid()));
    let start = usize::from_str_radix(text.trim().trim_start_matches("0x"), 16).expect("an address");
    let taken: Vec<*mut u8> = [0, 4, 15]
        .iter()
        .filter_map(|page| {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
            let at = (start + page * 4096) as *mut libc::c_void;
            // SAFETY: takes a free place, or fails.
            let got = unsafe { libc::mmap(at, 4096, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
            (got == at).then_some(got.cast())
        })
        .collect();
    // Another thread of the test may have been faster with one or the other.
    assert!(!taken.is_empty());
    // SAFETY: ours.
    taken.iter().for_each(|page| unsafe { page.write(7) });
    std::io::Write::write_all(&mut &go, b"x").expect("it reads");
    assert!(running.wait().success());
    for page in taken {
        // SAFETY: ours still, or the system has given it away.
        unsafe {
            assert_eq!(libc::msync(page.cast(), 4096, libc::MS_ASYNC), 0, "the page is gone");
            assert_eq!(page.read(), 7);
            libc::munmap(page.cast(), 4096);
        }
    }
}

#[test]
fn mapped_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let machine = Machine::with(&Options { host: &[folder.path()], ..Options::default() });
    machine.run("memory", &["map_file", folder.path().to_str().expect("UTF-8")]).ok();
}

#[test]
fn segments_are_shared_and_counted() {
    same(&["segment"]);
}

#[test]
fn shared_memory_objects() {
    same(&["object"]);
}

#[test]
fn semaphores() {
    same(&["semaphore"]);
}

/// Shared memory belongs to the system: others do not see it, and its end gives it back.
#[test]
fn shared_memory_is_the_systems() {
    in_own_process("memory::shared_memory_is_the_systems", || {
        let round = || {
            let machine = Machine::new();
            machine.run("memory", &["litter"]).ok();
            let other = Machine::new();
            assert_eq!(other.run("memory", &["object_child", "/litter0"]).status, Status::Exited(99));
        };
        (0..3).for_each(|_| round());
        let before = Counts::now();
        (0..20).for_each(|_| round());
        Counts::now().assert_not_grown(&before, 4 << 20);
        // SAFETY: a system call: nothing is in the machine's own list.
        assert_eq!(unsafe { libc::shm_open(c"/litter0".as_ptr(), libc::O_RDWR, 0) }, -1);
    });
}
