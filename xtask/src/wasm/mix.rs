//! `cargo xtask wasm --mix`: how many times longer the module takes than the native engine.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use postgres_build::child;

use crate::folder::Folder;

/// How often both are run.
const PAIRS: u32 = 3;

/// Runs the mix in turns, and prints the least times with their ratios.
pub(super) fn compare(bench: &Path, mut module: Command) -> Result<()> {
    let mut best: BTreeMap<String, [f64; 2]> = BTreeMap::new();
    let folder = Folder::create(&std::env::temp_dir())?;
    for pair in 0..PAIRS {
        let mut native = Command::new(bench);
        native.args(["mix", "--data"]).arg(folder.join(&pair.to_string()));
        for (engine, text) in [child::output(&mut native)?, child::output(&mut module)?].iter().enumerate() {
            let times: BTreeMap<String, f64> = serde_json::from_str(text)?;
            for (name, time) in times {
                let best = &mut best.entry(name).or_insert([f64::INFINITY; 2])[engine];
                *best = best.min(time);
            }
        }
    }
    ensure!(best.values().flatten().all(|time| time.is_finite()), "the two have run different mixes");
    println!("{:<12} {:>12} {:>12} {:>6}", "", "native us", "module us", "ratio");
    for (name, [native, module]) in &best {
        println!("{name:<12} {native:>12.0} {module:>12.0} {:>6.2}", module / native);
    }
    let ratios = best.values().map(|[native, module]| (module / native).ln());
    let mean = (ratios.sum::<f64>() / best.len() as f64).exp();
    let total = |at: usize| best.values().map(|times| times[at]).sum::<f64>();
    println!("geometric mean of the ratios {mean:.2}, of all times together {:.2}", total(1) / total(0));
    Ok(())
}
