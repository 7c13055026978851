//! Makes a cluster with PostgreSQL's own `initdb`, which is a module as well: the commands that it wants to run are runs of the server's module.

use crate::engine::{self, configured};
use crate::error::{Error, Result};
use crate::interrupts::Canceller;
use crate::log::Log;
use crate::modules::Modules;
use crate::sandbox::{self, End, Program};
use crate::streams::Console;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use wasmtime::{Caller, Engine, Module};

/// Where the modules find the new data directory.
const DATA: &str = "/data";

/// All that a command needs.
#[derive(Clone)]
struct Host {
    engine: Engine,
    server: Module,
    root: PathBuf,
    data: PathBuf,
}

/// Runs `initdb` with these further arguments; `cache` as for [`crate::Engine::new`].
///
/// # Errors
/// With what `initdb` has said, where it fails.
pub fn run(modules: &Modules, cache: &Path, data: &Path, arguments: &[&str]) -> Result<()> {
    let engine = configured()?;
    let server = engine::compiled(&engine, &modules.command(), cache)?;
    let host = Host { engine: engine.clone(), server, root: modules.root(), data: data.into() };
    let module = engine::compiled(&engine, &modules.initdb(), cache)?;
    let mut all = vec!["/pglite/bin/initdb".to_owned(), format!("--pgdata={DATA}")];
    all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    let (status, said) = host.program(&module, all, b"")?;
    if status != 0 {
        return Err(Error::Startup { path: data.into(), log: said });
    }
    Ok(())
}

/// Runs SQL in a cluster that nobody uses, as `postgres --single` takes it: a statement ends with an empty line.
///
/// # Errors
/// With what the server has said, where it fails.
pub fn single(modules: &Modules, cache: &Path, data: &Path, database: &str, sql: &str) -> Result<()> {
    let engine = configured()?;
    let server = engine::compiled(&engine, &modules.command(), cache)?;
    let host = Host { engine, server: server.clone(), root: modules.root(), data: data.into() };
    let arguments =
        ["/pglite/bin/postgres", "--single", "-F", "-O", "-j", "-D", DATA, "-c", "exit_on_error=on", database];
    let (status, said) = host.program(&server, arguments.map(str::to_owned).to_vec(), sql.as_bytes())?;
    if status != 0 {
        return Err(Error::Startup { path: data.into(), log: said });
    }
    Ok(())
}

impl Host {
    /// Runs a program to its end; its status, and all that it has said.
    fn program(&self, module: &Module, arguments: Vec<String>, input: &[u8]) -> Result<(i32, String)> {
        let mut linker = sandbox::linker(&self.engine)?;
        // What the last command has printed.
        let printed: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (host, output) = (self.clone(), printed.clone());
        linker.func_wrap(
            "pglite",
            "run",
            move |mut caller: Caller<'_, sandbox::State>,
                  command: u32,
                  length: u32,
                  input: u32,
                  size: u32,
                  result: u32|
                  -> wasmtime::Result<i32> {
                let memory = caller.get_export("memory").and_then(|e| e.into_memory());
                let memory = memory.ok_or_else(|| wasmtime::Error::msg("the module has no memory"))?;
                let part = |start: u32, size: u32| {
                    let start = start as usize;
                    memory.data(&caller).get(start..start + size as usize).map(<[u8]>::to_vec)
                };
                let (Some(command), Some(input)) = (part(command, length), part(input, size)) else {
                    return Err(wasmtime::Error::msg("a command that is not in memory"));
                };
                let (status, text) =
                    host.command(&String::from_utf8_lossy(&command), &input).map_err(wasmtime::Error::new)?;
                memory.write(&mut caller, result as usize, &u32::try_from(text.len())?.to_le_bytes())?;
                *output.lock().unwrap_or_else(PoisonError::into_inner) = text;
                Ok(status << 8)
            },
        )?;
        let output = printed;
        linker.func_wrap(
            "pglite",
            "fetch",
            move |mut caller: Caller<'_, sandbox::State>, place: u32| -> wasmtime::Result<()> {
                let memory = caller.get_export("memory").and_then(|e| e.into_memory());
                let memory = memory.ok_or_else(|| wasmtime::Error::msg("the module has no memory"))?;
                let text = std::mem::take(&mut *output.lock().unwrap_or_else(PoisonError::into_inner));
                memory.write(&mut caller, place as usize, &text)?;
                Ok(())
            },
        )?;
        let (console, log) = (Console::default(), Log::new(None));
        console.send(input);
        console.end_of_input();
        let program = Program {
            arguments,
            // initdb says so to its children, and has no other way to.
            environment: vec![("PGDATA".into(), DATA.into())],
            directories: vec![(self.root.clone(), "/pglite".into(), false), (self.data.clone(), DATA.into(), true)],
            making: None,
            console: console.clone(),
            log: log.clone(),
            cancel: Canceller::default(),
        };
        let mut run = sandbox::start(&self.engine, module, &linker, program)?;
        let end = loop {
            if let Poll::Ready(end) = run.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                break end;
            }
        };
        let mut text = Vec::new();
        console.drain(&mut |bytes| text.extend_from_slice(bytes));
        let mut text = String::from_utf8_lossy(&text).into_owned();
        let said = log.last();
        if !said.is_empty() {
            text += &said;
            text.push('\n');
        }
        Ok(match end {
            End::Exited(status) => (status, text),
            End::Trapped(trap) => (1, text + &trap),
        })
    }

    /// Runs a command line of `initdb`'s, which all begin with the server's program.
    fn command(&self, line: &str, input: &[u8]) -> Result<(i32, Vec<u8>)> {
        let (words, discard) = words(line);
        let (status, text) = self.program(&self.server, words, input)?;
        Ok((status, if discard { Vec::new() } else { text.into_bytes() }))
    }
}

/// The words of a shell's command line, and whether its output is thrown away. It knows quotes and redirections.
fn words(line: &str) -> (Vec<String>, bool) {
    let mut words = Vec::new();
    let (mut word, mut any, mut quote) = (String::new(), false, None);
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (c, quote) {
            (c, Some(q)) if c == q => quote = None,
            ('\\', Some('"') | None) => word.extend(characters.next()),
            (c, Some(_)) => word.push(c),
            ('"' | '\'', None) => (quote, any) = (Some(c), true),
            (c, None) if c.is_whitespace() => {
                if any || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            (c, None) => word.push(c),
        }
    }
    if any || !word.is_empty() {
        words.push(word);
    }
    let redirected = words.iter().position(|word| word.starts_with(['<', '>']) || word.starts_with("2>"));
    let discard = words.iter().any(|word| word.starts_with('>'));
    words.truncate(redirected.unwrap_or(words.len()));
    (words, discard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_split_as_a_shell_does() {
        let line = r#""/pglite/bin/postgres" --check -c a='b c' -c "d=\"" < "/dev/null" > "/dev/null" 2>&1"#;
        let (all, discard) = words(line);
        assert_eq!(all, ["/pglite/bin/postgres", "--check", "-c", "a=b c", "-c", "d=\""]);
        assert!(discard);
        assert_eq!(words("a ''  b"), (vec!["a".into(), String::new(), "b".into()], false));
    }
}
