//! What a process is told when it syncs a file, while files that others made are not durable yet.
//!
//! An owner that makes many files before it starts processes on them need not wait for the disk: no process is told that
//! something is durable before all is. While the owner *defers*, nobody outside has been told anything, and a sync returns at
//! once; while it *holds*, a sync waits until the owner has synced everything, and is then carried out as usual.

use crate::system::System;
use rustix::io::Errno;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

#[derive(Clone, Copy, Default)]
enum State {
    /// The kernel's answer counts.
    #[default]
    Direct,
    /// Success, for what it is worth.
    Deferred,
    /// To be decided.
    Held,
    /// What was deferred is lost.
    Failed(Errno),
}

#[derive(Default)]
pub(crate) struct Durability {
    state: Mutex<State>,
    changed: Condvar,
    /// Whether the state is another than `Direct`.
    special: AtomicBool,
}

impl Durability {
    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.special.store(!matches!(state, State::Direct), Ordering::Release);
        self.changed.notify_all();
    }

    /// What a sync does: `None`, ask the kernel; otherwise its result.
    pub(crate) fn ask(&self) -> Option<Result<(), Errno>> {
        if !self.special.load(Ordering::Acquire) {
            return None;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match *state {
                State::Direct => return None,
                State::Deferred => return Some(Ok(())),
                State::Failed(e) => return Some(Err(e)),
                State::Held => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

/// The duty to sync what the processes of a system believe to have synced. Dropped unfulfilled, their syncs fail.
pub struct Deferral(Option<Arc<System>>);

impl Deferral {
    /// From now on, the syncs of all processes of `system` return at once.
    pub fn begin(system: &Arc<System>) -> Deferral {
        system.durability.set(State::Deferred);
        Deferral(Some(system.clone()))
    }

    /// From now on they wait.
    pub fn hold(&self) {
        self.set(State::Held);
    }

    /// The owner has synced everything: all that was held, and all to come, goes to the kernel.
    pub fn fulfil(mut self) {
        self.set(State::Direct);
        self.0 = None;
    }

    fn set(&self, state: State) {
        if let Some(system) = &self.0 {
            system.durability.set(state);
        }
    }
}

impl Drop for Deferral {
    fn drop(&mut self) {
        self.set(State::Failed(Errno::IO));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn a_sync_waits_while_it_is_held() {
        let durability = Arc::new(Durability::default());
        assert!(durability.ask().is_none());
        durability.set(State::Deferred);
        assert_eq!(durability.ask(), Some(Ok(())));
        durability.set(State::Held);
        let other = durability.clone();
        let waits = thread::spawn(move || other.ask());
        thread::sleep(Duration::from_millis(20));
        assert!(!waits.is_finished());
        durability.set(State::Direct);
        assert_eq!(waits.join().unwrap(), None);
    }

    #[test]
    fn a_sync_fails_when_the_owner_did() {
        let durability = Durability::default();
        durability.set(State::Failed(Errno::IO));
        assert_eq!(durability.ask(), Some(Err(Errno::IO)));
    }
}
