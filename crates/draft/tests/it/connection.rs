//! One client after the other, on one backend.

use crate::fake::{Fake, Shared, world};
use draft::{Connection, Profile, Trust, field, message, messages, query};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

pub(crate) fn home() -> Profile {
    Profile { user: Some("postgres".into()), database: "template1".into(), parameters: Vec::new() }
}

pub(crate) fn connection(world: &Shared) -> Connection<Fake> {
    Connection::new(Fake::new(world), home()).unwrap()
}

pub(crate) fn send(connection: &mut Connection<Fake>, input: &[u8]) -> Vec<u8> {
    let mut reply = Vec::new();
    connection.receive(input, &mut |bytes| reply.extend_from_slice(bytes));
    reply
}

pub(crate) fn kinds(reply: &[u8]) -> String {
    messages(reply).map(|(kind, _)| char::from(kind)).collect()
}

fn sqlstate(reply: &[u8]) -> String {
    let (_, body) = messages(reply).find(|(kind, _)| *kind == b'E').unwrap_or_else(|| panic!("{}", kinds(reply)));
    String::from_utf8(field(body, b'C').unwrap().to_vec()).unwrap()
}

pub(crate) fn startup(words: &[&str]) -> Vec<u8> {
    let body: Vec<u8> = words.iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).chain([0]).collect();
    [&(body.len() as u32 + 8).to_be_bytes()[..], b"\0\x03\0\0", &body].concat()
}

/// Logs in by md5; the reply to the password.
fn md5(connection: &mut Connection<Fake>, words: &[&str], password: &str) -> Vec<u8> {
    let request = send(connection, &startup(words));
    assert_eq!(&request[..9], b"R\0\0\0\x0c\0\0\0\x05", "{}", kinds(&request));
    let salt = request[9..13].try_into().unwrap();
    let answer = md5_hash(words[1].as_bytes(), password.as_bytes(), salt);
    send(connection, &message(b'p', format!("{answer}\0").as_bytes()))
}

fn scram(connection: &mut Connection<Fake>, words: &[&str], password: &str) -> Vec<u8> {
    let request = send(connection, &startup(words));
    assert_eq!(request[8], 10);
    let mut client = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
    let first = client.message().to_vec();
    let body = [b"SCRAM-SHA-256\0", &(first.len() as u32).to_be_bytes()[..], &first].concat();
    let reply = send(connection, &message(b'p', &body));
    assert_eq!(reply[8], 11);
    client.update(&reply[9..]).unwrap();
    send(connection, &message(b'p', client.message()))
}

const POSTGRES: [&str; 4] = ["user", "postgres", "database", "template1"];
const TERMINATE: &[u8] = b"X\0\0\0\x04";

#[test]
fn a_host_needs_no_startup_packet() {
    let world = world();
    let mut connection = connection(&world);
    assert_eq!(kinds(&send(&mut connection, &query("SELECT"))), "CZ");
    assert!(!connection.has_client());
    assert_eq!(kinds(&send(&mut connection, &query("FAIL"))), "EZ");
    assert_eq!(kinds(&send(&mut connection, &query("SELECT"))), "CZ");
    assert_eq!(world.borrow().sessions.len(), 1);
    connection.close().unwrap();
    assert!(world.borrow().closed);
}

#[test]
fn clients_are_verified_by_md5() {
    let world = world();
    let mut connection = connection(&world);
    let reply = md5(&mut connection, &POSTGRES, "password");
    assert_eq!(kinds(&reply), "RSKZ");
    assert!(connection.has_client());
    // The process id is the session's, the key is not.
    let (_, key) = messages(&reply).find(|(kind, _)| *kind == b'K').unwrap();
    assert!(key.starts_with(b"\0\0\0\x2a"));
    assert_eq!(kinds(&send(&mut connection, &query("SELECT"))), "CZ");

    let reply = md5(&mut connection, &POSTGRES, "wrong");
    assert_eq!(sqlstate(&reply), "28P01");
    assert_eq!(kinds(&reply), "E");
    assert!(!connection.has_client());
}

