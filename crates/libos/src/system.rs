//! A system: one virtual machine with its own processes, files, shared memory and policy.

use crate::crowd::Crowd;
use crate::durability::Durability;
use crate::fd::{FdTable, Object};
use crate::fork;
use crate::forked::Home;
use crate::image::Program;
use crate::process::{Birth, Process, STACK_RESERVE, STACK_SIZE, Status, thread_main};
use crate::recycle::Recycled;
use crate::shell;
use crate::shm::Segments;
use crate::signal::{self, Signals};
use crate::socket::Sockets;
use rustix::io::Errno;
use std::collections::{BTreeMap, HashMap};
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Which standard stream a process wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Descriptor 1.
    Output,
    /// Descriptor 2.
    Error,
}

/// What a system tells its owner. Called on processes' threads: be quick, never call back into the system.
pub trait Hooks: Send + Sync {
    /// A process wrote `bytes` to a standard stream that is a log ([`Stdio::Log`]).
    fn output(&self, pid: i32, stream: Stream, bytes: &[u8]);
    /// A program's glue reported an event (`libos_notify`).
    fn event(&self, pid: i32, name: &str, value: &str) {
        let _ = (pid, name, value);
    }
    /// A process died of a synchronous fault.
    fn fault(&self, pid: i32, signal: i32, address: usize) {
        let _ = (pid, signal, address);
    }
}

/// What processes may do outside the system. All is denied by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Internet sockets.
    pub network: bool,
    /// Programs of the host, through `popen` and `system`.
    pub programs: bool,
}

/// A standard stream of a new process.
#[derive(Debug)]
pub enum Stdio {
    /// Reads end, writes vanish.
    Null,
    /// Writes go to [`Hooks::output`].
    Log,
    /// A descriptor, which the process owns from now on.
    Fd(OwnedFd),
}

/// What a process is started with.
#[derive(Debug)]
pub struct Spawn {
    /// Virtual path of the program.
    pub program: String,
    /// `argv`, with `argv[0]`.
    pub arguments: Vec<String>,
    /// `NAME=value` strings.
    pub environment: Vec<String>,
    /// Virtual working directory.
    pub directory: String,
    /// Descriptors 0, 1 and 2.
    pub stdio: [Stdio; 3],
    /// Permission bits that what it creates does not get.
    pub umask: u32,
    /// The process id; the next free one where it is `None`.
    pub pid: Option<i32>,
}

/// Builds a [`System`].
pub struct Builder {
    namespace: vfs::Namespace,
    policy: Policy,
    programs: HashMap<Vec<u8>, Program>,
    module_directory: Vec<u8>,
    user: String,
    answers: HashMap<String, String>,
    forks: bool,
}

impl Builder {
    /// Programs see `namespace`.
    pub fn new(namespace: vfs::Namespace) -> Builder {
        Builder {
            namespace,
            policy: Policy::default(),
            programs: HashMap::new(),
            module_directory: Vec::new(),
            user: "user".into(),
            answers: HashMap::new(),
            forks: false,
        }
    }

    /// Sets what processes may do outside.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Builder {
        self.policy = policy;
        self
    }

    /// Makes `program` what runs at the virtual path `path`. A file must be there as well, for those who look.
    #[must_use]
    pub fn program(mut self, path: &str, program: Program) -> Builder {
        self.programs.insert(path.as_bytes().to_vec(), program);
        self
    }

    /// The virtual directory where programs find their built-in modules, `NAME.so`.
    #[must_use]
    pub fn module_directory(mut self, path: &str) -> Builder {
        self.module_directory = path.as_bytes().to_vec();
        self
    }

    /// What a process reads when it opens a pipe from `command`, instead of running anything.
    #[must_use]
    pub fn answer(mut self, command: &str, output: &str) -> Builder {
        self.answers.insert(command.into(), output.into());
        self
    }

    /// Lets processes `fork`: the child is another process of the host, with a copy of all of its memory. For systems with few
    /// processes in hosts that do not mind.
    #[must_use]
    pub fn forks(mut self, allowed: bool) -> Builder {
        self.forks = allowed;
        self
    }

    /// Name of the user that all processes run as.
    #[must_use]
    pub fn user(mut self, name: &str) -> Builder {
        self.user = name.into();
        self
    }

    /// Makes the system.
    ///
    /// # Errors
    /// When the host has no real-time signal left for us.
    pub fn build(self, hooks: impl Hooks + 'static) -> std::io::Result<Arc<System>> {
        signal::install()?;
        signal::acquire_faults();
        Ok(Arc::new_cyclic(|this| System {
            this: this.clone(),
            home: Home::here(),
            forks: self.forks,
            door: OnceLock::new(),
            namespace: self.namespace,
            policy: self.policy,
            programs: self.programs,
            module_directory: self.module_directory,
            user: self.user,
            answers: self.answers,
            hooks: Box::new(hooks),
            shm: Segments::default(),
            sockets: Sockets::default(),
            durability: Durability::default(),
            recycled: Arc::default(),
            crowd: Crowd::default(),
            table: Mutex::default(),
            changed: Condvar::new(),
        }))
    }
}

