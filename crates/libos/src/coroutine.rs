//! A process on a coroutine: it runs on the thread that resumes it, and nowhere else.
//!
//! The process suspends itself (`libos_suspend`, called by its glue) where nothing of the thread is cached; only
//! there may it move to another thread.
//!
//! Relies on: corosensei switches stacks without touching the frames of either side.

use crate::process::{Process, STACK_RESERVE, STACK_SIZE, Status};
use crate::signal;
use crate::system::{Spawn, System};
use corosensei::stack::{DefaultStack, Stack as _};
use corosensei::{Coroutine as Stack, CoroutineResult, Yielder};
use rustix::io::{Errno, Result};
use std::sync::Arc;

/// Output that stays allocated between replies, in bytes.
const KEPT_OUTPUT: usize = 256 << 10;

/// A process that the caller runs, a piece at a time.
pub struct Coroutine {
    process: Arc<Process>,
    stack: Option<Stack<(), (), Status, DefaultStack>>,
    status: Option<Status>,
}

// SAFETY: the process is suspended in `libos_suspend` whenever nobody is inside `resume`, and keeps nothing of
// a thread there; `resume` takes `&mut self`.
unsafe impl Send for Coroutine {}

impl System {
    /// Makes a process that runs on the caller's thread; it has not begun yet.
    ///
    /// # Errors
    /// As [`System::spawn`]; `ENOMEM` when there is no room for its stack.
    pub fn spawn_coroutine(&self, spawn: Spawn) -> Result<Coroutine> {
        let stack = DefaultStack::new(STACK_SIZE + STACK_RESERVE).map_err(|_| Errno::NOMEM)?;
        let process = self.adopt(spawn)?;
        process.signals.timer.without_thread(Arc::downgrade(&process));
        let own = process.clone();
        let end = stack.limit().get();
        let stack = Stack::with_stack(stack, move |yielder: &Yielder<(), ()>, ()| {
            own.local.suspend.set(std::ptr::from_ref(yielder).cast());
            own.run(end)
        });
        Ok(Coroutine { process, stack: Some(stack), status: None })
    }
}

impl Coroutine {
    /// The virtual process id.
    pub fn pid(&self) -> i32 {
        self.process.pid
    }

    /// Runs the process until it suspends itself (`None`) or ends.
    ///
    /// In a child of the host's `fork` there is no such process: it counts as killed.
    pub fn resume(&mut self) -> Option<Status> {
        if self.process.system.is_lost() {
            // What runs on the stack is the parent's: not even its end may happen here.
            std::mem::forget(self.stack.take());
            self.status = Some(Status::Signaled(libc::SIGKILL));
        }
        let Some(stack) = self.stack.as_mut() else { return self.status };
        signal::prepare_thread();
        let before = self.process.enter_thread();
        let result = stack.resume(());
        self.process.leave_thread(before);
        if let CoroutineResult::Return(status) = result {
            self.stack = None;
            signal::let_in();
            self.process.reclaim();
            self.process.system.ended(&self.process, status);
            self.process.system.forget(self.process.pid);
            self.status = Some(status);
        }
        self.status
    }

    /// Gives the process bytes to read from its console.
    pub fn send(&mut self, bytes: &[u8]) {
        self.process.local.console.borrow_mut().input.extend(bytes);
    }

    /// Says that no more bytes will come.
    pub fn end_of_input(&mut self) {
        self.process.local.console.borrow_mut().ended = true;
    }

    /// Takes what the process has written to its console.
    pub fn receive(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.process.local.console.borrow_mut().output)
    }

    /// Shows what the process has written to `f`, and forgets it; keeps the memory for the next reply.
    pub fn drain<R>(&mut self, f: impl FnOnce(&[u8]) -> R) -> R {
        let console = &mut *self.process.local.console.borrow_mut();
        let result = f(&console.output);
        console.output.clear();
        console.output.shrink_to(KEPT_OUTPUT);
        result
    }

    /// Whether the process waits for input, rather than for its output to be taken.
    pub fn wants_input(&self) -> bool {
        !self.process.local.console.borrow().full
    }

    /// Posts a signal; it is handled when the process runs. Safe from any thread through [`Coroutine::handle`].
    pub fn kill(&self, signal: i32) {
        self.handle().kill(signal);
    }

    /// A handle by which other threads can signal the process.
    pub fn handle(&self) -> Handle {
        Handle(self.process.clone())
    }
}

impl Drop for Coroutine {
    fn drop(&mut self) {
        while self.stack.is_some() {
            self.kill(libc::SIGKILL);
            self.resume();
        }
    }
}

/// Signals a coroutine's process from any thread.
#[derive(Clone)]
pub struct Handle(Arc<Process>);

impl Handle {
    /// Posts a signal.
    pub fn kill(&self, signal: i32) {
        if !self.0.system.is_lost() {
            self.0.post(signal);
        }
    }
}
