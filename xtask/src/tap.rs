//! `cargo xtask tap`: PostgreSQL's own TAP tests against an installation whose programs are `pglite`.
//!
//! The installation is a copy of a stock one, in which all programs that we have are links to `pglite`: what is left of the stock
//! one are `pg_ctl`, `pg_config`, `pg_upgrade`, `pg_regress` and the share files.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use postgres_build::layout::{Cache, Workspace};
use postgres_build::progress::Progress;
use postgres_build::stock::{self, Flavour};
use postgres_build::{child, source};
use serde_json::json;

use crate::{build, user};

/// What is run where nothing is named: suites of the programs and of the server that need no library and no module of their own.
const SUITES: [&str; 16] = [
    "src/bin/initdb",
    "src/bin/pg_ctl",
    "src/bin/pg_controldata",
    "src/bin/pg_checksums",
    "src/bin/pg_resetwal",
    "src/bin/pg_archivecleanup",
    "src/bin/pg_test_timing",
    "src/bin/scripts",
    "src/bin/psql",
    "src/bin/pgbench",
    "src/bin/pg_amcheck",
    "src/bin/pg_basebackup",
    "src/bin/pg_verifybackup",
    "src/bin/pg_waldump",
    "src/test/recovery",
    "src/test/subscription",
];

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Directories of PostgreSQL's source with TAP tests, or single files: `src/test/recovery`, `src/bin/psql/t/001_basic.pl`
    #[arg(value_name = "SUITE")]
    suites: Vec<String>,
    /// A directory for the installation, the source and the tests' clusters, which an ordinary user can reach; 2 GB
    #[arg(long, default_value = "/var/tmp/pglite-tap")]
    directory: PathBuf,
    /// How long one file may take, in seconds
    #[arg(long, default_value_t = 300)]
    limit: u32,
}

/// How a file ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Skipped,
    Failed,
}

/// Runs the suites, and says which files passed.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let lab = Lab::set_up(&arguments.directory)?;
    let suites = match &arguments.suites[..] {
        [] => SUITES.map(str::to_owned).to_vec(),
        named => named.to_vec(),
    };
    let mut outcomes = BTreeMap::new();
    for suite in &suites {
        for file in lab.files(suite)? {
            let outcome = lab.run(&file, arguments.limit)?;
            let shown = match outcome {
                Outcome::Passed => "ok",
                Outcome::Skipped => "skipped",
                Outcome::Failed => "FAILED",
            };
            println!("{file} {} {shown}", ".".repeat(70usize.saturating_sub(file.len())));
            outcomes.insert(file, outcome);
        }
    }
    let count = |wanted| outcomes.values().filter(|outcome| **outcome == wanted).count();
    let (passed, skipped, failed) = (count(Outcome::Passed), count(Outcome::Skipped), count(Outcome::Failed));
    let failures: Vec<_> = outcomes.iter().filter(|(_, o)| **o == Outcome::Failed).map(|(file, _)| file).collect();
    let summary = json!({ "passed": passed, "skipped": skipped, "failed": failures });
    let path = arguments.directory.join("summary.json");
    std::fs::write(&path, format!("{summary:#}\n")).with_context(|| format!("cannot write {}", path.display()))?;
    println!("\n{passed} files passed, {skipped} skipped, {failed} failed; logs are in {}", lab.work.display());
    ensure!(failed == 0, "not all files passed");
    Ok(())
}

struct Lab {
    source: PathBuf,
    installation: PathBuf,
    work: PathBuf,
    /// Whom the tests run as, where we are root: stock programs refuse to be.
    user: Option<(u32, u32)>,
}

impl Lab {
    fn set_up(directory: &Path) -> Result<Self> {
        let perl = Command::new("perl").args(["-MIPC::Run", "-e", "1"]).output();
        ensure!(
            perl.is_ok_and(|output| output.status.success()),
            "TAP tests need perl with IPC::Run (Debian: apt-get install libipc-run-perl)"
        );
        let prepared = build::for_this_machine()?;
        let (progress, cache) = (Progress::new(), Cache::from_environment()?);
        let workspace = Workspace::compiled_from();
        let stock = stock::install(Flavour::Gcc, true, &cache, &progress)?;
        let [pglite] = build::programs(&workspace, &progress, "release", ["pglite"])?;

        let installation = directory.join("installation");
        let step = progress.step("make the installation", 0);
        std::fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
        run_tool("rm", &["-rf".as_ref(), installation.as_os_str()])?;
        run_tool("cp", &["-a".as_ref(), stock.as_os_str(), installation.as_os_str()])?;
        install(&pglite, &installation.join("bin"))?;
        add_files(&prepared.share_bundle(), &installation)?;
        step.finish("");

        let unpacked = directory.join("source");
        let found = source::obtain(&cache, &progress)?;
        let source = match std::fs::read_to_string(directory.join("source.path")) {
            Ok(path) if Path::new(&path).is_dir() => path.into(),
            _ => {
                let step = progress.step("unpack the source", 0);
                let source = found.tree(&unpacked)?;
                std::fs::write(directory.join("source.path"), source.as_os_str().as_encoded_bytes())?;
                step.finish("");
                source
            }
        };
        run_tool("chmod", &["-R".as_ref(), "a+rX".as_ref(), directory.as_os_str()])?;
        let work = directory.join("work");
        std::fs::create_dir_all(&work)?;
        let user = rustix::process::geteuid().is_root().then(user::nobody).transpose()?;
        Ok(Self { source, installation, work, user })
    }

