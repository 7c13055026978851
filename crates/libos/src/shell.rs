//! `popen` and `system`: a command line whose program is one of the system's own runs in-process; others are the
//! host's, and the policy's business.
//!
//! Understood for own programs: words with single and double quotes and backslashes, `<`, `>`, `>>`, `2>`, `2>&1`.

use crate::env;
use crate::fd::{FdTable, Object};
use crate::process::{Birth, Process, Status};
use crate::signal::Signals;
use rustix::io::{Errno, Result};
use std::collections::HashMap;
use std::ffi::CString;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The streams that `popen` opened, with their processes; `system` has a null stream.
#[derive(Default)]
pub(crate) struct Shells(HashMap<usize, Job>);

/// A command that runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    /// A process of this system.
    Own(i32),
    /// A process of the host.
    Host(i32),
    /// A command whose answer is known: it has ended already.
    Answered,
}

impl Shells {
    pub(crate) fn insert(&mut self, file: *mut libc::FILE, job: Job) {
        self.0.insert(file as usize, job);
    }

    pub(crate) fn get(&self, file: *mut libc::FILE) -> Option<Job> {
        self.0.get(&(file as usize)).copied()
    }

    /// Forgets a stream if its job is still that one.
    pub(crate) fn forget(&mut self, file: *mut libc::FILE, job: Job) {
        if self.get(file) == Some(job) {
            self.0.remove(&(file as usize));
        }
    }

    /// The process has ended: what of the host still runs for it is ours to wait for.
    pub(crate) fn abandon(self) {
        let host = self.0.into_values().filter_map(|job| if let Job::Host(pid) = job { Some(pid) } else { None });
        collect(host);
    }
}

/// Processes of the host that nobody waits for any more. They are children of the host process, which must not find them.
static ABANDONED: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// Takes more of them, and looks which have ended.
pub(crate) fn collect(more: impl Iterator<Item = i32>) {
    let mut all = ABANDONED.lock().unwrap_or_else(PoisonError::into_inner);
    all.extend(more);
    // SAFETY: children of the host that `start_host` made.
    all.retain(|pid| unsafe { libc::waitpid(*pid, std::ptr::null_mut(), libc::WNOHANG) } == 0);
}

/// A parsed command line.
#[derive(Debug, Default, PartialEq, Eq)]
struct Command {
    words: Vec<Vec<u8>>,
    input: Option<Vec<u8>>,
    output: Option<(Vec<u8>, bool)>,
    error: Option<Vec<u8>>,
    error_to_output: bool,
}

fn parse(line: &[u8]) -> Option<Command> {
    let mut command = Command::default();
    let mut rest = line.trim_ascii_end().iter().copied().peekable();
    let mut word = Vec::new();
    let mut in_word = false;
    let mut words: Vec<(Vec<u8>, bool)> = Vec::new();
    while let Some(c) = rest.next() {
        match c {
            b'\'' => {
                in_word = true;
                loop {
                    match rest.next()? {
                        b'\'' => break,
                        c => word.push(c),
                    }
                }
            }
            b'"' => {
                in_word = true;
                loop {
                    match rest.next()? {
                        b'"' => break,
                        b'\\' => match rest.next()? {
                            c @ (b'"' | b'\\' | b'$' | b'`') => word.push(c),
                            c => word.extend([b'\\', c]),
                        },
                        b'$' | b'`' => return None,
                        c => word.push(c),
                    }
                }
            }
            b'\\' => {
                in_word = true;
                word.push(rest.next()?);
            }
            b'<' | b'>' => {
                let mut operator = Vec::new();
                if in_word && word == b"2" && c == b'>' {
                    operator.push(b'2');
                    word.clear();
                    in_word = false;
                }
                if std::mem::take(&mut in_word) {
                    words.push((std::mem::take(&mut word), false));
                }
                operator.push(c);
                while let Some(c) = rest.next_if(|c| matches!(c, b'>' | b'&')) {
                    operator.push(c);
                }
                words.push((operator, true));
            }
            b'|' | b'&' | b';' | b'(' | b')' | b'$' | b'`' | b'*' | b'?' | b'#' | b'\n' => return None,
            c if c.is_ascii_whitespace() => {
                if std::mem::take(&mut in_word) {
                    words.push((std::mem::take(&mut word), false));
                }
            }
            c => {
                in_word = true;
                word.push(c);
            }
        }
    }
    if in_word {
        words.push((word, false));
    }
    let mut words = words.into_iter();
    while let Some((text, is_operator)) = words.next() {
        if !is_operator {
            command.words.push(text);
            continue;
        }
        let (target, _) = words.next().filter(|(_, operator)| !operator)?;
        match text.as_slice() {
            b"<" => command.input = Some(target),
            b">" => command.output = Some((target, false)),
            b">>" => command.output = Some((target, true)),
            b"2>" => command.error = Some(target),
            b"2>&" if target == b"1" => command.error_to_output = true,
            _ => return None,
        }
    }
    (!command.words.is_empty()).then_some(command)
}

