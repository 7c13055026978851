//! PostgreSQL's programs, run inside this process.

use crate::arguments::{EngineName, Run};
use crate::commands::{builder, signals};
use gateway::Gateway;
use libpglite::{Builder, Client, Database, Error, Result, Status, Stdio};
use rustix::stdio::{stderr, stdin, stdout};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// A program.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    on: On,
}

/// What a program works on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    /// A server: where a data directory is named first, that is opened.
    Server,
    /// Files, which its own arguments name.
    Files,
}

const fn server(name: &'static str, about: &'static str) -> Program {
    Program { name, about, on: On::Server }
}

const fn files(name: &'static str, about: &'static str) -> Program {
    Program { name, about, on: On::Files }
}

/// All of them.
pub(crate) const ALL: &[Program] = &[
    server("psql", "Run SQL, interactively or from scripts"),
    server("pg_dump", "Dump a database into a script or an archive"),
    server("pg_dumpall", "Dump all databases, with roles and tablespaces"),
    server("pg_restore", "Restore a database from an archive of pg_dump"),
    server("pgbench", "Measure a server"),
    server("pg_basebackup", "Copy a whole running cluster"),
    server("pg_receivewal", "Receive write-ahead log as it is written"),
    server("pg_recvlogical", "Receive changes by logical decoding"),
    server("pg_amcheck", "Look for corruption in tables and indexes"),
    server("pg_isready", "Tell whether a server accepts connections"),
    server("createdb", "Create a database"),
    server("dropdb", "Drop a database"),
    server("createuser", "Create a role"),
    server("dropuser", "Drop a role"),
    server("vacuumdb", "Vacuum and analyze databases"),
    server("reindexdb", "Reindex databases"),
    server("clusterdb", "Cluster tables"),
    server("oid2name", "Tell which file a table is in"),
    server("vacuumlo", "Remove orphaned large objects"),
    files("postgres", "The server itself, with its own options (see serve)"),
    files("initdb", "Make a new cluster, with all of initdb's options (see init)"),
    files("pg_checksums", "Check, enable or disable checksums of a stopped cluster"),
    files("pg_controldata", "Show what pg_control says of a cluster"),
    files("pg_resetwal", "Reset the write-ahead log of a stopped cluster"),
    files("pg_rewind", "Make a cluster follow another one that it was copied from"),
    files("pg_waldump", "Show write-ahead log"),
    files("pg_walsummary", "Show summaries of write-ahead log"),
    files("pg_verifybackup", "Check a copy that pg_basebackup made"),
    files("pg_combinebackup", "Make a full copy of incremental ones"),
    files("pg_archivecleanup", "Remove write-ahead log from an archive"),
    files("pg_test_fsync", "Measure how fast a disk makes writes durable"),
    files("pg_test_timing", "Measure the cost of asking for the time"),
];

/// Signals that are the program's.
const FORWARDED: [i32; 7] = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH];

/// A duplicate of one of our standard streams, for a program inside; nothing where it is closed.
fn stream(fd: BorrowedFd<'_>) -> Stdio {
    match rustix::io::fcntl_dupfd_cloexec(fd, 3) {
        Ok(fd) => Stdio::Fd(fd),
        Err(_) => Stdio::Null,
    }
}

/// The program whose name `pglite` was called by, as a link to it may have.
pub(crate) fn called_by_name() -> Option<&'static Program> {
    let called = std::env::args_os().next()?;
    let name = Path::new(&called).file_name()?.to_str()?;
    ALL.iter().find(|program| program.name == name)
}

/// The installation of PostgreSQL that this program's file is part of, if it is.
fn installation() -> Option<String> {
    let own = std::env::current_exe().ok()?;
    let prefix = own.parent().filter(|folder| folder.ends_with("bin"))?.parent()?;
    let complete = prefix.join("share/postgresql/postgres.bki").is_file();
    complete.then(|| prefix.to_str().map(str::to_owned)).flatten()
}

