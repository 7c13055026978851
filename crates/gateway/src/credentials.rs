//! The superuser's password, and the URI that holds it.

use crate::gateway::Options;
use crate::local::Local;
use draft::{Connection, Trust, columns, field, literal, messages};
use libpglite::{Error, Result};
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The file of the data directory that keeps a password which nobody chose; the server has the same.
const FILE: &str = "libpglite.password";

/// Makes sure that the superuser can log in; its password, where it is known.
pub(crate) fn prepare(connection: &mut Connection<Local>, path: &Path, options: &Options) -> Result<Option<String>> {
    let user = literal(&options.user);
    let reply =
        run(connection, &format!("SELECT rolpassword IS NOT NULL FROM pg_catalog.pg_authid WHERE rolname = {user}"))?;
    let has_one = messages(&reply)
        .find(|(kind, _)| *kind == b'D')
        .is_some_and(|(_, row)| columns(row).first() == Some(&Some(b"t".as_slice())));
    let file = path.join(FILE);
    if has_one {
        let kept = fs::read_to_string(&file).ok().map(|text| text.trim().to_owned());
        return Ok(options.password.clone().or(kept));
    }
    let password = match &options.password {
        Some(password) => password.clone(),
        None => {
            let mut bytes = [0; 16];
            getrandom::fill(&mut bytes).map_err(|e| failed("make a password", std::io::Error::other(e)))?;
            let password = format!("{:032x}", u128::from_ne_bytes(bytes));
            if path.is_dir() {
                keep(&file, &password).map_err(|e| failed(&format!("write {}", file.display()), e))?;
            }
            password
        }
    };
    // The statement must not reach the log, whatever that is set to.
    let name = options.user.replace('"', "\"\"");
    let sql = format!(
        "SET log_statement = none; SET log_min_duration_statement = -1; ALTER ROLE \"{name}\" PASSWORD {}",
        literal(&password)
    );
    run(connection, &sql)?;
    connection.begin(Trust::Host);
    Ok(Some(password))
}

fn run(connection: &mut Connection<Local>, sql: &str) -> Result<Vec<u8>> {
    let reply = connection.query(sql);
    let error = messages(&reply).find(|(kind, _)| *kind == b'E').and_then(|(_, body)| field(body, b'M'));
    match error.map(|text| String::from_utf8_lossy(text).into_owned()) {
        Some(text) => Err(failed("set the superuser's password", std::io::Error::other(text))),
        None => Ok(reply),
    }
}

fn failed(what: &str, source: std::io::Error) -> Error {
    Error::Io { context: format!("cannot {what}: {source}"), source }
}

fn keep(path: &Path, password: &str) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    writeln!(file, "{password}")?;
    file.sync_all()
}

/// The URI of the first socket.
pub(crate) fn uri(options: &Options, port: u16, address: Option<&SocketAddr>, password: Option<&str>) -> String {
    let user = escape(&options.user);
    let login = password.map_or_else(|| user.clone(), |password| format!("{user}:{}", escape(password)));
    if let Some(folder) = options.sockets.first() {
        let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.clone());
        let port = if port == 5432 { String::new() } else { format!("&port={port}") };
        return format!("postgresql://{login}@/postgres?host={}{port}", escape(&folder.to_string_lossy()));
    }
    let place = match address {
        Some(SocketAddr::V4(a)) if a.ip().is_unspecified() => format!("127.0.0.1:{}", a.port()),
        Some(SocketAddr::V6(a)) if a.ip().is_unspecified() => format!("[::1]:{}", a.port()),
        Some(address) => address.to_string(),
        None => format!("127.0.0.1:{port}"),
    };
    format!("postgresql://{login}@{place}/postgres")
}

/// Percent-encodes what has a meaning in a URI.
fn escape(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