/// A virtual machine for privatized programs. Ends with [`System::shutdown`].
///
/// It belongs to the host process that made it. In a child of the host's `fork` its processes do not exist: what would use
/// it fails with `EOWNERDEAD`, its processes count as killed, and nothing blocks.
pub struct System {
    this: Weak<System>,
    home: Home,
    forks: bool,
    /// In a fork that is a process of this system: the way to its parent's listening sockets.
    door: OnceLock<OwnedFd>,
    pub(crate) namespace: vfs::Namespace,
    pub(crate) policy: Policy,
    programs: HashMap<Vec<u8>, Program>,
    pub(crate) module_directory: Vec<u8>,
    pub(crate) user: String,
    pub(crate) answers: HashMap<String, String>,
    pub(crate) hooks: Box<dyn Hooks>,
    pub(crate) shm: Segments,
    pub(crate) sockets: Sockets,
    pub(crate) durability: Durability,
    pub(crate) recycled: Arc<Recycled>,
    crowd: Crowd,
    table: Mutex<Table>,
    changed: Condvar,
}

#[derive(Default)]
struct Table {
    by_pid: BTreeMap<i32, Entry>,
    last_pid: i32,
    /// Threads of processes that nobody waits for.
    orphans: Vec<JoinHandle<()>>,
    closed: bool,
}

struct Entry {
    process: Arc<Process>,
    status: Option<Status>,
    thread: Option<JoinHandle<()>>,
    /// Whether a [`Child`] will ask for the status.
    awaited: bool,
}

/// Virtual pids of children begin here, far above the host's usual ones.
const FIRST_PID: i32 = 0x0100_0000;

impl Table {
    fn next_pid(&mut self) -> i32 {
        loop {
            self.last_pid =
                if self.last_pid < FIRST_PID || self.last_pid == i32::MAX { FIRST_PID } else { self.last_pid + 1 };
            if !self.by_pid.contains_key(&self.last_pid) {
                return self.last_pid;
            }
        }
    }

    /// Keeps a process's thread for whoever waits for the process, which may have ended already.
    fn keep(&mut self, pid: i32, thread: JoinHandle<()>) {
        match self.by_pid.get_mut(&pid) {
            Some(entry) => entry.thread = Some(thread),
            None => self.orphans.push(thread),
        }
    }

    fn remove(&mut self, pid: i32) -> Option<JoinHandle<()>> {
        self.by_pid.remove(&pid).and_then(|e| e.thread)
    }

    /// A child of `parent` among those that `pid` stands for, if one has ended; `ECHILD` where there is none at all.
    fn find_child(&self, parent: &Process, pid: i32) -> Result<Option<(i32, Status)>, Errno> {
        let own_group = parent.group.load(Ordering::SeqCst);
        let mut children = self.by_pid.iter().filter(|(id, entry)| {
            let group = entry.process.group.load(Ordering::SeqCst);
            let wanted = match pid {
                -1 => true,
                0 => group == own_group,
                pid if pid < 0 => group == -pid,
                pid => pid == **id,
            };
            wanted && entry.process.parent.load(Ordering::SeqCst) == parent.pid
        });
        let mut none = true;
        let ended = children.find_map(|(id, entry)| {
            none = false;
            entry.status.map(|status| (*id, status))
        });
        if none { Err(Errno::CHILD) } else { Ok(ended) }
    }
}

