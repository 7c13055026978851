//! The functions of the draft, on one global standalone session.

use crate::guard::guard_or;
use draft::{Engine, Host, Parameters};
use gateway::Local;
use libpglite::Database;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::io::{BufWriter, Stdout};
use std::ptr::null_mut;
use std::sync::{Mutex, PoisonError};

/// Creating or resuming failed.
pub const IDB_FAILED: c_int = 0b0001;
/// initdb was called and the cluster created.
pub const IDB_CALLED: c_int = 0b0010;
/// A cluster was found.
pub const IDB_HASDB: c_int = 0b0100;
/// The user exists.
pub const IDB_HASUSER: c_int = 0b1000;
/// What remains of a status that did not fail.
pub const IDB_OK: c_int = 0b1111_1110;

/// Clusters in directories of the host.
struct Directories;

impl Engine for Directories {
    type Backend = Local;

    fn open(&mut self, parameters: &Parameters) -> Result<(Local, bool), String> {
        let folder = |path: &std::path::Path| {
            std::fs::create_dir_all(path).map_err(|e| format!("cannot make {}: {e}", path.display()))
        };
        folder(&parameters.prefix)?;
        if let Some(parent) = parameters.data.parent() {
            folder(parent)?;
        }
        let new = !parameters.data.join("PG_VERSION").exists();
        let builder = Database::builder(&parameters.data).user(Parameters::SUPERUSER);
        let builder = match std::env::var_os("PGL_VERBOSE") {
            Some(on) if on == "1" => builder.log(|message| eprintln!("{}", message.text)),
            _ => builder.no_log(),
        };
        let session = builder.open_standalone_in("template1").map_err(|e| e.to_string())?;
        Ok((Local::new(session), new))
    }
}

type Global = Host<Directories, BufWriter<Stdout>>;

static HOST: Mutex<Option<Global>> = Mutex::new(None);

/// Runs `f` with the global session; `None` where the environment makes none possible, after saying why.
fn with<R>(f: impl FnOnce(&mut Global) -> R) -> Option<R> {
    let mut host = HOST.lock().unwrap_or_else(PoisonError::into_inner);
    if host.is_none() {
        let made = Parameters::from_environment()
            .and_then(|parameters| Host::new(Directories, parameters, BufWriter::new(std::io::stdout())));
        match made {
            Ok(made) => *host = Some(made),
            Err(text) => {
                eprintln!("pglite: {text}");
                return None;
            }
        }
    }
    host.as_mut().map(f)
}

/// Takes what the environment says now, for what begins now.
fn renew(host: &mut Global) -> bool {
    match Parameters::from_environment() {
        Ok(parameters) => {
            host.renew(parameters);
            true
        }
        Err(text) => {
            eprintln!("pglite: {text}");
            false
        }
    }
}

/// Creates or resumes the cluster in PGDATA; returns IDB_ bits. Where it fails it prints why, and leaves the directory as it was.
#[unsafe(no_mangle)]
pub extern "C" fn pgl_initdb() -> c_int {
    let run = |host: &mut Global| {
        if !renew(host) {
            return IDB_FAILED;
        }
        let (bits, reason) = host.initdb();
        if let Some(text) = reason {
            eprintln!("pglite: {text}");
        }
        bits
    };
    guard_or(IDB_FAILED, || with(run).unwrap_or(IDB_FAILED))
}

/// The same as pgl_initdb.
#[unsafe(no_mangle)]
pub extern "C" fn pg_initdb() -> c_int {
    pgl_initdb()
}

/// Sets a value in PREFIX/postgresql.conf, before pgl_backend; a null value takes the setting out. 0, or 1 where it could not be
/// done: it prints why.
///
/// # Safety
/// `key` is a string, `value` a string or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pg_conf(key: *const c_char, value: *const c_char) -> c_int {
    guard_or(1, || {
        // SAFETY: by the caller's promise.
        let text = |pointer: *const c_char| (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_str());
        let result = match (text(key), text(value).transpose()) {
            (Some(Ok(key)), Ok(value)) => with(|host| host.conf(key, value)).unwrap_or(Ok(())),
            _ => Err("pg_conf: the key is a null pointer, or something is not UTF-8".into()),
        };
        if let Err(text) = &result {
            eprintln!("pglite: {text}");
        }
        c_int::from(result.is_err())
    })
}

