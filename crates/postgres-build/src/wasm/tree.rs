//! Configures and compiles PostgreSQL for WebAssembly, outside of its source tree.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::guest::{self, Guest};
use super::tables::Tables;
use super::{Toolchain, source};
use crate::compile::logged;
use crate::hash::Sum;
use crate::layout::{Cache, Workspace};
use crate::progress::Progress;
use crate::recipe::options::{PREFIX, SMALL};
use crate::source::Source;
use crate::{child, key, profile, prune, recipe};

/// The compiler's stand-in; the words between `@` are to be replaced.
const COMPILER: &str = include_str!("compiler.sh");

/// About how many lines `configure` prints, and how many objects are compiled. Only bars are drawn from them.
const CHECKS: u64 = 295;
const OBJECTS: u64 = 1150;

/// Folders of the build tree in which `make` is run, in this order: the server, what is loaded into it, what makes a cluster.
const FOLDERS: [&str; 6] = [
    "src/backend",
    "src/backend/utils/mb/conversion_procs",
    "src/backend/snowball",
    "src/pl/plpgsql/src",
    "src/interfaces/libpq",
    "src/backend/replication/libpqwalreceiver",
];
const PROGRAM_FOLDERS: [&str; 2] = ["src/fe_utils", "src/bin/initdb"];

/// The parts of contrib that need nothing but the server.
const CONTRIB: [&str; 38] = [
    "amcheck",
    "auth_delay",
    "auto_explain",
    "bloom",
    "btree_gin",
    "btree_gist",
    "citext",
    "cube",
    "dict_int",
    "dict_xsyn",
    "earthdistance",
    "file_fdw",
    "fuzzystrmatch",
    "hstore",
    "intagg",
    "intarray",
    "isn",
    "lo",
    "ltree",
    "pageinspect",
    "passwordcheck",
    "pg_buffercache",
    "pg_freespacemap",
    "pg_stat_statements",
    "pg_surgery",
    "pg_trgm",
    "pg_visibility",
    "pg_walinspect",
    "pgrowlocks",
    "pgstattuple",
    "seg",
    "spi",
    "tablefunc",
    "tcn",
    "tsm_system_rows",
    "tsm_system_time",
    "unaccent",
    "test_decoding",
];

/// What clang makes of the profile. Only the hottest calls are taken into their callers, and only what is very small elsewhere: by the native
/// build's arguments the module is more than a megabyte and a half larger, and hardly faster.
const PROFILE_ARGUMENTS: [&str; 5] = [
    "-inline-threshold=20",
    "-hot-callsite-threshold=80",
    "-profile-summary-cutoff-hot=950000",
    "-profile-summary-cutoff-cold=999900",
    "-inline-max-stacksize=1024",
];

const CFLAGS: &str = "-O2 -fno-strict-aliasing -fwrapv";

/// A compiled tree.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    /// The source.
    pub(super) source: PathBuf,
    /// The build tree, with its objects and records.
    pub(super) build: PathBuf,
    /// The profile that it is compiled with.
    pub(super) profile: PathBuf,
}