/// Which end of the command's pipe the caller wants.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pipe {
    None,
    /// The caller reads what the command writes.
    FromOutput,
    /// The caller writes what the command reads.
    ToInput,
}

/// Starts a command; the caller's end of the pipe is entered in its descriptors.
pub(crate) fn start(p: &Process, line: &[u8], pipe: Pipe) -> Result<(Job, i32)> {
    if pipe == Pipe::FromOutput
        && let Some(answer) = str::from_utf8(line).ok().and_then(|line| p.system.answers.get(line))
    {
        return Ok((Job::Answered, answered(p, answer)?));
    }
    let (theirs, ours) = match pipe {
        Pipe::None => (None, -1),
        _ => {
            let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
            let (read, write) = (crate::fd::above_standard(read)?, crate::fd::above_standard(write)?);
            let (theirs, ours) = if pipe == Pipe::FromOutput { (write, read) } else { (read, write) };
            (Some(Object::kernel(theirs)), p.local.fds.borrow_mut().insert(Object::kernel(ours), true))
        }
    };
    let own = parse(line).filter(|c| p.system.find_program(&c.words[0]).is_some());
    let job = match own {
        Some(command) => start_own(p, command, theirs, pipe).map(Job::Own),
        None if p.system.policy.programs => start_host(p, line, theirs, pipe).map(Job::Host),
        None => Err(Errno::ACCESS),
    };
    job.map(|job| (job, ours)).inspect_err(|_| drop(p.local.fds.borrow_mut().remove(ours)))
}

/// A descriptor from which `answer` can be read.
fn answered(p: &Process, answer: &str) -> Result<i32> {
    let file = rustix::fs::memfd_create(c"answer", rustix::fs::MemfdFlags::CLOEXEC)?;
    rustix::io::write(&file, answer.as_bytes())?;
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    Ok(p.local.fds.borrow_mut().insert(Object::kernel(crate::fd::above_standard(file)?), true))
}

fn start_own(p: &Process, command: Command, pipe_end: Option<Object>, pipe: Pipe) -> Result<i32> {
    let program = p.system.find_program(&command.words[0]).ok_or(Errno::NOENT)?;
    let mut fds: FdTable = p.local.fds.borrow().inherit();
    if let Some(end) = pipe_end {
        fds.set_standard(usize::from(pipe == Pipe::FromOutput), end);
    }
    let open = |path: &[u8], flags: i32| -> Result<Object> {
        let opened = p.system.namespace.open_with_access(&p.local.cwd.borrow(), path, flags, 0o600)?;
        crate::abi::fds::object_of(opened)
    };
    if let Some(path) = &command.input {
        fds.set_standard(0, open(path, libc::O_RDONLY)?);
    }
    if let Some((path, append)) = &command.output {
        let how = if *append { libc::O_APPEND } else { libc::O_TRUNC };
        fds.set_standard(1, open(path, libc::O_WRONLY | libc::O_CREAT | how)?);
    }
    if let Some(path) = &command.error {
        fds.set_standard(2, open(path, libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC)?);
    }
    if command.error_to_output {
        let output = fds.object(1).cloned().unwrap_or(Object::Null);
        fds.set_standard(2, output);
    }
    let arguments: std::result::Result<Vec<CString>, _> = command.words.into_iter().map(CString::new).collect();
    let pid = p.system.reserve_pid();
    p.system.start(
        Birth {
            pid,
            parent: p.pid,
            group: p.group.load(Ordering::SeqCst),
            session: p.session.load(Ordering::SeqCst),
            program,
            arguments: arguments.map_err(|_| Errno::INVAL)?,
            environment: env::copy(p),
            cwd: p.local.cwd.borrow().clone(),
            umask: p.local.umask.get(),
            fds,
            signals: Signals::inherit(Some(&p.signals)),
        },
        false,
    )?;
    Ok(pid)
}

