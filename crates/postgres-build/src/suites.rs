//! PostgreSQL's own tests, ready to run: the files of its source tree, its test modules compiled against a stock
//! installation, and what its makefiles say about each suite.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::layout::Cache;
use crate::progress::Progress;
use crate::{child, source, stock};

/// What of the source tree the tests need.
const PARTS: [&str; 5] =
    ["src/test/regress", "src/test/isolation", "src/test/modules", "src/pl/plpgsql/src", "contrib"];

/// Folders of suites, whose makefiles list those that this configuration has.
const COLLECTIONS: [&str; 2] = ["contrib", "src/test/modules"];

/// Says what a makefile's variables are. The root of the source is that of our copy, whatever the installation believes.
const PRINT: &str = "\
override top_srcdir = $(TESTS_SOURCE)
override top_builddir = $(TESTS_SOURCE)
tests-print:
\t@echo 'SUBDIRS $(SUBDIRS)'
\t@echo 'REGRESS $(REGRESS)'
\t@echo 'REGRESS_OPTS $(REGRESS_OPTS)'
\t@echo 'ISOLATION $(ISOLATION)'
\t@echo 'ISOLATION_OPTS $(ISOLATION_OPTS)'
";

/// Compiles the one module of the core tests, whose own makefile only works in a build tree.
const REGRESS: &str = "\
MODULES = regress
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)
";

/// A folder with everything that PostgreSQL's test programs need.
///
/// ```text
/// source/      the tests, as in PostgreSQL's source; regress.so beside its own
/// lib/         contrib and the test modules, compiled as a distribution would
/// share/       their control files and scripts, in `extension`
/// suites.json  what the makefiles say
/// ```
#[derive(Debug, Clone)]
pub struct Tests {
    /// A stock installation of `psql` and its like, without a server.
    pub install: PathBuf,
    /// Its folder for the makefiles of extensions, in which `pg_regress` is as well.
    pub pgxs: PathBuf,
    /// The folder itself.
    pub folder: PathBuf,
    /// The suites, contrib's first.
    pub suites: Vec<Suite>,
}

/// What a makefile says about its tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suite {
    /// Its folder in the source, such as `contrib/hstore`.
    pub folder: String,
    /// Tests for `pg_regress`, in their order.
    pub regress: Vec<String>,
    /// Options of `pg_regress`.
    pub regress_options: Vec<String>,
    /// Tests for `pg_isolation_regress`, in their order.
    pub isolation: Vec<String>,
    /// Its options.
    pub isolation_options: Vec<String>,
}

/// Builds the tests, or finds them in the cache.
pub fn obtain(may_install: bool, cache: &Cache, progress: &Progress) -> Result<Tests> {
    let install = stock::install_clients(may_install, cache, progress)?;
    // pg_config says its paths without links
    let install = install.canonicalize().with_context(|| format!("cannot find {}", install.display()))?;
    let _lock = cache.lock(|| progress.note("waiting for another build to finish ..."))?;
    // beside the installation, so that it goes with it
    let folder = install.with_file_name("tests");
    let list = folder.join("suites.json");
    let pgxs = pgxs(&install)?;
    if !list.exists() {
        build(&install, &pgxs, &folder, cache, progress)?;
    }
    let text = std::fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let suites = serde_json::from_str(&text)
        .with_context(|| format!("{} makes no sense: delete {}", list.display(), folder.display()))?;
    Ok(Tests { install, pgxs, folder, suites })
}

/// Where an installation has the makefiles for extensions.
fn pgxs(install: &Path) -> Result<PathBuf> {
    let text = child::output(child::command(install.join("bin/pg_config")).arg("--pgxs"))?;
    let folder = Path::new(text.trim()).ancestors().nth(3).filter(|folder| folder.is_absolute());
    folder.map(Path::to_owned).with_context(|| format!("pg_config --pgxs says {text}"))
}

