//! Where TAP tests run: an installation, the source, a folder for each file, and a user that stock programs accept.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use postgres_build::layout::{Cache, Workspace};
use postgres_build::progress::Progress;
use postgres_build::stock::{self, Flavour};
use postgres_build::{child, source};
use rustix::process::{Pid, Signal, kill_process};

use super::exceptions::Exception;
use super::installation::{add_files, add_module, add_test_modules, replace_programs};
use super::output::Report;
use crate::{build, user};

/// How long a file may take, in seconds, that will not come to its end.
const HOPELESS: u64 = 240;

/// Everything that the tests need.
pub(crate) struct Lab {
    source: PathBuf,
    /// The one whose programs are `pglite`.
    pub(crate) installation: PathBuf,
    /// A stock one.
    pub(crate) stock: PathBuf,
    /// Where each file, and the replication, has its folder.
    pub(crate) work: PathBuf,
    /// Whom the tests run as, where we are root: stock programs refuse to be.
    pub(crate) user: Option<(u32, u32)>,
}

impl Lab {
    pub(crate) fn set_up(directory: &Path) -> Result<Self> {
        let perl = Command::new("perl").args(["-MIPC::Run", "-e", "1"]).output();
        ensure!(
            perl.is_ok_and(|output| output.status.success()),
            "TAP tests need perl with IPC::Run (Debian: apt-get install libipc-run-perl)"
        );
        let prepared = build::for_this_machine()?;
        let (progress, cache) = (Progress::new(), Cache::from_environment()?);
        let original = stock::install(Flavour::Gcc, true, &cache, &progress)?;
        let [pglite] = build::programs(&Workspace::compiled_from(), &progress, "release", ["pglite"])?;

        std::fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
        let source = unpack(directory, &cache, &progress)?;
        let step = progress.step("make the installations", 0);
        let (installation, stock) = (directory.join("installation"), directory.join("stock"));
        for folder in [&installation, &stock] {
            run_tool("rm", &["-rf".as_ref(), folder.as_os_str()])?;
            run_tool("cp", &["-a".as_ref(), original.as_os_str(), folder.as_os_str()])?;
        }
        replace_programs(&pglite, &installation.join("bin"))?;
        add_files(&prepared.share_bundle(), &installation)?;
        add_test_modules(&source, &installation)?;
        // with which replication is checked on both sides; it is linked into ours
        add_module(&source.join("contrib/amcheck"), &stock)?;
        run_tool("chmod", &["-R".as_ref(), "a+rX".as_ref(), directory.as_os_str()])?;
        step.finish("");
        let work = directory.join("work");
        std::fs::create_dir_all(&work)?;
        let user = rustix::process::geteuid().is_root().then(user::nobody).transpose()?;
        Ok(Self { source, installation, stock, work, user })
    }

    /// The test files of a suite, as paths below the source.
    pub(crate) fn files(&self, suite: &str) -> Result<Vec<String>> {
        if suite.ends_with(".pl") {
            return Ok(vec![suite.to_owned()]);
        }
        let folder = self.source.join(suite).join("t");
        let listing = std::fs::read_dir(&folder).with_context(|| format!("{suite} has no TAP tests"))?;
        let names = listing.flatten().map(|file| file.file_name().to_string_lossy().into_owned());
        let mut files: Vec<_> =
            names.filter(|name| name.ends_with(".pl")).map(|name| format!("{suite}/t/{name}")).collect();
        files.sort();
        Ok(files)
    }

