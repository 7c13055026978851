//! Threads of a process beyond its first.
//!
//! The first thread is the process: its signals are handled there, and its end is the process's. The others are *helpers*: threads of
//! the host with the process's base pointer and locale. What protects the process's tables, once there are helpers, is one lock, which
//! every critical section holds. Handlers of the program never run on helpers. When the process ends, helpers are interrupted until each
//! has left, by a context of its own: from the program's code, or from a call that it waits for; not where it has anything of the C library in its hands.
//!
//! Relies on: only its own thread looks at the cells of a helper; all else is atomic or behind a lock.

use crate::arch;
use crate::current::{self, blocking};
use crate::process::{Process, Status};
use crate::signal::{self, AltStack, Interrupted};
use crate::system::HostSignalsBlocked;
use rustix::io::Errno;
use rustix::thread::futex;
use std::cell::{Cell, UnsafeCell};
use std::ffi::c_void;
use std::ptr::null;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a thread begins with.
pub(crate) type Start = unsafe extern "C-unwind" fn(*mut c_void) -> *mut c_void;

/// How often those that must leave are told so.
const PATIENCE: Duration = Duration::from_millis(5);

/// The threads of a process beyond its first.
#[derive(Default)]
pub(crate) struct Threads {
    /// Whether there has ever been one.
    several: AtomicBool,
    lock: Lock,
    helpers: Mutex<Vec<Arc<Helper>>>,
    last: AtomicUsize,
    /// Whether the process is ending: helpers leave.
    ending: AtomicBool,
    /// How a helper wants the process to end.
    verdict: Mutex<Option<Status>>,
}

/// A thread of a process that is not its first.
pub(crate) struct Helper {
    number: usize,
    start: Start,
    argument: *mut c_void,
    /// Kernel id, 0 before it begins and after it has left.
    tid: AtomicI32,
    /// As those of `Signals`, for this thread.
    critical: Cell<u32>,
    blocking: Cell<bool>,
    /// Whether the C library has a stream in its hands.
    held: Cell<bool>,
    context: UnsafeCell<arch::Context>,
    result: AtomicUsize,
    /// 1 when the thread is done.
    done: AtomicU32,
    detached: AtomicBool,
    host: Mutex<Option<JoinHandle<()>>>,
}

// SAFETY: see the module's doc.
unsafe impl Sync for Helper {}
// SAFETY: as above.
unsafe impl Send for Helper {}

thread_local! {
    static HELPER: Cell<*const Helper> = const { Cell::new(null()) };
}

/// The helper that this thread is. Usable in signal handlers.
pub(crate) fn helper() -> Option<&'static Helper> {
    // SAFETY: set for as long as the thread runs as one; 'static stands for that.
    HELPER.with(|helper| unsafe { helper.get().as_ref() })
}

/// A lock that can be waited for without being taken for ever: 0 free, 1 held, 2 held and waited for.
#[derive(Default)]
struct Lock(AtomicU32);

impl Lock {
    fn acquire(&self) {
        if self.0.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            return;
        }
        while self.0.swap(2, Ordering::Acquire) != 0 {
            // Signals end the wait early, which only costs another look.
            let _ = futex::wait(&self.0, futex::Flags::PRIVATE, 2, None);
        }
    }

    fn release(&self) {
        if self.0.swap(0, Ordering::Release) == 2 {
            let _ = futex::wake(&self.0, futex::Flags::PRIVATE, 1);
        }
    }
}

impl Threads {
    /// Whether critical sections need the lock.
    #[inline]
    pub(crate) fn several(&self) -> bool {
        self.several.load(Ordering::Relaxed)
    }

    fn helpers(&self) -> MutexGuard<'_, Vec<Arc<Helper>>> {
        self.helpers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, number: usize) -> Option<Arc<Helper>> {
        self.helpers().iter().find(|helper| helper.number == number).cloned()
    }

    fn take(&self, number: usize) {
        self.helpers().retain(|helper| helper.number != number);
    }

    /// What a helper wants the end to be, or `status`.
    pub(crate) fn verdict(&self, status: Status) -> Status {
        if !self.several() {
            return status;
        }
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or(status)
    }

    /// Waits until all helpers have left. The process's first thread has.
    pub(crate) fn finish(&self) {
        if !self.several() {
            return;
        }
        self.ending.store(true, Ordering::SeqCst);
        let all = std::mem::take(&mut *self.helpers());
        for helper in all {
            while helper.done.load(Ordering::SeqCst) == 0 {
                let tid = helper.tid.load(Ordering::SeqCst);
                if tid != 0 {
                    signal::interrupt(tid, Interrupted::Ends);
                }
                let span = rustix::time::Timespec { tv_sec: 0, tv_nsec: PATIENCE.as_nanos() as _ };
                let _ = futex::wait(&helper.done, futex::Flags::PRIVATE, 0, Some(&span));
            }
            helper.join_host();
        }
    }
}

