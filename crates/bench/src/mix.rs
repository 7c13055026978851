//! The mix of queries of `mix.sql`. `crates/wasm-host/examples/mix.rs` has this file as well, and so knows nothing of the engine.

use std::time::Instant;

const TEXT: &str = include_str!("../mix.sql");

/// A part of the mix: its name, how often it is run in a round, the query.
fn parts() -> (&'static str, Vec<(&'static str, u32, &'static str)>) {
    let mut all = TEXT.split("\n--- ");
    let setup = all.next().unwrap_or_default();
    let part = |part: &'static str| {
        let (head, query) = part.split_once('\n')?;
        let (name, times) = head.split_once(' ')?;
        Some((name, times.parse().ok()?, query.trim()))
    };
    (setup, all.filter_map(part).collect())
}

/// Runs the mix by `query`; the least time that each part took in any round, in microseconds.
///
/// # Errors
/// The first of `query`.
pub(crate) fn run<E>(rounds: u32, mut query: impl FnMut(&str) -> Result<(), E>) -> Result<Vec<(&'static str, f64)>, E> {
    let (setup, parts) = parts();
    // One by one, since VACUUM cannot be part of a transaction.
    for statement in setup.split(";\n") {
        query(statement)?;
    }
    let mut best = vec![f64::INFINITY; parts.len()];
    for _ in 0..rounds {
        for (best, (_, times, sql)) in best.iter_mut().zip(&parts) {
            let start = Instant::now();
            for _ in 0..*times {
                query(sql)?;
            }
            *best = best.min(start.elapsed().as_secs_f64() * 1e6);
        }
    }
    Ok(parts.iter().map(|(name, ..)| *name).zip(best).collect())
}
