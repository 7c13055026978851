//! What the tests share: databases that go away, processes of their own, and a guard against hangs.

use libpglite::{Builder, Database};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// No test takes this long, unless it hangs; a new cluster waits for a busy disk.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

static RUNNING: Mutex<Option<HashMap<usize, (String, Instant)>>> = Mutex::new(None);

/// Ends the whole run when it lives for longer than [`LIMIT`].
pub(crate) struct Guard(usize);

pub(crate) fn guard() -> Guard {
    static WATCHER: Once = Once::new();
    WATCHER.call_once(|| {
        std::thread::spawn(|| {
            loop {
                std::thread::sleep(Duration::from_secs(1));
                let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
                for (name, since) in running.iter().flat_map(HashMap::values) {
                    if since.elapsed() > LIMIT {
                        // Not `eprintln`, which the test harness would catch.
                        let _ = writeln!(std::io::stderr(), "the test {name} hangs\n{}", threads());
                        std::process::abort();
                    }
                }
            }
        });
    });
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let running = running.get_or_insert_default();
    let id = (0..).find(|id| !running.contains_key(id)).unwrap();
    running.insert(id, (std::thread::current().name().unwrap_or("?").to_owned(), Instant::now()));
    Guard(id)
}

/// The threads of this process, and what each waits for.
fn threads() -> String {
    let mut all = String::new();
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let read = |name: &str| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
        all += &format!("{} {}: {}\n", task.file_name().display(), read("comm").trim(), read("wchan").trim());
    }
    all
}

impl Drop for Guard {
    fn drop(&mut self) {
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).as_mut().unwrap().remove(&self.0);
    }
}

/// Lines of the server's log, shown where the test fails.
#[derive(Clone, Default)]
pub(crate) struct LogLines(Arc<Mutex<Vec<String>>>);

impl LogLines {
    pub(crate) fn attach(&self, builder: Builder) -> Builder {
        let lines = self.0.clone();
        builder.log(move |m| lines.lock().unwrap().push(format!("[{}] {}", m.pid, m.text)))
    }

    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().join("\n")
    }
}

/// An open database that tells its log when the test fails.
pub(crate) struct Fixture {
    db: Option<Database>,
    pub(crate) log: LogLines,
    _directory: Option<TempDir>,
    _guard: Guard,
}

impl Fixture {
    pub(crate) fn close(mut self) {
        self.db.take().unwrap().close().unwrap();
    }
}

impl Deref for Fixture {
    type Target = Database;

    fn deref(&self) -> &Database {
        self.db.as_ref().unwrap()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log.text());
        }
    }
}

pub(crate) fn memory() -> Fixture {
    memory_with(|b| b)
}

pub(crate) fn memory_with(configure: impl FnOnce(Builder) -> Builder) -> Fixture {
    open(configure(Database::builder(":memory:")), None)
}

/// A database in a directory of its own.
pub(crate) fn directory_with(configure: impl FnOnce(Builder) -> Builder) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    open(configure(Database::builder(directory.path().join("data"))), Some(directory))
}

fn open(builder: Builder, directory: Option<TempDir>) -> Fixture {
    let guard = guard();
    let log = LogLines::default();
    let db = log.attach(builder).open().unwrap();
    Fixture { db: Some(db), log, _directory: directory, _guard: guard }
}

const ROLE: &str = "LIBPGLITE_TEST_ROLE";

/// What a process that a test started is to do.
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// A command that runs the test `name` of this program in a process of its own, with this role.
pub(crate) fn this_program(name: &str, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]).env(ROLE, role);
    command
}

/// Runs a test in a process of its own. The closure is written in the test itself, for its name says which test that is.
pub(crate) fn isolated<F: FnOnce()>(test: F) {
    if role().is_some() {
        test();
        return;
    }
    let name = std::any::type_name::<F>().trim_end_matches("::{{closure}}");
    let (_, name) = name.split_once("::").unwrap();
    let (status, output) = finish(this_program(name, "isolated"));
    assert!(status.success() && output.contains("1 passed"), "{name}, in a process of its own: {status}\n{output}");
}

/// Runs a command to its end; its status, and all that it wrote.
pub(crate) fn finish(mut command: Command) -> (ExitStatus, String) {
    let (mut read, write) = std::io::pipe().unwrap();
    let mut child = command.stdin(Stdio::null()).stdout(write.try_clone().unwrap()).stderr(write).spawn().unwrap();
    // It holds the writing ends.
    drop(command);
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = read.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let status = wait(&mut child);
    (status, reader.join().unwrap())
}

/// Waits for a process; one that hangs is killed.
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if begin.elapsed() > LIMIT {
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A process that is killed when the test is through with it.
pub(crate) struct Killed(pub(crate) Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until `condition` holds.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < LIMIT, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The SQLSTATE of a statement that must fail.
pub(crate) fn sqlstate<T>(result: Result<T, libpglite::postgres::Error>) -> String {
    let error = result.err().expect("this statement must fail");
    error.code().unwrap_or_else(|| panic!("not the server's error: {error}")).code().to_owned()
}

/// The message of a statement that must fail.
pub(crate) fn message<T>(result: Result<T, libpglite::postgres::Error>) -> String {
    let error = result.err().expect("this statement must fail");
    error.as_db_error().unwrap_or_else(|| panic!("not the server's error: {error}")).message().to_owned()
}

/// A runtime for the asynchronous interface.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// All files and directories below a path, with their contents.
pub(crate) fn contents(path: &std::path::Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut all = Vec::new();
    let mut left = vec![path.to_owned()];
    while let Some(path) = left.pop() {
        for entry in std::fs::read_dir(&path).unwrap() {
            let entry = entry.unwrap().path();
            if entry.is_dir() {
                left.push(entry.clone());
            }
            all.push((entry.clone(), std::fs::read(&entry).ok()));
        }
    }
    all.sort();
    all
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
