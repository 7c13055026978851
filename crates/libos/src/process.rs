//! A process: a thread (or a coroutine) with its own private block, heap, descriptors and signals.
//!
//! Relies on: everything in `Local`, and the cells in `Signals`, is touched only by the thread that runs the
//! process (`current::process`), or by the one that made it before it runs, or reclaims it after it ran.

use crate::abi::threads::Keys;
use crate::arch;
use crate::block::Block;
use crate::env::Environment;
use crate::fd::FdTable;
use crate::heap::Heap;
use crate::image::Program;
use crate::locale::Locale;
use crate::module::Modules;
use crate::random::Random;
use crate::shm::Attachments;
use crate::signal::{self, AltStack, Signals};
use crate::stdio::Files;
use crate::system::System;
use crate::thread::{self, Helper, Threads};
use crate::{current, dir, env, fork, memory, users};
use std::cell::{Cell, RefCell, UnsafeCell};
use std::ffi::{CString, c_char, c_void};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// `exit` with this code, 0 to 255.
    Exited(i32),
    /// Ended by this signal.
    Signaled(i32),
}

impl Status {
    /// As `waitpid` gives it.
    pub(crate) fn wait_status(self) -> i32 {
        match self {
            Status::Exited(code) => (code & 0xff) << 8,
            Status::Signaled(signal) => signal,
        }
    }

    pub(crate) fn encode(self) -> usize {
        self.wait_status() as usize
    }

    fn decode(value: usize) -> Status {
        match value & 0x7f {
            0 => Status::Exited((value >> 8 & 0xff) as i32),
            signal => Status::Signaled(signal as i32),
        }
    }

    /// Whether the process ended with `exit(0)`.
    pub fn success(self) -> bool {
        self == Status::Exited(0)
    }
}

/// Stack of a process, in bytes. Reserved, not used: the kernel gives pages as they are touched.
pub(crate) const STACK_SIZE: usize = 8 << 20;

/// What the library OS has below it for itself, in bytes: critical sections call the C library, which may look up a name or
/// load a locale.
pub(crate) const STACK_RESERVE: usize = 256 << 10;

/// What only the process's own thread touches.
pub(crate) struct Local {
    pub(crate) block: RefCell<Option<Block>>,
    pub(crate) base: Cell<*mut u8>,
    /// Where the stack ends for the program; the reserve is below.
    pub(crate) stack_limit: Cell<usize>,
    pub(crate) heap: RefCell<Heap>,
    pub(crate) fds: RefCell<FdTable>,
    pub(crate) files: RefCell<Files>,
    pub(crate) dirs: RefCell<dir::Open>,
    pub(crate) maps: RefCell<memory::Maps>,
    pub(crate) shm: RefCell<Attachments>,
    pub(crate) cwd: RefCell<vfs::Cwd>,
    pub(crate) umask: Cell<u32>,
    pub(crate) environment: Environment,
    pub(crate) locale: Locale,
    pub(crate) users: users::Buffers,
    pub(crate) modules: RefCell<Modules>,
    pub(crate) at_exit: RefCell<Vec<AtExit>>,
    pub(crate) arguments: RefCell<Vec<CString>>,
    pub(crate) parent_death_signal: Cell<i32>,
    pub(crate) getopt: Cell<usize>,
    pub(crate) time_result: Cell<*mut u8>,
    pub(crate) strtok: Cell<*mut c_char>,
    pub(crate) random: RefCell<Option<Box<Random>>>,
    pub(crate) keys: RefCell<Keys>,
    pub(crate) threads: Threads,
    pub(crate) shells: RefCell<crate::shell::Shells>,
    /// What it takes for its pid: another one than the system in a fork.
    pub(crate) own_pid: Cell<i32>,
    pub(crate) vfork: UnsafeCell<arch::VforkContext>,
    pub(crate) vfork_child: Cell<i32>,
    pub(crate) vfork_mask: Cell<u64>,
    pub(crate) suspend: Cell<*const c_void>,
    pub(crate) console: RefCell<crate::console::Console>,
    exit: UnsafeCell<arch::Context>,
}

/// A function to call at `exit`.
#[derive(Clone, Copy)]
pub(crate) enum AtExit {
    Plain(unsafe extern "C-unwind" fn()),
    WithArgument(unsafe extern "C-unwind" fn(*mut c_void), *mut c_void),
}

