//! Timeouts and cancelling.

use crate::support::{ask, fresh};
use std::time::Duration;

/// Queries that would take for ever: asleep, in the executor, in PL/pgSQL.
const ENDLESS: [&str; 3] = [
    "SELECT pg_sleep(1000)",
    "SELECT count(*) FROM generate_series(1, 1000000000000) a",
    "DO $$ BEGIN LOOP NULL; END LOOP; END $$",
];

#[test]
fn statement_timeout_ends_a_statement() {
    let (_folder, mut session) = fresh();
    ask(&mut session, "SET statement_timeout = '100ms'").unwrap();
    for sql in ENDLESS {
        assert!(ask(&mut session, sql).unwrap_err().starts_with("57014"), "{sql}");
    }
    assert_eq!(ask(&mut session, "SELECT 1").unwrap(), "1");
}

#[test]
fn a_statement_is_cancelled_from_another_thread() {
    let (_folder, mut session) = fresh();
    for sql in ENDLESS {
        let canceller = session.canceller();
        // Too early it does nothing, so it goes on until it has worked.
        let (done, ended) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            while ended.recv_timeout(Duration::from_millis(20)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                canceller.cancel();
            }
        });
        assert!(ask(&mut session, sql).unwrap_err().starts_with("57014"), "{sql}");
        drop(done);
        thread.join().unwrap();
        assert_eq!(ask(&mut session, "SELECT 1").unwrap(), "1", "a late cancel must not meet the next statement");
    }
}

#[test]
fn an_idle_transaction_times_out_at_the_next_call() {
    let (_folder, mut session) = fresh();
    ask(&mut session, "SET idle_in_transaction_session_timeout = '1ms'").unwrap();
    ask(&mut session, "BEGIN").unwrap();
    std::thread::sleep(Duration::from_millis(20));
    assert!(ask(&mut session, "SELECT 1").is_err());
}