/// Begins a critical section of a process with several threads.
#[cold]
pub(crate) fn begin(p: &Process) {
    let critical = helper().map_or(&p.signals.critical, |helper| &helper.critical);
    critical.set(critical.get() + 1);
    if critical.get() == 1 {
        p.local.threads.lock.acquire();
    }
}

/// Ends it.
#[cold]
pub(crate) fn release(p: &Process) {
    let critical = helper().map_or(&p.signals.critical, |helper| &helper.critical);
    if critical.get() == 1 {
        p.local.threads.lock.release();
    }
    critical.set(critical.get() - 1);
}

/// Does what waited for the end of the critical section, if this was the last.
///
/// # Safety
/// No frame between this and the program's first has anything to drop.
#[cold]
pub(crate) unsafe fn deliver(p: &Process) {
    match helper() {
        Some(helper) => helper.look(p),
        None if p.signals.critical.get() == 0 && p.signals.deliverable() != 0 => {
            // SAFETY: by the caller's promise; this is the process's first thread.
            unsafe { signal::deliver(p) };
        }
        None => {}
    }
}

impl Helper {
    /// Whether the thread is in a critical section.
    pub(crate) fn is_critical(&self) -> bool {
        self.critical.get() > 0
    }

    /// Where the thread notes that it is in a call that may block, and how deep it is in critical sections.
    pub(crate) fn state(&self) -> (&Cell<bool>, &Cell<u32>) {
        (&self.blocking, &self.critical)
    }

    fn may_leave(&self) -> bool {
        self.critical.get() == 0 && !self.held.get()
    }

    /// Leaves where the process is ending and nothing is in the way.
    pub(crate) fn look(&self, p: &Process) {
        if self.may_leave() && p.local.threads.ending.load(Ordering::SeqCst) {
            // SAFETY: on the helper's thread, outside critical sections: frames in between have nothing to drop.
            unsafe { self.leave(0) }
        }
    }

    /// A reserved signal has come. `in_program`: it interrupted the program's own code.
    pub(crate) fn interrupted(&self, p: &Process, in_program: bool, unblock: impl FnOnce()) {
        let ending = p.local.threads.ending.load(Ordering::SeqCst);
        if ending && self.may_leave() && (in_program || self.blocking.get()) {
            unblock();
            // SAFETY: as in `look`; a call that blocks has nothing of the C library in its hands.
            unsafe { self.leave(0) }
        }
    }

    /// Keeps the thread from leaving while the C library has a stream in its hands.
    pub(crate) fn hold<R>(&self, f: impl FnOnce() -> R) -> R {
        let before = self.held.replace(true);
        let result = f();
        self.held.set(before);
        result
    }

    /// Where the thread leaves by.
    pub(crate) fn context(&self) -> *const arch::Context {
        self.context.get()
    }

    /// Ends the thread.
    ///
    /// # Safety
    /// On the helper's thread; no frame between this and the program's first has anything to drop.
    pub(crate) unsafe fn leave(&self, result: usize) -> ! {
        // SAFETY: by the caller's promise.
        unsafe { arch::leave(self.context.get(), result) }
    }

    fn join_host(&self) {
        let host = self.host.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(host) = host {
            let _ = host.join();
        }
    }

    /// The process is to end so. The caller leaves.
    pub(crate) fn condemn(p: &Process, status: Status) {
        p.local.threads.verdict.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(status);
        p.post(libc::SIGKILL);
    }
}

