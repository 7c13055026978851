//! Tarballs from where they are released.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::version::{PINNED, PINNED_SHA256};

/// Names another place to download from.
const URL_VARIABLE: &str = "PGLITE_POSTGRES_URL";
const SITE: &str = "https://ftp.postgresql.org/pub/source";

/// A tarball of PostgreSQL has about 23 MB; this bounds what a broken server can make us store.
const SIZE_LIMIT: u64 = 256 << 20;

/// How a download ended, unless by an error that ends the search.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is at this path, unchecked.
    Fetched(PathBuf),
    /// The site did not answer, or not with the file.
    Unreachable(String),
}

/// The site, or what `PGLITE_POSTGRES_URL` names.
pub(super) fn base_url() -> String {
    std::env::var(URL_VARIABLE).ok().filter(|url| !url.is_empty()).unwrap_or_else(|| SITE.into())
}

/// Downloads the pinned release into `folder`. One try, short timeouts: there is another way.
pub(super) fn pinned(folder: &Path, base: &str) -> Result<Outcome> {
    let url = format!("{}/v{PINNED}/postgresql-{PINNED}.tar.bz2", base.trim_end_matches('/'));
    fetch(folder, &url, PINNED_SHA256)
}

/// Downloads a file into `folder`, with the name that it has in the URL, and checks it.
pub(super) fn fetch(folder: &Path, url: &str, checksum: &str) -> Result<Outcome> {
    let name = url.rsplit('/').next().unwrap_or(url);
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let agent = ureq::Agent::config_builder()
        .timeout_resolve(seconds(5))
        .timeout_connect(seconds(5))
        .timeout_recv_response(seconds(10))
        .timeout_global(seconds(600))
        .build()
        .new_agent();
    let mut answer = match agent.get(url).call() {
        Ok(answer) => answer,
        Err(error) => return Ok(Outcome::Unreachable(format!("{url}: {error}"))),
    };
    let mut body = answer.body_mut().with_config().limit(SIZE_LIMIT).reader();

    let tarball = folder.join(name);
    // checked before it gets the name that the cache knows
    let partial = folder.join("download.partial");
    let context = || format!("cannot write {}", tarball.display());
    let mut file = File::create(&partial).with_context(context)?;
    if let Err(error) = receive(&mut body, &mut file).with_context(context)? {
        std::fs::remove_file(&partial).with_context(context)?;
        return Ok(Outcome::Unreachable(format!("{url}: {error}")));
    }
    if let Err(error) = super::verify(&partial, checksum) {
        std::fs::remove_file(&partial).with_context(context)?;
        return Err(error.context(format!("what {url} sent")));
    }
    std::fs::rename(&partial, &tarball).with_context(context)?;
    Ok(Outcome::Fetched(tarball))
}

/// Copies; the outer error is of writing, the inner one of reading.
fn receive(body: &mut dyn Read, file: &mut File) -> std::io::Result<std::io::Result<()>> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match body.read(&mut buffer) {
            Ok(0) => return Ok(Ok(())),
            Ok(len) => file.write_all(&buffer[..len])?,
            Err(error) => return Ok(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    use super::*;
    use crate::hash;

    /// Answers one request with `status` and `body`, of which it says that it has `length` bytes.
    fn server(status: &'static str, body: &'static [u8], length: usize) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/source/v18.6/postgresql-18.6.tar.bz2", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let request = lines.next().unwrap().unwrap();
            lines.find(|line| line.as_ref().is_ok_and(String::is_empty));
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n").unwrap();
            stream.write_all(body).unwrap();
            request
        });
        (url, thread)
    }

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn downloads_and_checks() {
        let dir = tempfile::tempdir().unwrap();
        let (url, server) = server("200 OK", b"abc", 3);
        let Outcome::Fetched(path) = fetch(dir.path(), &url, ABC).unwrap() else { panic!("not fetched") };
        assert_eq!(path, dir.path().join("postgresql-18.6.tar.bz2"));
        assert_eq!(hash::file(&path).unwrap(), ABC);
        assert_eq!(server.join().unwrap(), "GET /source/v18.6/postgresql-18.6.tar.bz2 HTTP/1.1");
    }

    #[test]
    fn a_wrong_checksum_is_an_error_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (url, server) = server("200 OK", b"abd", 3);
        let error = format!("{:#}", fetch(dir.path(), &url, ABC).unwrap_err());
        assert!(error.contains("wrong checksum") && error.contains(ABC) && error.contains(&url), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        server.join().unwrap();
    }

    #[test]
    fn an_absent_file_a_broken_transfer_and_a_dead_server_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let unreachable = |url: &str| match fetch(dir.path(), url, ABC).unwrap() {
            Outcome::Unreachable(reason) => reason,
            Outcome::Fetched(path) => panic!("{}", path.display()),
        };
        let (url, absent) = server("404 Not Found", b"", 0);
        assert!(unreachable(&url).contains("404"));
        absent.join().unwrap();
        let (url, broken) = server("200 OK", b"ab", 3);
        assert!(unreachable(&url).contains(&url));
        broken.join().unwrap();
        assert!(unreachable("http://127.0.0.1:1").contains("127.0.0.1:1"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
