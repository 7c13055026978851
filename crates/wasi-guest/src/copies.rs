//! `COPY FROM STDIN` whose data come later.
//!
//! PostgreSQL waits for them in the middle of a statement, where it cannot be left. So a query that may begin such a `COPY` is tried: where
//! it wants data and there are none, it fails, what it has done is rolled back, and the client is told what it has said so far, which ends
//! with the request for data. When all data are there, the query runs again, and the client is told the rest.
//!
//! Only simple queries are treated so. In the extended protocol the data have to come in the same call.

/// A session that takes whole messages.
pub(crate) trait Raw {
    /// Why it has ended.
    type Ended;

    /// Runs messages, and adds what it says to `output`; whether a `COPY` gave up for want of data.
    fn run(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<bool, Self::Ended>;
}

/// A query that waits for its data.
struct Held {
    /// The query, and the data so far.
    messages: Vec<u8>,
    /// How many requests for data the client has been told.
    told: usize,
}

/// What goes on between a client and a session.
#[derive(Default)]
pub(crate) struct Copies {
    held: Option<Held>,
    /// A message that is not complete.
    partial: Vec<u8>,
    /// What the last `ReadyForQuery` said.
    status: u8,
}

/// Length of the first message; `None` where it is not complete.
fn length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(1..5)?;
    let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize + 1;
    (length >= 5 && bytes.len() >= length).then_some(length)
}

fn messages(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (message, behind) = rest.split_at(length(rest)?);
        rest = behind;
        Some((message[0], message))
    })
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    message.extend_from_slice(body);
    message
}

fn query(sql: &str) -> Vec<u8> {
    message(b'Q', &[sql.as_bytes(), b"\0"].concat())
}

/// Whether a query has both words in it.
fn may_copy(query: &[u8]) -> bool {
    let has = |word: &[u8]| query.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    has(b"stdin") && has(b"copy")
}

/// Where the requests for data that were told already end in a reply.
fn behind(reply: &[u8], told: usize) -> usize {
    let mut at = 0;
    let mut seen = 0;
    for (kind, message) in messages(reply) {
        if seen == told {
            break;
        }
        at += message.len();
        seen += usize::from(kind == b'G');
    }
    // It has failed before it came so far: the client is told all of that.
    if seen == told { at } else { 0 }
}

/// Where the last request for data ends in a reply.
fn through_last_request(reply: &[u8]) -> usize {
    let mut at = 0;
    messages(reply).fold(0, |end, (kind, message)| {
        at += message.len();
        if kind == b'G' { at } else { end }
    })
}

impl Copies {
    pub(crate) const fn new() -> Copies {
        Copies { held: None, partial: Vec::new(), status: b'I' }
    }

    /// Gives a session input, and its client what it says.
    pub(crate) fn exchange<R: Raw>(
        &mut self,
        session: &mut R,
        input: &[u8],
        output: &mut dyn FnMut(&[u8]),
    ) -> Result<(), R::Ended> {
        // As nearly always: nothing is held, and no message may begin a copy.
        let plain = || whole(input) && !messages(input).any(|(kind, query)| kind == b'Q' && may_copy(query));
        if self.held.is_none() && self.partial.is_empty() && plain() {
            return self.pass(session, input, output);
        }
        let mut bytes = std::mem::take(&mut self.partial);
        bytes.extend_from_slice(input);
        let mut batch = 0..0;
        while let Some(length) = length(&bytes[batch.end..]) {
            let message = batch.end..batch.end + length;
            let kind = bytes[message.start];
            let begins = self.held.is_none() && kind == b'Q' && may_copy(&bytes[message.clone()]) && {
                let next = messages(&bytes[message.end..]).find(|(kind, _)| !matches!(kind, b'd' | b'H' | b'S'));
                !next.is_some_and(|(kind, _)| matches!(kind, b'c' | b'f'))
            };
            if self.held.is_none() && !begins {
                batch.end = message.end;
                continue;
            }
            self.pass(session, &bytes[batch.clone()], output)?;
            batch = message.end..message.end;
            if begins {
                self.held = Some(Held { messages: bytes[message].to_vec(), told: 0 });
                self.attempt(session, output)?;
                continue;
            }
            let Some(held) = &mut self.held else { continue };
            match kind {
                b'd' => held.messages.extend_from_slice(&bytes[message]),
                b'c' | b'f' => {
                    held.messages.extend_from_slice(&bytes[message]);
                    self.attempt(session, output)?;
                }
                b'H' | b'S' => {}
                _ => {
                    held.messages.extend(self::message(b'f', b"unexpected message during COPY from stdin\0"));
                    self.attempt(session, output)?;
                    batch = message;
                }
            }
        }
        self.partial = bytes[batch.end..].to_vec();
        self.pass(session, &bytes[batch], output)
    }

    /// Runs messages as they are.
    fn pass<R: Raw>(&mut self, session: &mut R, input: &[u8], output: &mut dyn FnMut(&[u8])) -> Result<(), R::Ended> {
        let mut reply = Vec::new();
        let result = session.run(input, &mut reply);
        self.follow(&reply);
        if !reply.is_empty() {
            output(&reply);
        }
        result.map(|_| ())
    }

    fn follow(&mut self, reply: &[u8]) {
        // The last message is the one that says so, where one does.
        if let [.., b'Z', 0, 0, 0, 5, status] = reply {
            self.status = *status;
        }
    }

    /// Runs something of our own, whose reply is for nobody.
    fn own<R: Raw>(&mut self, session: &mut R, sql: &str) -> Result<(), R::Ended> {
        self.pass(session, &query(sql), &mut |_| ())
    }

