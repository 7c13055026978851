//! A system for one test, and what its processes wrote.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use libos::{Builder, Child, Hooks, Policy, Spawn, Status, Stdio, Stream, System};
use vfs::{Access, Content, HostFs, Identity, MemoryFs, Namespace};

use crate::{host, programs};

/// How long anything may take before the test says that it hangs. Nothing waits this long when all is well.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// How a process ended, and what it and its children wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// What was written to stdout.
    pub out: String,
    /// What was written to stderr.
    pub err: String,
}

impl Outcome {
    /// The output of a process that ended with `exit(0)`.
    ///
    /// # Panics
    /// Panics if it ended otherwise.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.status, Status::Exited(0), "stdout: {}\nstderr: {}", self.out, self.err);
        self.out
    }
}

/// What a system told its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A process wrote to a standard stream.
    Output(i32, Stream, String),
    /// A program called `libos_notify`.
    Notified(i32, String, String),
    /// A process died of this signal at this address.
    Fault(i32, i32, usize),
}

#[derive(Default)]
struct Log {
    events: Mutex<Vec<Event>>,
    grown: Condvar,
}

/// Hooks that keep all that they are told.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Log>);

impl Recorder {
    fn lock(&self) -> MutexGuard<'_, Vec<Event>> {
        self.0.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, event: Event) {
        self.lock().push(event);
        self.0.grown.notify_all();
    }

    /// All events so far.
    pub fn events(&self) -> Vec<Event> {
        self.lock().clone()
    }

    /// What was written to a stream, by all processes or by one.
    pub fn text(&self, stream: Stream, pid: Option<i32>) -> String {
        let written = self.events().into_iter().filter_map(|event| match event {
            Event::Output(by, to, text) if to == stream && pid.is_none_or(|pid| pid == by) => Some(text),
            _ => None,
        });
        written.collect()
    }

    /// Waits until `pid` has written `text` to stdout.
    ///
    /// # Panics
    /// Panics if that does not happen.
    #[track_caller]
    pub fn wait_for(&self, pid: i32, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.text(Stream::Output, Some(pid)).contains(text) {
            assert!(Instant::now() < deadline, "no {text:?} from {pid}: {:?}", self.events());
            drop(self.0.grown.wait_timeout(self.lock(), Duration::from_millis(50)));
        }
    }
}

impl Hooks for Recorder {
    fn output(&self, pid: i32, stream: Stream, bytes: &[u8]) {
        self.push(Event::Output(pid, stream, String::from_utf8_lossy(bytes).into_owned()));
    }

    fn event(&self, pid: i32, name: &str, value: &str) {
        self.push(Event::Notified(pid, name.into(), value.into()));
    }

    fn fault(&self, pid: i32, signal: i32, address: usize) {
        self.push(Event::Fault(pid, signal, address));
    }
}

/// What a test's system has beside the programs in `/bin` and memory in `/tmp`.
#[derive(Default)]
pub struct Options<'a> {
    /// What processes may do outside.
    pub policy: Policy,
    /// Directories of the host, shown at their own place.
    pub host: &'a [&'a Path],
    /// The same, for reading only.
    pub read_only: &'a [&'a Path],
    /// Commands whose output `popen` knows.
    pub answers: &'a [(&'a str, &'a str)],
    /// Whether processes may fork.
    pub forks: bool,
}

/// A system with all test programs. Dropping it shuts it down.
pub struct Machine {
    /// The system.
    pub system: Arc<System>,
    /// What its processes wrote and did.
    pub log: Recorder,
}

impl Machine {
    /// A system in which nothing is allowed.
    pub fn new() -> Machine {
        Machine::with(&Options::default())
    }

    /// A system as the test wants it.
    pub fn with(options: &Options<'_>) -> Machine {
        let log = Recorder::default();
        Machine { system: build(options, log.clone()), log }
    }

    /// Starts `/bin/NAME` with its output to the log.
    #[track_caller]
    pub fn start(&self, name: &str, arguments: &[&str]) -> Running {
        self.start_spawn(spawn(name, arguments))
    }

    /// Starts a process.
    #[track_caller]
    pub fn start_spawn(&self, spawn: Spawn) -> Running {
        let child = self.system.spawn(spawn).expect("the process starts");
        Running { child, log: self.log.clone() }
    }

