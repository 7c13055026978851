//! The REPL: SQL as text in, what `psql` would print out.
//!
//! A statement ends with a semicolon that is not part of something else; what comes after the last one waits for the next input.

mod lexer;
mod report;
mod table;

use crate::backend::Backend;
use crate::connection::Connection;
use crate::message::{self, columns, field, messages};
use std::io::{self, Write};

/// What is kept between inputs.
#[derive(Default)]
pub(crate) struct Repl {
    /// The beginning of a statement.
    begun: Vec<u8>,
    /// The statement before wants the data of a `COPY`, up to a line `\.`.
    copying: bool,
    /// Whether errors have a colour.
    color: bool,
}

impl Repl {
    /// A new one.
    pub(crate) fn new(color: bool) -> Repl {
        Repl { color, ..Repl::default() }
    }

    /// Forgets what was begun.
    pub(crate) fn clear(&mut self) {
        self.begun.clear();
        self.copying = false;
    }

    /// Runs the statements that `input` completes.
    ///
    /// # Errors
    /// When `output` cannot be written.
    pub(crate) fn run<B: Backend>(
        &mut self,
        connection: &mut Connection<B>,
        input: &[u8],
        output: &mut impl Write,
    ) -> io::Result<()> {
        self.begun.extend_from_slice(input);
        let text = std::mem::take(&mut self.begun);
        let mut rest = text.as_slice();
        loop {
            if self.copying {
                let Some((data, after)) = copy_data(rest) else { break };
                rest = after;
                self.copy(connection, data, output)?;
                continue;
            }
            let Some(length) = lexer::statement(rest) else { break };
            let (statement, after) = rest.split_at(length);
            rest = after;
            let statement = String::from_utf8_lossy(&statement[..length - 1]);
            let statement = statement.trim();
            if !statement.is_empty() {
                let reply = connection.query(statement);
                self.print(statement, &reply, output)?;
                if self.copying
                    && let Some(end) = rest.iter().position(|b| *b == b'\n')
                    && rest[..end].trim_ascii().is_empty()
                {
                    // The data begins on the line after the statement.
                    rest = &rest[end + 1..];
                }
            }
        }
        // White space alone begins nothing.
        self.begun = if self.copying { rest.to_vec() } else { rest.trim_ascii_start().to_vec() };
        Ok(())
    }

    fn copy<B: Backend>(
        &mut self,
        connection: &mut Connection<B>,
        data: &[u8],
        output: &mut impl Write,
    ) -> io::Result<()> {
        let mut reply = Vec::new();
        for input in [message::message(b'd', data), message::message(b'c', b"")] {
            connection.receive(&input, &mut |bytes| reply.extend_from_slice(bytes));
        }
        self.copying = false;
        self.print("", &reply, output)
    }

    /// Prints a reply; notices whether data is wanted.
    fn print(&mut self, statement: &str, reply: &[u8], output: &mut impl Write) -> io::Result<()> {
        let mut header: Option<Vec<table::Column>> = None;
        let mut rows: Vec<&[u8]> = Vec::new();
        let mut copied_out = false;
        for (kind, body) in messages(reply) {
            match kind {
                b'T' => {
                    header = Some(table::header(body));
                    rows.clear();
                }
                b'D' => rows.push(body),
                b'C' => {
                    let tag = String::from_utf8_lossy(body.strip_suffix(b"\0").unwrap_or(body));
                    let with_table = header.is_some();
                    if let Some(header) = header.take() {
                        let cells: Vec<_> = rows.drain(..).map(columns).collect();
                        table::print(&header, &cells, output)?;
                    }
                    let changes = ["INSERT", "UPDATE", "DELETE", "MERGE"].iter().any(|word| tag.starts_with(word));
                    if !copied_out && (!with_table || changes) {
                        writeln!(output, "{tag}")?;
                    }
                    copied_out = false;
                }
                b'E' | b'N' => report::print(statement, body, kind == b'E', self.color, output)?,
                b'G' => self.copying = true,
                b'd' => {
                    copied_out = true;
                    output.write_all(body)?;
                }
                b'H' => copied_out = true,
                b'A' => notification(body, output)?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// `COPY` data up to the line that ends it, and what follows.
fn copy_data(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    while at < text.len() {
        let end = text[at..].iter().position(|b| *b == b'\n').map(|n| at + n);
        let line = &text[at..end.unwrap_or(text.len())];
        if line.strip_suffix(b"\r").unwrap_or(line) == b"\\." {
            return Some((&text[..at], &text[end.map_or(text.len(), |end| end + 1)..]));
        }
        at = end? + 1;
    }
    None
}

fn notification(body: &[u8], output: &mut impl Write) -> io::Result<()> {
    let Some((pid, rest)) = body.split_at_checked(4) else { return Ok(()) };
    let pid = pid.iter().fold(0_u32, |pid, byte| pid << 8 | u32::from(*byte));
    let mut words = rest.split(|b| *b == 0).map(String::from_utf8_lossy);
    let (channel, payload) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let payload = if payload.is_empty() { String::new() } else { format!(" with payload \"{payload}\"") };
    writeln!(output, "Asynchronous notification \"{channel}\"{payload} received from server process with PID {pid}.")
}

/// The error message in a reply, where there is one.
pub(crate) fn error_in(reply: &[u8]) -> Option<String> {
    let (_, body) = messages(reply).find(|(kind, _)| *kind == b'E')?;
    Some(String::from_utf8_lossy(field(body, b'M')?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_data_ends_with_its_line() {
        assert_eq!(copy_data(b"1\n2\n\\.\nSELECT"), Some((b"1\n2\n".as_slice(), b"SELECT".as_slice())));
        assert_eq!(copy_data(b"\\."), Some((b"".as_slice(), b"".as_slice())));
        assert_eq!(copy_data(b"1\r\n\\.\r\n"), Some((b"1\r\n".as_slice(), b"".as_slice())));
        assert_eq!(copy_data(b"1\n\\.x\n"), None);
        assert_eq!(copy_data(b""), None);
    }

    #[test]
    fn notifications_are_told() {
        let mut text = Vec::new();
        notification(b"\0\0\0\x2achannel\0hello\0", &mut text).unwrap();
        let expected =
            "Asynchronous notification \"channel\" with payload \"hello\" received from server process with PID 42.\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }
}
