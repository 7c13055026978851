//! Messages of the wire protocol: whole ones are found in what a client sends, some are made, some are read.

/// Limit of PostgreSQL for messages that carry data, in bytes (`PQ_LARGE_MESSAGE_LIMIT`).
const LARGE: usize = 0x3fff_fffe;
/// Limit for all others (`PQ_SMALL_MESSAGE_LIMIT`).
const SMALL: usize = 10_000;
/// Limit for passwords (`PG_MAX_AUTH_TOKEN_LENGTH`).
const TOKEN: usize = 65_535;

/// What is wrong with the bytes at the place of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    Type(u8),
    Length,
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Malformed::Type(kind) => write!(f, "invalid frontend message type {kind}"),
            Malformed::Length => f.write_str("invalid message length"),
        }
    }
}

/// The largest body of a message of this type, or nothing where a client sends no such message.
///
/// PostgreSQL ends a session that gets anything else: it must not see it.
fn limit(kind: u8) -> Option<usize> {
    match kind {
        b'Q' | b'F' | b'B' | b'P' | b'd' => Some(LARGE),
        b'C' | b'D' | b'E' | b'H' | b'S' | b'X' | b'c' | b'f' => Some(SMALL),
        _ => None,
    }
}

/// Length of the message that `bytes` begin with, its header included; `None` while the rest is still to come.
pub(crate) fn frame(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    let Some(kind) = bytes.first() else { return Ok(None) };
    let limit = limit(*kind).ok_or(Malformed::Type(*kind))?;
    sized(bytes, limit)
}

/// As [`frame`], for the answers of a client that authenticates.
pub(crate) fn password_frame(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    match bytes.first() {
        None => Ok(None),
        Some(b'p') => sized(bytes, TOKEN),
        Some(kind) => Err(Malformed::Type(*kind)),
    }
}

fn sized(bytes: &[u8], limit: usize) -> Result<Option<usize>, Malformed> {
    let Some(length) = bytes.get(1..5) else { return Ok(None) };
    let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
    if length < 4 || length - 4 > limit {
        return Err(Malformed::Length);
    }
    Ok((bytes.len() > length).then_some(length + 1))
}

/// Whether a backend that reads `COPY` data takes this message. Any other ends it.
pub(crate) fn belongs_to_copy(kind: u8) -> bool {
    matches!(kind, b'd' | b'c' | b'f' | b'H' | b'S')
}

/// Whether a `COPY` may begin with this message.
pub(crate) fn may_begin_copy(kind: u8) -> bool {
    matches!(kind, b'Q' | b'E')
}

/// A message of either side.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut all = Vec::with_capacity(body.len() + 5);
    all.push(kind);
    all.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    all.extend_from_slice(body);
    all
}

/// A simple query.
pub fn query(sql: &str) -> Vec<u8> {
    message(b'Q', &[sql.as_bytes(), b"\0"].concat())
}

/// An `ErrorResponse`.
pub fn error(severity: &str, sqlstate: &str, text: &str) -> Vec<u8> {
    // A zero byte would end the field.
    let text = text.replace('\0', " ");
    message(b'E', format!("S{severity}\0V{severity}\0C{sqlstate}\0M{text}\0\0").as_bytes())
}

/// A request for authentication, or its end.
pub(crate) fn authentication(code: u32, data: &[u8]) -> Vec<u8> {
    message(b'R', &[&code.to_be_bytes(), data].concat())
}

/// The messages of a reply: type and body. What is cut off at the end is left out.
pub fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let length = u32::from_be_bytes(bytes.get(1..5)?.try_into().ok()?) as usize;
        let kind = bytes[0];
        let body = bytes.get(5..length.checked_add(1)?)?;
        bytes = &bytes[length + 1..];
        Some((kind, body))
    })
}

/// The columns of a `DataRow`; `None` is NULL.
pub fn columns(row: &[u8]) -> Vec<Option<&[u8]>> {
    let mut all = Vec::new();
    let mut rest = row.get(2..).unwrap_or_default();
    while let Some((length, after)) = rest.split_at_checked(4) {
        let length = i32::from_be_bytes(length.try_into().expect("four bytes"));
        let (value, after) = match usize::try_from(length) {
            Err(_) => (None, after),
            Ok(length) => match after.split_at_checked(length) {
                Some((value, after)) => (Some(value), after),
                None => break,
            },
        };
        all.push(value);
        rest = after;
    }
    all
}

/// A field of an `ErrorResponse` or `NoticeResponse`: `M` is the message, `C` the SQLSTATE.
pub fn field(body: &[u8], code: u8) -> Option<&[u8]> {
    body.split(|b| *b == 0).find(|f| f.first() == Some(&code)).map(|f| &f[1..])
}

