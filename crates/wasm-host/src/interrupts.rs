//! Cancelling.
//!
//! A WebAssembly module has no signals. The session's code asks for the time where PostgreSQL looks for interrupts, in each millisecond about; then the
//! host writes to the module's memory what a signal handler would: that there is an interrupt, and which. The other way, code that looks at the
//! engine's epoch in each loop and function, takes a sixth of all time.

use crate::files::{self, MODULE};
use crate::sandbox::State;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use wasmtime::{Caller, Linker, Result};
use wasmtime_wasi::p1::wasi_snapshot_preview1 as real;

/// Cancels what a session does, from any thread.
#[derive(Clone, Debug, Default)]
pub struct Canceller(pub(crate) Arc<AtomicBool>);

impl Canceller {
    /// Cancels the statement that runs; nothing happens where none does.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Where the module looks for interrupts: `Interrupts` of `crates/wasi-guest`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block(pub(crate) usize);

const SIGINT: u64 = 1 << 1;

/// Takes the place of wasmtime's function for the time, which is in the linker.
pub(crate) fn add(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(
        MODULE,
        "clock_time_get",
        |mut caller: Caller<'_, State>, clock: i32, precision: i64, result: i32| {
            if caller.data().cancel.0.swap(false, Ordering::SeqCst) {
                raise(&mut caller);
            }
            let (mut memory, wasi) = files::parts(&mut caller)?;
            real::clock_time_get(wasi, &mut memory, clock, precision, result)
        },
    )?;
    Ok(())
}

/// Writes that there is an interrupt.
fn raise(caller: &mut Caller<'_, State>) {
    let Some((memory, Block(address))) = caller.data().interrupts else { return };
    let bytes = memory.data_mut(caller);
    let Some((raised, rest)) = bytes.get_mut(address..address + 12).and_then(<[u8]>::split_first_chunk_mut) else {
        return;
    };
    *raised = (u64::from_le_bytes(*raised) | SIGINT).to_le_bytes();
    let flag = rest.first_chunk().map_or(0, |flag| u32::from_le_bytes(*flag)) as usize;
    if flag != 0
        && let Some(flag) = bytes.get_mut(flag..flag + 4)
    {
        flag.copy_from_slice(&1u32.to_le_bytes());
    }
}