/// A virtual process.
pub(crate) struct Process {
    pub(crate) system: Arc<System>,
    pub(crate) pid: i32,
    pub(crate) parent: AtomicI32,
    pub(crate) group: AtomicI32,
    pub(crate) session: AtomicI32,
    pub(crate) program: Program,
    pub(crate) signals: Signals,
    pub(crate) local: Local,
    /// Whether it waits for a child (`System::reap`).
    pub(crate) waiting: AtomicBool,
    /// Whether it is a fork, another process of the host.
    elsewhere: bool,
    /// Kernel id of the thread that runs the process, 0 when none does. The lock is held to interrupt the thread,
    /// so that it cannot end meanwhile.
    thread: Mutex<i32>,
}

// SAFETY: see the module's doc: the fields that are not Sync have one user at a time.
unsafe impl Sync for Process {}
// SAFETY: as above.
unsafe impl Send for Process {}

/// What a new process is made from.
pub(crate) struct Birth {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    pub(crate) program: Program,
    pub(crate) arguments: Vec<CString>,
    pub(crate) environment: Vec<CString>,
    pub(crate) cwd: vfs::Cwd,
    pub(crate) umask: u32,
    pub(crate) fds: FdTable,
    pub(crate) signals: Signals,
}

impl Process {
    pub(crate) fn new(system: Arc<System>, birth: Birth) -> Process {
        let heap = RefCell::new(Heap::new(&system.recycled));
        Process {
            system,
            pid: birth.pid,
            parent: AtomicI32::new(birth.parent),
            group: AtomicI32::new(birth.group),
            session: AtomicI32::new(birth.session),
            program: birth.program,
            signals: birth.signals,
            local: Local {
                block: RefCell::new(None),
                base: Cell::new(std::ptr::null_mut()),
                stack_limit: Cell::new(0),
                heap,
                fds: RefCell::new(birth.fds),
                files: RefCell::default(),
                dirs: RefCell::default(),
                maps: RefCell::default(),
                shm: RefCell::default(),
                cwd: RefCell::new(birth.cwd),
                umask: Cell::new(birth.umask),
                environment: Environment::new(birth.environment),
                locale: Locale::new(),
                users: users::Buffers::default(),
                modules: RefCell::default(),
                at_exit: RefCell::default(),
                arguments: RefCell::new(birth.arguments),
                parent_death_signal: Cell::new(0),
                getopt: Cell::new(0),
                time_result: Cell::new(std::ptr::null_mut()),
                strtok: Cell::new(std::ptr::null_mut()),
                random: RefCell::default(),
                keys: RefCell::default(),
                threads: Threads::default(),
                shells: RefCell::default(),
                own_pid: Cell::new(birth.pid),
                vfork: UnsafeCell::default(),
                vfork_child: Cell::new(0),
                vfork_mask: Cell::new(0),
                suspend: Cell::new(std::ptr::null()),
                console: RefCell::default(),
                exit: UnsafeCell::default(),
            },
            waiting: AtomicBool::new(false),
            elsewhere: false,
            thread: Mutex::new(0),
        }
    }

    /// A child of `parent` that no thread of this host process runs.
    pub(crate) fn placeholder(system: Arc<System>, parent: &Process, pid: i32, elsewhere: bool) -> Process {
        let birth = Birth {
            pid,
            parent: parent.pid,
            group: parent.group.load(Ordering::SeqCst),
            session: parent.session.load(Ordering::SeqCst),
            program: parent.program,
            arguments: Vec::new(),
            environment: Vec::new(),
            cwd: parent.local.cwd.borrow().clone(),
            umask: 0,
            fds: FdTable::default(),
            signals: Signals::inherit(None),
        };
        Process { elsewhere, ..Process::new(system, birth) }
    }

    /// Keeps others from interrupting the thread.
    pub(crate) fn lock_thread(&self) -> MutexGuard<'_, i32> {
        self.thread.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// This is a fork, in which the process's thread is another one; `thread` is the lock.
    pub(crate) fn moved_to_fork(&self, mut thread: MutexGuard<'_, i32>) {
        *thread = signal::this_thread();
        self.signals.thread.set(*thread);
        self.signals.called.iter().for_each(|called| called.store(false, Ordering::SeqCst));
        self.signals.timer.forget();
        self.signals.retry.forget();
        self.local.own_pid.set(std::process::id() as i32);
        self.parent.store(0, Ordering::SeqCst);
    }

