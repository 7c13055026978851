//! The program does not notice: signals, working directory, umask, environment, locale and descriptors are its own.

use crate::support::isolated;
use libpglite::{Builder, Database};
use std::collections::BTreeMap;
use std::ffi::{CStr, OsString};
use std::fs::File;
use std::mem::zeroed;
use std::os::fd::IntoRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What belongs to the program.
#[derive(Debug, PartialEq)]
struct State {
    /// Handler and flags by signal, without the faults and the reserved real-time signal.
    signals: BTreeMap<i32, (usize, i32)>,
    mask: Vec<i32>,
    directory: PathBuf,
    umask: u32,
    environment: Vec<(OsString, OsString)>,
    locale: String,
    descriptors: [Option<(u64, u64, i32)>; 3],
    limits: Vec<(u64, u64)>,
}

const FAULTS: [i32; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL];

fn disposition(signal: i32) -> Option<(usize, i32)> {
    // SAFETY: a query into a structure of that type.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        let result = libc::sigaction(signal, null(), &mut action);
        // The C library sets this flag by itself.
        const RESTORER: i32 = 0x0400_0000;
        (result == 0).then_some((action.sa_sigaction, action.sa_flags & !RESTORER))
    }
}

fn descriptor(fd: i32) -> Option<(u64, u64, i32)> {
    // SAFETY: queries into a structure of that type.
    unsafe {
        let mut stat: libc::stat = zeroed();
        let result = libc::fstat(fd, &mut stat);
        (result == 0).then(|| (stat.st_dev, stat.st_ino, libc::fcntl(fd, libc::F_GETFL)))
    }
}

fn mask() -> Vec<i32> {
    // SAFETY: a query into a set.
    unsafe {
        let mut set: libc::sigset_t = zeroed();
        libc::pthread_sigmask(libc::SIG_BLOCK, null(), &mut set);
        (1..65).filter(|signal| libc::sigismember(&set, *signal) == 1).collect()
    }
}

fn locale() -> String {
    // SAFETY: a query; no other thread changes the locale.
    unsafe { CStr::from_ptr(libc::setlocale(libc::LC_ALL, null())).to_str().unwrap().to_owned() }
}

fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap();
    u32::from_str_radix(line.trim(), 8).unwrap()
}

fn state() -> State {
    let limit = |which| {
        // SAFETY: a query into a structure of that type.
        unsafe {
            let mut limit: libc::rlimit = zeroed();
            libc::getrlimit(which, &mut limit);
            (limit.rlim_cur, limit.rlim_max)
        }
    };
    State {
        signals: (1..65).filter(|s| !FAULTS.contains(s)).filter_map(|s| Some((s, disposition(s)?))).collect(),
        mask: mask(),
        directory: std::env::current_dir().unwrap(),
        umask: umask(),
        environment: std::env::vars_os().collect(),
        locale: locale(),
        descriptors: [0, 1, 2].map(descriptor),
        limits: vec![limit(libc::RLIMIT_NOFILE), limit(libc::RLIMIT_STACK), limit(libc::RLIMIT_CORE)],
    }
}

/// The state must be as it was, but for the two real-time signals.
fn same(before: &State, when: &str) {
    let mut now = state();
    let changed: Vec<i32> = before.signals.keys().copied().filter(|s| before.signals[s] != now.signals[s]).collect();
    assert!(changed.len() <= 2, "{when}: dispositions of {changed:?} changed");
    for signal in changed {
        assert!(signal >= libc::SIGRTMIN(), "{when}: disposition of {signal} changed");
        now.signals.insert(signal, before.signals[&signal]);
    }
    assert_eq!(*before, now, "{when}");
}

static CAUGHT: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: i32) {
    CAUGHT.fetch_add(1, Ordering::SeqCst);
}

fn handle(signal: i32) {
    // SAFETY: the handler only counts.
    unsafe { libc::signal(signal, count as *const () as usize) };
}

fn memory() -> Builder {
    Database::builder(":memory:").no_log()
}

/// What makes all kinds of processes run, fail and end.
fn use_it(db: &Database) {
    let mut client = db.connect().unwrap();
    client.batch_execute("SET statement_timeout = 10").unwrap();
    assert!(client.batch_execute("SELECT pg_sleep(60)").is_err());
    client.batch_execute("RESET ALL; CREATE TABLE t AS SELECT generate_series(1, 10000) AS a; CHECKPOINT").unwrap();
    client.batch_execute("SET datestyle = 'German'; SET lc_monetary = 'C'; SET timezone = 'Asia/Tokyo'").unwrap();
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    db.connect().unwrap().query("SELECT pg_terminate_backend($1, 10000)", &[&pid]).unwrap();
}