    /// Tries what is held.
    fn attempt<R: Raw>(&mut self, session: &mut R, output: &mut dyn FnMut(&[u8])) -> Result<(), R::Ended> {
        let Some(mut held) = self.held.take() else { return Ok(()) };
        let inside = self.status == b'T';
        if inside {
            self.own(session, "SAVEPOINT pglite_copy")?;
        }
        let mut reply = Vec::new();
        let result = session.run(&held.messages, &mut reply);
        let start = behind(&reply, held.told);
        let wants_more = match result {
            Ok(wants_more) => wants_more,
            Err(ended) => {
                output(&reply[start..]);
                return Err(ended);
            }
        };
        self.follow(&reply);
        if !wants_more {
            output(&reply[start..]);
            return Ok(());
        }
        let end = through_last_request(&reply);
        held.told = messages(&reply[..end]).filter(|(kind, _)| *kind == b'G').count();
        if inside {
            self.own(session, "ROLLBACK TO SAVEPOINT pglite_copy; RELEASE SAVEPOINT pglite_copy")?;
        } else if self.status == b'E' {
            self.own(session, "ROLLBACK")?;
        }
        self.held = Some(held);
        output(&reply[start.min(end)..end]);
        Ok(())
    }
}

/// Whether bytes are whole messages.
fn whole(bytes: &[u8]) -> bool {
    messages(bytes).map(|(_, message)| message.len()).sum::<usize>() == bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session that understands `COPY` and counts.
    #[derive(Default)]
    struct Fake {
        inside: bool,
        rows: usize,
        log: Vec<String>,
    }

    impl Raw for Fake {
        type Ended = ();

        fn run(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<bool, ()> {
            let mut all = messages(input).peekable();
            let mut starved = false;
            while let Some((kind, bytes)) = all.next() {
                if kind != b'Q' {
                    continue;
                }
                let sql = String::from_utf8_lossy(&bytes[5..bytes.len() - 1]).into_owned();
                self.log.push(sql.clone());
                match sql.as_str() {
                    "BEGIN" => self.inside = true,
                    "ROLLBACK" | "COMMIT" => self.inside = false,
                    _ => {}
                }
                if sql.starts_with("COPY") {
                    output.extend(message(b'G', b"\0\0\0"));
                    let mut rows = 0;
                    while all.next_if(|(kind, _)| *kind == b'd').is_some() {
                        rows += 1;
                    }
                    if all.next_if(|(kind, _)| *kind == b'c').is_some() {
                        self.rows += rows;
                        output.extend(message(b'C', b"COPY\0"));
                    } else {
                        starved = all.next_if(|(kind, _)| *kind == b'f').is_none();
                        output.extend(message(b'E', b"no data"));
                    }
                } else {
                    output.extend(message(b'C', b"OK\0"));
                }
                output.extend(message(b'Z', if self.inside { b"T" } else { b"I" }));
            }
            Ok(starved)
        }
    }

    fn kinds(copies: &mut Copies, session: &mut Fake, input: &[u8]) -> String {
        let mut reply = Vec::new();
        copies.exchange(session, input, &mut |bytes| reply.extend_from_slice(bytes)).unwrap();
        messages(&reply).map(|(kind, _)| kind as char).collect()
    }

    #[test]
    fn data_may_come_later_and_in_pieces() {
        let (mut copies, mut session) = (Copies::new(), Fake::default());
        assert_eq!(kinds(&mut copies, &mut session, &query("BEGIN")), "CZ");
        assert_eq!(kinds(&mut copies, &mut session, &query("COPY t FROM STDIN")), "G");
        assert_eq!(
            session.log[1..],
            [
                "SAVEPOINT pglite_copy",
                "COPY t FROM STDIN",
                "ROLLBACK TO SAVEPOINT pglite_copy; RELEASE SAVEPOINT pglite_copy"
            ]
        );
        let data = message(b'd', b"1\n");
        assert_eq!(kinds(&mut copies, &mut session, &data[..3]), "");
        assert_eq!(kinds(&mut copies, &mut session, &[&data[3..], &data].concat()), "");
        assert_eq!(kinds(&mut copies, &mut session, &message(b'c', b"")), "CZ");
        assert_eq!(session.rows, 2);
        assert_eq!(kinds(&mut copies, &mut session, &query("COMMIT")), "CZ");
    }

    #[test]
    fn what_comes_together_runs_together() {
        let (mut copies, mut session) = (Copies::new(), Fake::default());
        let all = [query("copy t from stdin"), message(b'd', b"1\n"), message(b'c', b"")].concat().to_vec();
        session.log.clear();
        let all = String::from_utf8_lossy(&all).replace("copy t", "COPY t").into_bytes();
        assert_eq!(kinds(&mut copies, &mut session, &all), "GCZ");
        assert_eq!((session.rows, session.log.len()), (1, 1));
    }

    #[test]
    fn a_failure_and_an_unexpected_message_end_it() {
        let (mut copies, mut session) = (Copies::new(), Fake::default());
        assert_eq!(kinds(&mut copies, &mut session, &query("COPY t FROM STDIN")), "G");
        assert_eq!(kinds(&mut copies, &mut session, &message(b'f', b"no\0")), "EZ");
        assert_eq!(kinds(&mut copies, &mut session, &query("COPY t FROM STDIN")), "G");
        assert_eq!(kinds(&mut copies, &mut session, &query("SELECT 1")), "EZCZ");
        assert_eq!(session.rows, 0);
        assert_eq!(kinds(&mut copies, &mut session, &query("SELECT 'COPY FROM STDIN'")), "CZ");
    }
}
