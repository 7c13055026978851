//! Sessions in their sandbox. `cargo xtask wasm test` says where the modules are.

mod interrupts;
mod lifecycle;
mod limits;
mod making;
mod permissions;
mod protocol;
mod reactor;
mod sandbox;
mod support;
