//! Context switches, the only assembly: one file per architecture with the same small interface.
//!
//! - `run(context, f, arg)` calls `f(arg)` and remembers in `context` how to come back;
//! - `leave(context, value)` makes that `run` return `value`, from any depth of the same stack;
//! - `libos_vfork` returns twice into the program, as `vfork` does: first 0, then what `vfork_return` is given;
//! - `variadic` defines C functions with variable arguments, of which it makes an `ArgumentList`;
//! - `libos___sigsetjmp` keeps the virtual signal mask for code that the pass has not seen.
//!
//! None of them runs destructors: a frame that is left this way must have nothing to drop.

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::*;

#[cfg(not(target_arch = "x86_64"))]
compile_error!("libos has no context switches for this architecture: add a file beside x86_64.rs");
