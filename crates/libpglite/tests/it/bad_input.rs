//! What cannot be opened: a clear error, and everything as it was.

use crate::support::{contents, guard, is_root, memory};
use libpglite::{Database, Error};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

fn fails(path: &Path) -> Error {
    let server = Database::builder(path).no_log().open().map(drop).unwrap_err();
    let session = Database::builder(path).no_log().open_standalone().map(drop).unwrap_err();
    assert_eq!(server.to_string(), session.to_string());
    server
}

#[test]
fn what_is_not_a_cluster_is_left_alone() {
    let _guard = guard();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("something");
    fs::write(&path, "a file").unwrap();
    assert!(matches!(fails(&path), Error::NotADirectory(p) if p == path));
    assert!(matches!(fails(folder.path()), Error::NotACluster(_)));
    let below = path.join("below");
    assert!(matches!(fails(&below), Error::NotADirectory(_)), "{}", fails(&below));
    assert_eq!(contents(folder.path()), [(path, Some(b"a file".to_vec()))]);
}

#[test]
fn another_major_version() {
    let _guard = guard();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("PG_VERSION"), "17\n").unwrap();
    let before = contents(folder.path());
    let error = fails(folder.path());
    assert!(matches!(&error, Error::OtherVersion { found, ours, .. } if found == "17" && ours == "18"), "{error}");
    assert_eq!(contents(folder.path()), before);
}

#[test]
fn a_damaged_cluster_says_what_is_wrong() {
    let _guard = guard();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    Database::builder(&path).no_log().open().unwrap().close().unwrap();
    let control = path.join("global/pg_control");
    let content = fs::read(&control).unwrap();
    let mut damaged = content.clone();
    damaged[100] ^= 1;
    fs::write(&control, damaged).unwrap();
    let error = Database::builder(&path).no_log().open().map(drop).unwrap_err();
    assert!(matches!(&error, Error::Startup { log, .. } if log.contains("incorrect checksum")), "{error}");
    fs::write(&control, content).unwrap();
    Database::builder(&path).no_log().open().unwrap().close().unwrap();
}

#[test]
fn settings_that_cannot_be() {
    let _guard = guard();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    for (name, value, word) in [
        ("no_such_setting", "1", "no_such_setting"),
        ("shared_buffers", "lots", "shared_buffers"),
        ("max_connections", "-5", "max_connections"),
        ("wal_level", "loud", "wal_level"),
        ("a=b", "1", "a=b"),
        ("", "1", "\"\""),
    ] {
        let builder = || Database::builder(&path).no_log().setting(name, value);
        for error in [builder().open().map(drop).unwrap_err(), builder().open_standalone().map(drop).unwrap_err()] {
            assert!(matches!(&error, Error::Setting(text) if text.contains(word)), "{name}: {error:?}");
        }
        assert!(!path.exists(), "{name}: the new directory is left behind");
    }
    // An empty directory stays, and stays empty.
    let path = folder.path();
    assert!(Database::builder(path).no_log().setting("no_such_setting", "1").open().is_err());
    assert!(contents(path).is_empty());
}

#[test]
fn listeners_that_cannot_be() {
    let _guard = guard();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let builder = || Database::builder(&path).no_log();
    let address = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let missing = folder.path().join("missing");
    for (builder, word) in [
        (builder().listen_socket(&missing), missing.to_str().unwrap()),
        (builder().listen_tcp(address(5555)).port(6666), "one port"),
        (builder().listen_tcp(address(0)), "port 0"),
    ] {
        let error = builder.open().map(drop).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
        assert!(!path.exists(), "{error}: the new directory is left behind");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let error = builder().listen_tcp(taken.local_addr().unwrap()).open().map(drop).unwrap_err();
    assert!(error.to_string().contains("Address already in use"), "{error}");
    assert!(!path.exists());
    assert!(matches!(memory().uri(), Err(Error::Option(_))));
}

#[test]
fn a_path_that_may_not_be_written() {
    let _guard = guard();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    if is_root() {
        let Some(mount) = Mount::new(&path, "size=200m") else { return };
        let inner = path.join("data");
        Database::builder(&inner).no_log().open().unwrap().close().unwrap();
        mount.again("remount,ro");
        for path in [inner, path.join("new")] {
            let error = fails(&path);
            assert!(matches!(error, Error::ReadOnly(_)), "{error:?}");
        }
        return;
    }
    Database::builder(&path).no_log().open().unwrap().close().unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o500)).unwrap();
    let error = fails(&path);
    assert!(matches!(error, Error::ReadOnly(_)), "{error:?}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
    let error = fails(&folder.path().join("new"));
    assert!(error.to_string().contains("new"), "{error:?}");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    Database::builder(&path).no_log().open().unwrap().close().unwrap();
}

#[test]
fn a_full_file_system() {
    let _guard = guard();
    let folder = tempfile::tempdir().unwrap();
    let Some(_mount) = Mount::new(folder.path(), "size=5m") else { return };
    let error = fails(&folder.path().join("data"));
    assert!(matches!(error, Error::NoSpace(_)), "{error:?}");
    assert!(contents(folder.path()).is_empty());
}

#[test]
fn a_file_system_that_gets_full() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_mount) = Mount::new(folder.path(), "size=60m") else { return };
    let _guard = guard();
    let db = Database::builder(folder.path().join("data")).no_log().open().unwrap();
    let mut client = db.connect().unwrap();
    client.batch_execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1)").unwrap();
    let ballast = folder.path().join("ballast");
    let free = rustix::fs::statvfs(folder.path()).unwrap();
    fs::write(&ballast, vec![0; (free.f_bavail * free.f_bsize) as usize - 200_000]).unwrap();
    client
        .batch_execute("CREATE UNLOGGED TABLE u AS SELECT repeat('x', 100) FROM generate_series(1, 100000)")
        .unwrap_err();
    fs::remove_file(&ballast).unwrap();
    crate::support::until("there is a server", || db.connect().is_ok());
    assert_eq!(db.connect().unwrap().query_one("SELECT a FROM t", &[]).unwrap().get::<_, i32>(0), 1);
    db.close().unwrap();
}

/// A small file system in memory; `None` where this user or container may not mount.
struct Mount<'a>(&'a Path);

impl Mount<'_> {
    fn new<'a>(path: &'a Path, options: &str) -> Option<Mount<'a>> {
        fs::create_dir_all(path).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(path).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: mounting a file system is not permitted here");
            return None;
        }
        Some(Mount(path))
    }

    fn again(&self, options: &str) {
        assert!(Command::new("mount").args(["-o", options]).arg(self.0).status().unwrap().success());
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_damaged_bundle() {
    let share = postgres_sys::share_bundle();
    for length in [0, 1, 10, share.len() / 2, share.len() - 1] {
        let result = engine::Resources::new(&share[..length], None);
        assert!(matches!(result.map(drop), Err(Error::Bundle(_))), "cut to {length} of {} bytes", share.len());
    }
    let template = postgres_sys::template_bundle().unwrap();
    assert!(engine::Resources::new(share, Some(&template[..template.len() / 2])).is_err());
    assert!(engine::Resources::new(share, Some(template)).is_ok());
}
