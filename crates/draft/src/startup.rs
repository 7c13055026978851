//! The packet that a client begins a connection with.

use crate::backend::Profile;

/// Limit of PostgreSQL, in bytes (`MAX_STARTUP_PACKET_LENGTH`).
const LIMIT: usize = 10_000;
/// The newest minor version of protocol 3.
const NEWEST: u32 = 2;

/// What a packet asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet {
    /// Encryption, which is declined with `N`.
    Encryption,
    /// To cancel what the session with this process id and key does.
    Cancel {
        /// The process id of `BackendKeyData`.
        pid: u32,
        /// Its key.
        key: Vec<u8>,
    },
    /// A session.
    Session(Startup),
    /// Something that cannot be: SQLSTATE and the reason.
    Refused(&'static str, String),
}

/// A session that is asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Startup {
    /// The role.
    pub user: String,
    /// Everything else that it begins with.
    pub profile: Profile,
    /// A `NegotiateProtocolVersion` message, where the client wants more than there is.
    pub negotiation: Option<Vec<u8>>,
}

/// Length of the packet at the beginning of `bytes`; `None` while the rest is still to come.
///
/// # Errors
/// When no packet begins so.
pub fn packet_length(bytes: &[u8]) -> Result<Option<usize>, String> {
    let Some(length) = bytes.get(..4) else { return Ok(None) };
    let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
    if !(8..=LIMIT).contains(&length) {
        return Err("invalid length of startup packet".into());
    }
    Ok((bytes.len() >= length).then_some(length))
}

