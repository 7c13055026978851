//! The compiled module, kept between programs.

use crate::error::{Error, Result};
use crate::modules::Modules;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use wasmtime::{Collector, Config, Module, OptLevel};

/// How deep the module's calls may go, in bytes of the engine's own stack. PostgreSQL stops at `max_stack_depth` of the memory's stack; the frames that
/// `crates/wasi-guest` gives to every recursive function make sure that it stops first.
const CALLS: usize = 12 << 20;
/// The whole stack of a session: what the host's functions need comes on top.
const STACK: usize = CALLS + (1 << 20);

/// A compiled module, for any number of sessions. Cloning it is cheap.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) engine: wasmtime::Engine,
    pub(crate) module: Module,
    pub(crate) modules: Modules,
}

impl Engine {
    /// Compiles the module, which takes some seconds on the first time; `cache` is a folder for the result, which only its owner can write
    /// to: what is in it is run.
    ///
    /// # Errors
    /// When there is no module, or the cache cannot be used.
    pub fn new(modules: &Modules, cache: &Path) -> Result<Engine> {
        let engine = configured()?;
        let module = compiled(&engine, &modules.command(), cache)?;
        Ok(Engine(Arc::new(Inner { engine, module, modules: modules.clone() })))
    }

    /// The modules that this was made of.
    pub fn modules(&self) -> &Modules {
        &self.0.modules
    }
}

pub(crate) fn configured() -> Result<wasmtime::Engine> {
    let mut config = Config::new();
    config.wasm_exceptions(true).collector(Collector::Null);
    config.cranelift_opt_level(OptLevel::Speed);
    // Filled when a session begins: else each call by a pointer asks whether its function is there already.
    config.table_lazy_init(false);
    config.max_wasm_stack(CALLS).async_stack_size(STACK);
    // Nobody looks at a backtrace, and each longjmp would collect one.
    config.wasm_backtrace_max_frames(None).native_unwind_info(false).generate_address_map(false);
    Ok(wasmtime::Engine::new(&config)?)
}

/// The module of a file: from the cache, or compiled and put there.
pub(crate) fn compiled(engine: &wasmtime::Engine, path: &Path, cache: &Path) -> Result<Module> {
    let place = cache.join(cached_name(engine, path)?);
    // SAFETY: the file was written below by an engine that is compatible, as its name says; by the caller's promise nobody else writes there.
    if let Ok(module) = unsafe { Module::deserialize_file(engine, &place) } {
        return Ok(module);
    }
    let module = Module::from_file(engine, path)?;
    fs::create_dir_all(cache).map_err(Error::at(cache, "make"))?;
    let partial = cache.join(format!("partial.{}", std::process::id()));
    fs::write(&partial, module.serialize()?).map_err(Error::at(&partial, "write"))?;
    fs::rename(&partial, &place).map_err(Error::at(&place, "write"))?;
    // As the next one will have it: mapped, not in memory of our own.
    // SAFETY: as above.
    Ok(unsafe { Module::deserialize_file(engine, &place) }?)
}

/// A name for what is compiled: by the file, without reading it, and by what the code is compiled for.
fn cached_name(engine: &wasmtime::Engine, path: &Path) -> Result<PathBuf> {
    let path = path.canonicalize().map_err(Error::at(path, "find"))?;
    let file = fs::metadata(&path).map_err(Error::at(&path, "read"))?;
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    (&path, file.len()).hash(&mut hasher);
    let time = file.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    time.hash(&mut hasher);
    Ok(format!("{:016x}.cwasm", hasher.finish()).into())
}