/// Runs a program to its end as it is run everywhere: all arguments are its own.
pub(crate) fn run_alone(program: &Program) -> Result<ExitCode> {
    let mut signals = signals(&FORWARDED)?;
    // An argument that is not text is not text for PostgreSQL either.
    let arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    let client = match installation() {
        Some(prefix) => libpglite_clients::start_installed(&prefix, program.name, arguments, streams())?,
        None => libpglite_clients::start(None, program.name, arguments, &[], streams())?,
    };
    Ok(code(wait(client, &mut signals)))
}

/// Whether this is not a directory but tells PostgreSQL's programs where a server is: a URI, or `name=value` pairs.
fn is_connection_string(argument: &str) -> bool {
    argument.starts_with("postgresql://")
        || argument.starts_with("postgres://")
        || argument.contains('=') && !Path::new(argument).exists()
}

/// Runs a program to its end, with the signals that we get.
pub(crate) fn run(program: &Program, run: Run) -> Result<ExitCode> {
    let mut signals = signals(&FORWARDED)?;
    let Run { opening, rest: mut arguments } = run;
    let database = match arguments.first() {
        Some(first) if program.on == On::Server && !first.starts_with('-') && !is_connection_string(first) => {
            let directory = arguments.remove(0);
            let builder = builder(Path::new(&directory), &opening);
            if opening.engine == EngineName::Wasm {
                return run_in_turns(program, builder, &opening.user, arguments, &mut signals);
            }
            Some(builder.open()?)
        }
        None if program.on == On::Server => {
            eprintln!(
                "pglite: name a data directory, `:memory:`, a connection string, or an option of {0} such as -h; see `pglite help {0}`",
                program.name
            );
            return Ok(ExitCode::from(2));
        }
        _ => None,
    };
    // What ends pglite's own options, and is none of the program's.
    if database.is_none() && arguments.first().is_some_and(|first| first == "--") {
        arguments.remove(0);
    }
    let client = libpglite_clients::start(database.as_ref(), program.name, arguments, &[], streams())?;
    let status = wait(client, &mut signals);
    database.map_or(Ok(()), Database::close)?;
    Ok(code(status))
}

/// Runs a program on a standalone session, which it reaches through a socket of its own.
fn run_in_turns(
    program: &Program,
    builder: Builder,
    user: &str,
    arguments: Vec<String>,
    signals: &mut signal_hook::iterator::Signals,
) -> Result<ExitCode> {
    let folder = tempfile::Builder::new().prefix("pglite-").tempdir();
    let folder = folder
        .map_err(|source| Error::Io { context: format!("cannot make a folder for a socket: {source}"), source })?;
    // Nobody else can enter the folder.
    let options = gateway::Options {
        sockets: vec![folder.path().to_owned()],
        user: user.to_owned(),
        trust: true,
        handover: true,
        fresh: true,
        ..gateway::Options::default()
    };
    let gateway = Gateway::start(builder.open_standalone()?, &options)?;
    let environment = [
        format!("PGHOST={}", folder.path().display()),
        "PGPORT=5432".into(),
        format!("PGUSER={user}"),
        "PGDATABASE=postgres".into(),
    ];
    let client = libpglite_clients::start(None, program.name, arguments, &environment, streams())?;
    let status = wait(client, signals);
    gateway.close()?;
    Ok(code(status))
}

fn code(status: Status) -> ExitCode {
    match status {
        Status::Exited(code) => ExitCode::from(code as u8),
        Status::Signaled(signal) => ExitCode::from(128 + signal as u8),
    }
}

/// Our standard streams.
fn streams() -> [Stdio; 3] {
    [stream(stdin()), stream(stdout()), stream(stderr())]
}

/// Waits for the end of a program, which gets the signals that we get.
fn wait(client: Client, signals: &mut signal_hook::iterator::Signals) -> Status {
    let client = Arc::new(client);
    let target = client.clone();
    let handle = signals.handle();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for signal in signals.forever() {
                // It may have ended in the meantime.
                let _ = target.kill(signal);
            }
        });
        let status = client.wait();
        handle.close();
        status
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_are_linked_can_be_run() {
        let mut known: Vec<_> = ALL.iter().map(|program| program.name).collect();
        let mut linked: Vec<_> = libpglite_clients::names().chain(["initdb", "postgres"]).collect();
        known.sort();
        linked.sort();
        assert_eq!(known, linked);
    }
}