/// Reads a whole packet.
pub fn read(packet: &[u8]) -> Packet {
    let word = |at: usize| packet.get(at..at + 4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
    let code = word(4).unwrap_or_default();
    match code {
        80_877_103 | 80_877_104 => return Packet::Encryption,
        80_877_102 => {
            return match word(8) {
                Some(pid) if packet.len() > 12 => Packet::Cancel { pid, key: packet[12..].to_vec() },
                _ => Packet::Refused("08P01", "invalid length of query cancel packet".into()),
            };
        }
        _ => {}
    }
    let (major, minor) = (code >> 16, code & 0xffff);
    if major != 3 {
        return Packet::Refused(
            "0A000",
            format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.{NEWEST}"),
        );
    }
    match session(&packet[8..], minor) {
        Ok(startup) => Packet::Session(startup),
        Err((sqlstate, text)) => Packet::Refused(sqlstate, text),
    }
}

fn session(body: &[u8], minor: u32) -> Result<Startup, (&'static str, String)> {
    let layout = || ("08P01", "invalid startup packet layout: expected terminator as last byte".to_owned());
    let text = std::str::from_utf8(body).map_err(|_| ("22021", "the startup packet is not valid UTF-8".to_owned()))?;
    // The list ends with an empty name.
    let text = text.strip_suffix('\0').filter(|list| list.is_empty() || list.ends_with('\0')).ok_or_else(layout)?;
    let mut words = text.split_terminator('\0');
    let (mut user, mut database, mut parameters, mut unknown) = (None, None, Vec::new(), Vec::new());
    while let Some(name) = words.next() {
        let value = words.next().ok_or_else(layout)?.to_owned();
        match name {
            "user" => user = Some(value),
            "database" => database = Some(value),
            "options" => parameters.extend(switches(&value)?),
            "replication" => {
                if !matches!(value.as_str(), "false" | "off" | "no" | "0") {
                    return Err(("0A000", "a standalone session cannot replicate: connect to a server".into()));
                }
            }
            _ if name.starts_with("_pq_.") => unknown.push(name),
            _ => parameters.push((name.to_owned(), value)),
        }
    }
    let user = user
        .filter(|user| !user.is_empty())
        .ok_or_else(|| ("28000", "no PostgreSQL user name specified in startup packet".to_owned()))?;
    let database = database.filter(|name| !name.is_empty()).unwrap_or_else(|| user.clone());
    let negotiation = (minor > NEWEST || !unknown.is_empty()).then(|| negotiation(minor.min(NEWEST), &unknown));
    Ok(Startup { user: user.clone(), profile: Profile { user: Some(user), database, parameters }, negotiation })
}

fn negotiation(minor: u32, unknown: &[&str]) -> Vec<u8> {
    let mut body = (3 << 16 | minor).to_be_bytes().to_vec();
    body.extend_from_slice(&(unknown.len() as u32).to_be_bytes());
    for name in unknown {
        body.extend_from_slice(name.as_bytes());
        body.push(0);
    }
    crate::message::message(b'v', &body)
}

/// The settings in `options`, such as `-c work_mem=64MB --search_path=app`. A backslash takes the meaning off the next character.
fn switches(text: &str) -> Result<Vec<(String, String)>, (&'static str, String)> {
    let mut words = split(text).into_iter();
    let mut all = Vec::new();
    while let Some(word) = words.next() {
        let setting = match (word.strip_prefix("--"), word.strip_prefix("-c")) {
            (Some(setting), _) => setting.to_owned(),
            (None, Some("")) => words.next().unwrap_or_default(),
            (None, Some(setting)) => setting.to_owned(),
            (None, None) => return Err(("42601", format!("invalid command-line argument for server process: {word}"))),
        };
        match setting.split_once('=') {
            Some((name, value)) => all.push((name.replace('-', "_"), value.to_owned())),
            None => return Err(("42601", format!("{word} {setting} requires a value"))),
        }
    }
    Ok(all)
}

fn split(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c.is_ascii_whitespace() {
            all.extend(word.take());
        } else {
            let c = if c == '\\' { characters.next().unwrap_or(c) } else { c };
            word.get_or_insert_default().push(c);
        }
    }
    all.extend(word);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(code: u32, body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32 + 8).to_be_bytes(), &code.to_be_bytes(), body].concat()
    }

    fn refused(packet: &[u8]) -> String {
        match read(packet) {
            Packet::Refused(state, text) => format!("{state} {text}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn sessions() {
        let body = b"user\0alice\0options\0-c a.b=1 --work-mem=2\\ MB\0application_name\0x\0\0";
        let Packet::Session(startup) = read(&packet(3 << 16, body)) else { panic!() };
        assert_eq!(startup.profile.database, "alice");
        let parameters: Vec<_> = startup.profile.parameters.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(parameters, ["a.b=1", "work_mem=2 MB", "application_name=x"]);
        assert_eq!(startup.negotiation, None);
        let Packet::Session(startup) = read(&packet(3 << 16 | 9, b"user\0u\0database\0d\0_pq_.x\0y\0\0")) else {
            panic!()
        };
        assert_eq!(startup.profile.database, "d");
        assert_eq!(startup.negotiation.unwrap(), b"v\0\0\0\x13\0\x03\0\x02\0\0\0\x01_pq_.x\0");
    }

    #[test]
    fn others() {
        assert_eq!(read(&packet(80_877_103, b"")), Packet::Encryption);
        assert_eq!(read(&packet(80_877_104, b"")), Packet::Encryption);
        assert_eq!(read(&packet(80_877_102, b"\0\0\0\x07key!")), Packet::Cancel { pid: 7, key: b"key!".to_vec() });
        assert!(refused(&packet(80_877_102, b"\0\0\0\x07")).starts_with("08P01"));
        assert!(refused(&packet(2 << 16, b"user\0u\0\0")).starts_with("0A000"));
        assert!(refused(&packet(3 << 16, b"\0")).starts_with("28000"));
        assert!(refused(&packet(3 << 16, b"user\0u\0")).starts_with("08P01"));
        assert!(refused(&packet(3 << 16, b"user\0u\0x\0\0")).starts_with("08P01"));
        assert!(refused(&packet(3 << 16, b"user\0u\0replication\0database\0\0")).starts_with("0A000"));
        assert!(refused(&packet(3 << 16, b"user\0u\0options\0-d\0\0")).starts_with("42601"));
        assert!(refused(&packet(3 << 16, b"user\0\xff\0\0")).starts_with("22021"));
    }

    #[test]
    fn lengths() {
        assert_eq!(packet_length(b"\0\0\0"), Ok(None));
        assert_eq!(packet_length(b"\0\0\0\x08abc"), Ok(None));
        assert_eq!(packet_length(b"\0\0\0\x08abcdef"), Ok(Some(8)));
        assert!(packet_length(b"\0\0\0\x07").is_err());
        assert!(packet_length(b"\0\x01\0\0").is_err());
    }
}
