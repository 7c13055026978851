//! Other programs connect: by Unix socket and TCP, with a password.

use crate::support::{Fixture, directory_with, memory_with, runtime};
use libpglite::tokio_postgres::{self, NoTls};
use std::net::{SocketAddr, TcpListener};

/// Connects as another program would; the answer, or the server's SQLSTATE.
fn connect(uri: &str) -> Result<i32, String> {
    runtime().block_on(async {
        let (client, connection) = tokio_postgres::connect(uri, NoTls)
            .await
            .map_err(|e| e.code().map_or_else(|| e.to_string(), |code| code.code().to_owned()))?;
        tokio::spawn(connection);
        Ok(client.query_one("SELECT 42", &[]).await.unwrap().get(0))
    })
}

fn wrong(uri: &str, password: &str) -> String {
    uri.replacen(password, "wrong", 1)
}

fn password(uri: &str) -> String {
    let (login, _) = uri.strip_prefix("postgresql://").unwrap().split_once('@').unwrap();
    login.split_once(':').expect("the URI has a password").1.to_owned()
}

/// The URI lets in; a wrong password, none, or another user, does not.
fn check(db: &Fixture) {
    let uri = db.uri().unwrap();
    assert_eq!(connect(&uri), Ok(42), "{uri}");
    let password = password(&uri);
    assert_eq!(connect(&wrong(&uri, &password)), Err("28P01".into()));
    assert!(connect(&uri.replacen(&format!(":{password}"), "", 1)).is_err());
    assert_eq!(connect(&uri.replacen("postgres:", "mallory:", 1)), Err("28P01".into()));
}

#[test]
fn a_socket_with_a_password_of_its_own() {
    let sockets = tempfile::tempdir().unwrap();
    let db = directory_with(|b| b.listen_socket(sockets.path()));
    check(&db);
    let uri = db.uri().unwrap();
    use std::os::unix::fs::PermissionsExt;
    let kept = db.path().join("libpglite.password");
    assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_to_string(kept).unwrap().trim(), password(&uri));
    db.connect().unwrap().simple_query("SELECT 1").unwrap();
    db.close();
    assert_eq!(std::fs::read_dir(sockets.path()).unwrap().count(), 0, "the socket is gone");
    assert!(connect(&uri).is_err());
}

#[test]
fn the_password_is_kept_for_the_next_open() {
    let _guard = crate::support::guard();
    let folder = tempfile::tempdir().unwrap();
    let open = || libpglite::Database::builder(folder.path().join("data")).no_log().listen_socket(folder.path()).open();
    let db = open().unwrap();
    let first = db.uri().unwrap();
    db.close().unwrap();
    let db = open().unwrap();
    assert_eq!(db.uri().unwrap(), first);
    assert_eq!(connect(&first), Ok(42));
    db.close().unwrap();
}

#[test]
fn a_chosen_password_and_port() {
    let sockets = tempfile::tempdir().unwrap();
    let db = memory_with(|b| b.listen_socket(sockets.path()).password("p@ss 'word%").port(6543));
    let uri = db.uri().unwrap();
    assert!(uri.contains("p%40ss%20%27word%25") && uri.contains("6543"), "{uri}");
    assert!(sockets.path().join(".s.PGSQL.6543").exists());
    check(&db);
    db.close();
}

#[test]
fn tcp_on_the_loopback_interface() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let db = memory_with(|b| b.listen_tcp(free));
    assert!(db.uri().unwrap().contains(&free.to_string()));
    check(&db);
    // What the program itself uses does not go that way.
    assert!(
        db.connect().unwrap().query_one("SELECT inet_server_port()", &[]).unwrap().get::<_, Option<i32>>(0).is_none()
    );
    db.close();
    assert!(std::net::TcpStream::connect(free).is_err());
}

#[test]
fn both_at_once() {
    let sockets = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let db = memory_with(|b| b.listen_socket(sockets.path()).listen_tcp(free).password("secret"));
    assert_eq!(connect(&format!("postgresql://postgres:secret@{free}/postgres")), Ok(42));
    assert_eq!(connect(&db.uri().unwrap()), Ok(42));
    db.close();
}

#[test]
fn nobody_listens_unless_asked() {
    let db = directory_with(|b| b);
    let listens: String = {
        let row = db.connect().unwrap().query_one("SELECT current_setting('listen_addresses')", &[]).unwrap();
        row.get(0)
    };
    assert_eq!(listens, "");
    assert!(TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).is_ok());
    db.close();
}