#[test]
fn clients_are_verified_by_scram() {
    let world = world();
    let mut connection = connection(&world);
    let words = ["user", "alice", "database", "app", "application_name", "test"];
    let reply = scram(&mut connection, &words, "wonder");
    assert_eq!(kinds(&reply), "RRSKZ");
    let session = world.borrow().sessions.last().unwrap().clone();
    assert_eq!((session.user.as_deref(), session.database.as_str()), (Some("alice"), "app"));
    assert_eq!(session.parameters, [("application_name".to_owned(), "test".to_owned())]);
    // She is no superuser: another one looks the next client up.
    let reply = scram(&mut connection, &words, "Wonder");
    assert_eq!(sqlstate(&reply), "28P01");
    // The host is itself again.
    send(&mut connection, &query("SELECT"));
    assert_eq!(*world.borrow().sessions.last().unwrap(), home());
}

#[test]
fn who_may_not_come_in_is_told() {
    let world = world();
    let mut connection = connection(&world);
    let mut try_md5 = |words: &[&str], password: &str| sqlstate(&md5(&mut connection, words, password));
    assert_eq!(try_md5(&["user", "nobody", "database", "app"], "x"), "28000");
    assert_eq!(try_md5(&["user", "postgres"], "password"), "3D000");
    assert_eq!(try_md5(&["user", "postgres", "database", "template1", "no_such", "1"], "password"), "42704");
    for unknown in ["ghost", "empty"] {
        let reply = scram(&mut connection, &["user", unknown, "database", "app"], "x");
        assert_eq!(sqlstate(&reply), "28P01", "{unknown}");
    }
    assert_eq!(kinds(&send(&mut connection, &query("SELECT"))), "CZ");
}

#[test]
fn a_backend_of_an_ordinary_role_is_only_that_role() {
    let world = world();
    let profile = Profile { user: Some("alice".into()), database: "app".into(), parameters: Vec::new() };
    let mut connection = Connection::new(Fake::new(&world), profile.clone()).unwrap();
    assert_eq!(sqlstate(&md5(&mut connection, &POSTGRES, "password")), "28000");
    assert_eq!(kinds(&scram(&mut connection, &["user", "alice", "database", "app"], "wonder")), "RRSKZ");
    let ghost = Profile { user: Some("ghost".into()), ..profile };
    assert!(Connection::new(Fake::new(&world), ghost).is_err_and(|e| e.contains("does not exist")));
}

#[test]
fn the_same_client_again_gets_the_same_session_cleaned() {
    let world = world();
    let mut connection = connection(&world);
    for _ in 0..3 {
        assert_eq!(kinds(&md5(&mut connection, &POSTGRES, "password")), "RSKZ");
        send(&mut connection, &query("BEGIN"));
        assert!(send(&mut connection, TERMINATE).is_empty());
        assert!(!connection.has_client());
    }
    // The host's own, and one for all three.
    assert_eq!(world.borrow().sessions.len(), 2);
    let cleaned = ["BEGIN", "ROLLBACK", "DISCARD ALL"];
    assert_eq!(world.borrow().queries, [cleaned, cleaned, cleaned].concat());
    // Not where the role has other settings now.
    world.borrow_mut().role_settings = "search_path=app".into();
    md5(&mut connection, &POSTGRES, "password");
    assert_eq!(world.borrow().sessions.len(), 3);
}

#[test]
fn a_client_that_vanishes_leaves_nothing() {
    let world = world();
    let mut connection = connection(&world);
    for left in [
        query("COPY"),
        query("BEGIN"),
        [query("COPY"), message(b'd', b"half")].concat(),
        [message(b'P', b"bad"), message(b'P', b"more")].concat(),
        [message(b'E', b"copy"), message(b'd', b"x")].concat(),
        query("SELECT")[..3].to_vec(),
        b"Q".to_vec(),
    ] {
        md5(&mut connection, &POSTGRES, "password");
        send(&mut connection, &left);
        connection.end();
        assert!(world.borrow().copied.is_empty());
        assert_eq!(kinds(&md5(&mut connection, &POSTGRES, "password")), "RSKZ");
        let reply = send(&mut connection, &query("SELECT"));
        assert_eq!(messages(&reply).last().unwrap(), (b'Z', b"I".as_slice()));
        send(&mut connection, TERMINATE);
    }
    assert_eq!(world.borrow().deaths, 0);
}

