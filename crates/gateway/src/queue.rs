//! Turns, in the order in which they were asked for.

use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    next: u64,
    serving: u64,
    closed: bool,
}

/// A turn; the next one begins when it is dropped.
pub(crate) struct Turn<'a>(&'a Queue);

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn; `None` when there are no more.
    pub(crate) fn turn(&self) -> Option<Turn<'_>> {
        let mut state = self.state();
        let ticket = state.next;
        state.next += 1;
        while state.serving != ticket {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        // Whoever leaves lets the next one pass.
        let turn = Turn(self);
        let closed = state.closed;
        drop(state);
        (!closed).then_some(turn)
    }

    /// Whether somebody waits for the turn that is now.
    pub(crate) fn has_waiting(&self) -> bool {
        let state = self.state();
        state.next > state.serving + 1
    }

    /// Sends all away that wait, and those that come.
    pub(crate) fn close(&self) {
        self.state().closed = true;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.state().serving += 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn first_come_first_served() {
        let queue = Arc::new(Queue::default());
        let order = Arc::new(Mutex::new(Vec::new()));
        let first = queue.turn().unwrap();
        assert!(!queue.has_waiting());
        let threads: Vec<_> = (0..20)
            .map(|number| {
                let before = queue.state().next;
                let (other, order) = (queue.clone(), order.clone());
                let thread = std::thread::spawn(move || {
                    let _turn = other.turn();
                    order.lock().unwrap().push(number);
                });
                while queue.state().next == before {
                    std::thread::yield_now();
                }
                thread
            })
            .collect();
        assert!(queue.has_waiting());
        drop(first);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn a_closed_queue_sends_all_away() {
        let queue = Arc::new(Queue::default());
        let first = queue.turn().unwrap();
        let other = queue.clone();
        let waiting = std::thread::spawn(move || other.turn().is_none());
        queue.close();
        drop(first);
        assert!(waiting.join().unwrap());
        assert!(queue.turn().is_none());
        assert!(queue.turn().is_none());
    }
}