    pub(crate) fn exit_context(&self) -> *const arch::Context {
        self.local.exit.get()
    }

    /// Posts `signal` and, where it is not blocked, interrupts the thread that runs the process.
    pub(crate) fn post(&self, signal: i32) {
        if self.elsewhere {
            return fork::kill(self.pid, signal);
        }
        let thread = self.lock_thread();
        if !self.signals.post(signal) || *thread == 0 {
            return;
        }
        let effect = self.signals.effect(signal);
        if !self.signals.called[effect as usize].swap(true, Ordering::SeqCst) {
            signal::interrupt(*thread, effect);
        }
        drop(thread);
        if self.waiting.load(Ordering::SeqCst) {
            self.system.wake();
        }
    }

    /// The calling thread runs the process from now on (`attach(true)`), or no longer does.
    pub(crate) fn attach(&self, on: bool) {
        let tid = if on { signal::this_thread() } else { 0 };
        let mut thread = self.lock_thread();
        *thread = tid;
        self.signals.thread.set(tid);
        // What was sent to another thread does not count.
        let on_its_way =
            self.signals.called.each_ref().map(|called| called.swap(false, Ordering::SeqCst)).contains(&true);
        drop(thread);
        if on_its_way && !on {
            // It arrives here, at the latest when a system call returns, and not in one of the host's that waits.
            std::thread::yield_now();
        }
    }

    /// Takes the `signalfd` out of senders' reach before it is closed.
    pub(crate) fn forget_signal_fd(&self, fd: i32) {
        let _thread = self.lock_thread();
        self.signals.forget_fd(fd);
    }

    /// Runs the program to its end on this thread, which must be the process's own. `stack_end` is the lowest address of the stack.
    pub(crate) fn run(&self, stack_end: usize) -> Status {
        self.local.stack_limit.set(stack_end + STACK_RESERVE);
        let result = Block::new(&self.program, &self.system.recycled).map(|block| {
            self.local.base.set(block.base());
            *self.local.block.borrow_mut() = Some(block);
        });
        if result.is_err() {
            return Status::Signaled(libc::SIGKILL);
        }
        let slot = self.program.base_slot();
        // SAFETY: the thread's base pointer, and the context lives in the process, which outlives the run.
        unsafe {
            *slot = self.local.base.get().cast();
            let value = arch::run(self.local.exit.get(), start, std::ptr::from_ref(self).cast_mut().cast());
            Status::decode(value)
        }
    }

    /// Points the calling thread at the process: its base pointer, its locale, its name in `current`.
    /// Returns what `leave_thread` puts back.
    pub(crate) fn enter_thread(&self) -> ThreadBefore {
        let slot = self.program.base_slot();
        // SAFETY: the calling thread's slot.
        let base = unsafe { std::mem::replace(&mut *slot, self.local.base.get().cast()) };
        let locale = self.local.locale.enter();
        let process = current::set(self);
        self.attach(true);
        ThreadBefore { base, locale, process }
    }

    pub(crate) fn leave_thread(&self, before: ThreadBefore) {
        self.attach(false);
        current::set(before.process);
        self.local.locale.leave(before.locale);
        // SAFETY: the calling thread's slot.
        unsafe { *self.program.base_slot() = before.base };
    }

    /// Gives back everything that the process owned; it has ended.
    pub(crate) fn reclaim(&self) {
        let local = &self.local;
        self.signals.timer.delete();
        self.signals.retry.delete();
        {
            // Under the lock of those who send signals: the descriptor's number may soon mean another file.
            let _thread = self.lock_thread();
            self.signals.set_fd(-1, 0);
        }
        local.files.borrow_mut().reclaim();
        local.dirs.take();
        local.modules.take();
        local.shells.take().abandon();
        local.fds.borrow_mut().clear();
        local.maps.borrow_mut().reclaim();
        local.shm.take().detach_all(&self.system);
        local.locale.reclaim();
        local.environment.reclaim();
        // Not through the cell: a fault inside leaves it borrowed.
        // SAFETY: the process uses its heap no more.
        unsafe { *local.heap.as_ptr() = Heap::new(&self.system.recycled) };
        local.block.take();
    }

