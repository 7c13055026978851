//! Password authentication, as PostgreSQL's server does it: the stored verifier says which way.

mod md5;
mod scram;

use crate::message::authentication;
use scram::Exchange;
use subtle::ConstantTimeEq;

/// What `pg_authid.rolpassword` holds.
enum Verifier {
    /// `md5` and 32 hexadecimal digits.
    Md5(String),
    Scram(scram::Verifier),
}

/// Where an authentication is.
pub(crate) enum Authentication {
    Md5 { stored: String, salt: [u8; 4], doomed: bool },
    Scram { exchange: Box<Exchange>, doomed: bool },
}

/// What comes of a client's answer.
pub(crate) enum Outcome {
    /// The client is asked once more.
    Continue(Vec<u8>),
    /// It is who it says; the bytes go before `AuthenticationOk`.
    Accepted(Vec<u8>),
    /// It is not.
    Rejected,
    /// It does not keep to the protocol.
    Violation(&'static str),
}

impl Authentication {
    /// Begins: the state, and the request for the client. Without a verifier it goes the same way, and fails at its end.
    pub(crate) fn begin(stored: Option<&str>, prefer_md5: bool) -> Result<(Authentication, Vec<u8>), getrandom::Error> {
        let known = stored.and_then(parse);
        let doomed = known.is_none();
        let verifier = match known {
            Some(verifier) => verifier,
            None if prefer_md5 => Verifier::Md5(format!("md5{}", "0".repeat(32))),
            None => Verifier::Scram(scram::Verifier::mock()?),
        };
        match verifier {
            Verifier::Md5(stored) => {
                let mut salt = [0; 4];
                getrandom::fill(&mut salt)?;
                Ok((Authentication::Md5 { stored, salt, doomed }, authentication(5, &salt)))
            }
            Verifier::Scram(verifier) => {
                let exchange = Box::new(Exchange::new(verifier)?);
                let mechanisms = format!("{}\0\0", scram::MECHANISM);
                Ok((Authentication::Scram { exchange, doomed }, authentication(10, mechanisms.as_bytes())))
            }
        }
    }

    /// Takes the body of a password message.
    pub(crate) fn answer(&mut self, body: &[u8]) -> Outcome {
        match self {
            Authentication::Md5 { stored, salt, doomed } => {
                let Some(answer) = body.strip_suffix(b"\0") else {
                    return Outcome::Violation("invalid password packet size");
                };
                let expected = md5::answer(stored, *salt);
                match bool::from(expected.as_bytes().ct_eq(answer)) && !*doomed {
                    true => Outcome::Accepted(Vec::new()),
                    false => Outcome::Rejected,
                }
            }
            Authentication::Scram { exchange, doomed } => exchange.answer(body, *doomed),
        }
    }
}

fn parse(stored: &str) -> Option<Verifier> {
    if let Some(digest) = stored.strip_prefix("md5") {
        let whole = digest.len() == 32 && digest.bytes().all(|b| b.is_ascii_hexdigit());
        return whole.then(|| Verifier::Md5(stored.to_owned()));
    }
    scram::Verifier::parse(stored).map(Verifier::Scram)
}

#[cfg(test)]
mod tests {
    use super::*;
    use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
    use postgres_protocol::{authentication::md5_hash, password};

    fn request(message: &[u8]) -> (u32, &[u8]) {
        (u32::from_be_bytes(message[5..9].try_into().unwrap()), &message[9..])
    }

    fn md5(stored: Option<&str>, user: &str, password: &str) -> bool {
        let (mut state, first) = Authentication::begin(stored, true).unwrap();
        let (code, salt) = request(&first);
        assert_eq!(code, 5);
        let answer = md5_hash(user.as_bytes(), password.as_bytes(), salt.try_into().unwrap());
        matches!(state.answer(format!("{answer}\0").as_bytes()), Outcome::Accepted(_))
    }

    fn scram(stored: Option<&str>, password: &str) -> Result<bool, std::io::Error> {
        let (mut state, first) = Authentication::begin(stored, false).unwrap();
        assert_eq!(request(&first), (10, b"SCRAM-SHA-256\0\0".as_slice()));
        let mut client = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        let message = client.message();
        let body = [b"SCRAM-SHA-256\0", &(message.len() as u32).to_be_bytes()[..], message].concat();
        let Outcome::Continue(next) = state.answer(&body) else { panic!("no server-first-message") };
        let (code, data) = request(&next);
        assert_eq!(code, 11);
        client.update(data)?;
        match state.answer(client.message()) {
            Outcome::Accepted(last) => {
                let (code, data) = request(&last);
                assert_eq!(code, 12);
                client.finish(data)?;
                Ok(true)
            }
            Outcome::Rejected => Ok(false),
            _ => panic!("neither yes nor no"),
        }
    }

    #[test]
    fn md5_is_verified() {
        let stored = password::md5(b"secret", "alice");
        assert!(md5(Some(&stored), "alice", "secret"));
        assert!(!md5(Some(&stored), "alice", "Secret"));
        assert!(!md5(Some(&stored), "bob", "secret"));
        assert!(!md5(None, "alice", "secret"));
        assert!(!md5(Some("garbage"), "alice", "secret"));
        let (mut state, _) = Authentication::begin(Some(&stored), true).unwrap();
        assert!(matches!(state.answer(b"not terminated"), Outcome::Violation(_)));
    }

    #[test]
    fn scram_is_verified_both_ways() {
        let stored = password::scram_sha_256("pässword".as_bytes());
        assert!(scram(Some(&stored), "pässword").unwrap());
        assert!(!scram(Some(&stored), "password").unwrap());
        assert!(!scram(None, "password").unwrap());
        for garbage in ["SCRAM-SHA-256$", "SCRAM-SHA-256$0:AA==$AA==:AA==", "SCRAM-SHA-256$4096:!$x:y"] {
            assert!(!scram(Some(garbage), "password").unwrap());
        }
    }

    #[test]
    fn scram_does_not_believe_what_it_did_not_say() {
        let stored = password::scram_sha_256(b"x");
        let begin = || Authentication::begin(Some(&stored), false).unwrap().0;
        let body = |text: &str| [b"SCRAM-SHA-256\0", &(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat();
        for first in ["", "n", "p=tls-unique,,n=,r=abc", "n,,n=,r=", "n,,m=x,n=,r=abc", "z,,n=,r=abc"] {
            assert!(matches!(begin().answer(&body(first)), Outcome::Violation(_)), "{first}");
        }
        assert!(matches!(begin().answer(b"SCRAM-SHA-1\0\0\0\0\0"), Outcome::Violation(_)));
        assert!(matches!(begin().answer(b"SCRAM-SHA-256\0\0\0\0\x09short"), Outcome::Violation(_)));
        for last in ["", "c=biws", "c=biws,r=abc,p=AAAA", "c=AAAA,r=abc,p=", "x"] {
            let mut state = begin();
            assert!(matches!(state.answer(&body("n,,n=,r=abc")), Outcome::Continue(_)));
            assert!(matches!(state.answer(last.as_bytes()), Outcome::Violation(_) | Outcome::Rejected), "{last}");
        }
    }
}
