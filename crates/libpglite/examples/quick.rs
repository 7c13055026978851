//! Times the first steps of a database.
use std::time::Instant;
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).expect("a directory");
    for _ in 0..2 {
        let t = Instant::now();
        let db = libpglite::Database::builder(dir.as_str()).log(|m| eprintln!("[{}] {}", m.pid, m.text)).open()?;
        let opened = t.elapsed();
        let mut client = db.connect()?;
        let row = client.query_one("SELECT version(), (SELECT system_identifier FROM pg_control_system())", &[])?;
        println!(
            "opened {opened:?}, first result {:?}: {} {}",
            t.elapsed(),
            row.get::<_, String>(0),
            row.get::<_, i64>(1)
        );
        let t = Instant::now();
        drop(client);
        let mut client = db.connect()?;
        client.simple_query("select 1")?;
        println!("second session {:?}", t.elapsed());
        let t = Instant::now();
        for _ in 0..10000 {
            client.simple_query("select 1")?;
        }
        println!("select 1: {:?}", t.elapsed() / 10000);
        drop(client);
        let t = Instant::now();
        db.close()?;
        println!("closed {:?}", t.elapsed());
    }
    let t = Instant::now();
    let mut s =
        libpglite::Database::builder(dir.as_str()).log(|m| eprintln!("[{}] {}", m.pid, m.text)).open_standalone()?;
    println!("standalone {:?}", t.elapsed());
    let reply = s.simple_query("select 'hello', 1/0")?;
    println!("{}", String::from_utf8_lossy(&reply));
    let reply = s.simple_query("select 'hello'")?;
    println!("{}", String::from_utf8_lossy(&reply));
    let mut times = Vec::new();
    for _ in 0..50000 {
        let t = Instant::now();
        s.exchange(b"Q\0\0\0\rselect 1\0", |_| ())?;
        times.push(t.elapsed());
    }
    times.sort();
    println!("p50 {:?} p99 {:?}", times[25000], times[49500]);
    let t = Instant::now();
    s.close()?;
    println!("closed {:?}", t.elapsed());
    Ok(())
}