#[test]
fn what_would_end_the_backend_ends_the_client() {
    let world = world();
    let mut connection = connection(&world);
    let wrong: [&[u8]; 6] =
        [b"!", b"p\0\0\0\x05x", b"S\0\0\0\x03", b"S\0\x01\0\0", b"Q\x7f\xff\xff\xff", b"GET / HTTP/1.0\r\n\r\n"];
    for bytes in wrong {
        // What came before is answered.
        let reply = send(&mut connection, &[query("SELECT"), bytes.to_vec(), query("SELECT")].concat());
        assert_eq!(kinds(&reply), "CZE");
        assert_eq!(sqlstate(&reply), "08P01");
    }
    let reply = send(&mut connection, &[query("COPY"), query("SELECT")].concat());
    assert_eq!((kinds(&reply).as_str(), sqlstate(&reply).as_str()), ("GE", "08P01"));
    let reply = send(&mut connection, &[message(b'E', b"copy"), message(b'B', b"")].concat());
    assert_eq!(kinds(&reply), "GE");
    assert_eq!(world.borrow().deaths, 0);
    assert_eq!(kinds(&send(&mut connection, &query("SELECT"))), "CZ");
}

#[test]
fn a_backend_that_ends_is_begun_again() {
    let world = world();
    let mut connection = connection(&world);
    assert_eq!(kinds(&send(&mut connection, &[query("DIE"), query("SELECT")].concat())), "ECZ");
    // One that says nothing when it ends is spoken for.
    let reply = send(&mut connection, &query("CRASH"));
    assert_eq!((kinds(&reply).as_str(), sqlstate(&reply).as_str()), ("E", "57P02"));
    assert_eq!(kinds(&send(&mut connection, &query("SELECT"))), "CZ");
    md5(&mut connection, &POSTGRES, "password");
    send(&mut connection, &query("DIE"));
    assert!(!connection.has_client());
    assert_eq!(kinds(&md5(&mut connection, &POSTGRES, "password")), "RSKZ");
}

