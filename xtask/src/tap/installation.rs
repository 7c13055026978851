//! The installation that the tests believe in: a copy of a stock one in which all programs that we have are `pglite`. What is left of the
//! stock one are `pg_ctl`, `pg_config`, `pg_upgrade`, `pg_createsubscriber`, `pg_regress`, the share files, libpq and headers.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use postgres_build::child;

/// Modules of `src/test/modules` that tests load.
const MODULES: [&str; 7] =
    ["libpq_pipeline", "test_aio", "test_custom_rmgrs", "test_extensions", "test_pg_dump", "test_slru", "worker_spi"];

/// Test programs whose makefiles only work in a build tree.
const PROGRAMS: [&str; 3] = [
    "src/interfaces/libpq/test/libpq_testclient",
    "src/interfaces/libpq/test/libpq_uri_regress",
    "src/test/modules/test_escape/test_escape",
];

/// The module of the core tests, likewise.
const REGRESS: &str = "\
MODULES = regress
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)
";

/// By which tests tell what to expect of compression.
const COMPRESSION: &str = "#define HAVE_LIBZ 1\n#define USE_LZ4 1\n#define USE_ZSTD 1\n";

/// Puts `pglite` in the place of all programs that it can be.
pub(crate) fn replace_programs(pglite: &Path, bin: &Path) -> Result<()> {
    let own = bin.join("pglite");
    std::fs::copy(pglite, &own).with_context(|| format!("cannot copy {}", pglite.display()))?;
    let help = child::output(Command::new(&own).arg("--help"))?;
    let words = help.lines().filter_map(|line| line.strip_prefix("  ")?.split_once(' ')).map(|(word, _)| word);
    let is_program =
        |word: &&str| *word != "pglite" && (bin.join(word).is_file() || ["oid2name", "vacuumlo"].contains(word));
    let names: Vec<_> = words.filter(is_program).collect();
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
pub(crate) fn add_files(bundle: &Path, installation: &Path) -> Result<()> {
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
    let header = installation.join("include/pg_config.h");
    let mut text = std::fs::read_to_string(&header).with_context(|| format!("cannot read {}", header.display()))?;
    text.push_str(COMPRESSION);
    std::fs::write(&header, text).with_context(|| format!("cannot write {}", header.display()))
}

/// Compiles what the tests need beside an installation, as a distribution would: their modules, which go through our loader, and their
/// programs, which use the stock libpq.
pub(crate) fn add_test_modules(source: &Path, installation: &Path) -> Result<()> {
    let makefile = source.join("regress.mk");
    std::fs::write(&makefile, REGRESS).with_context(|| format!("cannot write {}", makefile.display()))?;
    make(installation, &source.join("src/test/regress"), &makefile, &["regress.so"])?;
    for module in MODULES {
        add_module(&source.join("src/test/modules").join(module), installation)?;
    }
    for program in PROGRAMS {
        let path = source.join(program);
        let include = installation.join("include");
        let mut command = child::command("gcc");
        command.arg("-O1").arg(path.with_extension("c")).arg("-o").arg(&path).arg("-D_GNU_SOURCE");
        for folder in [&include, &include.join("postgresql/server"), &include.join("postgresql/internal")] {
            command.arg("-I").arg(folder);
        }
        command.arg("-L").arg(installation.join("lib"));
        command.args(["-lpgfeutils", "-lpq", "-lpgcommon", "-lpgport", "-lm"]);
        child::run(command)?;
    }
    Ok(())
}

/// Compiles a module for an installation, as its makefile says, and installs it there.
pub(crate) fn add_module(folder: &Path, installation: &Path) -> Result<()> {
    make(installation, folder, Path::new("Makefile"), &["all", "install"])
}

fn make(installation: &Path, folder: &Path, makefile: &Path, targets: &[&str]) -> Result<()> {
    let mut command = child::command("make");
    command.arg("-s").arg("-C").arg(folder).arg("-f").arg(makefile).arg("USE_PGXS=1");
    command.arg(format!("PG_CONFIG={}", installation.join("bin/pg_config").display())).args(targets);
    command.env("LD_LIBRARY_PATH", installation.join("lib"));
    child::run(command)
}