impl System {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn find_program(&self, path: &[u8]) -> Option<Program> {
        self.programs.get(path).copied()
    }

    /// The file tree that processes see.
    pub fn namespace(&self) -> &vfs::Namespace {
        &self.namespace
    }

    fn directory(&self, path: &[u8]) -> Result<vfs::Cwd, Errno> {
        let mut cwd = self.namespace.root();
        self.namespace.chdir(&mut cwd, path)?;
        Ok(cwd)
    }

    fn birth(&self, spawn: Spawn, pid: i32) -> Result<Birth, Errno> {
        let program = self.find_program(spawn.program.as_bytes()).ok_or(Errno::NOENT)?;
        let strings = |list: Vec<String>| {
            list.into_iter().map(|s| CString::new(s).map_err(|_| Errno::INVAL)).collect::<Result<Vec<_>, _>>()
        };
        let mut fds = FdTable::default();
        for (fd, stdio) in spawn.stdio.into_iter().enumerate() {
            let stream = if fd == 2 { Stream::Error } else { Stream::Output };
            fds.set_standard(fd, Object::from_stdio(stdio, stream)?);
        }
        Ok(Birth {
            pid,
            parent: 0,
            group: pid,
            session: pid,
            program,
            arguments: strings(spawn.arguments)?,
            environment: strings(spawn.environment)?,
            cwd: self.directory(spawn.directory.as_bytes())?,
            umask: spawn.umask & 0o777,
            fds,
            signals: Signals::inherit(None),
        })
    }

    /// Whether this is a child, by `fork`, of the host process that made the system.
    pub fn is_lost(&self) -> bool {
        self.home.is_elsewhere()
    }

    pub(crate) fn check_ours(&self) -> Result<(), Errno> {
        if self.is_lost() { Err(Errno::OWNERDEAD) } else { Ok(()) }
    }

    fn admit(&self, pid: Option<i32>) -> Result<i32, Errno> {
        self.check_ours()?;
        let mut table = self.table();
        if table.closed {
            return Err(Errno::SHUTDOWN);
        }
        match pid {
            Some(pid) if table.by_pid.contains_key(&pid) => Err(Errno::EXIST),
            Some(pid) => Ok(pid),
            None => Ok(table.next_pid()),
        }
    }

    /// Starts a process on a thread of its own.
    ///
    /// # Errors
    /// `ENOENT` where no program is at that path, `EINVAL` for a NUL in a string, `EEXIST` where the process id is taken,
    /// `EAGAIN` when the host gives no thread, `ESHUTDOWN` after [`System::shutdown`].
    pub fn spawn(&self, spawn: Spawn) -> Result<Child, Errno> {
        let pid = self.admit(spawn.pid)?;
        let birth = self.birth(spawn, pid)?;
        self.start(birth, true)?;
        Ok(Child { system: self.arc(), pid })
    }

    /// Makes a process that a coroutine runs.
    pub(crate) fn adopt(&self, spawn: Spawn) -> Result<Arc<Process>, Errno> {
        let pid = self.admit(spawn.pid)?;
        let process = Arc::new(Process::new(self.arc(), self.birth(spawn, pid)?));
        let entry = Entry { process: process.clone(), status: None, thread: None, awaited: true };
        self.table().by_pid.insert(pid, entry);
        Ok(process)
    }

    fn arc(&self) -> Arc<System> {
        self.this.upgrade().expect("a system that is in use")
    }

