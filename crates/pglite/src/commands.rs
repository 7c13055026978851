//! What the commands do.

use crate::arguments::{Info, Init, Opening, Serve};
use gateway::Gateway;
use libpglite::{Access, Builder, Database, Engine, Error, Result, Severity};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(crate) fn builder(directory: &Path, opening: &Opening) -> Builder {
    let mut builder = Database::builder(directory).user(&opening.user).engine(opening.engine.into());
    for (name, value) in &opening.settings {
        builder = builder.setting(name, value);
    }
    for path in &opening.allow_paths {
        builder = builder.allow_path(path, Access::ReadWrite);
    }
    builder = builder.allow_network(opening.allow_network).allow_programs(opening.allow_programs);
    match opening.verbose {
        true => builder.log(|message| eprintln!("{}", message.text)),
        false => builder.no_log(),
    }
}

pub(crate) fn signals(list: &[i32]) -> Result<Signals> {
    Signals::new(list).map_err(|source| Error::Io { context: format!("cannot take care of signals: {source}"), source })
}

pub(crate) fn serve(mut arguments: Serve) -> Result<ExitCode> {
    let signals = signals(&[SIGINT, SIGTERM, SIGHUP])?;
    let mut builder = builder(&arguments.directory, &arguments.opening);
    if !arguments.opening.verbose {
        builder = builder.log(|message| {
            if message.severity >= Severity::Warning {
                eprintln!("{}", message.text);
            }
        });
    }
    if arguments.listen.is_empty() && arguments.socket.is_empty() {
        if arguments.directory.as_os_str() == ":memory:" {
            return Err(Error::Option(
                "a database in memory has no place for a socket: add --listen or --socket".into(),
            ));
        }
        // The folder has to be there before the listener can be named.
        let folder = &arguments.directory;
        std::fs::create_dir_all(folder)
            .map_err(|source| Error::Io { context: format!("cannot create {}: {source}", folder.display()), source })?;
        arguments.socket.push(folder.clone());
    }
    if arguments.standalone {
        serve_in_turns(builder, arguments, signals)
    } else {
        serve_all(builder, arguments, signals)
    }
}

/// Tells whoever started us. Whoever does not listen does not want to know.
fn ready(uri: &str) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "ready {uri}").and_then(|()| out.flush());
}

fn serve_in_turns(builder: Builder, arguments: Serve, mut signals: Signals) -> Result<ExitCode> {
    // The log of one session is what its client is told anyway.
    let builder = if arguments.opening.verbose { builder } else { builder.no_log() };
    let options = gateway::Options {
        sockets: arguments.socket,
        addresses: arguments.listen,
        port: arguments.port,
        user: arguments.opening.user,
        password: arguments.password,
        trust: arguments.trust,
        handover: arguments.handover,
        fresh: arguments.fresh,
    };
    let gateway = Gateway::start(builder.open_standalone()?, &options)?;
    ready(gateway.uri());
    signals.forever().next();
    gateway.close()?;
    Ok(ExitCode::SUCCESS)
}

fn serve_all(mut builder: Builder, arguments: Serve, mut signals: Signals) -> Result<ExitCode> {
    for address in &arguments.listen {
        builder = builder.listen_tcp(*address);
    }
    for folder in &arguments.socket {
        builder = builder.listen_socket(folder);
    }
    if let Some(port) = arguments.port {
        builder = builder.port(port);
    }
    if let Some(password) = arguments.password {
        builder = builder.password(password);
    }
    let database = builder.open()?;
    ready(&database.uri()?);

    let stop = Arc::new(AtomicBool::new(false));
    let handle = signals.handle();
    let stopping = stop.clone();
    let waiter = std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            stopping.store(true, Ordering::SeqCst);
        }
    });
    while !stop.load(Ordering::SeqCst) && !database.wait(Duration::from_millis(50)) {}
    let ended = database.has_ended();
    handle.close();
    let _ = waiter.join();
    database.close()?;
    Ok(if ended && !stop.load(Ordering::SeqCst) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

pub(crate) fn init(arguments: Init) -> Result<ExitCode> {
    let directory = &arguments.directory;
    if libpglite::info(directory).is_ok() {
        eprintln!("pglite: {} is a database already; nothing was changed", directory.display());
        return Ok(ExitCode::FAILURE);
    }
    let engine = arguments.engine.into();
    let mut builder = Database::builder(directory).engine(engine).user(arguments.user).no_log();
    let has_password = arguments.password.is_some();
    if let Some(password) = arguments.password {
        builder = builder.password(password);
    }
    if let Some(encoding) = arguments.encoding {
        builder = builder.encoding(encoding);
    }
    if let Some(locale) = arguments.locale {
        builder = builder.locale(locale);
    }
    match engine {
        Engine::Native => builder.open()?.close()?,
        Engine::Wasm if has_password => {
            return Err(Error::Option(
                "with --engine wasm the password is set by `pglite serve --standalone --password`".into(),
            ));
        }
        Engine::Wasm => builder.open_standalone()?.close()?,
    }
    println!("made a database of PostgreSQL {} in {}", libpglite::postgres_version(), directory.display());
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn info(arguments: Info) -> Result<ExitCode> {
    let info = libpglite::info(&arguments.directory)?;
    let holder = info.holder.unwrap_or_else(|| "nobody".into());
    println!("directory          {}", arguments.directory.display());
    println!("PostgreSQL         {} (this program has {})", info.version, libpglite::postgres_version());
    println!(
        "engine             {}",
        match info.engine {
            Engine::Native => "native (64-bit)",
            Engine::Wasm => "wasm (32-bit)",
        }
    );
    println!("system identifier  {}", info.system_identifier);
    println!("state              {}", info.state);
    println!("open in            {holder}");
    println!("databases          {}, with the templates", info.databases);
    println!("size               {:.1} MB", info.size as f64 / 1e6);
    Ok(ExitCode::SUCCESS)
}