/// `pthread_create`. Called outside of critical sections.
pub(crate) fn create(start: Start, argument: *mut c_void) -> Result<usize, Errno> {
    let p = current::process();
    if p.signals.timer.is_threadless() || current::enter(|p| p.local.modules.borrow().count() > 0) {
        return Err(Errno::AGAIN);
    }
    let threads = &p.local.threads;
    if !threads.several() {
        current::enter(|p| p.local.files.borrow().set_locking(true));
        threads.several.store(true, Ordering::SeqCst);
    }
    let helper = Arc::new(Helper {
        number: threads.last.fetch_add(1, Ordering::SeqCst) + 1,
        start,
        argument,
        tid: AtomicI32::new(0),
        critical: Cell::new(1),
        blocking: Cell::new(false),
        held: Cell::new(false),
        context: UnsafeCell::default(),
        result: AtomicUsize::new(0),
        done: AtomicU32::new(0),
        detached: AtomicBool::new(false),
        host: Mutex::new(None),
    });
    threads.helpers().push(helper.clone());
    let (process, own) = (Addressed(p), helper.clone());
    let blocked = HostSignalsBlocked::new();
    let host = std::thread::Builder::new()
        .name(format!("{} thread {}", p.program.name(), helper.number))
        .stack_size(crate::process::STACK_SIZE)
        .spawn(move || run(process, own));
    drop(blocked);
    match host {
        Ok(host) => {
            *helper.host.lock().unwrap_or_else(PoisonError::into_inner) = Some(host);
            Ok(helper.number)
        }
        Err(_) => {
            threads.take(helper.number);
            Err(Errno::AGAIN)
        }
    }
}

/// The process of a helper, which does not end before its helpers have.
struct Addressed(&'static Process);

fn run(process: Addressed, helper: Arc<Helper>) {
    let Addressed(p) = process;
    // SAFETY: blocks the host's signals on this thread of ours.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &signal::thread_mask(), std::ptr::null_mut()) };
    let stack = AltStack::new();
    let slot = p.program.base_slot();
    // SAFETY: the thread's slot, the process's locale; the context is on this stack while `run` is.
    let result = unsafe {
        *slot = p.local.base.get().cast();
        libc::uselocale(p.local.locale.base());
        current::set(p);
        HELPER.set(&raw const *helper);
        helper.tid.store(signal::this_thread(), Ordering::SeqCst);
        let result = arch::run(helper.context.get(), begin_program, std::ptr::from_ref(&*helper).cast_mut().cast());
        helper.critical.set(1);
        HELPER.set(null());
        current::set(null());
        libc::uselocale(crate::locale::GLOBAL);
        result
    };
    drop(stack);
    helper.tid.store(0, Ordering::SeqCst);
    helper.result.store(result, Ordering::SeqCst);
    helper.done.store(1, Ordering::SeqCst);
    let _ = futex::wake(&helper.done, futex::Flags::PRIVATE, u32::MAX);
}

unsafe extern "C-unwind" fn begin_program(helper: *mut c_void) -> usize {
    // SAFETY: `run` passes the helper of this thread.
    let helper = unsafe { &*helper.cast::<Helper>() };
    helper.critical.set(0);
    // SAFETY: the program's own function.
    unsafe { (helper.start)(helper.argument) as usize }
}

/// `pthread_join`: what the thread returned.
pub(crate) fn join(number: usize) -> Result<usize, Errno> {
    let p = current::process();
    let Some(helper) = p.local.threads.find(number).filter(|helper| !helper.detached.load(Ordering::SeqCst)) else {
        return Err(Errno::SRCH);
    };
    // A handler may jump out of the wait: nothing is owned here.
    let done: *const AtomicU32 = &raw const helper.done;
    let result = &raw const helper.result;
    drop(helper);
    // SAFETY: the list keeps the helper until it is taken off below, or the process ends.
    unsafe {
        while (*done).load(Ordering::SeqCst) == 0 {
            blocking(|| libc::syscall(libc::SYS_futex, done, libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG, 0, 0) as i32);
        }
        let result = (*result).load(Ordering::SeqCst);
        if let Some(helper) = p.local.threads.find(number) {
            helper.join_host();
        }
        p.local.threads.take(number);
        Ok(result)
    }
}

/// `pthread_detach`.
pub(crate) fn detach(number: usize) -> Result<(), Errno> {
    let helper = current::process().local.threads.find(number).ok_or(Errno::SRCH)?;
    helper.detached.store(true, Ordering::SeqCst);
    Ok(())
}