    /// Starts the thread of a new process.
    pub(crate) fn start(&self, birth: Birth, awaited: bool) -> Result<(), Errno> {
        let pid = birth.pid;
        let name = birth.program.name();
        let process = Arc::new(Process::new(self.arc(), birth));
        // The entry comes first: the process may end before `spawn` returns.
        let entry = Entry { process: process.clone(), status: None, thread: None, awaited };
        let mut table = self.table();
        table.by_pid.insert(pid, entry);
        self.crowd.came(table.by_pid.len());
        drop(table);
        let blocked = HostSignalsBlocked::new();
        let thread = std::thread::Builder::new()
            .name(format!("{name} {}", pid & 0xff_ffff))
            .stack_size(STACK_SIZE + STACK_RESERVE)
            .spawn(move || thread_main(process));
        drop(blocked);
        let mut table = self.table();
        // Threads that nobody waits for keep their stacks until somebody does.
        let finished: Vec<_> = table.orphans.extract_if(.., |thread| thread.is_finished()).collect();
        let result = match thread {
            Ok(thread) => {
                table.keep(pid, thread);
                Ok(())
            }
            Err(_) => {
                table.by_pid.remove(&pid);
                Err(Errno::AGAIN)
            }
        };
        drop(table);
        finished.into_iter().for_each(|thread| join(Some(thread)));
        result
    }

    /// The kernel's `fork`, called by the only thread of `p`: the child's pid, and 0 in the child.
    pub(crate) fn fork(&self, p: &'static Process) -> Result<i32, Errno> {
        // One generation is what anybody has asked for.
        if !self.forks || self.door.get().is_some() || p.local.vfork_child.get() != 0 || p.signals.timer.is_threadless()
        {
            return Err(Errno::NOSYS);
        }
        let (outer, inner) = fork::door()?;
        // What the child needs must not be in another thread's hands.
        let mut table = self.table();
        let thread = p.lock_thread();
        // SAFETY: the module `fork` tells what the child relies on.
        match unsafe { libc::fork() } {
            -1 => Err(Errno::from_raw_os_error(crate::current::errno())),
            0 => {
                self.home.moved_here();
                p.moved_to_fork(thread);
                // Threads that are not here cannot be joined.
                let mut others = std::mem::take(&mut table.by_pid);
                let own = others.remove(&p.pid);
                std::mem::forget((others, std::mem::take(&mut table.orphans)));
                table.by_pid.extend(own.map(|own| (p.pid, own)));
                drop((table, outer));
                let _ = self.door.set(inner);
                fork::forward_signals(p);
                Ok(0)
            }
            pid => {
                drop((table, thread, inner));
                self.watch(p, pid, outer)?;
                Ok(pid)
            }
        }
    }

    /// Enters a fork of the host process as a child of `parent`, and begins to wait for it.
    fn watch(&self, parent: &Process, pid: i32, door: OwnedFd) -> Result<(), Errno> {
        let process = Arc::new(Process::placeholder(self.arc(), parent, pid, true));
        let entry = Entry { process: process.clone(), status: None, thread: None, awaited: false };
        self.table().by_pid.insert(pid, entry);
        let blocked = HostSignalsBlocked::new();
        let watcher = std::thread::Builder::new().name(format!("fork {pid}")).spawn(move || {
            let system = process.system.clone();
            let status = fork::attend(&system, &door, pid);
            system.ended(&process, status);
        });
        drop(blocked);
        let mut table = self.table();
        match watcher {
            Ok(thread) => {
                table.keep(pid, thread);
                Ok(())
            }
            Err(_) => {
                table.by_pid.remove(&pid);
                fork::kill(pid, libc::SIGKILL);
                fork::wait(pid);
                Err(Errno::AGAIN)
            }
        }
    }

    /// The way to the listening sockets, where this is a fork.
    pub(crate) fn door(&self) -> Option<&OwnedFd> {
        self.door.get()
    }

    /// A pid for a child that is about to start.
    pub(crate) fn reserve_pid(&self) -> i32 {
        self.table().next_pid()
    }

    /// A child that ended before it began: `vfork`, then `_exit`.
    pub(crate) fn stillborn(&self, parent: &Process, pid: i32, status: Status) {
        let process = Arc::new(Process::placeholder(self.arc(), parent, pid, false));
        let entry = Entry { process, status: Some(status), thread: None, awaited: false };
        self.table().by_pid.insert(pid, entry);
        parent.post(libc::SIGCHLD);
    }

