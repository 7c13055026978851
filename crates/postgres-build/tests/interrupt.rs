//! Stopping children stops what they started. A test program of its own: afterwards no child can be
//! started.

use std::process::Command;
use std::sync::mpsc;

use postgres_build::child;

#[test]
fn stop_all_reaches_grandchildren() {
    let mut command = Command::new("sh");
    // the grandchild holds the pipe, so that its end is what `lines` waits for
    command.args(["-c", "sleep 1000 & echo started; wait"]);
    let (started, wait_for_start) = mpsc::channel();
    let runner = std::thread::spawn(move || {
        child::lines(command, &mut |line| {
            if line == "started" {
                started.send(()).unwrap();
            }
        })
    });
    wait_for_start.recv().unwrap();
    child::stop_all();
    let error = runner.join().unwrap().unwrap_err().to_string();
    assert_eq!(error, "interrupted");
    let error = child::run(Command::new("true")).unwrap_err().to_string();
    assert_eq!(error, "interrupted");
}
