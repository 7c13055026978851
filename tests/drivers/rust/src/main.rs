//! The scenarios of ../README.md in Rust: `rust-drivers DRIVER [SCENARIO...]`, against the server of `DRIVERS_URI`, or
//! against a database in this process where `DRIVERS_URI` is `:memory:`.

mod blocking;
mod diesel_suite;
mod harness;
mod sqlx_suite;
mod tokio_suite;
mod victim;

use harness::Place;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let driver = arguments.next().unwrap_or_default();
    let only: Vec<String> = arguments.collect();
    let place = Place::open(&std::env::var("DRIVERS_URI")?)?;
    if let [what] = &only[..]
        && what.starts_with("victim-")
    {
        return victim::run(&driver, what, &place.uri);
    }
    let passed = match driver.as_str() {
        "postgres" => harness::run("0.19.14", &blocking::SCENARIOS, &place, &only),
        "tokio-postgres" => harness::run("0.7.18", &tokio_suite::SCENARIOS, &place, &only),
        "sqlx" => harness::run("0.9.0", &sqlx_suite::SCENARIOS, &place, &only),
        "diesel" => harness::run("2.3.14", &diesel_suite::SCENARIOS, &place, &only),
        other => anyhow::bail!("`{other}` is none of postgres, tokio-postgres, sqlx, diesel"),
    };
    let closed = place.close();
    closed?;
    std::process::exit(i32::from(!passed));
}
