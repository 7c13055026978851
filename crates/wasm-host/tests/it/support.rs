//! What the tests share.

use std::path::PathBuf;
use std::sync::OnceLock;
use tempfile::TempDir;
use wasm_host::{Engine, Modules, Options, Session};

/// One compiled module for all tests.
pub(crate) fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let folder =
            std::env::var_os("PGLITE_WASM").expect("PGLITE_WASM names the modules: run `cargo xtask wasm test`");
        let folder = PathBuf::from(folder);
        let cache = folder.join("compiled");
        Engine::new(&Modules::at(folder), &cache).unwrap()
    })
}

/// A new cluster and a session.
pub(crate) fn fresh() -> (TempDir, Session) {
    let folder = tempfile::tempdir().unwrap();
    let session = Session::open(engine(), &Options::new(folder.path())).unwrap();
    (folder, session)
}

/// The values of the rows of a reply, or the error in it.
pub(crate) fn rows(reply: &[u8]) -> Result<Vec<Vec<String>>, String> {
    let mut rows = Vec::new();
    for (kind, body) in draft::messages(reply) {
        match kind {
            b'E' => {
                let field = |which| String::from_utf8_lossy(draft::field(body, which).unwrap_or_default()).into_owned();
                return Err(format!("{} {}", field(b'C'), field(b'M')));
            }
            b'D' => rows.push(
                draft::columns(body)
                    .iter()
                    .map(|c| c.map_or("NULL".into(), |c| String::from_utf8_lossy(c).into_owned()))
                    .collect(),
            ),
            _ => {}
        }
    }
    Ok(rows)
}

/// Runs a query; its first value, or the error.
pub(crate) fn ask(session: &mut Session, sql: &str) -> Result<String, String> {
    let reply = session.simple_query(sql).map_err(|e| e.to_string())?;
    assert!(reply.ends_with(b"Z\0\0\0\x05I") || reply.ends_with(b"Z\0\0\0\x05T") || reply.ends_with(b"Z\0\0\0\x05E"));
    Ok(rows(&reply)?.first().and_then(|row| row.first().cloned()).unwrap_or_default())
}