    /// A process has ended and is reclaimed: its status waits for the parent.
    pub(crate) fn ended(&self, p: &Process, status: Status) {
        if let Some((signal, address)) = p.signals.fault() {
            // The panic hook prints it; whoever waits for the process must hear of its end all the same.
            let _ = catch_unwind(AssertUnwindSafe(|| self.hooks.fault(p.pid, signal, address)));
        }
        let mut told = Vec::new();
        let mut table = self.table();
        let mut dead = Vec::new();
        for (pid, entry) in &table.by_pid {
            if entry.process.parent.load(Ordering::SeqCst) == p.pid && *pid != p.pid {
                entry.process.parent.store(0, Ordering::SeqCst);
                match entry.status {
                    Some(_) if !entry.awaited => dead.push(*pid),
                    Some(_) => {}
                    None => told.push((entry.process.clone(), entry.process.local.parent_death_signal.get())),
                }
            }
        }
        for pid in dead {
            let thread = table.remove(pid);
            table.orphans.extend(thread);
        }
        let parent = p.parent.load(Ordering::SeqCst);
        let parent = table.by_pid.get(&parent).filter(|e| e.status.is_none()).map(|e| e.process.clone());
        if let Some(entry) = table.by_pid.get_mut(&p.pid) {
            entry.status = Some(status);
            if parent.is_none() && !entry.awaited {
                let thread = table.remove(p.pid);
                table.orphans.extend(thread);
            }
        }
        told.extend(parent.map(|parent| (parent, libc::SIGCHLD)));
        self.changed.notify_all();
        drop(table);
        for (process, signal) in told.into_iter().filter(|(_, signal)| *signal != 0) {
            process.post(signal);
        }
    }

    /// Looks for a child of `parent` that ended (`waitpid`); `ECHILD` where it has none. Where none has ended yet, it waits a
    /// little, and no longer than until `parent` has a signal to handle.
    pub(crate) fn reap(&self, parent: &Process, pid: i32, wait: Duration) -> Result<Option<(i32, Status)>, Errno> {
        let mut table = self.table();
        let mut found = table.find_child(parent, pid)?;
        if found.is_none() && !wait.is_zero() {
            parent.waiting.store(true, Ordering::SeqCst);
            if parent.signals.deliverable() == 0 {
                table = self.changed.wait_timeout(table, wait).unwrap_or_else(PoisonError::into_inner).0;
            }
            parent.waiting.store(false, Ordering::SeqCst);
            found = table.find_child(parent, pid)?;
        }
        if let Some((id, _)) = found {
            let thread = table.remove(id);
            let left = table.by_pid.len();
            drop(table);
            join(thread);
            self.crowd.went(left);
        }
        Ok(found)
    }

    /// Wakes those who wait for a process to end: one of them has a signal.
    pub(crate) fn wake(&self) {
        self.changed.notify_all();
    }

    /// `kill`: `caller` is the sender's pid and group.
    pub(crate) fn kill(&self, caller: (i32, i32), pid: i32, signal: i32) -> Result<(), Errno> {
        if !(0..=signal::COUNT as i32).contains(&signal) {
            return Err(Errno::INVAL);
        }
        let group = match pid {
            0 => Some(caller.1),
            p if p < -1 => Some(-p),
            _ => None,
        };
        // Those that have ended and are not waited for yet can be sent signals, without effect.
        if pid > 0 {
            let target = match self.table().by_pid.get(&pid) {
                Some(entry) => entry.status.is_none().then(|| entry.process.clone()),
                None => return Err(Errno::SRCH),
            };
            if let Some(target) = target.filter(|_| signal != 0) {
                target.post(signal);
            }
            return Ok(());
        }
        let mut found = false;
        let targets: Vec<Arc<Process>> = self
            .table()
            .by_pid
            .values()
            .filter(|e| match group {
                Some(g) => e.process.group.load(Ordering::SeqCst) == g,
                None => e.process.pid != caller.0,
            })
            .inspect(|_| found = true)
            .filter(|e| e.status.is_none())
            .map(|e| e.process.clone())
            .collect();
        if signal != 0 {
            targets.iter().for_each(|p| p.post(signal));
        }
        if found { Ok(()) } else { Err(Errno::SRCH) }
    }

    /// Forgets a process that has ended and that nobody will ask for.
    pub(crate) fn forget(&self, pid: i32) {
        let thread = self.table().remove(pid);
        join(thread);
    }