/// Follows what a backend says, in pieces, without keeping it.
#[derive(Default)]
pub(crate) struct Follow {
    header: [u8; 5],
    have: usize,
    /// Bytes of the current message that are still to come.
    left: usize,
    last: u8,
    copying: bool,
    /// What the last `ReadyForQuery` said of the transaction.
    status: u8,
}

impl Follow {
    pub(crate) fn see(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let skip = self.left.min(bytes.len());
                if self.last == b'Z' {
                    self.status = bytes[0];
                }
                self.left -= skip;
                bytes = &bytes[skip..];
                continue;
            }
            let take = (5 - self.have).min(bytes.len());
            self.header[self.have..self.have + take].copy_from_slice(&bytes[..take]);
            self.have += take;
            bytes = &bytes[take..];
            if self.have == 5 {
                let [kind, a, b, c, d] = self.header;
                self.have = 0;
                self.left = (u32::from_be_bytes([a, b, c, d]) as usize).saturating_sub(4);
                self.last = kind;
                match kind {
                    b'G' => self.copying = true,
                    b'C' | b'E' | b'Z' => self.copying = false,
                    _ => {}
                }
            }
        }
    }

    /// Whether the backend reads `COPY` data now.
    pub(crate) fn copying(&self) -> bool {
        self.copying
    }

    /// Whether the backend waits for a query, outside of a transaction.
    pub(crate) fn idle(&self) -> bool {
        self.at_end() && (self.last == 0 || (self.last == b'Z' && self.status == b'I'))
    }

    /// Type of the last message.
    pub(crate) fn last(&self) -> u8 {
        self.last
    }

    /// Whether the last message is whole.
    pub(crate) fn at_end(&self) -> bool {
        self.left == 0 && self.have == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_and_checked() {
        assert_eq!(frame(b""), Ok(None));
        assert_eq!(frame(b"Q\0\0"), Ok(None));
        assert_eq!(frame(b"Q\0\0\0\x06a"), Ok(None));
        assert_eq!(frame(b"Q\0\0\0\x06a\0X"), Ok(Some(7)));
        assert_eq!(frame(b"S\0\0\0\x04"), Ok(Some(5)));
        assert_eq!(frame(b"!"), Err(Malformed::Type(b'!')));
        assert_eq!(frame(b"p\0\0\0\x04"), Err(Malformed::Type(b'p')));
        assert_eq!(frame(b"S\0\0\0\x03"), Err(Malformed::Length));
        assert_eq!(frame(b"S\0\0\x80\0"), Err(Malformed::Length));
        assert_eq!(frame(b"Q\x3f\xff\xff\xff"), Ok(None));
        assert_eq!(frame(b"Q\x40\x00\x00\x03"), Err(Malformed::Length));
        assert_eq!(password_frame(b"p\0\0\0\x04"), Ok(Some(5)));
        assert_eq!(password_frame(b"Q\0\0\0\x04"), Err(Malformed::Type(b'Q')));
    }

    #[test]
    fn replies_are_read() {
        let reply = [error("ERROR", "22012", "division by zero"), message(b'Z', b"I")].concat();
        let all: Vec<_> = messages(&reply).collect();
        assert_eq!(all.len(), 2);
        assert_eq!(field(all[0].1, b'C'), Some(b"22012".as_slice()));
        assert_eq!(all[1], (b'Z', b"I".as_slice()));
        assert_eq!(messages(&reply[..reply.len() - 1]).count(), 1);
        let row = b"\0\x03\0\0\0\x01a\xff\xff\xff\xff\0\0\0\0";
        assert_eq!(columns(row), [Some(b"a".as_slice()), None, Some(b"")]);
    }

    #[test]
    fn a_session_is_idle_outside_of_transactions() {
        let mut follow = Follow::default();
        assert!(follow.idle());
        for (piece, idle) in [
            (message(b'C', b"BEGIN\0"), false),
            (message(b'Z', b"T"), false),
            (message(b'C', b"COMMIT\0"), false),
            (message(b'Z', b"I"), true),
            (message(b'1', b""), false),
        ] {
            piece.chunks(1).for_each(|byte| follow.see(byte));
            assert_eq!(follow.idle(), idle, "{piece:?}");
        }
    }

    #[test]
    fn a_copy_is_noticed_in_any_pieces() {
        let reply = [message(b'G', b"\0\0\0"), message(b'N', b"Sx\0\0")].concat();
        for size in 1..reply.len() {
            let mut follow = Follow::default();
            reply.chunks(size).for_each(|piece| follow.see(piece));
            assert!(follow.copying() && follow.at_end() && follow.last() == b'N');
            follow.see(&message(b'C', b"COPY 1\0"));
            assert!(!follow.copying());
        }
    }
}
