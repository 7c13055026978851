//! The interval timer of a process that runs on threads of the host, a piece at a time.
//!
//! A timer of the kernel would have to be stopped at the end of each piece, lest it interrupt what the host's thread does
//! next: four system calls a piece, more than a short query takes. So a thread of its own keeps the time, and posts the
//! signal to the process wherever that is. It is there from the first time that the process sets its timer.

use crate::forked::Generation;
use crate::process::Process;
use crate::system::HostSignalsBlocked;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

#[derive(Default)]
struct State {
    next: Option<Instant>,
    interval: Duration,
    /// When the thread will look again by itself.
    awake_at: Option<Instant>,
    ended: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, process: &Weak<Process>) {
        let mut state = self.lock();
        while !state.ended {
            let now = Instant::now();
            match state.next {
                Some(next) if next <= now => {
                    let interval = state.interval;
                    state.next = (!interval.is_zero()).then(|| now + interval);
                    drop(state);
                    if let Some(process) = process.upgrade() {
                        process.post(libc::SIGALRM);
                    }
                    state = self.lock();
                }
                Some(next) => {
                    state.awake_at = Some(next);
                    state = self.changed.wait_timeout(state, next - now).unwrap_or_else(PoisonError::into_inner).0;
                }
                None => {
                    state.awake_at = None;
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

pub(super) struct Clock {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    generation: Generation,
}

impl Clock {
    pub(super) fn start(process: Weak<Process>) -> std::io::Result<Clock> {
        let shared = Arc::<Shared>::default();
        let own = shared.clone();
        // The host's signals are for the host's threads.
        let _blocked = HostSignalsBlocked::new();
        let thread = std::thread::Builder::new()
            .name("libos-clock".into())
            .stack_size(64 << 10)
            .spawn(move || own.run(&process))?;
        Ok(Clock { shared, thread: Some(thread), generation: Generation::now() })
    }

    /// The first expiry, `None` for never, and the time between expiries, zero for one only.
    pub(super) fn set(&self, value: Option<Duration>, interval: Duration) {
        let mut state = self.shared.lock();
        state.next = value.map(|value| Instant::now() + value);
        state.interval = interval;
        // Where it wakes earlier anyway it finds out then.
        let late = match (state.next, state.awake_at) {
            (Some(next), Some(awake)) => next < awake,
            (next, None) => next.is_some(),
            (None, _) => false,
        };
        drop(state);
        if late {
            self.shared.changed.notify_one();
        }
    }

    /// Time to the next expiry, and between expiries.
    pub(super) fn get(&self) -> (Option<Duration>, Duration) {
        let state = self.shared.lock();
        (state.next.map(|next| next.saturating_duration_since(Instant::now())), state.interval)
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        // In a fork of the host there is no such thread, and its lock may be taken for ever.
        if self.generation.is_over() {
            std::mem::forget(self.thread.take());
            return;
        }
        self.shared.lock().ended = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take().filter(|thread| thread.thread().id() != std::thread::current().id()) {
            // It cannot have panicked: nothing in it does.
            let _ = thread.join();
        }
    }
}
