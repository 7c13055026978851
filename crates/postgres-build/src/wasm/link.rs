//! Links the modules.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::guest::{self, Guest};
use super::modules::{self, Module};
use super::tables::{self, Tables};
use super::tree::{self, Tree};
use super::{Contents, Toolchain};
use crate::child;
use crate::layout::Workspace;
use crate::record::Links;

/// Size of the memory area at address 1, and of the stack behind it, in bytes. A stack that ends goes on in the memory area, which is no data of
/// PostgreSQL's; but `max_stack_depth` ends it long before.
const AREA: u64 = 12 << 20;
const STACK: u64 = 4 << 20;

/// What the reactor exports, beside its memory: `pglite_compat.h`, the buffers, and a plain session.
const EXPORTS: [&str; 18] = [
    "_initialize",
    "pgl_initdb",
    "pg_initdb",
    "pg_conf",
    "pgl_backend",
    "use_wire",
    "interactive_write",
    "use_cma",
    "interactive_one",
    "interactive_read",
    "clear_error",
    "get_channel",
    "get_buffer_size",
    "get_buffer_addr",
    "pgl_cma",
    "pgl_shutdown",
    "pgl_closed",
    "pgl_pump",
];

/// The functions of PostgreSQL that the reactor's glue is around, beside those of `glue/wrap.txt`.
const REACTOR_WRAPPED: [&str; 4] = ["pq_startmsgread", "ReadyForQuery", "exit", "abort"];

/// What of `glue/` is for any standalone session, and what it wraps.
const SHARED_GLUE: [&str; 2] = ["session.c", "standalone.c"];
const SHARED_WRAPPED: [&str; 5] =
    ["InitProcess", "InitializeSearchPath", "InitializeSessionUserIdStandalone", "secure_read", "secure_write"];

/// What was linked into the modules.
pub(super) struct Linked {
    /// The names of the loadable modules.
    pub(super) modules: Vec<String>,
    /// What of them is in files.
    pub(super) tables: Tables,
}

/// Links all three into `output`.
pub(super) fn link(
    contents: Contents,
    tree: &Tree,
    guest: &Guest,
    toolchain: &Toolchain,
    workspace: &Workspace,
    work: &Path,
    output: &Path,
) -> Result<Linked> {
    let links = Links::read(&tree.build)?;
    let server = links.program("postgres")?;
    let mut found = Vec::new();
    let tests = match contents {
        Contents::Release => None,
        Contents::Tests => Some(links.library(&tree.build.canonicalize()?.join(tree::TESTS))?),
    };
    for link in links.modules().chain(tests) {
        found.push(Module::read(link, toolchain)?);
    }
    let compile = |name: &str, source: &Path, flags: &[String]| -> Result<PathBuf> {
        let object = work.join(name).with_extension("o");
        guest::compile(toolchain, guest, flags, source, &object)?;
        Ok(object)
    };
    let mut flags = vec!["-D_GNU_SOURCE".to_owned()];
    flags.extend([&tree.build, &tree.source].map(|root| format!("-I{}", root.join("src/include").display())));
    flags.push(format!("-DPGL_POSTGRES_C=\"{}\"", tree.source.join("src/backend/tcop/postgres.c").display()));

    let table = work.join("table.c");
    std::fs::write(&table, modules::table(&found)).context("cannot write the table of modules")?;
    let mut own = vec![
        compile("first", &guest.glue("first.c"), &[])?,
        compile("support", &guest.glue("support.c"), &[])?,
        compile("commands", &guest.glue("commands.c"), &[])?,
        compile("table", &table, &[])?,
        compile("postgres", &guest.glue("postgres.c"), &[&flags[..], &tree::optimization(&tree.profile)].concat())?,
        compile("libpq", &guest.glue("libpq.c"), &[])?,
    ];
    // The part of libpq that asks whether it has been linked with the server's copy of the common code, which it has; it is in front of libpq.a.
    let mut front = flags.clone();
    front.extend(
        ["-DFRONTEND", "-DSO_MAJOR_VERSION=5", "-Dpg_link_canary_is_frontend=pgl_libpq_canary"].map(str::to_owned),
    );
    front.extend(["src/interfaces/libpq", "src/port"].map(|name| format!("-I{}", tree.source.join(name).display())));
    front.push(format!("-I{}", tree.build.join("src/port").display()));
    own.push(compile("fe-connect", &tree.source.join("src/interfaces/libpq/fe-connect.c"), &front)?);
    for name in SHARED_GLUE {
        own.push(compile(name, &workspace.glue().join(name), &flags)?);
    }
    let replaced = tree.build.join("src/backend/tcop/postgres.o").canonicalize()?;
    let objects = server.objects.iter().filter(|object| **object != replaced);
    let mut all = own;
    all.extend(objects.cloned());
    all.extend(found.iter().flat_map(|module| module.objects.iter().cloned()));
    all.extend(server.archives().map(Path::to_owned));
    // What subscriptions are made with, though they have no network: dumps have them.
    let libpq = tree.build.join("src/interfaces/libpq/libpq.a");
    all.push(libpq.clone());
    let wrap = |names: &[&str]| -> Vec<String> { names.iter().map(|name| format!("-Wl,--wrap={name}")).collect() };

    let mut reactor = wrap(&SHARED_WRAPPED);
    reactor.extend(wrap(&REACTOR_WRAPPED));
    reactor.extend(["-nostartfiles".into(), "-Wl,--no-entry".into()]);
    reactor.extend(EXPORTS.iter().map(|name| format!("-Wl,--export={name}")));
    reactor.push(format!("-Wl,-z,stack-size={}", AREA + STACK));

    let mut command = wrap(&SHARED_WRAPPED);
    command.extend(wrap(&["__main_argc_argv"]));
    command.extend(["-Wl,--export=pgl_interrupt_block".to_owned()]);
    command.push(format!("-Wl,-z,stack-size={STACK}"));

    let make = |name: &str, flags: &[String]| -> Result<Tables> {
        let linked = program(toolchain, guest, &all, flags, work, name)?;
        let tables = tables::take_out(&linked, &linked.with_extension("map"))?;
        optimize(toolchain, &linked, output)?;
        Ok(tables)
    };
    // Each takes one processor for a minute.
    let [tables, others] = std::thread::scope(|scope| {
        let other = scope.spawn(|| make("pglite-stdio.wasm", &command));
        let tables = make("libpglite.wasm", &reactor);
        [tables, other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))]
    });
    let tables = tables?;
    ensure!(tables == others?, "the modules' tables differ");

    let initdb = links.program("initdb")?;
    let mut all = vec![
        compile("initdb-support", &guest.glue("support.c"), &[])?,
        compile("alone", &guest.glue("alone.c"), &[])?,
        compile("host_commands", &guest.glue("host_commands.c"), &[])?,
    ];
    all.extend(initdb.objects.iter().cloned());
    all.extend(initdb.archives().map(Path::to_owned));
    all.push(libpq);
    let stack = vec![format!("-Wl,-z,stack-size={STACK}")];
    let linked = program(toolchain, guest, &all, &stack, work, "initdb.wasm")?;
    optimize(toolchain, &linked, output)?;
    Ok(Linked { modules: found.into_iter().map(|module| module.name).collect(), tables })
}

