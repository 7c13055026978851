//! The WebAssembly engine: a standalone session in a sandbox of `wasm-host`, with the modules that `wasm-modules` has embedded.

use engine::{Access, Engine, Error, Identity, Location, Log, Options, Result, check_setting};
use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tempfile::TempDir;
use wasm_host::{Modules, Session};

pub(crate) struct Sandboxed {
    session: Session,
    path: PathBuf,
    user: String,
    owner: u32,
    // Last: it is removed when nobody uses it any more.
    _memory: Option<TempDir>,
}

impl Sandboxed {
    pub(crate) fn start(options: &Options, database: &str) -> Result<Sandboxed> {
        check(options)?;
        let memory = match &options.location {
            Location::Memory => Some(memory()?),
            Location::Directory(_) => None,
        };
        let path = match (&options.location, &memory) {
            (Location::Directory(path), _) => path.clone(),
            (Location::Memory, Some(folder)) => folder.path().to_owned(),
            (Location::Memory, None) => unreachable!("it has just been made"),
        };
        let exists = match engine::look(&path, wasm_modules::postgres_version(), Engine::Wasm) {
            // Somebody may be making it at this moment: whoever asks for the lock is told.
            Err(Error::NotACluster(_)) if !options.existing_only => true,
            result => result?,
        };
        if !exists {
            check_new(options, &path)?;
        }
        let session = Session::open(&engine()?, &translate(options, &path, database)?).map_err(error)?;
        let path = fs::canonicalize(&path).unwrap_or(path);
        let (user, owner) = (options.user.clone(), std::process::id());
        Ok(Sandboxed { session, path, user, owner, _memory: memory })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn greeting(&self) -> &[u8] {
        self.session.greeting()
    }

    pub(crate) fn restart(&mut self, identity: &Identity, server: &[(String, String)]) -> Result<()> {
        self.check_fork()?;
        identity.check()?;
        server.iter().try_for_each(|(name, _)| check_setting(name))?;
        let user = identity.user.as_deref().unwrap_or(&self.user);
        self.session.restart(Some(user), &identity.database, &identity.settings, server).map_err(error)
    }

    pub(crate) fn exchange(&mut self, input: &[u8], output: impl FnMut(&[u8])) -> Result<()> {
        self.check_fork()?;
        self.session.exchange(input, output).map_err(error)
    }

    pub(crate) fn canceller(&self) -> wasm_host::Canceller {
        self.session.canceller()
    }

    pub(crate) fn close(self) -> Result<()> {
        self.check_fork()?;
        self.session.close().map_err(error)
    }

    /// Two processes that go on with one session would write to the same files.
    fn check_fork(&self) -> Result<()> {
        if self.owner == std::process::id() { Ok(()) } else { Err(Error::Forked) }
    }
}

/// A folder for a database in memory: in the machine's file system for that, where it has one.
fn memory() -> Result<TempDir> {
    let shared = Path::new("/dev/shm");
    let temporary = std::env::temp_dir();
    let folder = |place: &Path| tempfile::Builder::new().prefix("libpglite-").tempdir_in(place);
    folder(shared)
        .or_else(|_| folder(&temporary))
        .map_err(|source| io_error("make a folder for a database in memory", source))
}

/// What this engine cannot do.
fn check(options: &Options) -> Result<()> {
    let refuse = |text: &str| Err(Error::Option(format!("{text}; open the database with the native engine for that")));
    if !options.listen.is_empty() {
        return Err(Error::Option(
            "a standalone session has no listeners: `pglite serve --standalone` or the crate `gateway` let clients take turns on one".into(),
        ));
    }
    if options.policy.network {
        return refuse("SQL in the WebAssembly engine has no network");
    }
    if options.policy.programs {
        return refuse("SQL in the WebAssembly engine cannot start programs");
    }
    options.settings.keys().try_for_each(|name| check_setting(name))
}

/// What it cannot do where there is no cluster yet.
fn check_new(options: &Options, path: &Path) -> Result<()> {
    if options.existing_only {
        return Err(Error::NotACluster(path.into()));
    }
    if options.user != "postgres" {
        return Err(Error::Option(format!(
            "a new database of the WebAssembly engine has the superuser postgres: open it as that, and CREATE ROLE \"{}\" SUPERUSER LOGIN",
            options.user
        )));
    }
    if options.creation != engine::Creation::default() {
        return Err(Error::Option(
            "the WebAssembly engine makes new databases in one way, with UTF8 and C.UTF-8: leave encoding, locale and options of initdb out"
                .into(),
        ));
    }
    Ok(())
}

fn translate(options: &Options, path: &Path, database: &str) -> Result<wasm_host::Options> {
    let mut result = wasm_host::Options::new(path).user(&options.user).database(database);
    for (name, value) in &options.settings {
        result = result.setting(name, value);
    }
    for (allowed, access) in &options.policy.paths {
        let fail = |e| io_error(&format!("find {}", allowed.display()), e);
        let host = fs::canonicalize(allowed).map_err(fail)?;
        let guest = std::path::absolute(allowed).map_err(fail)?;
        let Some(guest) = guest.to_str().filter(|_| host.is_dir()) else {
            return Err(Error::Option(format!(
                "{} is not a directory, or its name is not UTF-8: the WebAssembly engine can allow directories only; allow that which it is in",
                allowed.display()
            )));
        };
        result = result.mount(&host, guest, *access == Access::ReadWrite);
    }
    let log = options.log.clone();
    Ok(match log {
        Log::Discard => result,
        // Its process has no number that means anything here.
        log => result.log(move |line| log.text(0, line)),
    })
}

/// The compiled module, which all databases of this process share.
fn engine() -> Result<wasm_host::Engine> {
    static ENGINE: Mutex<Option<wasm_host::Engine>> = Mutex::new(None);
    let mut engine = ENGINE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(engine) = &*engine {
        return Ok(engine.clone());
    }
    let cache = cache()?;
    let modules = wasm_modules::folder(&cache.join("modules"))
        .map_err(|e| io_error(&format!("unpack the WebAssembly modules into {}", cache.display()), e))?;
    let made = wasm_host::Engine::new(&Modules::at(modules), &cache.join("compiled")).map_err(error)?;
    Ok(engine.insert(made).clone())
}

/// A folder of the user's, for nobody else: what is in it is run.
fn cache() -> Result<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(OsStr::new(".cache"))));
    let Some(base) = base else {
        return Err(Error::Option(
            "there is no folder for the compiled WebAssembly module: set HOME or XDG_CACHE_HOME".into(),
        ));
    };
    let cache = base.join("libpglite/run");
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&cache);
    made.map_err(|e| io_error(&format!("make {}", cache.display()), e))?;
    Ok(cache)
}

fn io_error(what: &str, source: io::Error) -> Error {
    Error::Io { context: format!("cannot {what}: {source}"), source }
}

fn error(error: wasm_host::Error) -> Error {
    use wasm_host::Error as E;
    match error {
        E::InUse { path } => Error::InUse { path, holder: "another session, of this process or of another one".into() },
        E::OtherEngine { path } => Error::OtherEngine { path, found: Engine::Native },
        E::Unusable { path, .. } => Error::NotACluster(path),
        E::Startup { path, log } => Error::from_log(log, &path),
        E::Ended(text) => Error::Ended(text),
        E::File { ref source, .. } => {
            let source = source.kind().into();
            Error::Io { context: error.to_string(), source }
        }
        other => Error::Io { context: other.to_string(), source: io::Error::other(other) },
    }
}
