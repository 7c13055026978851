//! SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's side, without channel binding: there is no TLS to bind to.

use crate::auth::Outcome;
use crate::message::authentication;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

pub(crate) const MECHANISM: &str = "SCRAM-SHA-256";
/// Of a verifier that nobody stored; PostgreSQL's default.
const ITERATIONS: u32 = 4096;

/// What the server knows instead of the password.
pub(crate) struct Verifier {
    iterations: u32,
    salt: String,
    stored_key: [u8; 32],
    server_key: [u8; 32],
}

impl Verifier {
    /// Reads `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`.
    pub(crate) fn parse(text: &str) -> Option<Verifier> {
        let (parameters, keys) = text.strip_prefix(MECHANISM)?.strip_prefix('$')?.split_once('$')?;
        let (iterations, salt) = parameters.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        let key = |text: &str| STANDARD.decode(text).ok()?.try_into().ok();
        STANDARD.decode(salt).ok()?;
        Some(Verifier {
            iterations: iterations.parse().ok().filter(|n| *n > 0)?,
            salt: salt.to_owned(),
            stored_key: key(stored)?,
            server_key: key(server)?,
        })
    }

    /// One that no password fits, for roles that are not there.
    pub(crate) fn mock() -> Result<Verifier, getrandom::Error> {
        let (mut salt, mut stored_key, mut server_key) = ([0; 16], [0; 32], [0; 32]);
        getrandom::fill(&mut salt)?;
        getrandom::fill(&mut stored_key)?;
        getrandom::fill(&mut server_key)?;
        Ok(Verifier { iterations: ITERATIONS, salt: STANDARD.encode(salt), stored_key, server_key })
    }
}

/// An exchange: first both nonces, then the proofs.
pub(crate) struct Exchange {
    verifier: Verifier,
    own_nonce: String,
    /// Once the client has begun.
    begun: Option<Begun>,
}

struct Begun {
    /// The client's header, which it repeats.
    header: String,
    nonce: String,
    /// client-first-message-bare, a comma, server-first-message.
    messages: String,
}

impl Exchange {
    pub(crate) fn new(verifier: Verifier) -> Result<Exchange, getrandom::Error> {
        let mut nonce = [0; 18];
        getrandom::fill(&mut nonce)?;
        Ok(Exchange { verifier, own_nonce: STANDARD.encode(nonce), begun: None })
    }

    pub(crate) fn answer(&mut self, body: &[u8], doomed: bool) -> Outcome {
        let result = match &self.begun {
            None => self.first(body).map(Outcome::Continue),
            Some(begun) => self.verify(begun, body, doomed),
        };
        result.unwrap_or(Outcome::Violation("malformed SCRAM message"))
    }

    /// Mechanism, length, and the client-first-message.
    fn first(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        let rest = body.strip_prefix(MECHANISM.as_bytes())?.strip_prefix(b"\0")?;
        let (length, message) = rest.split_at_checked(4)?;
        if u32::from_be_bytes(length.try_into().ok()?) as usize != message.len() {
            return None;
        }
        let message = std::str::from_utf8(message).ok()?;
        // `y` says that the client could bind to a channel, but saw that we offer none: that is so.
        let (flag, rest) = message.split_once(',')?;
        let (identity, bare) = rest.split_once(',')?;
        if !matches!(flag, "n" | "y") || !identity.is_empty() {
            return None;
        }
        // The name counts that was in the start-up packet, as everywhere in PostgreSQL.
        let mut attributes = bare.split(',');
        attributes.next()?.strip_prefix("n=")?;
        let client_nonce = attributes.next()?.strip_prefix("r=").filter(|nonce| !nonce.is_empty())?;
        let nonce = format!("{client_nonce}{}", self.own_nonce);
        let reply = format!("r={nonce},s={},i={}", self.verifier.salt, self.verifier.iterations);
        let begun = Begun { header: format!("{flag},,"), messages: format!("{bare},{reply}"), nonce };
        self.begun = Some(begun);
        Some(authentication(11, reply.as_bytes()))
    }

    fn verify(&self, begun: &Begun, body: &[u8], doomed: bool) -> Option<Outcome> {
        let message = std::str::from_utf8(body).ok()?;
        let (without_proof, proof) = message.rsplit_once(",p=")?;
        let mut attributes = without_proof.split(',');
        let header = attributes.next()?.strip_prefix("c=")?;
        let nonce = attributes.next()?.strip_prefix("r=")?;
        if STANDARD.decode(header).ok()? != begun.header.as_bytes() || nonce != begun.nonce {
            return None;
        }
        let proof: [u8; 32] = STANDARD.decode(proof).ok()?.try_into().ok()?;
        let signed = format!("{},{without_proof}", begun.messages);
        let signature = hmac(&self.verifier.stored_key, signed.as_bytes());
        let client_key: [u8; 32] = std::array::from_fn(|i| proof[i] ^ signature[i]);
        let right = bool::from(Sha256::digest(client_key).as_slice().ct_eq(&self.verifier.stored_key));
        if !right || doomed {
            return Some(Outcome::Rejected);
        }
        let proof = STANDARD.encode(hmac(&self.verifier.server_key, signed.as_bytes()));
        Some(Outcome::Accepted(authentication(12, format!("v={proof}").as_bytes())))
    }
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}
