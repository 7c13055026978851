//! What the draft's functions cost: `cargo run --release -p libpglite-c --example measure`.
//!
//! Each is measured in turns with what it is compared to, and the medians are shown.

use draft::query;
use libpglite::{Database, Standalone};
use std::hint::black_box;
use std::time::Instant;

/// Rounds of each measurement.
const ROUNDS: usize = 21;

fn main() {
    let folder = std::env::temp_dir().join(format!("pglite-measure-{}", std::process::id()));
    // SAFETY: no other thread runs yet.
    unsafe { std::env::set_var("PREFIX", folder.join("draft")) };
    let mut session = Database::builder(folder.join("rust")).no_log().open_standalone().expect("a session");
    assert_eq!(pglite::pgl_initdb() & pglite::IDB_FAILED, 0);
    assert_eq!(pglite::pgl_backend(), 0);
    pglite::use_wire(1);
    let data = folder.join("draft/base");

    let select = query("SELECT 1");
    let [rust, memory] = in_turns([&mut || micros(2000, || assert!(exchange(&mut session, &select) > 0)), &mut || {
        micros(2000, || assert!(by_memory(&select) > 0))
    }]);
    println!(
        "SELECT 1: Rust session {rust:.2} us, memory area {memory:.2} us: {:+.1} %",
        (memory / rust - 1.0) * 100.0
    );

    let [moves, file] =
        in_turns([&mut || micros(500, || only_files(&data, &select)), &mut || micros(500, || by_file(&data, &select))]);
    println!("SELECT 1 by file: {file:.1} us; two files written, renamed, read and removed: {moves:.1} us");
    println!("  so that the transport adds {:.1} us to the query", file - moves - rust);

    let large = query("SELECT repeat('x', 1000000) FROM generate_series(1, 100)");
    let mut size = 0;
    let [rust, overflow] = in_turns([&mut || micros(1, || size = exchange(&mut session, &large)), &mut || {
        let time = micros(1, || assert!(by_memory(&large) < 0));
        let name = format!(".s.PGSQL.5432.out.{}", -pglite::interactive_read());
        std::fs::remove_file(data.join(name)).expect("the reply is in a file");
        time
    }]);
    let rate = size as f64 / (overflow - rust).max(1.0);
    println!(
        "100 MB: query alone {:.0} ms, through the overflow {:.0} ms: {rate:.0} MB/s beyond the query",
        rust / 1e3,
        overflow / 1e3
    );
    pglite::pgl_shutdown();
    session.close().expect("it closes");
    std::fs::remove_dir_all(folder).expect("the folder is ours");
}

fn in_turns(mut measured: [&mut dyn FnMut() -> f64; 2]) -> [f64; 2] {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (times, measure) in times.iter_mut().zip(&mut measured) {
            times.push(measure());
        }
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2]
    })
}

/// Microseconds per call.
fn micros(calls: u32, mut f: impl FnMut()) -> f64 {
    let begin = Instant::now();
    for _ in 0..calls {
        f();
    }
    begin.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
}

fn exchange(session: &mut Standalone, bytes: &[u8]) -> usize {
    let mut size = 0;
    session.exchange(bytes, |piece| size += black_box(piece).len()).expect("the session is there");
    size
}

fn by_memory(bytes: &[u8]) -> i32 {
    // SAFETY: the area is larger.
    unsafe { pglite::pgl_cma().cast::<u8>().add(1).copy_from(bytes.as_ptr(), bytes.len()) };
    pglite::interactive_write(bytes.len() as i32);
    pglite::interactive_one();
    pglite::interactive_read()
}

fn by_file(data: &std::path::Path, bytes: &[u8]) {
    let path = |suffix: &str| data.join(format!(".s.PGSQL.5432{suffix}"));
    std::fs::write(path(".lock.in"), bytes).expect("written");
    std::fs::rename(path(".lock.in"), path(".in")).expect("renamed");
    pglite::interactive_one();
    let reply = std::fs::read(path(".out")).expect("a reply");
    std::fs::remove_file(path(".out")).expect("removed");
    assert!(!reply.is_empty());
}

/// What the transport cannot do without: both files, from beginning to end.
fn only_files(data: &std::path::Path, bytes: &[u8]) {
    for suffix in ["in", "out"] {
        let (lock, end) = (data.join(format!(".lock.{suffix}")), data.join(format!(".end.{suffix}")));
        std::fs::write(&lock, bytes).expect("written");
        std::fs::rename(&lock, &end).expect("renamed");
        black_box(std::fs::read(&end).expect("read"));
        std::fs::remove_file(&end).expect("removed");
    }
}
