//! The same bytes in one piece and in many give the same, and no bytes end the backend.

use crate::connection::{connection, send, startup};
use crate::fake::world;
use draft::{message, query};
use proptest::collection::vec;
use proptest::prelude::*;

fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof!["SELECT", "FAIL", "BEGIN", "ROLLBACK", "COPY", "DIE"];
    let kinds = prop::sample::select(b"PBDECSHFdcf".to_vec());
    prop_oneof![
        4 => word.prop_map(|sql| query(&sql)),
        6 => (kinds, vec(any::<u8>(), 0..20)).prop_map(|(kind, body)| message(kind, &body)),
        1 => Just(message(b'E', b"copy")),
        1 => Just(message(b'P', b"bad")),
        1 => Just(message(b'X', b"")),
        1 => vec(any::<u8>(), 1..30),
    ]
}

/// What a client behind a gateway can send as well.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => any_message(), 1 => Just(startup(&["user", "postgres", "database", "app"]))]
}

/// Salts and keys differ from run to run.
fn without_secrets(reply: &[u8]) -> Vec<(u8, usize)> {
    draft::messages(reply).map(|(kind, body)| (kind, body.len())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_do_not_matter(all in vec(any_message(), 0..12), cuts in vec(any::<prop::sample::Index>(), 0..12)) {
        let bytes = all.concat();
        let whole_world = world();
        let whole = send(&mut connection(&whole_world), &bytes);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let piece_world = world();
        let mut pieces = connection(&piece_world);
        let mut reply = Vec::new();
        let mut from = 0;
        for to in cuts.into_iter().chain([bytes.len()]) {
            reply.extend(send(&mut pieces, &bytes[from..to]));
            from = to;
        }
        // What follows bytes that mean nothing is dropped, and how much that is depends on the pieces: they are only fed
        // together where all is well.
        let broken = draft::messages(&whole).any(|(kind, body)| {
            kind == b'E' && draft::field(body, b'S') == Some(b"FATAL")
        });
        if !broken {
            prop_assert_eq!(without_secrets(&reply), without_secrets(&whole));
            prop_assert_eq!(&piece_world.borrow().queries, &whole_world.borrow().queries);
        }
    }

    #[test]
    fn no_bytes_end_the_backend(all in vec(any_bytes(), 0..20)) {
        let world = world();
        let mut connection = connection(&world);
        for bytes in &all {
            send(&mut connection, bytes);
        }
        let asked = world.borrow().queries.iter().filter(|sql| *sql == "DIE").count();
        prop_assert!(world.borrow().deaths <= asked);
        connection.end();
        let reply = send(&mut connection, &query("SELECT"));
        prop_assert_eq!(draft::messages(&reply).map(|(kind, _)| kind).collect::<Vec<_>>(), b"CZ");
    }
}
