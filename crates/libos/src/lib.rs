//! The library OS: runs privatized programs as processes inside the caller's process.
//!
//! A [`System`] is a virtual machine with its own processes, files, shared memory and policy. A process is a thread
//! (or a [`Coroutine`]) with its own private block, heap, descriptors, signals, environment and locale. Programs are
//! those that went through the compiler pass (`docs/privatization.md`); they call the functions in `abi` wherever they
//! would call the C library for something with process-wide meaning. Nothing here knows which programs they are.

mod abi;
mod arch;
mod block;
mod console;
mod coroutine;
mod crowd;
mod current;
mod dir;
mod durability;
mod env;
mod fd;
mod fork;
mod forked;
mod heap;
mod image;
mod locale;
mod memory;
mod module;
mod process;
mod random;
mod recycle;
mod shell;
mod shm;
mod signal;
mod socket;
mod stdio;
mod system;
mod thread;
mod users;

pub use coroutine::{Coroutine, Handle};
pub use durability::Deferral;
pub use image::Program;
pub use process::Status;
pub use system::{Builder, Child, Hooks, Policy, Spawn, Stdio, Stream, System};
