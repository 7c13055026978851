//! A place for servers and tests, where everybody who takes part can read and write what they must.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use postgres_build::child;
use postgres_build::layout::Cache;
use postgres_build::stock::{self, Flavour};

use super::run::Site;
use super::server::{PORT, Server};
use crate::folder::{copy, reachable};
use crate::user::{nobody, run_as};

/// Programs, tests, a folder that all share, and the user that everything runs as.
pub(crate) struct Ground {
    /// PostgreSQL's tests: `source`, `lib`, `share`.
    pub(crate) tests: PathBuf,
    /// A stock installation, with or without a server.
    install: PathBuf,
    /// Its makefiles for extensions, with the test programs.
    pgxs: PathBuf,
    pglite: Option<PathBuf>,
    /// Results, the socket, `pg_hba.conf`.
    shared: PathBuf,
    /// Another user than the caller.
    user: Option<(u32, u32)>,
}

impl Ground {
    /// Clears a place for servers of ours, and test programs, that run as `user`. What that user cannot read is copied.
    pub(crate) fn new(site: &Site, user: Option<(u32, u32)>) -> Result<Self> {
        Self::with(site, &site.tests.install, user)
    }

    /// Clears a place for stock servers as well, which refuse to run as root.
    pub(crate) fn with_stock(site: &Site, flavour: Flavour) -> Result<Self> {
        let user = rustix::process::geteuid().is_root().then(nobody).transpose()?;
        let install = stock::install(flavour, true, &Cache::from_environment()?, &site.progress)?;
        Self::with(site, &install, user)
    }

    fn with(site: &Site, install: &Path, user: Option<(u32, u32)>) -> Result<Self> {
        let place = |path: &Path, name: &str| -> Result<PathBuf> {
            if user.is_none() || reachable(path) {
                return Ok(path.to_owned());
            }
            let copied = site.folder.join(name);
            if path.is_dir() && !copied.exists() {
                copy(path, &copied, None)?;
            } else if !copied.exists() {
                std::fs::copy(path, &copied).with_context(|| format!("cannot write {}", copied.display()))?;
            }
            ensure!(
                reachable(&copied),
                "other users cannot reach {}: set TMPDIR to a folder that they can",
                copied.display()
            );
            Ok(copied)
        };
        let pgxs = site.tests.pgxs.strip_prefix(&site.tests.install).context("pg_config names a strange folder")?;
        // the two installations differ in their programs, so one's copy is not the other's
        let install = place(install, if install == site.tests.install { "install" } else { "stock" })?;
        let shared = site.folder.join("shared");
        remove(&shared)?;
        let ground = Self {
            tests: place(&site.tests.folder, "tests")?,
            pgxs: install.join(pgxs),
            install,
            pglite: site.pglite.as_deref().map(|pglite| place(pglite, "pglite")).transpose()?,
            shared,
            user,
        };
        for path in [&ground.shared, &ground.socket()] {
            ground.folder(path)?;
        }
        let rules = ground.shared.join("pg_hba.conf");
        std::fs::write(&rules, "local all all trust\nlocal replication all trust\n")
            .with_context(|| format!("cannot write {}", rules.display()))?;
        Ok(ground)
    }

