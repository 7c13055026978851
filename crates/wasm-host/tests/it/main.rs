//! Sessions in their sandbox. `cargo xtask wasm test` says where the modules are.

mod interrupts;
mod lifecycle;
mod limits;
mod protocol;
mod sandbox;
mod support;
