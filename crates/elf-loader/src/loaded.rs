//! The register of all mappings, by address: code in a mapping knows nothing of itself but addresses.

use std::collections::BTreeMap;
use std::ffi::{CString, c_void};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// A function to call when a process ends, and its argument.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handler {
    pub(crate) function: unsafe extern "C" fn(*mut c_void),
    pub(crate) argument: *mut c_void,
}

// SAFETY: both are only kept here; whoever calls the function promises that it may be.
unsafe impl Send for Handler {}

/// When a handler is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The process's only thread ends (`thread_local` destructors).
    ThreadExit,
    /// The process ends (destructors of static objects, `atexit`).
    ProcessExit,
}

/// One mapping.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The addresses it takes.
    pub(crate) addresses: Range<usize>,
    /// The difference between addresses in memory and in the file.
    pub(crate) bias: u64,
    pub(crate) name: CString,
    pub(crate) headers: Vec<libc::Elf64_Phdr>,
    /// Address of `.eh_frame_hdr`.
    pub(crate) frame_header: Option<usize>,
    handlers: Mutex<Vec<(Moment, Handler)>>,
}

static ALL: RwLock<BTreeMap<usize, Arc<Loaded>>> = RwLock::new(BTreeMap::new());
static ADDED: AtomicU64 = AtomicU64::new(0);
static REMOVED: AtomicU64 = AtomicU64::new(0);

/// Keeps a mapping in the register.
#[derive(Debug)]
pub(crate) struct Registration(pub(crate) Arc<Loaded>);

impl Registration {
    pub(crate) fn new(
        addresses: Range<usize>,
        bias: u64,
        name: &str,
        headers: Vec<libc::Elf64_Phdr>,
        frame_header: Option<usize>,
    ) -> Self {
        let start = addresses.start;
        let loaded = Arc::new(Loaded {
            addresses,
            bias,
            name: CString::new(name.replace('\0', "")).unwrap_or_default(),
            headers,
            frame_header,
            handlers: Mutex::default(),
        });
        ALL.write().unwrap_or_else(PoisonError::into_inner).insert(start, Arc::clone(&loaded));
        ADDED.fetch_add(1, Ordering::Relaxed);
        Self(loaded)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        ALL.write().unwrap_or_else(PoisonError::into_inner).remove(&self.0.addresses.start);
        REMOVED.fetch_add(1, Ordering::Relaxed);
    }
}

impl Loaded {
    pub(crate) fn add(&self, moment: Moment, handler: Handler) {
        self.handlers().push((moment, handler));
    }

    /// Calls the handlers of this moment, the last added first, and those that they add.
    ///
    /// # Safety
    /// The mapping is there, and the handlers may be called now.
    pub(crate) unsafe fn run(&self, moment: Moment) {
        while let Some(handler) = self.take(moment) {
            // SAFETY: the caller's promise.
            unsafe { (handler.function)(handler.argument) };
        }
    }

    fn take(&self, moment: Moment) -> Option<Handler> {
        let mut handlers = self.handlers();
        let last = handlers.iter().rposition(|(due, _)| *due == moment)?;
        Some(handlers.remove(last).1)
    }

    fn handlers(&self) -> MutexGuard<'_, Vec<(Moment, Handler)>> {
        self.handlers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The mapping that an address is in.
pub(crate) fn find(address: usize) -> Option<Arc<Loaded>> {
    let all = ALL.read().unwrap_or_else(PoisonError::into_inner);
    let (_, loaded) = all.range(..=address).next_back()?;
    loaded.addresses.contains(&address).then(|| Arc::clone(loaded))
}

/// All mappings at this moment.
pub(crate) fn all() -> Vec<Arc<Loaded>> {
    let all = ALL.read().unwrap_or_else(PoisonError::into_inner);
    all.values().cloned().collect()
}

/// How many mappings were ever made, and unmapped.
pub(crate) fn changes() -> (u64, u64) {
    (ADDED.load(Ordering::Relaxed), REMOVED.load(Ordering::Relaxed))
}
