//! Child processes: their output, and their end.
//!
//! Each child is the leader of a process group, so that stopping it stops what it started.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::environment;

/// Lines of a child's output that an error repeats.
const TAIL: usize = 40;

static GROUPS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());
static STOPPED: AtomicBool = AtomicBool::new(false);

/// Stops all children and whatever they started, and lets no new one begin. For the handler of
/// Ctrl-C.
pub fn stop_all() {
    STOPPED.store(true, Ordering::SeqCst);
    signal_all(Signal::TERM);
    std::thread::sleep(Duration::from_millis(300));
    signal_all(Signal::KILL);
}

fn signal_all(signal: Signal) {
    for group in GROUPS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        if let Some(group) = Pid::from_raw(*group) {
            // it may have ended by itself
            let _ = kill_process_group(group, signal);
        }
    }
}

/// A child that is in the list of groups until it has been waited for.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Result<Self> {
        use std::os::unix::process::CommandExt;
        let mut groups = GROUPS.lock().unwrap_or_else(PoisonError::into_inner);
        if STOPPED.load(Ordering::SeqCst) {
            bail!("interrupted");
        }
        let child = command.process_group(0).spawn().with_context(|| format!("cannot start {}", describe(command)))?;
        groups.insert(child.id() as i32);
        Ok(Self(child))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        GROUPS.lock().unwrap_or_else(PoisonError::into_inner).remove(&(self.0.id() as i32));
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a command without input, and hands each line of its output and errors to `on_line`. Where
/// it fails, the error has its last lines.
pub fn lines(mut command: Command, on_line: &mut dyn FnMut(&str)) -> Result<()> {
    let what = describe(&command);
    let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
    let errors = writer.try_clone().context("cannot make a pipe")?;
    command.stdin(Stdio::null()).stdout(writer).stderr(errors);
    let mut running = Running::start(&mut command)?;
    // the command holds the writing end, without whose closing the reading one never ends
    drop(command);
    let mut tail = VecDeque::new();
    for line in BufReader::new(reader).split(b'\n') {
        let line = line.with_context(|| format!("cannot read what {what} prints"))?;
        let line = String::from_utf8_lossy(&line).into_owned();
        on_line(&line);
        tail.push_back(line);
        if tail.len() > TAIL {
            tail.pop_front();
        }
    }
    let status = running.0.wait().with_context(|| format!("cannot wait for {what}"))?;
    if STOPPED.load(Ordering::SeqCst) {
        bail!("interrupted");
    }
    if !status.success() {
        bail!("{what} failed ({status}); its last lines:\n{}", Vec::from(tail).join("\n"));
    }
    Ok(())
}

/// Runs a command without input, quietly.
pub fn run(command: Command) -> Result<()> {
    lines(command, &mut |_| {})
}

/// Runs a command and returns what it prints, without its errors unless it fails.
pub fn output(command: &mut Command) -> Result<String> {
    let what = describe(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {what}"))?;
    if !output.status.success() {
        bail!("{what} failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A command that does not depend on the cargo or make that runs us.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    environment::clean(&mut command);
    command.env("LC_ALL", "C");
    command
}

/// The cargo that runs us, or the one in the path.
pub fn cargo() -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A command as one would type it, shortened.
fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let mut text = words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = text.char_indices().nth(300) {
        text.replace_range(end.., " ...");
    }
    format!("`{text}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c").arg(script);
        command
    }

    #[test]
    fn lines_of_both_streams() {
        let mut seen = Vec::new();
        lines(shell("echo one; echo two >&2"), &mut |line| seen.push(line.to_owned())).unwrap();
        assert_eq!(seen, ["one", "two"]);
    }

    #[test]
    fn a_failure_shows_the_command_and_the_last_lines() {
        let error = run(shell("seq 100; exit 3")).unwrap_err().to_string();
        assert!(error.contains("seq 100; exit 3") && error.contains("exit status: 3"), "{error}");
        assert!(error.ends_with("\n100") && error.contains("\n61\n") && !error.contains("\n60\n"), "{error}");
    }
}
