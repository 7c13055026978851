//! The host process of a test: one of its own where the test needs it, and what can be counted in it.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::machine::PATIENCE;

/// Tells a test that it runs in a process of its own.
const MARK: &str = "LIBOS_TEST_OWN_PROCESS";

/// Runs the body of the test `name` (its path in the test program) in a process of its own: `body` runs there, and the test
/// passes if it does.
///
/// # Panics
/// Panics if it does not.
#[track_caller]
pub fn in_own_process(name: &str, body: impl FnOnce()) {
    if std::env::var_os(MARK).is_some() {
        body();
        return;
    }
    let output = own_process(name, |_| {});
    assert_passed(&output);
}

/// As [`in_own_process`], with a look at how the process ended, and at the command before it starts.
#[track_caller]
pub fn in_prepared_process(
    name: &str,
    prepare: impl FnOnce(&mut Command),
    body: impl FnOnce(),
    judge: impl FnOnce(ExitStatus, &str),
) {
    if std::env::var_os(MARK).is_some() {
        body();
        return;
    }
    let output = own_process(name, prepare);
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    judge(output.status, &text);
}

#[track_caller]
fn assert_passed(output: &Output) {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let passed = output.status.success() && text(&output.stdout).contains("1 passed");
    assert!(passed, "{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr));
}

fn own_process(name: &str, prepare: impl FnOnce(&mut Command)) -> Output {
    let mut command = Command::new(std::env::current_exe().expect("the test program"));
    command.args([name, "--exact", "--nocapture", "--include-ignored", "--test-threads=1"]).env(MARK, "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A test that dies has no use for a core file.
    // SAFETY: only system calls between fork and exec.
    unsafe {
        command.pre_exec(|| {
            let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            libc::setrlimit(libc::RLIMIT_CORE, &none);
            Ok(())
        });
    }
    prepare(&mut command);
    let child = command.spawn().expect("the test program starts");
    let pid = child.id() as i32;
    let (done, waiting) = mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        if waiting.recv_timeout(PATIENCE * 2) == Err(mpsc::RecvTimeoutError::Timeout) {
            // SAFETY: a child that nobody has waited for yet.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
    });
    let output = child.wait_with_output().expect("the test program ends");
    drop(done);
    watch.join().expect("the watch ends");
    output
}

/// Ends the test program: something that does not come back cannot be reported otherwise.
pub(crate) fn hangs(what: &str) -> ! {
    eprintln!("hangs: {what}");
    std::process::abort()
}

/// Ends the test program unless dropped in time.
pub fn no_longer_than(time: Duration, what: &str) -> impl Drop {
    struct Guard(Arc<AtomicBool>, Option<std::thread::JoinHandle<()>>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
            if let Some(thread) = self.1.take() {
                thread.thread().unpark();
                let _ = thread.join();
            }
        }
    }
    let (done, what) = (Arc::new(AtomicBool::new(false)), what.to_owned());
    let seen = done.clone();
    let thread = std::thread::spawn(move || {
        let end = std::time::Instant::now() + time;
        while !seen.load(Ordering::SeqCst) {
            let left = end.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                hangs(&what);
            }
            std::thread::park_timeout(left);
        }
    });
    Guard(done, Some(thread))
}

/// What this process has of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Threads.
    pub threads: usize,
    /// Open descriptors.
    pub descriptors: usize,
    /// Mappings.
    pub mappings: usize,
    /// Resident memory, in bytes.
    pub resident: usize,
}

impl Counts {
    /// Counts now.
    pub fn now() -> Counts {
        let entries = |path: &str| std::fs::read_dir(path).expect("/proc is mounted").count();
        let text = |path: &str| std::fs::read_to_string(path).expect("/proc is mounted");
        let pages = text("/proc/self/statm").split_whitespace().nth(1).and_then(|n| n.parse::<usize>().ok());
        Counts {
            threads: entries("/proc/self/task"),
            descriptors: entries("/proc/self/fd"),
            mappings: text("/proc/self/maps").lines().count(),
            resident: pages.expect("a number of pages") * 4096,
        }
    }

    /// Asserts that nothing has grown since `before` beyond noise: some mappings that the allocator made, or that a system keeps
    /// for its next processes (4 MiB), and `memory` bytes.
    ///
    /// # Panics
    /// Panics if it has.
    #[track_caller]
    pub fn assert_not_grown(&self, before: &Counts, memory: usize) {
        assert_eq!((self.threads, self.descriptors), (before.threads, before.descriptors), "{self:?} {before:?}");
        assert!(self.mappings <= before.mappings + 80, "{self:?} {before:?}");
        assert!(self.resident <= before.resident + memory, "{self:?} {before:?}");
    }
}