    /// Number of processes that have not ended.
    pub fn process_count(&self) -> usize {
        if self.is_lost() {
            return 0;
        }
        self.table().by_pid.values().filter(|e| e.status.is_none()).count()
    }

    /// Ends every process (`SIGKILL`), and waits until all threads are gone. Nothing can be started afterwards.
    /// A coroutine's process ends when the coroutine is dropped.
    pub fn shutdown(&self) {
        if self.is_lost() {
            return;
        }
        let mut table = self.table();
        if std::mem::replace(&mut table.closed, true) {
            return;
        }
        loop {
            let alive: Vec<_> = table
                .by_pid
                .values()
                .filter(|e| e.status.is_none() && e.thread.is_some())
                .map(|e| e.process.clone())
                .collect();
            if alive.is_empty() {
                break;
            }
            drop(table);
            alive.iter().for_each(|p| p.post(libc::SIGKILL));
            table = self.table();
            let _ = self.changed.wait_timeout(table, Duration::from_millis(100));
            table = self.table();
        }
        let mut threads = std::mem::take(&mut table.orphans);
        let ended: Vec<i32> = table.by_pid.iter().filter(|(_, e)| e.status.is_some()).map(|(pid, _)| *pid).collect();
        for pid in ended {
            threads.extend(table.remove(pid));
        }
        drop(table);
        threads.into_iter().for_each(|t| join(Some(t)));
        self.shm.clear();
        shell::collect(std::iter::empty());
        signal::release_faults();
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread {
        // A process's thread catches its panics; what is left would be reported by the hook.
        let _ = thread.join();
    }
}

/// A process that the owner of the system started.
pub struct Child {
    system: Arc<System>,
    pid: i32,
}

impl Child {
    /// The virtual process id.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// `ESRCH` when the process has ended, `EINVAL` for a signal that does not exist.
    pub fn kill(&self, signal: i32) -> Result<(), Errno> {
        self.system.check_ours()?;
        match self.try_wait() {
            Some(_) => Err(Errno::SRCH),
            None => self.system.kill((0, 0), self.pid, signal),
        }
    }

    /// The status, if the process has ended.
    pub fn try_wait(&self) -> Option<Status> {
        if self.system.is_lost() {
            return Some(Status::Signaled(libc::SIGKILL));
        }
        self.system.table().by_pid.get(&self.pid).and_then(|e| e.status)
    }

    /// Waits for the end of the process, at most until `deadline`.
    pub fn wait_until(&self, deadline: Option<Instant>) -> Option<Status> {
        if self.system.is_lost() {
            return Some(Status::Signaled(libc::SIGKILL));
        }
        let mut table = self.system.table();
        loop {
            match table.by_pid.get(&self.pid) {
                None => return None,
                Some(entry) if entry.status.is_some() => return entry.status,
                Some(_) => {}
            }
            table = match deadline {
                None => self.system.changed.wait(table).unwrap_or_else(PoisonError::into_inner),
                Some(at) => {
                    let left = at.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    self.system.changed.wait_timeout(table, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Waits for the end of the process.
    pub fn wait(&self) -> Status {
        // Only this handle's drop removes the entry of an awaited process.
        self.wait_until(None).unwrap_or(Status::Signaled(libc::SIGKILL))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.system.is_lost() {
            return;
        }
        let mut table = self.system.table();
        let Some(entry) = table.by_pid.get_mut(&self.pid) else { return };
        entry.awaited = false;
        if entry.status.is_some() {
            let thread = table.remove(self.pid);
            drop(table);
            join(thread);
        }
    }
}

/// Blocks all signals on a thread of the host while it starts a thread of ours, which inherits the mask.
pub(crate) struct HostSignalsBlocked(libc::sigset_t);

impl HostSignalsBlocked {
    pub(crate) fn new() -> HostSignalsBlocked {
        // SAFETY: valid sets; undone by drop on the same thread.
        unsafe {
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::pthread_sigmask(libc::SIG_SETMASK, &signal::thread_mask(), &mut before);
            HostSignalsBlocked(before)
        }
    }
}

impl Drop for HostSignalsBlocked {
    fn drop(&mut self) {
        // SAFETY: the mask that was there.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut()) };
    }
}