/// Compiles a source, unless that has been done.
pub(super) fn compile(
    source: &Source,
    guest: &Guest,
    toolchain: &Toolchain,
    workspace: &Workspace,
    cache: &Cache,
    progress: &Progress,
) -> Result<Tree> {
    let folder = cache.folder("wasm-trees").join(tree_key(source, toolchain, workspace)?);
    let [unpacked, configured, complete] = ["unpacked", "configured", "complete"].map(|name| folder.join(name));
    let [build, profile] = ["build", "profile"].map(|name| folder.join(name));
    if let Ok(path) = std::fs::read_to_string(&complete) {
        prune::touch(&folder);
        return Ok(Tree { source: path.into(), build, profile });
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let tree = match std::fs::read_to_string(&unpacked) {
        Ok(path) => PathBuf::from(path),
        Err(_) => {
            let step = progress.step("unpack the source", 0);
            let tree = source.tree(&folder.join("source"))?;
            std::fs::write(&unpacked, tree.as_os_str().as_encoded_bytes())?;
            step.finish("");
            tree
        }
    };
    source::check(&tree)?;
    let compiler = folder.join("cc");
    profile::unpack(&profile)?;
    let (seldom, text) = (profile.with_extension("csv"), profile::seldom_used()?);
    std::fs::write(&seldom, text).with_context(|| format!("cannot write {}", seldom.display()))?;
    write_compiler(&compiler, &build, &profile, guest, toolchain)?;

    // make goes on where it was stopped; configure begins again
    if !configured.exists() {
        if build.exists() {
            std::fs::remove_dir_all(&build).with_context(|| format!("cannot remove {}", build.display()))?;
        }
        std::fs::create_dir(&build)?;
        let mut command = child::command(tree.join("configure"));
        command.current_dir(&build);
        command.args(["--host=wasm32-unknown-wasi", "--with-template=linux", "--disable-rpath"]);
        command.arg(format!("--build={}", crate::version::host_target())).arg(format!("--prefix={PREFIX}"));
        command.args(["--without-readline", "--without-icu", "--without-zlib"]);
        command.arg(format!("CC={}", compiler.display())).arg(format!("CFLAGS={CFLAGS}"));
        for (variable, tool) in [("AR", &toolchain.ar), ("RANLIB", &toolchain.ranlib), ("STRIP", &toolchain.strip)] {
            command.arg(format!("{variable}={}", tool.display()));
        }
        command.arg("ZIC=/usr/sbin/zic");
        let step = progress.step(&format!("configure PostgreSQL {} for WebAssembly", source.version), CHECKS);
        logged(command, &folder.join("configure.log"), step, &|line| line.starts_with("checking "))?;
        std::fs::write(&configured, "")?;
    }
    let mut step = progress.step(&format!("compile PostgreSQL {} for WebAssembly", source.version), OBJECTS);
    let prefix = format!("{} ", compiler.display());
    let contrib = CONTRIB.iter().map(|name| format!("contrib/{name}"));
    // A part alone does not wait for the headers that are made for all.
    let mut headers = make(&build.join("src/backend"));
    headers.arg("generated-headers");
    child::run(headers)?;
    let folders = FOLDERS.iter().map(|name| (*name).to_owned()).chain(contrib);
    for name in folders.chain(PROGRAM_FOLDERS.map(str::to_owned)) {
        let mut command = make(&build.join(&name));
        if name == "src/interfaces/libpq" {
            command.arg("libpq.a");
        }
        let log = folder.join(format!("make.{}.log", name.replace('/', ".")));
        step = crate::compile::logged_part(command, &log, step, &|line| {
            line.starts_with(&prefix) && line.contains(" -c ")
        })?;
    }
    step.finish("");
    std::fs::write(&complete, tree.as_os_str().as_encoded_bytes())?;
    Ok(Tree { source: tree, build, profile })
}

/// The module with the functions of PostgreSQL's regression tests.
pub(super) const TESTS: &str = "src/test/regress/regress.so";

/// Compiles that as well.
pub(super) fn compile_tests(tree: &Tree) -> Result<()> {
    let (folder, name) = TESTS.rsplit_once('/').unwrap_or_default();
    let mut command = make(&tree.build.join(folder));
    command.args(["-s", name]);
    child::run(command).context("cannot compile the functions of the regression tests")
}

fn make(folder: &Path) -> std::process::Command {
    let jobs = std::thread::available_parallelism().map_or(1, |jobs| jobs.get());
    let mut command = child::command("make");
    command.env("RECORD_LINKS", "1").arg("-C").arg(folder).arg(format!("-j{jobs}"));
    command
}

fn tree_key(source: &Source, toolchain: &Toolchain, workspace: &Workspace) -> Result<String> {
    let mut sum = Sum::default();
    sum.part("wasm tree 2")
        .part(&source.checksum)
        .part(COMPILER)
        .part(CFLAGS)
        .part(FOLDERS.join(" "))
        .part(CONTRIB.join(" "))
        .part(SMALL.join(" "))
        .part(optimization(Path::new("profile")).join(" "))
        .part(recipe::PROFILE)
        .part(profile::seldom_used()?);
    for part in toolchain.flags() {
        sum.part(part);
    }
    for input in ["crates/wasi-guest/include", "crates/wasi-guest/include-postgres"] {
        sum.tree(&workspace.root, Path::new(input))?;
    }
    Ok(key::short(sum))
}

/// How files of PostgreSQL are compiled on top: the whole program is optimised when it is linked, by the profile of a server at work.
pub(super) fn optimization(profile: &Path) -> Vec<String> {
    let mut flags = vec!["-flto".to_owned(), format!("-fprofile-use={}", profile.display())];
    let seldom = format!("-forceattrs-csv-path={}", profile.with_extension("csv").display());
    for argument in PROFILE_ARGUMENTS.map(str::to_owned).into_iter().chain([seldom]) {
        flags.extend(["-mllvm".into(), argument]);
    }
    flags.extend(["out-of-date", "unprofiled"].map(|why| format!("-Wno-profile-instr-{why}")));
    flags.push("-Wno-backend-plugin".into());
    flags
}

fn write_compiler(path: &Path, build: &Path, profile: &Path, guest: &Guest, toolchain: &Toolchain) -> Result<()> {
    let mut compile = vec![toolchain.clang.display().to_string()];
    compile.extend(toolchain.flags());
    compile.extend(guest.include_flags());
    // What configure tries is linked with what every program is; what is the server's alone is in one object.
    let alone = path.with_file_name("alone.o");
    guest::compile(toolchain, guest, &[], &guest.glue("alone.c"), &alone)?;
    let support = path.with_file_name("support.o");
    guest::compile(toolchain, guest, &[], &guest.glue("support.c"), &support)?;
    let commands = path.with_file_name("commands.o");
    guest::compile(toolchain, guest, &[], &guest.glue("commands.c"), &commands)?;
    let mut link: Vec<String> = [alone, support, commands].iter().map(|object| object.display().to_string()).collect();
    link.extend(guest::link_flags(guest));
    let script = COMPILER
        .replace("@COMPILE@", &compile.join(" "))
        .replace("@OPTIMIZE@", &optimization(profile).join(" "))
        .replace("@LINK@", &link.join(" "))
        .replace("@SMALL@", &SMALL.map(|part| format!("*{part}*")).join(" | "))
        .replace("@BUILD@", &build.display().to_string());
    std::fs::write(path, script).with_context(|| format!("cannot write {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Installs the share files by PostgreSQL's own makefiles, and a file for each program and module, which are looked for before they are used. It
/// is empty but for a module with tables.
pub(super) fn install(tree: &Tree, modules: &[String], tables: &Tables, stage: &Path, root: &Path) -> Result<()> {
    let contrib = CONTRIB.iter().map(|name| format!("contrib/{name}"));
    let folders = ["src/include", "src/backend", "src/timezone", "src/backend/snowball", "src/pl/plpgsql/src"];
    for name in folders.iter().map(|name| (*name).to_owned()).chain(contrib) {
        let mut command = make(&tree.build.join(&name));
        command.args(["-s", "install"]).arg(format!("DESTDIR={}", stage.display()));
        child::run(command).with_context(|| format!("cannot install the share files of {name}"))?;
    }
    let share = stage.join(PREFIX.trim_start_matches('/')).join("share/postgresql");
    for file in
        ["postgres.bki", "information_schema.sql", "snowball_create.sql", "timezone/UTC", "extension/hstore.control"]
    {
        ensure!(share.join(file).is_file(), "PostgreSQL's makefiles have not installed {file}");
    }
    std::fs::create_dir_all(root.join("share"))?;
    std::fs::rename(&share, root.join("share/postgresql"))?;
    let (programs, libraries) = (root.join("bin"), root.join("lib/postgresql"));
    for folder in [&programs, &libraries] {
        std::fs::create_dir_all(folder)?;
    }
    for program in ["postgres", "initdb"] {
        std::fs::write(programs.join(program), "")?;
        std::fs::set_permissions(programs.join(program), std::fs::Permissions::from_mode(0o755))?;
    }
    for module in modules {
        let tables = tables.get(module).map_or(&[][..], |tables| tables);
        std::fs::write(libraries.join(format!("{module}.so")), tables)?;
    }
    Ok(())
}