    /// The test files of a suite, as paths below the source.
    fn files(&self, suite: &str) -> Result<Vec<String>> {
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

    /// Runs a file with `prove`, as PostgreSQL's makefiles do.
    fn run(&self, file: &str, limit: u32) -> Result<Outcome> {
        let Some((suite, name)) = file.rsplit_once("/t/") else { bail!("{file} is not a test") };
        let folder = self.work.join(file.replace('/', "_").trim_end_matches(".pl"));
        run_tool("rm", &["-rf".as_ref(), folder.as_os_str()])?;
        let (log, home) = (folder.join("log"), folder.join("home"));
        for folder in [&log, &home] {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        if let Some((uid, gid)) = self.user {
            for folder in [&folder, &log, &home] {
                std::os::unix::fs::chown(folder, Some(uid), Some(gid))?;
            }
        }
        let bin = self.installation.join("bin");
        let mut command = Command::new("timeout");
        command.args(["--kill-after=10", &limit.to_string(), "prove", "--verbose", "-I"]);
        command.arg(self.source.join("src/test/perl")).args(["-I", ".", &format!("t/{name}")]);
        command.current_dir(self.source.join(suite)).env_clear();
        command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()));
        command.env("LD_LIBRARY_PATH", self.installation.join("lib"));
        command.env("PG_REGRESS", self.installation.join("lib/postgresql/pgxs/src/test/regress/pg_regress"));
        command.env("HOME", &home).env("TESTDATADIR", &folder).env("TESTLOGDIR", &log);
        command.env("PG_TEST_PORT_DIR", folder.join("ports")).env("top_builddir", &self.source);
        command.env("share_contrib_dir", self.installation.join("share/postgresql/contrib"));
        for (name, value) in ENVIRONMENT {
            command.env(name, value);
        }
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        let output = command.output().context("cannot run prove (Debian: apt-get install perl)")?;
        let text = [output.stdout, output.stderr].concat();
        std::fs::write(folder.join("output"), &text)?;
        let skipped = String::from_utf8_lossy(&text).contains("Result: NOTESTS");
        Ok(match (output.status.success(), skipped) {
            (true, true) => Outcome::Skipped,
            (true, false) => Outcome::Passed,
            _ => Outcome::Failed,
        })
    }
}

/// What PostgreSQL's makefiles would say.
const ENVIRONMENT: [(&str, &str); 13] = [
    ("USER", "nobody"),
    ("LOGNAME", "nobody"),
    ("LANG", "C.UTF-8"),
    ("PGPORT", "65432"),
    ("with_icu", "no"),
    ("with_ssl", "no"),
    ("with_gssapi", "no"),
    ("with_ldap", "no"),
    ("with_readline", "no"),
    ("enable_injection_points", "no"),
    ("GZIP_PROGRAM", "gzip"),
    ("TAR", "tar"),
    ("PG_TEST_TIMEOUT_DEFAULT", "60"),
];

/// Puts `pglite` in the place of all programs that it can be.
fn install(pglite: &Path, bin: &Path) -> Result<()> {
    let own = bin.join("pglite");
    std::fs::copy(pglite, &own).with_context(|| format!("cannot copy {}", pglite.display()))?;
    let help = child::output(Command::new(&own).arg("--help"))?;
    let words = help.lines().filter_map(|line| line.strip_prefix("  ")?.split_once(' ')).map(|(word, _)| word);
    let names: Vec<_> =
        words.filter(|word| bin.join(word).is_file() || ["oid2name", "vacuumlo"].contains(word)).collect();
    ensure!(names.contains(&"postgres"), "`pglite --help` does not list the program postgres");
    for name in names {
        // not a symbolic link: programs look for others beside the file that a link leads to
        let link = bin.join(name);
        if link.exists() {
            std::fs::remove_file(&link)?;
        }
        std::fs::hard_link(&own, &link).with_context(|| format!("cannot make {}", link.display()))?;
    }
    Ok(())
}

/// Adds the files of what is linked in: extensions, and the placeholders of modules in the place of stock ones.
fn add_files(bundle: &Path, installation: &Path) -> Result<()> {
    let bundle = bundle::Bundle::open(std::fs::read(bundle)?)?;
    for entry in bundle.entries().filter(|entry| !entry.path.starts_with("bin/")) {
        let path = installation.join(entry.path);
        match entry.kind {
            bundle::EntryKind::Directory => std::fs::create_dir_all(&path)?,
            bundle::EntryKind::File(file) => {
                std::fs::create_dir_all(path.parent().unwrap_or(installation))?;
                std::fs::write(&path, bundle.read(file)?)
                    .with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
    }
    // by which tests tell what to expect of compression
    let header = installation.join("include/postgresql/server/pg_config.h");
    let mut text = std::fs::read_to_string(&header).with_context(|| format!("cannot read {}", header.display()))?;
    text.push_str("#define HAVE_LIBZ 1\n#define USE_LZ4 1\n#define USE_ZSTD 1\n");
    std::fs::write(&header, text).with_context(|| format!("cannot write {}", header.display()))
}

fn run_tool(name: &str, arguments: &[&std::ffi::OsStr]) -> Result<()> {
    let mut command = child::command(name);
    command.args(arguments);
    child::run(command)
}
