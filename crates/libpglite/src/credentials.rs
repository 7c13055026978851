//! The superuser's password, for listeners, and the URI that holds it.

use crate::database::Database;
use engine::{Error, Location, Options, Result};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The file of the data directory that keeps a password which nobody chose.
const FILE: &str = "libpglite.password";

/// Makes sure that the superuser can log in where somebody can; returns the password, where it is known.
pub(crate) fn prepare(database: &Database, options: &Options) -> Result<Option<String>> {
    if let Some(password) = &options.password {
        if database.is_new() {
            set(database, options, password)?;
        }
        return Ok(Some(password.clone()));
    }
    if options.listen.is_empty() {
        return Ok(None);
    }
    let kept = match options.location {
        Location::Directory(_) => fs::read_to_string(database.path().join(FILE)).ok(),
        Location::Memory => None,
    };
    if let Some(password) = kept {
        return Ok(Some(password.trim().to_owned()));
    }
    if is_settled(database)? {
        return Ok(None);
    }
    let password = random()?;
    if let Location::Directory(_) = options.location {
        keep(&database.path().join(FILE), &password)?;
    }
    set(database, options, &password)?;
    Ok(Some(password))
}

/// Whether the superuser has a password, or gets it from the server that this one follows.
fn is_settled(database: &Database) -> Result<bool> {
    let mut client = database.connect()?;
    let query = "SELECT rolpassword IS NOT NULL OR pg_is_in_recovery() FROM pg_authid WHERE rolname = current_user";
    let row = client.query_one(query, &[]).map_err(failed)?;
    Ok(row.get(0))
}

fn set(database: &Database, options: &Options, password: &str) -> Result<()> {
    let user = options.user.replace('"', "\"\"");
    let password = password.replace('\'', "''");
    let mut client = database.connect()?;
    // The statement must not reach the log, whatever that is set to.
    client
        .batch_execute(&format!(
            "SET log_statement = none; SET log_min_duration_statement = -1; SET standard_conforming_strings = on; \
             ALTER ROLE \"{user}\" PASSWORD '{password}'"
        ))
        .map_err(failed)
}

fn failed(error: postgres::Error) -> Error {
    Error::Io { context: format!("cannot set the superuser's password: {error}"), source: std::io::Error::other(error) }
}

fn random() -> Result<String> {
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|e| Error::Io { context: format!("cannot make a password: {e}"), source: e.into() })?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

fn keep(path: &Path, password: &str) -> Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| writeln!(file, "{password}").and_then(|()| file.sync_all()))
        .map_err(|source| Error::Io { context: format!("cannot write {}: {source}", path.display()), source })
}

/// The URI of the first listener.
pub(crate) fn uri(options: &Options, password: Option<&str>) -> Result<String> {
    let listen = &options.listen;
    let port = listen.port.or_else(|| listen.addresses.first().map(|a| a.port())).unwrap_or(5432);
    let user = escape(&options.user);
    let login = password.map_or_else(|| user.clone(), |password| format!("{user}:{}", escape(password)));
    if let Some(folder) = listen.sockets.first() {
        let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.clone());
        let host = escape(&folder.to_string_lossy());
        let port = if port == 5432 { String::new() } else { format!("&port={port}") };
        return Ok(format!("postgresql://{login}@/postgres?host={host}{port}"));
    }
    match listen.addresses.first() {
        Some(address) => {
            let ip = match address.ip() {
                ip if ip.is_unspecified() && ip.is_ipv4() => "127.0.0.1".to_owned(),
                ip if ip.is_unspecified() => "[::1]".to_owned(),
                ip if ip.is_ipv6() => format!("[{ip}]"),
                ip => ip.to_string(),
            };
            Ok(format!("postgresql://{login}@{ip}:{port}/postgres"))
        }
        None => Err(Error::Option(
            "the database has no listener: open it with Builder::listen_socket or Builder::listen_tcp to get a URI"
                .into(),
        )),
    }
}

/// Percent-encodes what has a meaning in a URI.
fn escape(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn uris_are_escaped() {
        let mut options = Options::new(Location::Memory);
        assert!(uri(&options, None).is_err());
        options.listen.sockets.push(PathBuf::from("/no such/fold&er"));
        assert_eq!(
            uri(&options, Some("p@ss")).unwrap(),
            "postgresql://postgres:p%40ss@/postgres?host=/no%20such/fold%26er"
        );
        options.listen.sockets.clear();
        options.listen.addresses.push("0.0.0.0:6000".parse().unwrap());
        assert_eq!(uri(&options, None).unwrap(), "postgresql://postgres@127.0.0.1:6000/postgres");
    }
}