    /// The folder of the servers' socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.shared.join("s")
    }

    /// The folder for the results of a round, emptied.
    pub(crate) fn results(&self) -> PathBuf {
        self.shared.join("out")
    }

    /// Empties that.
    pub(crate) fn clear_results(&self) -> Result<()> {
        remove(&self.results())?;
        self.folder(&self.results())
    }

    /// Makes a private folder, for a cluster.
    pub(crate) fn folder(&self, path: &Path) -> Result<()> {
        let context = || format!("cannot create {}", path.display());
        std::fs::create_dir(path).with_context(context)?;
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o700)).with_context(context)?;
        match self.user {
            Some((uid, gid)) => std::os::unix::fs::chown(path, Some(uid), Some(gid)).with_context(context),
            None => Ok(()),
        }
    }

    /// Copies a cluster.
    pub(crate) fn copy(&self, from: &Path, to: &Path) -> Result<()> {
        remove(to)?;
        copy(from, to, self.user)
    }

    /// The settings that find what is here.
    pub(crate) fn settings(&self, stock_modules: bool) -> Result<Vec<(String, String)>> {
        let (library, share) = (self.tests.join("lib"), self.tests.join("share"));
        let (library, share) = (text(&library)?, text(&share)?);
        let search = |own: &str, other: &str| {
            if stock_modules { format!("{other}:{own}") } else { format!("{own}:{other}") }
        };
        Ok(vec![
            ("hba_file".into(), text(&self.shared.join("pg_hba.conf"))?.into()),
            ("dynamic_library_path".into(), search("$libdir", library)),
            ("extension_control_path".into(), search("$system", share)),
        ])
    }

    /// Starts a server of ours on the cluster in `data`, which it makes where there is none; in memory without `data`.
    pub(crate) fn ours(&self, data: Option<&Path>, settings: &[(String, String)], log: &Path) -> Result<Server> {
        let mut command = child::command(self.pglite.as_ref().context("pglite was not built")?);
        command.arg("serve").arg("--verbose").arg("--allow-network").arg("--allow-programs");
        // as a stock server sees it: some tests look for what is not there, and must not be told that it is forbidden
        command.arg("--allow-path").arg("/");
        command.arg("--socket").arg(self.socket());
        command.args(settings.iter().map(|(name, value)| format!("--set={name}={value}")));
        command.arg(data.unwrap_or(Path::new(":memory:")));
        self.start(command, log)
    }

    /// Starts a session of the WebAssembly engine, for which clients take turns. It sees the tests and their results.
    pub(crate) fn wasm(
        &self,
        modules: &Path,
        data: Option<&Path>,
        settings: &[(String, String)],
        log: &Path,
    ) -> Result<Server> {
        let mut command = child::command(self.pglite.as_ref().context("pglite was not built")?);
        command.env("PGLITE_WASM", modules);
        command.args(["serve", "--engine=wasm", "--standalone", "--handover", "--fresh", "--trust", "--verbose"]);
        command.arg("--allow-path").arg(&self.tests).arg("--allow-path").arg(&self.shared);
        command.arg("--socket").arg(self.socket());
        command.args(settings.iter().map(|(name, value)| format!("--set={name}={value}")));
        command.arg(data.unwrap_or(Path::new(":memory:")));
        self.start(command, log)
    }

    /// Starts a stock server on the cluster in `data`.
    pub(crate) fn stock(&self, data: &Path, settings: &[(String, String)], log: &Path) -> Result<Server> {
        let mut command = child::command(self.install.join("bin/postgres"));
        command.arg("-D").arg(data).arg("-clisten_addresses=");
        command.arg(format!("-cunix_socket_directories={}", text(&self.socket())?));
        command.args(settings.iter().map(|(name, value)| format!("-c{name}={value}")));
        self.start(command, log)
    }

    fn start(&self, mut command: Command, log: &Path) -> Result<Server> {
        self.prepare(&mut command);
        // where a stock module's libpq, which is the host's, finds the server, and as whom
        command.env("PGHOST", self.socket()).env("PGUSER", "postgres");
        Server::start(command, &|| self.tool("pg_isready").arg("-q").status().is_ok_and(|status| status.success()), log)
    }

    /// A client program of the stock installation, for the server of this place.
    pub(crate) fn tool(&self, name: &str) -> Command {
        let mut command = child::command(self.install.join("bin").join(name));
        self.prepare(&mut command);
        command.env("PGHOST", self.socket()).env("PGPORT", PORT).env("PGUSER", "postgres");
        // of an instrumented installation only the server is to count
        command.env("LLVM_PROFILE_FILE", "/dev/null");
        command
    }

    /// A test program, such as `regress/pg_regress`, for the server of this place.
    pub(crate) fn test_program(&self, name: &str) -> Command {
        let mut command = child::command(self.pgxs.join("src/test").join(name));
        self.prepare(&mut command);
        command.arg(format!("--bindir={}", self.install.join("bin").display()));
        command.arg(format!("--host={}", self.socket().display())).args(["--user=postgres", "--port", PORT]);
        command.env("LLVM_PROFILE_FILE", "/dev/null");
        command
    }

    fn prepare(&self, command: &mut Command) {
        command.current_dir("/").env("LD_LIBRARY_PATH", self.install.join("lib"));
        run_as(command, self.user);
    }
}

/// Removes a folder that may be there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            bail!("cannot remove {}: {error}", path.display())
        }
        _ => Ok(()),
    }
}

/// A path as text.
pub(crate) fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not valid UTF-8", path.display()))
}
