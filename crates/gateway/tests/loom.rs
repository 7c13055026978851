//! The queue in every order in which threads can come, take turns and go.

mod sync {
    pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard};
    pub(crate) use std::sync::PoisonError;
}

#[allow(unused_imports, dead_code)]
#[path = "../src/queue.rs"]
mod queue;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use queue::Queue;

/// Three switches that nothing forces: more find nothing more in so small a thing, and take hours.
fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn main() {
    one_turn_at_a_time_and_everybody_gets_one();
    nobody_waits_for_ever_for_a_closed_queue();
    println!("2 passed, 0 failed");
}

fn one_turn_at_a_time_and_everybody_gets_one() {
    explore(|| {
        let queue = Arc::new(Queue::default());
        let inside = Arc::new(AtomicUsize::new(0));
        let take = |queue: &Queue, inside: &AtomicUsize| {
            let turn = queue.turn();
            assert!(turn.is_some());
            assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
            inside.fetch_sub(1, Ordering::Relaxed);
        };
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (queue, inside) = (queue.clone(), inside.clone());
                loom::thread::spawn(move || take(&queue, &inside))
            })
            .collect();
        take(&queue, &inside);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

fn nobody_waits_for_ever_for_a_closed_queue() {
    explore(|| {
        let queue = Arc::new(Queue::default());
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let queue = queue.clone();
                loom::thread::spawn(move || drop(queue.turn()))
            })
            .collect();
        queue.close();
        assert!(queue.turn().is_none());
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}
