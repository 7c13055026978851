//! What the tests of the library OS share: the test programs, a [`Machine`] to run them in, the same programs
//! under the real kernel, and tests that need a host process of their own.

mod host;
mod machine;
mod programs;

pub use host::{Counts, in_own_process, in_prepared_process, no_longer_than};
pub use machine::{Event, Machine, Options, Outcome, PATIENCE, Recorder, Running, build, spawn};
pub use programs::{built_in_modules, native, native_in, program, stock_module};
