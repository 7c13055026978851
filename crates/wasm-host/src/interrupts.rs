//! Cancelling, and timers: a thread that ticks while a session runs, and what a session's code does at a tick.
//!
//! A WebAssembly module has no signals. Its code looks at the engine's epoch in each loop and function; when that has changed, the session's
//! callback writes to the module's memory what a signal handler would: that there is an interrupt, and which.

use crate::sandbox::State;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, Thread};
use std::time::Duration;
use wasmtime::{Engine, EngineWeak, StoreContextMut};

/// How long a tick is.
const TICK: Duration = Duration::from_millis(5);
/// After so many ticks without a session that runs the thread sleeps until there is one.
const IDLE: u32 = 200;

/// Counts the sessions that run.
pub(crate) struct Ticker {
    running: Arc<AtomicUsize>,
    sleeping: Arc<AtomicBool>,
    thread: Option<Thread>,
}

impl Ticker {
    pub(crate) fn new(engine: &Engine) -> Ticker {
        let running = Arc::new(AtomicUsize::new(0));
        let sleeping = Arc::new(AtomicBool::new(false));
        let (engine, count, sleeps) = (engine.weak(), Arc::downgrade(&running), sleeping.clone());
        let spawned = thread::Builder::new().name("pglite-ticks".into()).spawn(move || tick(&engine, &count, &sleeps));
        // Without the thread nothing can be interrupted; all else works.
        Ticker { running, sleeping, thread: spawned.ok().map(|handle| handle.thread().clone()) }
    }

    /// A session runs until the result is dropped.
    pub(crate) fn run(&self) -> Running<'_> {
        self.running.fetch_add(1, Ordering::SeqCst);
        if self.sleeping.swap(false, Ordering::SeqCst)
            && let Some(thread) = &self.thread
        {
            thread.unpark();
        }
        Running(&self.running)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        // The thread sees that the count is gone.
        self.running = Arc::default();
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}

/// A session runs.
pub(crate) struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn tick(engine: &EngineWeak, running: &Weak<AtomicUsize>, sleeping: &AtomicBool) {
    let mut idle = 0;
    loop {
        thread::sleep(TICK);
        let Some(count) = running.upgrade().map(|running| running.load(Ordering::SeqCst)) else { return };
        if count > 0 {
            idle = 0;
            if let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
            }
            continue;
        }
        idle += 1;
        if idle > IDLE {
            sleeping.store(true, Ordering::SeqCst);
            // Somebody may have begun just now, and not seen it.
            while running.upgrade().is_some_and(|running| running.load(Ordering::SeqCst) == 0)
                && sleeping.load(Ordering::SeqCst)
            {
                thread::park();
            }
            sleeping.store(false, Ordering::SeqCst);
            idle = 0;
        }
    }
}

/// Cancels what a session does, from any thread.
#[derive(Clone, Debug, Default)]
pub struct Canceller(pub(crate) Arc<AtomicBool>);

impl Canceller {
    /// Cancels the statement that runs; nothing happens where none does.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Where the module looks for interrupts: `Interrupts` of `crates/wasi-guest`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block(pub(crate) usize);

const SIGINT: u64 = 1 << 1;

/// What a session does at a tick.
pub(crate) fn at_tick(mut store: StoreContextMut<'_, State>) {
    let Some((memory, Block(address))) = store.data().interrupts else { return };
    let cancelled = store.data().cancel.0.swap(false, Ordering::SeqCst);
    let bytes = memory.data_mut(&mut store);
    let Some(block) = bytes.get(address..address + 16) else { return };
    let word = |at: usize| u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
    let (flag, timer) = (word(8) as usize, word(12) != 0);
    if cancelled {
        let raised = u64::from_le_bytes(block[..8].try_into().unwrap_or_default()) | SIGINT;
        bytes[address..address + 8].copy_from_slice(&raised.to_le_bytes());
    }
    if (cancelled || timer)
        && flag != 0
        && let Some(flag) = bytes.get_mut(flag..flag + 4)
    {
        flag.copy_from_slice(&1u32.to_le_bytes());
    }
}
