//! Opens a database, asks it something, and closes it: `cargo run --example hello -- my-data`.

use libpglite::Database;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).unwrap_or_else(|| ":memory:".into());
    let db = Database::open(path)?;
    let mut client = db.connect()?;
    client.batch_execute("CREATE TABLE IF NOT EXISTS visits (at timestamptz NOT NULL DEFAULT now())")?;
    client.execute("INSERT INTO visits DEFAULT VALUES", &[])?;
    let row = client.query_one("SELECT version(), count(*) FROM visits", &[])?;
    println!("{}\nvisit number {}", row.get::<_, String>(0), row.get::<_, i64>(1));
    drop(client);
    db.close()?;
    Ok(())
}
