//! A thin client of the wire protocol, version 3, over any stream: the same code for every server.

use std::io::{Read, Write};

use anyhow::{Result, bail, ensure};

/// Bytes of a message's type and length.
const HEADER: usize = 5;

/// An established session.
pub(crate) struct Session<S> {
    stream: S,
    /// What was read and not used: `buffer[start..end]`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

/// A message: its type, its length field, its body.
pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() + HEADER);
    bytes.push(kind);
    bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// The message that asks for a simple query.
pub(crate) fn query(sql: &str) -> Vec<u8> {
    message(b'Q', format!("{sql}\0").as_bytes())
}

/// The text of the field `code` of an error's body: `M` is the message, `C` the SQLSTATE.
fn field(error: &[u8], code: u8) -> String {
    let found = error.split(|byte| *byte == 0).find(|field| field.first() == Some(&code));
    found.map_or(String::new(), |field| String::from_utf8_lossy(&field[1..]).into_owned())
}

impl<S: Read + Write> Session<S> {
    /// Begins a session of `postgres` in the database `postgres`, where no password is asked for.
    pub(crate) fn begin(stream: S) -> Result<Self> {
        let mut session = Self { stream, buffer: vec![0; 64 << 10], start: 0, end: 0 };
        let mut start = vec![0; 4];
        start.extend_from_slice(&(3u32 << 16).to_be_bytes());
        start.extend_from_slice(b"user\0postgres\0database\0postgres\0\0");
        let length = (start.len() as u32).to_be_bytes();
        start[..4].copy_from_slice(&length);
        session.stream.write_all(&start)?;
        session.until(b'Z', |kind, body| match kind {
            b'R' if body != [0; 4] => bail!("the server asks for a password"),
            _ => Ok(()),
        })?;
        Ok(session)
    }

    /// Sends `request` and reads the reply up to ReadyForQuery.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request)?;
        self.until(b'Z', |_, _| Ok(()))
    }

    /// Runs one or more statements.
    pub(crate) fn run(&mut self, sql: &str) -> Result<()> {
        self.exchange(&query(sql))
    }

    /// The first column of the first row of a query's result, as text.
    pub(crate) fn value(&mut self, sql: &str) -> Result<String> {
        self.stream.write_all(&query(sql))?;
        let mut value = None;
        self.until(b'Z', |kind, body| {
            if kind == b'D' && value.is_none() {
                // two bytes with the number of columns, four with the length of the first
                let length = body.get(2..6).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
                value = body.get(6..6 + length as usize).map(|text| String::from_utf8_lossy(text).into_owned());
            }
            Ok(())
        })?;
        match value {
            Some(value) => Ok(value),
            None => bail!("{sql} has no result"),
        }
    }

    /// Runs `COPY ... FROM STDIN` with `data`, a whole number of CopyData messages.
    pub(crate) fn copy_in(&mut self, sql: &str, data: &[u8]) -> Result<()> {
        self.stream.write_all(&query(sql))?;
        self.until(b'G', |_, _| Ok(()))?;
        self.stream.write_all(data)?;
        self.exchange(&message(b'c', &[]))
    }

    /// Ends the session as a client should.
    pub(crate) fn end(mut self) -> Result<()> {
        Ok(self.stream.write_all(&message(b'X', &[]))?)
    }

    /// Reads messages up to one of type `last`. An error of the server is an error once the reply has ended.
    fn until(&mut self, last: u8, mut on_message: impl FnMut(u8, &[u8]) -> Result<()>) -> Result<()> {
        let mut failure = None;
        loop {
            let kind = self.next(|kind, body| {
                match kind {
                    b'E' => failure = Some((field(body, b'M'), field(body, b'C'))),
                    _ => on_message(kind, body)?,
                }
                Ok(kind)
            });
            match (kind, failure.take()) {
                (Ok(kind), None) if kind == last => return Ok(()),
                (Ok(b'Z') | Err(_), Some((text, code))) => bail!("the server says: {text} (SQLSTATE {code})"),
                (Ok(b'Z'), None) => bail!("the server was ready before it had sent what was asked for"),
                (Ok(_), pending) => failure = pending,
                (Err(error), None) => return Err(error),
            }
        }
    }

    fn next<T>(&mut self, take: impl FnOnce(u8, &[u8]) -> Result<T>) -> Result<T> {
        self.fill(HEADER)?;
        let header = &self.buffer[self.start..self.start + HEADER];
        let kind = header[0];
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
        ensure!(length >= 4, "a message of type {} has the length {length}", char::from(kind));
        self.fill(length + 1)?;
        let body = self.start + HEADER..self.start + length + 1;
        self.start = body.end;
        take(kind, &self.buffer[body])
    }

    /// Reads until there are `wanted` bytes.
    fn fill(&mut self, wanted: usize) -> Result<()> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        while self.end - self.start < wanted {
            if self.start + wanted > self.buffer.len() {
                self.buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
                if wanted > self.buffer.len() {
                    self.buffer.resize(wanted, 0);
                }
            }
            let read = self.stream.read(&mut self.buffer[self.end..])?;
            ensure!(read > 0, "the server has closed the connection");
            self.end += read;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// A server that says what it was told to, in pieces of `size` bytes.
    struct Script {
        reply: Cursor<Vec<u8>>,
        size: usize,
    }

    impl Read for Script {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let size = self.size.min(buffer.len());
            self.reply.read(&mut buffer[..size])
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn session(replies: &[Vec<u8>], size: usize) -> Result<Session<Script>> {
        let greeting = [message(b'R', &[0; 4]), message(b'S', &vec![b'x'; 100_000]), message(b'Z', b"I")].concat();
        Session::begin(Script { reply: Cursor::new([greeting, replies.concat()].concat()), size })
    }

    fn row(text: &[u8]) -> Vec<u8> {
        message(b'D', &[b"\0\x01".as_slice(), &(text.len() as u32).to_be_bytes(), text].concat())
    }

    #[test]
    fn replies_come_in_any_pieces() {
        for size in [1, 7, 4096, 1 << 20] {
            let replies = [row(b"one"), row(b"two"), message(b'Z', b"I"), row(b"three"), message(b'Z', b"I")];
            let mut session = session(&replies, size).unwrap();
            assert_eq!(session.value("1").unwrap(), "one");
            assert_eq!(session.value("2").unwrap(), "three");
            assert!(session.value("3").unwrap_err().to_string().contains("closed"));
        }
    }

    #[test]
    fn errors_of_the_server_are_told_after_the_reply() {
        let error = message(b'E', b"SERROR\0C42601\0Mwrong\0\0");
        let replies = [error.clone(), message(b'Z', b"I"), row(b"fine"), message(b'Z', b"I"), error];
        let mut session = session(&replies, 64).unwrap();
        let text = session.run("x").unwrap_err().to_string();
        assert!(text.contains("wrong") && text.contains("42601"), "{text}");
        assert_eq!(session.value("x").unwrap(), "fine");
        // a fatal one closes the connection
        assert!(session.run("x").unwrap_err().to_string().contains("wrong"));
    }

    #[test]
    fn a_copy_that_is_not_begun_is_an_error() {
        let mut session = session(&[message(b'Z', b"I")], 64).unwrap();
        assert!(session.copy_in("COPY", &[]).is_err());
    }
}
