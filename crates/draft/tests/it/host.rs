//! The functions of the draft, in and out of order.

use crate::connection::{kinds, startup};
use crate::fake::{Fake, Shared, world};
use draft::{Engine, Host, IDB_CALLED, IDB_FAILED, IDB_HASDB, IDB_HASUSER, IDB_OK, Parameters, message, query};
use std::path::PathBuf;
use tempfile::TempDir;

struct FakeEngine(Shared);

impl Engine for FakeEngine {
    type Backend = Fake;

    fn open(&mut self, parameters: &Parameters) -> Result<(Fake, bool), String> {
        if parameters.data.join("occupied").exists() {
            return Err("the directory holds something else".into());
        }
        let new = !parameters.data.exists();
        std::fs::create_dir_all(&parameters.data).unwrap();
        Ok((Fake::new(&self.0), new))
    }
}

type TestHost = Host<FakeEngine, Vec<u8>>;

struct Fixture {
    host: TestHost,
    world: Shared,
    folder: TempDir,
}

fn parameters(folder: &TempDir, more: &[(&str, &str)]) -> Parameters {
    let prefix = folder.path().to_str().unwrap().to_owned();
    Parameters::from(|name| match name {
        "PREFIX" => Some(prefix.clone()),
        "PGL_CMA_MB" => Some("1".into()),
        _ => more.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()),
    })
    .unwrap()
}

fn closed() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let world = world();
    let host = Host::new(FakeEngine(world.clone()), parameters(&folder, &[]), Vec::new()).unwrap();
    Fixture { host, world, folder }
}

fn open() -> Fixture {
    let mut fixture = closed();
    assert_eq!(fixture.host.initdb(), (IDB_CALLED, None));
    fixture.host.backend().unwrap();
    fixture
}

impl Fixture {
    fn put(&mut self, bytes: &[u8]) {
        // SAFETY: in the area, which has a megabyte.
        unsafe { self.host.cma().start().add(1).copy_from(bytes.as_ptr(), bytes.len()) };
    }

    fn memory(&self, at: usize, length: usize) -> Vec<u8> {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts(self.host.cma().start().add(at), length) }.to_vec()
    }

    fn exchange(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.put(bytes);
        self.host.write(bytes.len() as i32);
        self.host.one();
        let size = self.host.read();
        assert!(size >= 0, "{size}");
        self.memory(2 + bytes.len(), size as usize)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("base").join(format!(".s.PGSQL.5432{name}"))
    }

    fn send_file(&mut self, bytes: &[u8]) {
        std::fs::write(self.file(".lock.in"), bytes).unwrap();
        std::fs::rename(self.file(".lock.in"), self.file(".in")).unwrap();
        self.host.one();
        assert!(!self.file(".in").exists());
    }

    fn printed(&self) -> String {
        // The output is the fixture's own only in tests.
        String::from_utf8(self.host.output().clone()).unwrap()
    }
}

#[test]
fn bits_say_what_was_found() {
    let mut f = closed();
    assert_eq!(f.host.initdb(), (IDB_CALLED, None));
    assert_eq!(f.host.initdb(), (IDB_HASDB, None), "a second time it is there");
    f.host.shutdown().unwrap();
    assert_eq!(f.host.initdb().0 & !IDB_OK, 0);
    f.host.shutdown().unwrap();
    std::fs::write(f.folder.path().join("base/occupied"), "").unwrap();
    let (bits, reason) = f.host.initdb();
    assert_eq!((bits, bits & IDB_OK), (IDB_FAILED, 0));
    assert!(reason.unwrap().contains("something else"));
    let _ = IDB_HASUSER;
}

#[test]
fn the_memory_area_carries_query_and_reply() {
    let mut f = open();
    assert_eq!(kinds(&f.exchange(&query("SELECT"))), "CZ");
    assert_eq!(f.host.channel(), 2 + query("SELECT").len() as i32);
    // A reply is there until the next call, and the length is used up.
    assert!(f.host.read() > 0);
    f.host.one();
    assert_eq!(f.host.read(), 0);
    assert_eq!(f.world.borrow().queries.iter().filter(|sql| *sql == "SELECT").count(), 1);
}

#[test]
fn a_reply_that_does_not_fit_is_whole_in_a_file() {
    let mut f = open();
    for number in 1..3 {
        let sql = query("BIG 5000");
        f.put(&sql);
        f.host.write(sql.len() as i32);
        f.host.one();
        assert_eq!(f.host.read(), -number);
        let reply = std::fs::read(f.file(&format!(".out.{number}"))).unwrap();
        assert_eq!(kinds(&reply), format!("{}CZ", "D".repeat(5000)));
    }
    assert!(!f.file(".out").exists());
}

#[test]
fn files_carry_query_and_reply() {
    let mut f = open();
    f.send_file(&query("SELECT"));
    assert_eq!(kinds(&std::fs::read(f.file(".out")).unwrap()), "CZ");
    assert_eq!((f.host.read(), f.host.channel()), (0, -1));
    std::fs::remove_file(f.file(".out")).unwrap();
    // Replies to the memory area, if that is wanted.
    f.host.use_cma(true);
    f.send_file(&query("SELECT"));
    assert!(!f.file(".out").exists());
    let size = f.host.read() as usize;
    assert_eq!(kinds(&f.memory(2, size)), "CZ");
    f.host.use_cma(false);
    // The memory area goes first.
    std::fs::write(f.file(".in"), query("COMMIT")).unwrap();
    assert_eq!(kinds(&f.exchange(&query("SELECT"))), "CZ");
    assert!(f.file(".in").exists());
    f.host.one();
    assert!(!f.file(".in").exists() && f.file(".out").exists());
}

