//! Locale, time and users.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use libos::Stdio;
use libos_tests::{Counts, Machine, in_own_process, native, spawn};

#[test]
fn locale() {
    assert_eq!(Machine::new().run("locales", &["locale"]), native("locales", &["locale"], &[]));
}

/// Hazard 7: the host has one locale, each process another, at the same time.
#[test]
fn locales_are_the_processs_own() {
    in_own_process("locales::locales_are_the_processs_own", || {
        let codeset = || {
            // SAFETY: a constant item; the result is a string.
            unsafe { CStr::from_ptr(libc::nl_langinfo(libc::CODESET)) }.to_str().expect("ASCII").to_owned()
        };
        for (host, seen) in [(c"C.UTF-8", "UTF-8"), (c"C", "ANSI_X3.4-1968")] {
            // SAFETY: a process of our own, in which nobody else looks at the locale now.
            assert!(!unsafe { libc::setlocale(libc::LC_ALL, host.as_ptr()) }.is_null());
            assert_eq!(codeset(), seen);
            let machine = Machine::new();
            let start = |locale: &str| {
                let (input, end) = std::io::pipe().expect("a pipe");
                let mut stay = spawn("locales", &["stay", locale]);
                stay.stdio[0] = Stdio::Fd(OwnedFd::from(input));
                let running = machine.start_spawn(stay);
                running.wait_for("set");
                (running, end)
            };
            let (plain, wide) = (start("C"), start("C.UTF-8"));
            assert_eq!(codeset(), seen);
            for ((running, end), expected) in [(plain, "set\nANSI_X3.4-1968 1\n"), (wide, "set\nUTF-8 6\n")] {
                drop(end);
                assert!(running.wait().success());
                let text = machine.log.text(libos::Stream::Output, Some(running.child.pid()));
                assert_eq!(text, expected);
            }
            // SAFETY: asks only.
            let now = unsafe { CStr::from_ptr(libc::setlocale(libc::LC_ALL, std::ptr::null())) };
            assert_eq!((now, codeset().as_str()), (host, seen));
        }
    });
}

#[test]
fn locales_that_are_not_freed_are_given_back() {
    in_own_process("locales::locales_that_are_not_freed_are_given_back", || {
        let machine = Machine::new();
        let round = || machine.run("locales", &["litter"]).ok();
        (0..10).for_each(|_| drop(round()));
        let before = Counts::now();
        (0..300).for_each(|_| drop(round()));
        Counts::now().assert_not_grown(&before, 2 << 20);
    });
}

#[test]
fn time() {
    assert_eq!(Machine::new().run("locales", &["time"]), native("locales", &["time"], &[]));
}

#[test]
fn users() {
    assert_eq!(Machine::new().run("locales", &["users"]).ok(), "tester\n");
}
