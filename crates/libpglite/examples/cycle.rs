//! Opens and closes a database many times.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).expect("a directory");
    let n: u32 = std::env::args().nth(2).expect("a count").parse()?;
    for i in 0..n {
        let t = std::time::Instant::now();
        let db = libpglite::Database::builder(dir.as_str()).log(|m| eprintln!("[{}] {}", m.pid, m.text)).open()?;
        let o = t.elapsed();
        let mut client = db.connect()?;
        client.simple_query("select 1")?;
        let q = t.elapsed();
        drop(client);
        db.close()?;
        println!(
            "{i}: {o:?} {q:?} {:?} threads {} fds {} maps {}",
            t.elapsed(),
            std::fs::read_dir("/proc/self/task")?.count(),
            std::fs::read_dir("/proc/self/fd")?.count(),
            std::fs::read_to_string("/proc/self/maps")?.lines().count()
        );
    }
    Ok(())
}
