//! How long the core suite takes against a server of ours and a stock one, in turns.

use anyhow::{Context, Result, bail};
use postgres_build::stock::Flavour;
use serde_json::{Value, json};

use super::ground::Ground;
use super::run::Site;
use super::server::Server;
use super::suite::{self, Suite};

/// Takes the times, and prints them.
pub(crate) fn run(site: &Site, pairs: u32) -> Result<Value> {
    let suite = suite::choose(suite::all(&site.tests)?, &["core".into()])?;
    let suite = suite.first().context("there is no suite core")?;
    let ground = Ground::with_stock(site, Flavour::Gcc)?;
    let mut settings = ground.settings(false)?;
    settings.extend(site.settings.iter().cloned());
    let log = |name: &str| site.output.join(format!("compare-{name}.log"));

    // both run on copies of one cluster
    let (made, data) = (site.folder.join("template"), site.folder.join("data"));
    ground.folder(&made)?;
    ground.ours(Some(&made), &settings, &log("ours"))?.stop()?;
    let fresh = || {
        ground.copy(&made, &data)?;
        rustix::fs::sync();
        anyhow::Ok(())
    };
    let (mut ours, mut stock) = (Vec::new(), Vec::new());
    for pair in 1..=pairs {
        fresh()?;
        let server = ground.ours(Some(&data), &settings, &log("ours"))?;
        ours.push(measure(site, suite, &ground, server, &format!("libpglite, pair {pair} of {pairs}"))?);
        fresh()?;
        let server = ground.stock(&data, &settings, &log("stock"))?;
        stock.push(measure(site, suite, &ground, server, &format!("stock, pair {pair} of {pairs}"))?);
    }
    let ratios: Vec<f64> = ours.iter().zip(&stock).map(|(ours, stock)| ours / stock).collect();
    println!("\ncore, seconds       libpglite    stock    ratio");
    for ((ours, stock), ratio) in ours.iter().zip(&stock).zip(&ratios) {
        println!("{ours:>29.1}{stock:>9.1}{ratio:>9.2}");
    }
    println!("median{:>23.1}{:>9.1}{:>9.2}", median(&ours), median(&stock), median(&ratios));
    Ok(json!({ "ours": ours, "stock": stock, "ratios": ratios, "ratio": median(&ratios) }))
}

/// The time of one round. It must have no error, for a suite that breaks off is quick; tests may fail.
fn measure(site: &Site, suite: &Suite, ground: &Ground, server: Server, title: &str) -> Result<f64> {
    let round = site.round(suite, ground, title)?;
    server.stop()?;
    match round.error {
        Some(error) => bail!("{title}: {error}"),
        None => Ok(round.seconds),
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[length / 2],
        length => f64::midpoint(sorted[length / 2 - 1], sorted[length / 2]),
    }
}
