//! The md5 method: what a client answers to a salt.

use md5::{Digest, Md5};

/// The answer of who knows the password behind the verifier `stored`.
pub(crate) fn answer(stored: &str, salt: [u8; 4]) -> String {
    let mut hash = Md5::new();
    hash.update(stored.trim_start_matches("md5"));
    hash.update(salt);
    let digest = hash.finalize();
    digest.iter().fold(String::from("md5"), |text, byte| format!("{text}{byte:02x}"))
}