/// How lld makes code of PostgreSQL's bitcode; see the arguments that it is compiled with.
const LINK_ARGUMENTS: [&str; 9] = [
    "--lto-O2",
    "-mllvm,-wasm-enable-sjlj",
    "-mllvm,-exception-model=wasm",
    "-mllvm,-wasm-use-legacy-eh=false",
    "-mllvm,-inline-threshold=5",
    "-mllvm,-hot-callsite-threshold=150",
    "-mllvm,-profile-summary-cutoff-hot=900000",
    "-mllvm,-profile-summary-cutoff-cold=999000",
    "-mllvm,-inline-max-stacksize=1024",
];

/// Links `work/name`, with a map beside it.
fn program(
    toolchain: &Toolchain,
    guest: &Guest,
    objects: &[PathBuf],
    flags: &[String],
    work: &Path,
    name: &str,
) -> Result<PathBuf> {
    let output = work.join(name);
    let mut command = child::command(&toolchain.clang);
    command.args(toolchain.flags()).args(flags).args(["-Wl,--stack-first", "-Wl,--strip-all"]);
    command.arg(format!("-Wl,-Map={}", output.with_extension("map").display()));
    command.args(LINK_ARGUMENTS.map(|argument| format!("-Wl,{argument}")));
    command.args(objects).args(guest::link_flags(guest)).arg("-o").arg(&output);
    child::run(command).with_context(|| format!("cannot link {}", output.display()))?;
    Ok(output)
}

/// What the code may use, for the optimiser: what clang turns on, and exceptions. No vectors, which not every host has.
const FEATURES: [&str; 7] = [
    "bulk-memory",
    "exception-handling",
    "multivalue",
    "mutable-globals",
    "nontrapping-float-to-int",
    "reference-types",
    "sign-ext",
];

/// Makes a linked module smaller, into `output`.
fn optimize(toolchain: &Toolchain, linked: &Path, output: &Path) -> Result<()> {
    let mut command = child::command(&toolchain.wasm_opt);
    // The second time it finds what the first one has left; a third time is of no use.
    command.arg(linked).args(["-Oz", "-Oz"]).args(FEATURES.map(|name| format!("--enable-{name}")));
    command.arg("-o").arg(output.join(linked.file_name().unwrap_or_default()));
    child::run(command).with_context(|| format!("cannot optimise {}", linked.display()))
}
