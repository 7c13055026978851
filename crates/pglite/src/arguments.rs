//! The command line.

use crate::programs::{self, Program};
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// PostgreSQL in one program: a database is a directory, and nothing has to be installed or started.
#[derive(Parser)]
#[command(version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Examples:
  pglite psql my-data                          an interactive session; the database is made if it is not there
  pglite psql my-data -c 'SELECT version()'    one statement
  pglite psql :memory: -f script.sql           a database that leaves nothing behind
  pglite serve my-data --listen 127.0.0.1:5432 for other programs, until Ctrl-C
  pglite pg_dump my-data -Fc -f my-data.dump   a program of PostgreSQL, on the database in a directory
  pglite pg_dump -h db.example.com -d app      the same program, on another server
  pglite pg_controldata my-data                a program that works on a directory, as it is everywhere

Exit status:
  0 success   1 failure   2 wrong usage   3 the database is in use   4 not a database, or of another version or engine
  5 an unknown setting or impossible option; a program of PostgreSQL otherwise ends with its own status";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Let other programs connect to a database, until Ctrl-C or SIGTERM
    Serve(Serve),
    /// Make a new database
    Init(Init),
    /// Tell about a database without opening it
    Info(Info),
}

/// What runs a database.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineName {
    /// PostgreSQL as code of this machine
    Native,
    /// PostgreSQL as a WebAssembly module, in a sandbox; one session
    Wasm,
}

impl From<EngineName> for libpglite::Engine {
    fn from(name: EngineName) -> libpglite::Engine {
        match name {
            EngineName::Native => libpglite::Engine::Native,
            EngineName::Wasm => libpglite::Engine::Wasm,
        }
    }
}

/// How a database is opened.
#[derive(Args)]
pub(crate) struct Opening {
    /// What runs the database. Each has directories of its own: to move, `pglite pg_dumpall OLD | pglite psql --engine wasm NEW`
    #[arg(long, value_enum, default_value = "native", value_name = "ENGINE")]
    pub(crate) engine: EngineName,
    /// One of PostgreSQL's settings; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    pub(crate) settings: Vec<(String, String)>,
    /// The superuser
    #[arg(long, default_value = "postgres", value_name = "NAME")]
    pub(crate) user: String,
    /// Let SQL read and write this file or directory of the machine; may be repeated
    #[arg(long = "allow-path", value_name = "PATH")]
    pub(crate) allow_paths: Vec<PathBuf>,
    /// Let SQL open network connections
    #[arg(long)]
    pub(crate) allow_network: bool,
    /// Let SQL start programs of the machine
    #[arg(long)]
    pub(crate) allow_programs: bool,
    /// Show the server's log on standard error
    #[arg(long)]
    pub(crate) verbose: bool,
}

/// A program of PostgreSQL, and what it is run on.
#[derive(Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) opening: Opening,
    /// The data directory (made if it is not there), `:memory:`, or a connection string; then the program's own arguments. Without a directory, only these:
    /// then the program does what it does everywhere, and connects to the server that they name
    #[arg(value_name = "DIR] [ARGUMENTS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) rest: Vec<String>,
}

/// What the command line asks for.
pub(crate) enum Request {
    Command(Command),
    Program(&'static Program, Run),
}

/// Reads the command line; ends the process where it is wrong or asks for help.
pub(crate) fn parse() -> Request {
    let mut command = Arguments::command().subcommand_help_heading("Commands");
    for program in programs::ALL {
        let own = Run::augment_args(clap::Command::new(program.name)).disable_help_flag(true);
        let own = own.about(program.about).long_about(None).after_help(format!(
            "\
Options of pglite come before DIR, those of {0} after it. Its own help: pglite {0} -- --help",
            program.name
        ));
        command = command.subcommand(own);
    }
    let matches = command.get_matches();
    let read = |matches: &ArgMatches| -> Result<Request, clap::Error> {
        if let Some((name, matches)) = matches.subcommand()
            && let Some(program) = programs::ALL.iter().find(|program| program.name == name)
        {
            return Ok(Request::Program(program, Run::from_arg_matches(matches)?));
        }
        Ok(Request::Command(Arguments::from_arg_matches(matches)?.command))
    };
    read(&matches).unwrap_or_else(|error| error.exit())
}

/// Let other programs connect to a database, until Ctrl-C or SIGTERM.
#[derive(Args)]
#[command(after_help = "\
Examples:
  pglite serve my-data                            a Unix socket in the data directory
  pglite serve my-data --socket /run/app          a Unix socket in that folder
  pglite serve my-data --listen 127.0.0.1:5432    TCP
  pglite serve :memory: --listen 127.0.0.1:6000
  pglite serve my-data --standalone               one session, for which clients take turns
  pglite serve my-data --standalone --engine wasm the same in a sandbox

When the server is ready, one line `ready URI` is printed on standard output. Connections from outside ask for a password (SCRAM):
that of --password, or else a random one, which the URI holds and the file libpglite.password of the data directory keeps.")]
pub(crate) struct Serve {
    /// The data directory, made if it is not there; or `:memory:`
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
    #[command(flatten)]
    pub(crate) opening: Opening,
    /// A TCP address to listen on; may be repeated
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Vec<SocketAddr>,
    /// A folder for a Unix socket; may be repeated
    #[arg(long, value_name = "FOLDER")]
    pub(crate) socket: Vec<PathBuf>,
    /// The port in the Unix socket's name
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// The superuser's password, for a new database
    #[arg(long, env = "PGLITE_PASSWORD", hide_env_values = true)]
    pub(crate) password: Option<String>,
    /// One session without a server: clients take turns, and each gets it clean. Nothing runs in the background
    #[arg(long)]
    pub(crate) standalone: bool,
    /// With --standalone: who waits gets the turn of a client that is idle, which is hung up on; psql's \c needs it
    #[arg(long, requires = "standalone")]
    pub(crate) handover: bool,
    /// With --standalone: each client gets a new session, not a cleaned one
    #[arg(long, requires = "standalone")]
    pub(crate) fresh: bool,
    /// With --standalone: ask nobody for a password. Whoever can reach the socket is who they say they are
    #[arg(long, requires = "standalone", conflicts_with = "listen")]
    pub(crate) trust: bool,
}

/// Make a new database.
#[derive(Args)]
#[command(after_help = "\
Examples:
  pglite init my-data
  pglite init my-data --user alice --password secret
  pglite init my-data --locale de_DE.UTF-8
  pglite init my-data --engine wasm")]
pub(crate) struct Init {
    /// What is to run it; directories of one engine cannot be opened by the other
    #[arg(long, value_enum, default_value = "native", value_name = "ENGINE")]
    pub(crate) engine: EngineName,
    /// The data directory: missing or empty
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
    /// The superuser
    #[arg(long, default_value = "postgres", value_name = "NAME")]
    pub(crate) user: String,
    /// The superuser's password, for those who connect from outside
    #[arg(long, env = "PGLITE_PASSWORD", hide_env_values = true)]
    pub(crate) password: Option<String>,
    /// Encoding [default: UTF8]
    #[arg(long)]
    pub(crate) encoding: Option<String>,
    /// Locale of the machine [default: C.UTF-8, the same on every machine]
    #[arg(long)]
    pub(crate) locale: Option<String>,
}

/// Tell about a database without opening it.
#[derive(Args)]
pub(crate) struct Info {
    /// The data directory
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE, for example work_mem=64MB".into()),
    }
}
