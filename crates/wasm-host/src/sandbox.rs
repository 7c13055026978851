//! An instance of the module: what it sees of the world.

use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::files::{self, Files};
use crate::interrupts::{self, Block, Canceller};
use crate::log::Log;
use crate::making::Cluster;
use crate::streams::Console;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use wasmtime::{Linker, Memory, Module, Store};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

/// What the host's functions work on.
pub(crate) struct State {
    pub(crate) wasi: WasiP1Ctx,
    pub(crate) files: Files,
    pub(crate) interrupts: Option<(Memory, Block)>,
    pub(crate) cancel: Canceller,
}

/// How a program of the module ended.
pub(crate) enum End {
    /// By itself, with this status.
    Exited(i32),
    /// It did what it must not, or could not go on.
    Trapped(String),
}

/// A program that is to run.
pub(crate) struct Program {
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    /// Directories of the host, their names inside, and whether they can be written to.
    pub(crate) directories: Vec<(PathBuf, String, bool)>,
    /// A cluster that is being made, and which of the directories it is.
    pub(crate) making: Option<(Arc<Cluster>, usize)>,
    pub(crate) console: Console,
    pub(crate) log: Log,
    pub(crate) cancel: Canceller,
}

pub(crate) type Run = Pin<Box<dyn Future<Output = End> + Send>>;

/// A linker with all that a program of ours may import.
pub(crate) fn linker(engine: &wasmtime::Engine) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    p1::add_to_linker_async(&mut linker, |state: &mut State| &mut state.wasi)?;
    // Some of them are the host's own.
    linker.allow_shadowing(true);
    files::add(&mut linker)?;
    interrupts::add(&mut linker)?;
    Ok(linker)
}

/// Makes an instance. Nothing of it runs before the result is polled.
pub(crate) fn prepare(inner: &Inner, program: Program) -> Result<Run> {
    let linker = linker(&inner.engine)?;
    start(&inner.engine, &inner.module, &linker, program)
}

pub(crate) fn start(
    engine: &wasmtime::Engine,
    module: &Module,
    linker: &Linker<State>,
    program: Program,
) -> Result<Run> {
    let mut wasi = WasiCtxBuilder::new();
    // Whoever uses a session is a thread that can wait for a disk.
    wasi.allow_blocking_current_thread(true);
    wasi.args(&program.arguments).envs(&program.environment);
    wasi.stdin(program.console.clone()).stdout(program.console.clone()).stderr(program.log.clone());
    for (host, guest, writable) in &program.directories {
        let permissions = if *writable { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
        wasi.preopened_dir(host, guest, permissions)
            .map_err(|e| Error::Engine(format!("{}: {e:#}", host.display())))?;
    }
    let roots = program.directories.into_iter().map(|(host, ..)| host).collect();
    let files = Files::new(roots, program.making);
    let state = State { wasi: wasi.build_p1(), files, interrupts: None, cancel: program.cancel };
    let mut store = Store::new(engine, state);
    let instance = linker.instantiate_pre(module)?;
    Ok(Box::pin(async move {
        let result = async {
            let instance = instance.instantiate_async(&mut store).await?;
            let block = instance.get_global(&mut store, "pgl_interrupt_block").and_then(|g| g.get(&mut store).i32());
            if let (Some(memory), Some(block)) = (instance.get_memory(&mut store, "memory"), block) {
                store.data_mut().interrupts = Some((memory, Block(block.cast_unsigned() as usize)));
            }
            instance.get_typed_func::<(), ()>(&mut store, "_start")?.call_async(&mut store, ()).await
        };
        match result.await {
            Ok(()) => End::Exited(0),
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(I32Exit(status)) => End::Exited(*status),
                None => End::Trapped(format!("{error:#}")),
            },
        }
    }))
}