/// Begins the session of PGUSER in PGDATABASE, after pgl_initdb and pg_conf. 0, or 1 where it could not be done: it prints why. The
/// session stays that user's until pgl_shutdown; then pgl_initdb and pgl_backend begin another.
#[unsafe(no_mangle)]
pub extern "C" fn pgl_backend() -> c_int {
    let run = |host: &mut Global| {
        if !renew(host) {
            return 1;
        }
        let result = host.backend();
        if let Err(text) = &result {
            eprintln!("pglite: {text}");
        }
        c_int::from(result.is_err())
    };
    guard_or(1, || with(run).unwrap_or(1))
}

/// 1: the input is wire protocol. 0: it is text, and the replies go to standard output as tables.
#[unsafe(no_mangle)]
pub extern "C" fn use_wire(on: c_int) {
    guard_or((), || with(|host| host.use_wire(on > 0)).unwrap_or(()));
}

/// The length of the input in the memory area, at offset 1; the input is there then, and not in a file.
#[unsafe(no_mangle)]
pub extern "C" fn interactive_write(length: c_int) {
    guard_or((), || with(|host| host.write(length)).unwrap_or(()));
}

/// 1: replies go to the memory area. 0: they go where the input came from.
#[unsafe(no_mangle)]
pub extern "C" fn use_cma(on: c_int) {
    guard_or((), || with(|host| host.use_cma(on > 0)).unwrap_or(()));
}

/// Processes the input: that of the memory area, else that of the file, else, with use_wire(0), the string at offset 1.
#[unsafe(no_mangle)]
pub extern "C" fn interactive_one() {
    guard_or((), || with(Host::one).unwrap_or(()));
}

/// Size of the reply, which begins at offset 2 plus the length of the query. Negative: it did not fit, and is whole in a file, whose
/// number is the absolute value: PGDATA/.s.PGSQL.5432.out.N, for the host to remove.
#[unsafe(no_mangle)]
pub extern "C" fn interactive_read() -> c_int {
    guard_or(0, || with(|host| host.read()).unwrap_or(0))
}

/// Clears what an error has left, wherever it stopped. An error in a query needs no clearing.
#[unsafe(no_mangle)]
pub extern "C" fn clear_error() {
    guard_or((), || with(Host::clear_error).unwrap_or(()));
}

/// Where the last reply went: negative: to a file. 0: to standard output. Positive: its offset in the memory area.
#[unsafe(no_mangle)]
pub extern "C" fn get_channel() -> c_int {
    guard_or(0, || with(|host| host.channel()).unwrap_or(0))
}

/// Size of the memory area in bytes. There is one, number 0.
#[unsafe(no_mangle)]
pub extern "C" fn get_buffer_size(fd: c_int) -> c_int {
    let size = |host: &mut Global| c_int::try_from(host.cma().size()).unwrap_or(c_int::MAX);
    guard_or(0, || if fd == 0 { with(size).unwrap_or(0) } else { 0 })
}

/// Offset of the input in the memory area. There is one, number 0.
#[unsafe(no_mangle)]
pub extern "C" fn get_buffer_addr(fd: c_int) -> c_int {
    if fd == 0 { 1 } else { 0 }
}

/// The memory area: offset 1 of it is what address 1 is in the WebAssembly builds. It stays where it is.
#[unsafe(no_mangle)]
pub extern "C" fn pgl_cma() -> *mut c_void {
    guard_or(null_mut(), || with(|host| host.cma().start().cast()).unwrap_or(null_mut()))
}

/// Frees the backend and closes the cluster, with everything on disk.
#[unsafe(no_mangle)]
pub extern "C" fn pgl_shutdown() {
    let run = |host: &mut Global| {
        if let Err(text) = host.shutdown() {
            eprintln!("pglite: {text}");
        }
    };
    guard_or((), || with(run).unwrap_or(()));
}

/// 1 while a client is connected, which began with a start-up packet; else 0.
#[unsafe(no_mangle)]
pub extern "C" fn pgl_closed() -> c_int {
    guard_or(0, || with(|host| c_int::from(host.has_client())).unwrap_or(0))
}