fn build(install: &Path, pgxs: &Path, folder: &Path, cache: &Cache, progress: &Progress) -> Result<()> {
    let source = source::obtain(cache, progress)?;
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    let step = progress.step("unpack PostgreSQL's tests", 0);
    let unpacked = folder.join("unpacked");
    std::fs::create_dir_all(&unpacked).with_context(|| format!("cannot create {}", unpacked.display()))?;
    let tree = source.tree(&unpacked)?;
    let copy = folder.join("source");
    for part in PARTS {
        let to = copy.join(part);
        let parent = to.parent().unwrap_or(&copy);
        std::fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
        let mut command = child::command("cp");
        command.arg("-R").arg(tree.join(part)).arg(parent);
        child::run(command)?;
    }
    std::fs::remove_dir_all(&unpacked).with_context(|| format!("cannot remove {}", unpacked.display()))?;
    step.finish("");

    let make = Make { install, pgxs, folder, source: &copy };
    for (name, text) in [("print.mk", PRINT), ("regress.mk", REGRESS)] {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let mut suites = Vec::new();
    for collection in COLLECTIONS {
        let variables = make.variables(collection, true)?;
        for name in words(&variables, "SUBDIRS") {
            let name = format!("{collection}/{name}");
            suites.push(suite(&name, &make.variables(&name, false)?));
        }
    }
    let name = "src/pl/plpgsql/src";
    suites.push(suite(name, &make.variables(name, true)?));
    suites.retain(|suite| !suite.regress.is_empty() || !suite.isolation.is_empty());
    ensure!(suites.len() > COLLECTIONS.len(), "PostgreSQL's makefiles list hardly any tests: {suites:?}");

    let mut step = progress.step("compile PostgreSQL's test modules", suites.len() as u64);
    make.run("src/test/regress", "regress.mk", &["regress.so"])?;
    for suite in &suites {
        if COLLECTIONS.iter().any(|collection| suite.folder.starts_with(collection)) {
            make.run(&suite.folder, "Makefile", &["all", "install"])
                .with_context(|| format!("{} does not compile", suite.folder))?;
        }
        step.advance();
    }
    make.keep_installed()?;
    step.finish("");

    // whoever finds the list finds all of it
    let (list, new) = (folder.join("suites.json"), folder.join("suites.json.new"));
    std::fs::write(&new, serde_json::to_string_pretty(&suites)?)
        .and_then(|()| std::fs::rename(&new, &list))
        .with_context(|| format!("cannot write {}", list.display()))
}

fn words(variables: &BTreeMap<String, String>, name: &str) -> Vec<String> {
    variables.get(name).map_or_else(Vec::new, |value| value.split_whitespace().map(str::to_owned).collect())
}

fn suite(folder: &str, variables: &BTreeMap<String, String>) -> Suite {
    Suite {
        folder: folder.to_owned(),
        regress: words(variables, "REGRESS"),
        regress_options: words(variables, "REGRESS_OPTS"),
        isolation: words(variables, "ISOLATION"),
        isolation_options: words(variables, "ISOLATION_OPTS"),
    }
}

/// Runs `make` in folders of the source, as for extensions of an installation.
struct Make<'a> {
    install: &'a Path,
    pgxs: &'a Path,
    folder: &'a Path,
    source: &'a Path,
}

impl Make<'_> {
    fn command(&self, inside: &str) -> Command {
        let mut command = child::command("make");
        command.arg("-s").arg("-C").arg(self.source.join(inside)).arg("USE_PGXS=1");
        command.arg(format!("PG_CONFIG={}", self.install.join("bin/pg_config").display()));
        command
    }

    /// Where the installation would be changed.
    fn stage(&self) -> PathBuf {
        self.folder.join("stage")
    }

    fn run(&self, inside: &str, makefile: &str, targets: &[&str]) -> Result<()> {
        let mut command = self.command(inside);
        let own = self.folder.join(makefile);
        command.arg("-f").arg(if own.exists() { &own } else { Path::new(makefile) });
        command.args(targets).arg(format!("DESTDIR={}", self.stage().display()));
        child::run(command)
    }

    /// What the makefile of a folder sets the variables of [`PRINT`] to. `inner`: it is not one of an extension.
    fn variables(&self, inside: &str, inner: bool) -> Result<BTreeMap<String, String>> {
        let mut command = self.command(inside);
        command.arg("-f").arg("Makefile").arg("-f").arg(self.folder.join("print.mk")).arg("tests-print");
        command.arg(format!("TESTS_SOURCE={}", self.source.display()));
        if inner {
            command.arg("PGXS=1").arg(format!("top_builddir={}", self.pgxs.display()));
        }
        let text = child::output(&mut command)?;
        Ok(text.lines().filter_map(|line| line.split_once(' ')).map(|(n, v)| (n.into(), v.trim().into())).collect())
    }

    /// Moves what has been installed to where it stays.
    fn keep_installed(&self) -> Result<()> {
        for (option, name) in [("--pkglibdir", "lib"), ("--sharedir", "share")] {
            let text = child::output(child::command(self.install.join("bin/pg_config")).arg(option))?;
            let staged = self.stage().join(text.trim().trim_start_matches('/'));
            let kept = self.folder.join(name);
            std::fs::rename(&staged, &kept)
                .with_context(|| format!("cannot move {} to {}", staged.display(), kept.display()))?;
        }
        std::fs::remove_dir_all(self.stage()).with_context(|| format!("cannot remove {}", self.stage().display()))
    }
}