fn start_host(p: &Process, line: &[u8], pipe_end: Option<Object>, pipe: Pipe) -> Result<i32> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::process::CommandExt;
    use std::process::Stdio;
    let fds = p.local.fds.borrow();
    let stream = |fd: i32| -> Stdio {
        let raw = fds.object(fd).ok().and_then(|o| o.raw());
        // SAFETY: a descriptor of this process, open for the duration of the call.
        raw.and_then(|raw| rustix::io::dup(unsafe { std::os::fd::BorrowedFd::borrow_raw(raw) }).ok())
            .map_or_else(Stdio::null, Stdio::from)
    };
    let mut streams = [stream(0), stream(1), stream(2)];
    if let Some(Object::Kernel(end)) = &pipe_end {
        streams[usize::from(pipe == Pipe::FromOutput)] =
            rustix::io::dup(end).map_or_else(|_| Stdio::null(), Stdio::from);
    }
    let [input, output, error] = streams;
    let mut command = std::process::Command::new("/bin/sh");
    command.arg("-c").arg(OsStr::from_bytes(line)).stdin(input).stdout(output).stderr(error).env_clear();
    for entry in env::copy(p) {
        if let Some((name, value)) = entry.to_string_lossy().split_once('=') {
            command.env(name, value);
        }
    }
    if let Ok(Some(directory)) = p.system.namespace.host_path(&p.local.cwd.borrow(), b".") {
        command.current_dir(directory);
    }
    let umask = p.local.umask.get();
    // SAFETY: only async-signal-safe calls: the child must not keep the mask of our thread.
    unsafe {
        command.pre_exec(move || {
            libc::umask(umask);
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut none);
            libc::pthread_sigmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
            Ok(())
        });
    }
    let child = command.spawn().map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::AGAIN))?;
    Ok(child.id() as i32)
}

/// How long a look takes where the command has not ended.
const PAUSE: Duration = Duration::from_millis(5);

/// Looks whether a command has ended, and waits a little where it has not; its wait status.
pub(crate) fn poll(p: &Process, job: Job) -> Result<Option<i32>> {
    match job {
        Job::Answered => Ok(Some(0)),
        Job::Own(pid) => Ok(p.system.reap(p, pid, PAUSE)?.map(|(_, status): (i32, Status)| status.wait_status())),
        Job::Host(pid) => {
            let mut status = 0;
            // SAFETY: a child of the host that `start_host` made; nobody else waits for it.
            match unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) } {
                0 => {
                    std::thread::sleep(PAUSE);
                    Ok(None)
                }
                n if n == pid => Ok(Some(status)),
                _ => Err(Errno::CHILD),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_quotes_and_redirections() {
        let command =
            parse(br#""/pglite/bin/postgres" --check -c 'a b'=c\ d < "/dev/null" > "/dev/null" 2>&1"#).unwrap();
        assert_eq!(command.words, [&b"/pglite/bin/postgres"[..], b"--check", b"-c", b"a b=c d"]);
        assert_eq!(command.input.as_deref(), Some(&b"/dev/null"[..]));
        assert_eq!(command.output, Some((b"/dev/null".into(), false)));
        assert!(command.error_to_output);
        let command = parse(b"p 2>err >>log x2 '\xff' >o\n").unwrap();
        assert_eq!(command.error.as_deref(), Some(&b"err"[..]));
        assert_eq!(command.words, [&b"p"[..], b"x2", b"\xff"]);
    }

    #[test]
    fn what_needs_a_real_shell_is_left_to_it() {
        for line in ["a | b", "a; b", "a && b", "echo $HOME", "echo `id`", "a 'open", "ls *", ""] {
            assert_eq!(parse(line.as_bytes()), None, "{line}");
        }
    }
}