#[test]
fn encryption_is_declined_and_a_cancel_request_disturbs_nobody() {
    let world = world();
    let mut connection = connection(&world);
    let ssl = b"\0\0\0\x08\x04\xd2\x16\x2f";
    let gss = b"\0\0\0\x08\x04\xd2\x16\x30";
    assert_eq!(send(&mut connection, ssl), b"N");
    assert_eq!(send(&mut connection, gss), b"N");
    md5(&mut connection, &POSTGRES, "password");
    assert!(send(&mut connection, b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x2a\0\0\0\x01").is_empty());
    assert!(connection.has_client());
}

#[test]
fn a_stranger_begins_with_a_startup_packet() {
    let world = world();
    let mut connection = connection(&world);
    connection.begin(Trust::Stranger);
    assert!(!connection.is_open());
    let reply = send(&mut connection, &query("SELECT"));
    assert_eq!(kinds(&reply), "E");
    assert!(connection.is_over());
    assert!(send(&mut connection, &query("SELECT")).is_empty());

    connection.begin(Trust::Stranger);
    assert_eq!(kinds(&md5(&mut connection, &POSTGRES, "password")), "RSKZ");
    assert!(connection.is_open());
    // A second start-up packet is for a second connection.
    assert_eq!(sqlstate(&send(&mut connection, &startup(&POSTGRES))), "08P01");
    assert!(connection.is_over());

    connection.begin(Trust::Stranger);
    assert_eq!(sqlstate(&md5(&mut connection, &POSTGRES, "wrong")), "28P01");
    assert!(connection.is_over());
    connection.begin(Trust::Stranger);
    send(&mut connection, &startup(&POSTGRES));
    send(&mut connection, &message(b'X', b""));
    assert!(connection.is_over());
    assert!(world.borrow().queries.is_empty());

    connection.begin(Trust::Host);
    assert_eq!(kinds(&send(&mut connection, &query("SELECT"))), "CZ");
}

#[test]
fn a_guest_is_who_it_says() {
    let world = world();
    let mut connection = connection(&world);
    connection.begin(Trust::Guest);
    assert_eq!(kinds(&send(&mut connection, &query("SELECT"))), "E");
    assert!(connection.is_over());
    connection.begin(Trust::Guest);
    assert_eq!(kinds(&send(&mut connection, &startup(&["user", "alice", "database", "app"]))), "RSKZ");
    assert_eq!(world.borrow().sessions.last().unwrap().user.as_deref(), Some("alice"));
    assert!(connection.is_idle());
    send(&mut connection, &query("BEGIN"));
    assert!(!connection.is_idle());
    for words in [["user", "ghost", "database", "app"], ["user", "nobody", "database", "app"]] {
        connection.begin(Trust::Guest);
        assert_eq!(sqlstate(&send(&mut connection, &startup(&words))), "28000");
        assert!(connection.is_over());
    }
}

#[test]
fn a_session_is_used_again_where_nobody_can_tell() {
    let world = world();
    let mut connection = connection(&world);
    let sessions = |connection: &mut Connection<Fake>| {
        let before = world.borrow().sessions.len();
        connection.begin(Trust::Guest);
        assert_eq!(kinds(&send(connection, &startup(&POSTGRES))), "RSKZ");
        send(connection, &query("SELECT"));
        world.borrow().sessions.len() - before
    };
    sessions(&mut connection);
    assert_eq!(sessions(&mut connection), 0);
    world.borrow_mut().login_triggers = true;
    assert_eq!(sessions(&mut connection), 1);
    world.borrow_mut().login_triggers = false;
    assert_eq!(sessions(&mut connection), 0);
    connection.set_reuse(false);
    assert_eq!(sessions(&mut connection), 1);
}

#[test]
fn errors_are_cleared() {
    let world = world();
    let mut connection = connection(&world);
    send(&mut connection, &[query("BEGIN"), query("FAIL"), b"Q\0\0".to_vec()].concat());
    connection.clear_error();
    let reply = send(&mut connection, &query("SELECT"));
    assert_eq!(messages(&reply).last().unwrap(), (b'Z', b"I".as_slice()));
    send(&mut connection, &query("COPY"));
    connection.clear_error();
    assert_eq!(kinds(&send(&mut connection, &query("SELECT"))), "CZ");
    send(&mut connection, &message(b'P', b"bad"));
    connection.clear_error();
    assert_eq!(kinds(&send(&mut connection, &query("SELECT"))), "CZ");
    // A transaction that has not failed goes on.
    send(&mut connection, &query("BEGIN"));
    connection.clear_error();
    let reply = send(&mut connection, &query("SELECT"));
    assert_eq!(messages(&reply).last().unwrap(), (b'Z', b"T".as_slice()));
}

#[test]
fn what_a_client_sends_behind_its_end_is_not_the_hosts() {
    let world = world();
    let mut connection = connection(&world);
    let evil = query("SELECT");
    let ssl = b"\0\0\0\x08\x04\xd2\x16\x2f";
    let cancel = b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x2a\0\0\0\x01";
    assert_eq!(send(&mut connection, &[&ssl[..], &evil].concat()), b"N");
    assert!(send(&mut connection, &[&cancel[..], &evil].concat()).is_empty());
    let reply = send(&mut connection, &[&startup(&POSTGRES)[..], TERMINATE, &evil].concat());
    assert_eq!(kinds(&reply), "R");
    let wrong = message(b'p', b"wrong\0");
    let reply = send(&mut connection, &[&startup(&POSTGRES)[..], &wrong, &evil].concat());
    assert_eq!(kinds(&reply), "RE");
    md5(&mut connection, &POSTGRES, "password");
    assert!(send(&mut connection, &[TERMINATE, &evil].concat()).is_empty());
    md5(&mut connection, &POSTGRES, "password");
    assert_eq!(kinds(&send(&mut connection, &[query("DIE"), evil].concat())), "E");
    assert!(!world.borrow().queries.contains(&"SELECT".to_owned()));
}
