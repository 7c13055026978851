//! psql in a terminal: line editing, history, completion, Ctrl-C. The terminal is that of `script`.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A psql in a terminal, with what it has written and nobody has looked at.
struct Terminal {
    child: Child,
    output: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    fn open(home: &Path) -> Terminal {
        let command = format!("stty cols 100; exec '{}' psql db -X -P pager=off", env!("CARGO_BIN_EXE_pglite"));
        let mut child = Command::new("script")
            .args(["-qfec", &command, "/dev/null"])
            .current_dir(home)
            .env("HOME", home)
            .env("TERM", "xterm")
            .env("SHELL", "/bin/sh")
            .env_remove("PSQL_HISTORY")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script, of Debian's bsdutils");
        let (mut stream, (sender, output)) = (child.stdout.take().unwrap(), channel());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal { child, output, seen: String::new() }
    }

    fn keys(&mut self, keys: &str) {
        let mut stdin = self.child.stdin.as_ref().unwrap();
        stdin.write_all(keys.as_bytes()).and_then(|()| stdin.flush()).unwrap();
    }

    /// Waits for a text, and returns all up to it.
    #[track_caller]
    fn wait(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            match self.output.recv_timeout(Duration::from_secs(60)) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(e) => panic!("{e}: no {text:?} in {:?}", self.seen),
            }
        }
    }

    #[track_caller]
    fn end(mut self) {
        self.keys("\\q\r");
        assert!(self.child.wait().unwrap().success());
    }
}

#[test]
fn lines_are_edited_completed_and_remembered() {
    let home = tempfile::tempdir().unwrap();
    let mut psql = Terminal::open(home.path());
    psql.wait("=# ");
    // a 7, to the left, a 4 and a semicolon before it; that rubbed out, and to the end
    psql.keys("select 1007\u{1b}[D4;\u{7f}\u{5};\r");
    let reply = psql.wait("(1 row)");
    assert!(reply.contains(" 10047\r\n"), "{reply}");
    psql.wait("=# ");
    // the line before, with an end of its own
    psql.keys("\u{1b}[A\u{7f}1;\r");
    let reply = psql.wait("(1 row)");
    assert!(reply.contains(" 100471\r\n"), "{reply}");
    psql.wait("=# ");
    psql.keys("select count(*) >= 0 as complete from pg_stat_activ\t;\r");
    psql.wait("ity ;");
    psql.wait(" complete \r\n");
    psql.wait("=# ");
    // Ctrl-C gives up the line, and afterwards a query
    psql.keys("select nonsense\u{3}");
    psql.wait("=# ");
    psql.keys("select pg_sleep(100);\r");
    std::thread::sleep(Duration::from_millis(300));
    psql.keys("\u{3}");
    psql.wait("canceling statement due to user request");
    psql.wait("=# ");
    psql.end();

    let history = std::fs::read_to_string(home.path().join(".psql_history")).unwrap();
    assert!(history.contains("10047"), "{history}");
    // and in the next session, found by Ctrl-R
    let mut psql = Terminal::open(home.path());
    psql.wait("=# ");
    psql.keys("\u{12}10047\r");
    psql.wait("(1 row)");
    psql.wait("=# ");
    psql.end();
}