#[test]
fn nothing_of_the_program_changes() {
    isolated(|| {
        let folder = tempfile::tempdir().unwrap();
        std::env::set_current_dir(folder.path()).unwrap();
        for signal in [libc::SIGCHLD, libc::SIGUSR1, libc::SIGALRM, libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            handle(signal);
        }
        // SAFETY: no other thread of this process looks at umask, locale or environment now.
        unsafe {
            libc::umask(0o027);
            libc::setlocale(libc::LC_ALL, c"C.UTF-8".as_ptr());
            let mut set: libc::sigset_t = zeroed();
            libc::sigemptyset(&mut set);
            libc::sigaddset(&mut set, libc::SIGUSR2);
            libc::pthread_sigmask(libc::SIG_BLOCK, &set, null_mut());
            for (name, value) in [
                ("PGDATA", "/none"),
                ("PGPORT", "1"),
                ("PGHOST", "/none"),
                ("PGUSER", "none"),
                ("PGDATABASE", "none"),
                ("PGOPTIONS", "-c nonsense=1"),
                ("TZ", "Asia/Tokyo"),
                ("LC_ALL", "xx_XX"),
            ] {
                std::env::set_var(name, value);
            }
        }
        let before = state();
        let faults = FAULTS.map(disposition);

        for source in ["data", ":memory:", "data"] {
            let db = Database::builder(source).no_log().open().unwrap();
            same(&before, "open");
            use_it(&db);
            same(&before, "used");
            db.close().unwrap();
            same(&before, "closed");
            assert_eq!(FAULTS.map(disposition), faults);
            if source == "data" {
                // Not by the umask of the program.
                let mode = std::fs::metadata("data/PG_VERSION").unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o600);
                std::fs::remove_dir_all("data").unwrap();
            }
        }
        let db = memory().encoding("LATIN1").locale("C").open().unwrap();
        same(&before, "initdb");
        db.close().unwrap();
        let mut session = memory().open_standalone().unwrap();
        same(&before, "standalone");
        session.simple_query("SELECT 1/0").unwrap();
        session.simple_query("SET statement_timeout = 10; SELECT pg_sleep(60)").unwrap();
        same(&before, "standalone, used");
        session.close().unwrap();
        same(&before, "standalone, closed");
        assert_eq!(FAULTS.map(disposition), faults);
        assert_eq!(CAUGHT.load(Ordering::SeqCst), 0, "no signal of ours came to the program");
    });
}

#[test]
fn the_programs_own_signals_are_its_own() {
    isolated(|| {
        let signals =
            [libc::SIGUSR1, libc::SIGTERM, libc::SIGINT, libc::SIGCHLD, libc::SIGHUP, libc::SIGALRM, libc::SIGURG];
        signals.into_iter().for_each(handle);
        let db = memory().open().unwrap();
        let mut client = db.connect().unwrap();
        for i in 0..50 {
            for signal in signals {
                // SAFETY: to this process, which handles it.
                unsafe { libc::kill(libc::getpid(), signal) };
            }
            assert_eq!(client.query_one("SELECT $1::int", &[&i]).unwrap().get::<_, i32>(0), i);
        }
        assert!(CAUGHT.load(Ordering::SeqCst) >= signals.len());
        // Its children are its own, too.
        let mut child = std::process::Command::new("true").spawn().unwrap();
        assert!(child.wait().unwrap().success());
        assert!(!db.has_ended());
        db.close().unwrap();
    });
}

#[test]
fn the_program_may_change_what_is_its_own() {
    isolated(|| {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::env::set_current_dir(folder.path()).unwrap();
        let db = Database::builder("data").no_log().open().unwrap();
        let mut client = db.connect().unwrap();
        std::env::set_current_dir(elsewhere.path()).unwrap();
        // SAFETY: no other thread of ours looks at them now; the server has its own.
        unsafe {
            libc::umask(0);
            libc::setlocale(libc::LC_ALL, c"C.UTF-8".as_ptr());
            std::env::set_var("TZ", "Asia/Tokyo");
        }
        client.batch_execute("CREATE TABLE t AS SELECT 1.5 AS a; CHECKPOINT").unwrap();
        client.batch_execute("CREATE DATABASE app").unwrap();
        db.connect().unwrap().query("SELECT * FROM t", &[]).unwrap();
        let path: String = client.query_one("SELECT pg_relation_filepath('t')", &[]).unwrap().get(0);
        let mode = std::fs::metadata(folder.path().join("data").join(path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        db.close().unwrap();
        assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    });
}

#[test]
fn standard_descriptors_of_any_kind() {
    isolated(|| {
        let folder = tempfile::tempdir().unwrap();
        let (read, write) = std::io::pipe().unwrap();
        let null = || File::options().read(true).write(true).open("/dev/null").unwrap().into_raw_fd();
        let file = || File::create(folder.path().join("file")).unwrap().into_raw_fd();
        let kinds: [[Option<i32>; 3]; 4] = [
            [None, None, None],
            [Some(null()), Some(file()), Some(file())],
            [Some(read.into_raw_fd()), Some(write.into_raw_fd()), Some(null())],
            [None, Some(file()), None],
        ];
        // SAFETY: the program's own descriptors, moved away and back.
        let kept = [0, 1, 2].map(|fd| unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 100) });
        let result = std::panic::catch_unwind(|| {
            for kind in kinds {
                for (fd, from) in (0..).zip(kind) {
                    // SAFETY: nothing but the test harness uses them, after this.
                    unsafe { from.map_or_else(|| libc::close(fd), |from| libc::dup2(from, fd)) };
                }
                let before = state();
                let db = memory().open().unwrap();
                same(&before, "open");
                use_it(&db);
                same(&before, "used");
                db.close().unwrap();
                let mut session = memory().open_standalone().unwrap();
                session.simple_query("SELECT 1").unwrap();
                same(&before, "standalone");
                session.close().unwrap();
                same(&before, "closed");
            }
        });
        for (fd, kept) in (0..).zip(kept) {
            // SAFETY: as above.
            unsafe { libc::dup2(kept, fd) };
        }
        assert_eq!(std::fs::metadata(folder.path().join("file")).unwrap().len(), 0, "nothing was written there");
        // What a panic said there, nobody could read.
        if let Err(panic) = result {
            panic!("{}", panic.downcast_ref::<String>().map_or("no message", String::as_str));
        }
    });
}