    /// Runs `/bin/NAME` to its end. What its children wrote meanwhile counts as its output.
    #[track_caller]
    pub fn run(&self, name: &str, arguments: &[&str]) -> Outcome {
        self.run_spawn(spawn(name, arguments))
    }

    /// As `run`, with some environment.
    #[track_caller]
    pub fn run_with(&self, name: &str, arguments: &[&str], environment: &[&str]) -> Outcome {
        let mut spawn = spawn(name, arguments);
        spawn.environment.extend(environment.iter().map(|entry| (*entry).to_owned()));
        self.run_spawn(spawn)
    }

    /// Runs a process to its end.
    #[track_caller]
    pub fn run_spawn(&self, spawn: Spawn) -> Outcome {
        let before = self.log.events().len();
        let status = self.start_spawn(spawn).wait();
        let text = |stream: Stream| {
            let written = self.log.events().split_off(before).into_iter().filter_map(|event| match event {
                Event::Output(_, to, text) if to == stream => Some(text),
                _ => None,
            });
            written.collect()
        };
        Outcome { status, out: text(Stream::Output), err: text(Stream::Error) }
    }
}

impl Default for Machine {
    fn default() -> Self {
        Machine::new()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _guard = host::no_longer_than(PATIENCE, "a system's shutdown");
        self.system.shutdown();
    }
}

/// A system with all test programs, which tells `hooks`.
pub fn build(options: &Options<'_>, hooks: impl Hooks + 'static) -> Arc<System> {
    // SAFETY: system calls without preconditions.
    let ids = unsafe { (libc::geteuid(), libc::getegid()) };
    // Under root, programs see an ordinary user.
    let identity = if ids.0 == 0 { Identity::new(1000, 1000) } else { Identity::new(ids.0, ids.1) };
    let namespace = Namespace::new(identity);
    let bin = MemoryFs::new(None);
    for (name, _) in programs::all() {
        bin.insert_file(name.as_bytes(), 0o755, Content::Bytes((&b"x"[..]).into())).expect("a file");
    }
    namespace.mount(b"/bin", bin, Access::ReadOnly).expect("a mount");
    namespace.mount(b"/tmp", MemoryFs::new(None), Access::ReadWrite).expect("a mount");
    let host = options.host.iter().map(|path| (path, Access::ReadWrite));
    for (path, access) in host.chain(options.read_only.iter().map(|path| (path, Access::ReadOnly))) {
        let fs = HostFs::open(path).expect("a directory");
        namespace.mount(path.as_os_str().as_encoded_bytes(), fs, access).expect("a mount");
    }
    namespace.grant(b"/dev/null", Access::ReadWrite).expect("a grant");
    let mut builder =
        Builder::new(namespace).policy(options.policy).forks(options.forks).module_directory("/modules").user("tester");
    for (name, program) in programs::all() {
        builder = builder.program(&format!("/bin/{name}"), program);
    }
    for (command, output) in options.answers {
        builder = builder.answer(command, output);
    }
    builder.build(hooks).expect("a system")
}

/// What `/bin/NAME` is started with: its output goes to the log.
pub fn spawn(name: &str, arguments: &[&str]) -> Spawn {
    let program = format!("/bin/{name}");
    let arguments = std::iter::once(program.as_str()).chain(arguments.iter().copied()).map(str::to_owned).collect();
    Spawn {
        program,
        arguments,
        environment: vec!["BIN=/bin".into()],
        directory: "/tmp".into(),
        stdio: [Stdio::Null, Stdio::Log, Stdio::Log],
        umask: 0o077,
        pid: None,
    }
}

/// A process that was started.
pub struct Running {
    /// The process.
    pub child: Child,
    log: Recorder,
}

impl Running {
    /// Waits until it has written `text` to stdout.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        self.log.wait_for(self.child.pid(), text);
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// Panics if it does not end.
    #[track_caller]
    pub fn wait(&self) -> Status {
        match self.child.wait_until(Some(Instant::now() + PATIENCE)) {
            Some(status) => status,
            None => host::hangs(&format!("process {}: {:?}", self.child.pid(), self.log.events())),
        }
    }

    /// Sends a signal.
    #[track_caller]
    pub fn kill(&self, signal: i32) {
        self.child.kill(signal).expect("the process lives");
    }
}