#[test]
fn messages_are_kept_until_they_are_whole() {
    let mut f = open();
    let bytes = [query("SELECT"), query("COPY"), message(b'd', b"data"), message(b'c', b"")].concat();
    let (first, rest) = bytes.split_at(9);
    assert!(f.exchange(first).is_empty());
    let (second, third) = rest.split_at(20);
    let reply = f.exchange(second);
    f.send_file(third);
    let all = [reply, std::fs::read(f.file(".out")).unwrap()].concat();
    assert_eq!(kinds(&all), "CZGCZ");
    assert_eq!(f.world.borrow().copied, b"data");
}

#[test]
fn calls_out_of_order_are_refused_and_change_nothing() {
    let mut f = closed();
    assert_eq!(kinds(&f.exchange(&query("SELECT"))), "E");
    assert!(f.host.backend().unwrap_err().contains("pgl_initdb"));
    f.host.clear_error();
    assert!(!f.host.has_client());
    f.host.shutdown().unwrap();
    f.host.initdb();
    assert_eq!(kinds(&f.exchange(&query("SELECT"))), "E");
    f.host.backend().unwrap();
    assert!(f.host.backend().unwrap_err().contains("already"));
    assert!(f.host.conf("work_mem", Some("1MB")).is_err());
    for length in [-1, i32::MIN, i32::MAX, 1 << 20] {
        f.host.write(length);
        f.host.one();
        let size = f.host.read() as usize;
        assert_eq!(kinds(&f.memory(2, size)), "E", "{length}");
    }
    // The longest possible query has no room for a reply.
    f.host.write((1 << 20) - 2);
    f.host.one();
    assert!(f.host.read() < 0);
    assert_eq!(kinds(&f.exchange(&query("SELECT"))), "CZ");
    f.host.shutdown().unwrap();
    assert_eq!(kinds(&f.exchange(&query("SELECT"))), "E");
    assert!(f.world.borrow().closed);
}

#[test]
fn settings_come_from_the_configuration_file() {
    let mut f = closed();
    f.host.initdb();
    f.host.conf("work_mem", Some("8MB")).unwrap();
    assert!(f.host.conf("not a name", Some("8MB")).is_err());
    f.host.backend().unwrap();
    assert_eq!(f.world.borrow().settings, [("work_mem".to_owned(), "8MB".to_owned())]);
    let session = f.world.borrow().sessions.last().unwrap().clone();
    assert_eq!((session.user.as_deref(), session.database.as_str()), (Some("postgres"), "template1"));
    assert!(session.parameters.contains(&("TimeZone".into(), "UTC".into())));
    f.host.shutdown().unwrap();
    std::fs::write(f.folder.path().join("postgresql.conf"), "what is = this here\n").unwrap();
    f.host.initdb();
    assert!(f.host.backend().unwrap_err().contains("line 1"));
}

#[test]
fn the_user_changes_with_the_backend() {
    let mut f = open();
    f.host.renew(parameters(&f.folder, &[("PGUSER", "alice"), ("PGDATABASE", "app"), ("PREFIX", "/elsewhere")]));
    f.exchange(&query("SELECT"));
    f.host.shutdown().unwrap();
    f.host.initdb();
    f.host.backend().unwrap();
    f.exchange(&query("SELECT"));
    assert_eq!(f.world.borrow().sessions.last().unwrap().user.as_deref(), Some("alice"));
}

#[test]
fn a_client_connects_through_the_memory_area() {
    let mut f = open();
    let reply = f.exchange(&startup(&["user", "postgres", "database", "template1"]));
    assert_eq!(reply[8], 5);
    assert!(f.host.has_client());
    let salt = reply[9..13].try_into().unwrap();
    let answer = postgres_protocol::authentication::md5_hash(b"postgres", b"password", salt);
    assert_eq!(kinds(&f.exchange(&message(b'p', format!("{answer}\0").as_bytes()))), "RSKZ");
    assert!(f.host.has_client());
    f.exchange(b"X\0\0\0\x04");
    assert!(!f.host.has_client());
}

#[test]
fn text_is_a_repl() {
    let mut f = open();
    f.host.use_wire(false);
    f.put(b"SELECT; FAIL;\nBEG\0");
    f.host.one();
    assert_eq!(f.printed(), "SELECT\nERROR:  division by zero\n");
    // It is used up; the rest of a statement comes by file.
    f.host.one();
    f.send_file(b"IN;\n");
    assert_eq!(f.world.borrow().queries.last().unwrap(), "BEGIN");
    // With a length, bytes behind a zero do not count.
    f.put(b"ONE;\0TWO;");
    f.host.write(9);
    f.host.one();
    assert_eq!(f.world.borrow().queries.last().unwrap(), "ONE");
    assert_eq!((f.host.read(), f.host.channel()), (0, 0));
    f.host.write(-1);
    f.host.one();
    assert!(f.printed().contains("ERROR:  a query in the memory area"));
    f.put(b"left open (\0");
    f.host.one();
    f.host.clear_error();
    f.put(b"TWO;\0");
    f.host.one();
    assert_eq!(f.world.borrow().queries.last().unwrap(), "TWO");
}