    /// Whether `pc` is in code of the program or of its modules. Usable in signal handlers outside critical sections.
    pub(crate) fn is_own_code(&self, pc: usize) -> bool {
        // SAFETY: the list changes only in critical sections of this thread.
        self.program.is_text(pc) || unsafe { (*self.local.modules.as_ptr()).contains(pc) }
    }

    /// The address of the C library's variable `name` in the process, where the program uses it.
    pub(crate) fn libc_datum<T>(&self, name: &str) -> Option<*mut T> {
        // SAFETY: the pass placed the variable inside the block.
        self.program.libc_datum(name).map(|offset| unsafe { self.local.base.get().add(offset) }.cast())
    }
}

pub(crate) struct ThreadBefore {
    base: *mut c_void,
    locale: libc::locale_t,
    process: *const Process,
}

/// What a process runs first. `argument` is the process.
unsafe extern "C-unwind" fn start(argument: *mut c_void) -> usize {
    // SAFETY: `Process::run` passes itself.
    let p = unsafe { &*argument.cast::<Process>() };
    let (argc, argv, envp) = current::enter(prepare);
    p.signals.critical.set(0);
    // SAFETY: nothing to drop in this frame.
    unsafe { signal::deliver(p) };
    // SAFETY: the program's own functions, with arguments as C expects them.
    unsafe {
        for hook in p.program.constructors().iter().flatten() {
            hook();
        }
        let code = (p.program.main())(argc, argv, envp);
        crate::abi::process::libos_exit(code)
    }
}

/// Fills the C library's variables and makes the arguments, in the process's heap.
fn prepare(p: &'static Process) -> (i32, *mut *mut c_char, *mut *mut c_char) {
    let mut heap = p.local.heap.borrow_mut();
    let arguments = p.local.arguments.take();
    let argv: *mut *mut c_char = heap.calloc((arguments.len() + 1) * size_of::<usize>()).cast();
    for (i, argument) in arguments.iter().enumerate() {
        // SAFETY: the table has room for the arguments and a null.
        unsafe { *argv.add(i) = heap.string(argument.as_bytes()) };
    }
    let envp = env::place(p, &mut heap);
    drop(heap);
    for name in ["optind", "opterr"] {
        if let Some(slot) = p.libc_datum::<i32>(name) {
            // SAFETY: the process's own variable.
            unsafe { *slot = 1 };
        }
    }
    crate::stdio::open_standard(p);
    (arguments.len() as i32, argv, envp)
}

/// Ends the process.
///
/// # Safety
/// Called on a thread that runs `p`; no frame between this and the program's first has anything to drop.
pub(crate) unsafe fn terminate(p: &Process, status: Status) -> ! {
    if p.local.threads.several()
        && let Some(helper) = thread::helper()
    {
        Helper::condemn(p, status);
        // SAFETY: by the caller's promise.
        unsafe { helper.leave(0) }
    }
    p.signals.end();
    // SAFETY: the process runs, so its `run` is below on this stack.
    unsafe { arch::leave(p.exit_context(), p.local.threads.verdict(status).encode()) }
}

/// The lowest address of the calling thread's stack.
fn thread_stack_end() -> usize {
    // SAFETY: asks for the attributes of this thread, and frees them.
    unsafe {
        let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
        if libc::pthread_getattr_np(libc::pthread_self(), &mut attributes) != 0 {
            return 0;
        }
        let (mut start, mut size) = (std::ptr::null_mut(), 0);
        libc::pthread_attr_getstack(&attributes, &mut start, &mut size);
        libc::pthread_attr_destroy(&mut attributes);
        start as usize
    }
}

/// The body of a process's thread.
pub(crate) fn thread_main(p: Arc<Process>) {
    // SAFETY: blocks the host's signals on this thread of ours.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &signal::thread_mask(), std::ptr::null_mut()) };
    let stack = AltStack::new();
    let before = p.enter_thread();
    let status = p.run(thread_stack_end());
    if p.system.door().is_some() {
        fork::end(status);
    }
    p.local.threads.finish();
    p.leave_thread(before);
    drop(stack);
    p.reclaim();
    p.system.clone().ended(&p, status);
}
