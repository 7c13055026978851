//! What the queue waits with. `tests/loom.rs` compiles it with loom's instead, which tries every order of events.

pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
