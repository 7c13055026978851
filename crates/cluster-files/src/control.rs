//! What `pg_control` says.

use std::ops::Range;

/// Where it is below a data directory.
pub const PATH: &str = "global/pg_control";

const IDENTIFIER: Range<usize> = 0..8;
const VERSION: Range<usize> = 8..12;
const CHECKPOINT: Range<usize> = 32..40;
const BY_VALUE: usize = 248;

/// `PG_CONTROL_VERSION` of PostgreSQL 18.
const OUR_VERSION: [u8; 4] = 1800u32.to_le_bytes();

/// How much of the file PostgreSQL reads and writes.
const SIZE: usize = 8192;

/// What runs a database. The files of a cluster depend on it: numbers of eight bytes are passed by value in one, and by reference in the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// PostgreSQL as code of this machine: the whole server. Ordinary servers can open what it makes.
    #[default]
    Native,
    /// PostgreSQL as a WebAssembly module, in a sandbox: one session.
    Wasm,
}

impl Engine {
    /// The one that cannot open this one's clusters.
    pub fn other(self) -> Engine {
        match self {
            Engine::Native => Engine::Wasm,
            Engine::Wasm => Engine::Native,
        }
    }
}

/// Which engine a cluster is for, by its control file; `None` where that does not tell: it is missing, damaged, or of another version.
pub fn engine_of(control: &[u8]) -> Option<Engine> {
    if control.get(VERSION)? != OUR_VERSION {
        return None;
    }
    match control.get(BY_VALUE)? {
        0 => Some(Engine::Wasm),
        1 => Some(Engine::Native),
        _ => None,
    }
}

/// The cluster's system identifier.
pub fn identifier(control: &[u8]) -> Option<u64> {
    number(control.get(IDENTIFIER)?)
}

/// Where in the log the last checkpoint is, in bytes from its beginning.
pub fn checkpoint(control: &[u8]) -> Option<u64> {
    number(control.get(CHECKPOINT)?)
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_le_bytes)
}

/// Writes another identifier, and the checksum that fits; `None` where the old one does not. Where it stands depends on the version: it is the place that fits.
pub(crate) fn set_identifier(control: &mut [u8], identifier: u64) -> Option<()> {
    let last = control.len().min(SIZE).checked_sub(4)?;
    let end =
        (64..=last).step_by(4).find(|end| control[*end..*end + 4] == crc32c::crc32c(&control[..*end]).to_le_bytes())?;
    control[IDENTIFIER].copy_from_slice(&identifier.to_le_bytes());
    let sum = crc32c::crc32c(&control[..end]);
    control[end..end + 4].copy_from_slice(&sum.to_le_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_file_tells_the_engine() {
        let mut control = vec![1; SIZE];
        assert_eq!(engine_of(&control), None, "nobody knows this version");
        control[VERSION].copy_from_slice(&OUR_VERSION);
        assert_eq!(engine_of(&control), Some(Engine::Native));
        control[BY_VALUE] = 0;
        assert_eq!(engine_of(&control), Some(Engine::Wasm));
        control[BY_VALUE] = 7;
        assert_eq!(engine_of(&control), None, "it is damaged");
        assert_eq!(engine_of(&control[..BY_VALUE]), None);
        assert_eq!(engine_of(&[]), None);
    }

    #[test]
    fn fields_are_where_postgresql_has_them() {
        let mut control = vec![0; SIZE];
        control[..8].copy_from_slice(&0x1122_3344_5566_7788u64.to_le_bytes());
        control[32..40].copy_from_slice(&0x0100_0028u64.to_le_bytes());
        assert_eq!(identifier(&control), Some(0x1122_3344_5566_7788));
        assert_eq!(checkpoint(&control), Some(0x0100_0028));
        assert_eq!(identifier(&control[..7]), None);
        assert_eq!(checkpoint(&control[..39]), None);
    }

    #[test]
    fn the_checksum_stays_right_wherever_it_is() {
        for end in [64, 292, SIZE - 4] {
            let mut control = vec![7; SIZE];
            let sum = crc32c::crc32c(&control[..end]);
            control[end..end + 4].copy_from_slice(&sum.to_le_bytes());
            let old = control.clone();
            set_identifier(&mut control, 99).unwrap();
            assert_eq!(identifier(&control), Some(99));
            assert_eq!(control[end..end + 4], crc32c::crc32c(&control[..end]).to_le_bytes());
            assert_eq!(control[8..end], old[8..end]);
            assert_eq!(control[end + 4..], old[end + 4..]);
        }
    }

    #[test]
    fn what_is_damaged_stays_as_it_is() {
        for size in [0, 3, 8, 67, SIZE] {
            let mut control = vec![7; size];
            assert_eq!(set_identifier(&mut control, 99), None);
            assert_eq!(control, vec![7; size]);
        }
    }
}
