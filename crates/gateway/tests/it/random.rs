//! Random input: no crash, no hang, no lost session.
//!
//! `PGLITE_CASES` says how many cases are tried; CI tries thousands, `PGLITE_CASES=1000000` a million.

use crate::support::{Fixture, kinds, open};
use draft::{message, query};

/// Small and good enough; a seed says which run it was.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn bytes(&mut self, limit: usize) -> Vec<u8> {
        (0..self.below(limit)).map(|_| self.next() as u8).collect()
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

const SQL: &[&str] = &[
    "SELECT 1",
    "SELECT 1/0",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "COPY t FROM STDIN",
    "COPY t TO STDOUT",
    "SELECT $1::int",
    "INSERT INTO t VALUES (1)",
    "DECLARE c CURSOR WITH HOLD FOR SELECT * FROM t",
    "FETCH c",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE ALL",
    "SAVEPOINT s",
    "SET search_path = x",
    "",
    "SELECT '\u{e4}'; SELECT",
    "VACUUM t",
    "COPY (SELECT 1) TO STDOUT (FORMAT binary)",
    "SET client_encoding = 'LATIN1'",
    "DISCARD ALL",
    "SHOW ALL",
];

fn one(random: &mut Random) -> Vec<u8> {
    match random.below(10) {
        0 => random.bytes(64),
        1 => {
            // A good length before garbage.
            let kind = random.pick(b"PBDECSHFdcfQ");
            message(kind, &random.bytes(64))
        }
        2 => {
            let packet = random.bytes(40);
            [&(packet.len() as u32 + 4).to_be_bytes()[..], &packet].concat()
        }
        3 => [b"\0\0\0\x10\0\x03\0\0user\0x\0\0".as_slice(), &random.bytes(20)].concat(),
        4 => message(b'P', format!("{}\0{}\0\0\0", random.pick(&["", "s"]), random.pick(SQL)).as_bytes()),
        5 => message(b'B', b"\0\0\0\0\0\0\0\0"),
        6 => [message(b'D', b"P\0"), message(b'E', b"\0\0\0\0\0"), message(b'S', b"")].concat(),
        7 => random
            .pick(&[&message(b'X', b"")[..], &message(b'c', b""), &message(b'd', b"1\n"), &message(b'f', b"\0")])
            .to_vec(),
        _ => {
            let mut bytes = query(random.pick(SQL));
            // Now and then with a flaw.
            if random.below(4) == 0 {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
            bytes
        }
    }
}

/// An end to what was begun: an incomplete message may have a length that swallows everything.
fn end_connection(f: &mut Fixture) {
    f.host.clear_error();
    f.exchange(&message(b'X', b""));
    f.host.clear_error();
}

/// The session is there, and nothing that was left behind disturbs it.
fn still_there(f: &mut Fixture) {
    end_connection(f);
    let reply = f.exchange(&query("SELECT count(*) >= 0 FROM pg_class"));
    assert_eq!(kinds(&reply), "TDCZ");
}

fn cases() -> usize {
    std::env::var("PGLITE_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(3000)
}

#[test]
fn random_messages() {
    let mut f = open(&[("PGL_CMA_MB", "1")]);
    f.exchange(&query("CREATE TABLE t (a int)"));
    let seed = std::env::var("PGLITE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_251_122);
    let mut random = Random(seed);
    let mut answered = 0;
    for case in 0..cases() {
        let bytes: Vec<u8> = (0..=random.below(4)).flat_map(|_| one(&mut random)).collect();
        let mut rest = bytes.as_slice();
        let mut said = false;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(1 + random.below(rest.len()));
            said |= !f.exchange(piece).is_empty();
            rest = after;
        }
        answered += usize::from(said);
        if random.below(3) == 0 {
            end_connection(&mut f);
        }
        if case % 50 == 0 {
            still_there(&mut f);
        }
    }
    still_there(&mut f);
    assert!(answered > cases() / 2, "only {answered} of {} cases came as far as PostgreSQL", cases());
}

#[test]
fn random_text() {
    let mut f = open(&[("PGL_CMA_MB", "1")]);
    let mut random = Random(4711);
    let parts = [
        ";",
        ";\n",
        "SELECT 1/0;\n",
        "SELECT 'a' AS \"b c\";\n",
        "\n",
        "'",
        "\"",
        "$$",
        "$a$",
        "(",
        ")",
        "/*",
        "*/",
        "--",
        "SELECT 1",
        "\\.",
        "COPY t FROM STDIN",
        "E'\\",
        "begin atomic",
    ];
    let mut answered = 0;
    for case in 0..cases() {
        let text: String = (0..random.below(12)).map(|_| format!("{} ", random.pick(&parts))).collect();
        answered += usize::from(!f.text(text.as_bytes()).is_empty());
        if random.below(3) > 0 {
            // An open quote swallows everything.
            f.host.clear_error();
        }
        if case % 50 == 0 {
            f.host.clear_error();
            assert_eq!(f.text(b"SELECT 1 AS a;"), " a \n---\n 1\n(1 row)\n\n", "after {text}");
        }
    }
    assert!(answered > cases() / 5, "only {answered} of {} cases came as far as PostgreSQL", cases());
}

#[test]
fn pieces_do_not_matter() {
    let script = [
        query("CREATE TABLE t (a text)"),
        message(b'P', b"\0INSERT INTO t VALUES ($1)\0\0\0"),
        message(b'B', b"\0\0\0\0\0\x01\0\0\0\x03one\0\0"),
        message(b'E', b"\0\0\0\0\0"),
        message(b'S', b""),
        query("COPY t FROM STDIN"),
        message(b'd', b"two\nth"),
        message(b'd', b"ree\n"),
        message(b'c', b""),
        // A plain column's description has the table's number, which is another one each time.
        query("SELECT a || '' FROM t; SELECT 1/0"),
        query("DROP TABLE t"),
    ]
    .concat();
    let mut f = open(&[]);
    let whole = f.exchange(&script);
    assert_eq!(kinds(&whole), "CZ12CZGCZTDDDCEZCZ");
    let mut random = Random(42);
    for _ in 0..200 {
        let mut rest = script.as_slice();
        let mut reply = Vec::new();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(1 + random.below(rest.len().min(100)));
            reply.extend(f.exchange(piece));
            rest = after;
        }
        assert!(reply == whole);
    }
}
