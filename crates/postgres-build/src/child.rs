//! Child processes: their output, and their end.
//!
//! Each child is the leader of a process group, so that stopping it stops what it started.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, PipeReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::environment;

/// Lines of a child's output that an error repeats.
const TAIL: usize = 40;

/// How long children that are asked to end may take for it, before they are killed.
const GRACE: Duration = Duration::from_secs(2);

static GROUPS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());
static STOPPED: AtomicBool = AtomicBool::new(false);

/// Stops all children and whatever they started, and lets no new one begin. For the handler of
/// Ctrl-C.
pub fn stop_all() {
    STOPPED.store(true, Ordering::SeqCst);
    signal_all(Signal::TERM);
    // they may have folders to remove
    let start = Instant::now();
    while !GROUPS.lock().unwrap_or_else(PoisonError::into_inner).is_empty() && start.elapsed() < GRACE {
        std::thread::sleep(Duration::from_millis(20));
    }
    signal_all(Signal::KILL);
}

fn signal_all(signal: Signal) {
    for group in GROUPS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        signal_group(*group, signal);
    }
}

fn signal_group(group: i32, signal: Signal) {
    if let Some(group) = Pid::from_raw(group) {
        // it may have ended by itself
        let _ = kill_process_group(group, signal);
    }
}

/// A child, and what it prints. Dropping it kills the child.
pub struct Running {
    child: Child,
    output: PipeReader,
    what: String,
}

impl Running {
    /// Starts a command without input.
    pub fn start(mut command: Command) -> Result<Self> {
        use std::os::unix::process::CommandExt;
        let what = describe(&command);
        let (output, writer) = std::io::pipe().context("cannot make a pipe")?;
        let errors = writer.try_clone().context("cannot make a pipe")?;
        command.stdin(Stdio::null()).stdout(writer).stderr(errors).process_group(0);
        let mut groups = GROUPS.lock().unwrap_or_else(PoisonError::into_inner);
        if STOPPED.load(Ordering::SeqCst) {
            bail!("interrupted");
        }
        // the command holds the writing end, without whose closing the reading one never ends
        let child = command.spawn().with_context(|| format!("cannot start {what}"))?;
        groups.insert(child.id() as i32);
        Ok(Self { child, output, what })
    }

    /// Its process, which leads a group of its own.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Hands each line of its output and errors to `on_line`, and waits for its end. Where it fails, the error has its
    /// last lines.
    pub fn finish(mut self, on_line: &mut dyn FnMut(&str)) -> Result<()> {
        let mut tail = VecDeque::new();
        for line in BufReader::new(&self.output).split(b'\n') {
            let line = line.with_context(|| format!("cannot read what {} prints", self.what))?;
            let line = String::from_utf8_lossy(&line).into_owned();
            on_line(&line);
            tail.push_back(line);
            if tail.len() > TAIL {
                tail.pop_front();
            }
        }
        let status = self.child.wait().with_context(|| format!("cannot wait for {}", self.what))?;
        if STOPPED.load(Ordering::SeqCst) {
            bail!("interrupted");
        }
        if !status.success() {
            bail!("{} failed ({status}); its last lines:\n{}", self.what, Vec::from(tail).join("\n"));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        GROUPS.lock().unwrap_or_else(PoisonError::into_inner).remove(&(self.child.id() as i32));
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command without input, and hands each line of its output and errors to `on_line`. Where
/// it fails, the error has its last lines.
pub fn lines(command: Command, on_line: &mut dyn FnMut(&str)) -> Result<()> {
    Running::start(command)?.finish(on_line)
}

/// As [`lines`]; a command that takes longer than `limit` is killed, with all that it has started.
pub fn lines_within(command: Command, limit: Duration, on_line: &mut dyn FnMut(&str)) -> Result<()> {
    let running = Running::start(command)?;
    let (group, what) = (running.id() as i32, running.what.clone());
    let (done, ended) = mpsc::channel::<()>();
    let watchdog = std::thread::spawn(move || {
        let late = ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
        if late {
            signal_group(group, Signal::KILL);
        }
        late
    });
    let result = running.finish(on_line);
    drop(done);
    if watchdog.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
        bail!("{what} was not done after {} s and has been killed", limit.as_secs());
    }
    result
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
    fn what_takes_too_long_is_killed_with_its_children() {
        let mut seen = Vec::new();
        let limit = Duration::from_millis(100);
        let error = lines_within(shell("echo one; sleep 1000 & wait"), limit, &mut |line| seen.push(line.to_owned()));
        assert!(error.unwrap_err().to_string().contains("has been killed"));
        assert_eq!(seen, ["one"]);
        lines_within(shell("exit 0"), Duration::from_secs(1000), &mut |_| {}).unwrap();
    }

    #[test]
    fn a_failure_shows_the_command_and_the_last_lines() {
        let error = run(shell("seq 100; exit 3")).unwrap_err().to_string();
        assert!(error.contains("seq 100; exit 3") && error.contains("exit status: 3"), "{error}");
        assert!(error.ends_with("\n100") && error.contains("\n61\n") && !error.contains("\n60\n"), "{error}");
    }
}