    /// An empty folder of this name in the work folder, which is the tests' user's.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.work.join(name);
        run_tool("rm", &["-rf".as_ref(), folder.as_os_str()])?;
        self.make_folder(&folder)?;
        Ok(folder)
    }

    /// Makes a folder that is the tests' user's.
    pub(crate) fn make_folder(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        if let Some((uid, gid)) = self.user {
            std::os::unix::fs::chown(folder, Some(uid), Some(gid))
                .with_context(|| format!("cannot give {} away", folder.display()))?;
        }
        Ok(())
    }

    /// Runs a file with `prove`, as PostgreSQL's makefiles do; what is expected to fail does not wait long for what will not come.
    pub(crate) fn run(&self, file: &str, limit: u64, exception: Option<&Exception>) -> Result<Report> {
        let limit = if exception.is_some_and(|exception| exception.unfinished) { limit.min(HOPELESS) } else { limit };
        let Some((suite, name)) = file.rsplit_once("/t/") else { bail!("{file} is not a test") };
        let folder = self.folder(&file.replace('/', "_").replace(".pl", ""))?;
        let (log, home, output) = (folder.join("log"), folder.join("home"), folder.join("output"));
        self.make_folder(&log)?;
        self.make_folder(&home)?;
        let suite = self.source.join(suite);
        let bin = self.installation.join("bin");

        let mut command = child::command("sh");
        // into a file: a server that outlives a test must not keep us waiting for the end of a pipe
        command.args(["-c", "output=$1; shift; exec prove \"$@\" > \"$output\" 2>&1", "sh"]).arg(&output);
        command.args(["--verbose", "-I"]).arg(self.source.join("src/test/perl")).args(["-I", "."]);
        command.arg(format!("t/{name}")).current_dir(&suite).env_clear();
        command.env("PATH", format!("{}:{1}:{1}/test:/usr/local/bin:/usr/bin:/bin", bin.display(), suite.display()));
        command.env("LD_LIBRARY_PATH", self.installation.join("lib"));
        command.env("PG_REGRESS", self.installation.join("lib/postgresql/pgxs/src/test/regress/pg_regress"));
        command.env("REGRESS_SHLIB", self.source.join("src/test/regress/regress.so"));
        command.env("HOME", &home).env("TESTDATADIR", &folder).env("TESTLOGDIR", &log);
        command.env("PG_TEST_PORT_DIR", folder.join("ports")).env("top_builddir", &self.source);
        command.env("share_contrib_dir", self.installation.join("share/postgresql/contrib"));
        command.env("PG_TEST_TIMEOUT_DEFAULT", if exception.is_some() { "20" } else { "180" });
        command.envs(ENVIRONMENT);
        user::run_as(&mut command, self.user);
        let start = Instant::now();
        // how it ended is in its output
        let _ = child::lines_within(command, Duration::from_secs(limit), &mut |_| {});
        let seconds = start.elapsed().as_secs();
        kill_servers(&folder);
        let text = std::fs::read(&output).with_context(|| format!("prove has not written {}", output.display()))?;
        let tests =
            std::fs::read(log.join(format!("regress_log_{}", name.trim_end_matches(".pl")))).unwrap_or_default();
        let report = Report::parse(&String::from_utf8_lossy(&text), &String::from_utf8_lossy(&tests), seconds);
        if report.good {
            remove_clusters(&folder)?;
        }
        Ok(report)
    }
}

/// What PostgreSQL's makefiles would say.
const ENVIRONMENT: [(&str, &str); 16] = [
    ("USER", "nobody"),
    ("LOGNAME", "nobody"),
    ("LANG", "C.UTF-8"),
    ("PGPORT", "65432"),
    ("PG_TEST_EXTRA", "libpq_encryption"),
    ("with_icu", "no"),
    ("with_ssl", "no"),
    ("with_gssapi", "no"),
    ("with_krb_srvnam", "postgres"),
    ("with_ldap", "no"),
    ("with_readline", "yes"),
    ("enable_injection_points", "no"),
    ("GZIP_PROGRAM", "gzip"),
    ("LZ4", "lz4"),
    ("ZSTD", "zstd"),
    ("TAR", "tar"),
];

/// Unpacks the source that ours is made from, once.
fn unpack(directory: &Path, cache: &Cache, progress: &Progress) -> Result<PathBuf> {
    let found = source::obtain(cache, progress)?;
    let note = directory.join("source.path");
    if let Ok(text) = std::fs::read_to_string(&note)
        && let Some((path, checksum)) = text.split_once('\n')
        && checksum == found.checksum
        && Path::new(path).is_dir()
    {
        return Ok(path.into());
    }
    let step = progress.step("unpack the source", 0);
    let folder = directory.join("source");
    run_tool("rm", &["-rf".as_ref(), folder.as_os_str()])?;
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut tree = found.tree(&folder)?;
    if !tree.starts_with(&folder) {
        // somebody's own, in which nothing is to be compiled
        let copy = folder.join("tree");
        run_tool("cp", &["-R".as_ref(), tree.as_os_str(), copy.as_os_str()])?;
        tree = copy;
    }
    let path = tree.to_str().context("the path of the source is not valid UTF-8")?;
    std::fs::write(&note, format!("{path}\n{}", found.checksum))?;
    step.finish("");
    Ok(tree)
}

/// Kills servers that a test has left behind: those that name its folder.
fn kill_servers(folder: &Path) {
    let name = folder.as_os_str().as_encoded_bytes();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        let Ok(arguments) = std::fs::read(entry.path().join("cmdline")) else { continue };
        if let Some(pid) = pid
            && arguments.windows(name.len()).any(|part| part == name)
        {
            // it may have ended by itself
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Removes the clusters and backups of a file that passed; its logs stay.
fn remove_clusters(folder: &Path) -> Result<()> {
    for entry in
        std::fs::read_dir(folder)?.flatten().filter(|entry| !["log", "output"].iter().any(|n| entry.file_name() == *n))
    {
        run_tool("rm", &["-rf".as_ref(), entry.path().as_os_str()])?;
    }
    Ok(())
}

fn run_tool(name: &str, arguments: &[&std::ffi::OsStr]) -> Result<()> {
    let mut command = child::command(name);
    command.args(arguments);
    child::run(command)
}
