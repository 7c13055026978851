//! The system identifier: each cluster has one of its own, which backups and standbys know it by.
//!
//! It is in `pg_control` and in the first page header of each segment of the log. Nothing else in a cluster knows it.

use crate::control;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where it is in the long page header that a segment of the log begins with.
const IN_SEGMENT: Range<usize> = 24..32;

/// A new one, as PostgreSQL makes them: the time in seconds, then microseconds, then twelve bits that it takes from the process id. `salt` should tell clusters
/// apart that are made at the same moment; its lower twelve bits count.
pub fn fresh(salt: u16) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs() << 32 | u64::from(now.subsec_micros()) << 12 | u64::from(salt) & 0xfff
}

/// Writes another identifier into a control file; `None`, and nothing is changed, where it is damaged.
pub fn in_control(control: &mut [u8], identifier: u64) -> Option<()> {
    control::set_identifier(control, identifier)
}

/// A segment of the log with another identifier; `None` for any other file.
pub fn in_segment(old: &[u8], from: u64, to: u64) -> Option<Vec<u8>> {
    (old.get(IN_SEGMENT)? == from.to_le_bytes()).then(|| {
        let mut new = old.to_vec();
        new[IN_SEGMENT].copy_from_slice(&to.to_le_bytes());
        new
    })
}

/// Gives the cluster in `path`, a copy that nobody uses yet, another identifier.
///
/// # Errors
/// What the file system says; [`io::ErrorKind::InvalidData`] where its `pg_control` is damaged.
pub fn renew(path: &Path, identifier: u64) -> io::Result<()> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "its pg_control is damaged");
    let file = path.join(control::PATH);
    let mut control = fs::read(&file)?;
    let old = control::identifier(&control).ok_or_else(damaged)?;
    in_control(&mut control, identifier).ok_or_else(damaged)?;
    fs::write(&file, control)?;
    for entry in fs::read_dir(path.join("pg_wal"))? {
        let file = entry?.path();
        if file.is_file()
            && let Some(segment) = in_segment(&fs::read(&file)?, old, identifier)
        {
            fs::write(&file, segment)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_differ() {
        assert_ne!(fresh(1), fresh(2));
        let before = fresh(0xffff);
        std::thread::sleep(std::time::Duration::from_micros(2));
        assert!(fresh(0) > before, "the time comes first");
    }

    #[test]
    fn only_segments_of_this_cluster_are_changed() {
        let mut segment = vec![9u8; 64];
        segment[24..32].copy_from_slice(&5u64.to_le_bytes());
        let new = in_segment(&segment, 5, 6).unwrap();
        assert_eq!((&new[..24], &new[24..32], &new[32..]), (&segment[..24], &6u64.to_le_bytes()[..], &segment[32..]));
        assert_eq!(in_segment(&segment, 4, 6), None);
        assert_eq!(in_segment(&segment[..31], 5, 6), None);
    }

    #[test]
    fn a_copy_gets_an_identifier_in_all_its_places() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("global")).unwrap();
        fs::create_dir_all(at("pg_wal/archive_status")).unwrap();
        let mut control = vec![0; 8192];
        control[..8].copy_from_slice(&5u64.to_le_bytes());
        let sum = crc32c::crc32c(&control[..292]);
        control[292..296].copy_from_slice(&sum.to_le_bytes());
        fs::write(at(control::PATH), &control).unwrap();
        let mut segment = vec![0; 1024];
        segment[24..32].copy_from_slice(&5u64.to_le_bytes());
        fs::write(at("pg_wal/000000010000000000000001"), segment).unwrap();
        fs::write(at("pg_wal/other"), "short").unwrap();

        renew(folder.path(), 6).unwrap();
        assert_eq!(control::identifier(&fs::read(at(control::PATH)).unwrap()), Some(6));
        assert_eq!(fs::read(at("pg_wal/000000010000000000000001")).unwrap()[24..32], 6u64.to_le_bytes());
        assert_eq!(fs::read_to_string(at("pg_wal/other")).unwrap(), "short");
        // Its checksum is right: once more.
        renew(folder.path(), 7).unwrap();

        fs::write(at(control::PATH), vec![7; 8192]).unwrap();
        assert_eq!(renew(folder.path(), 8).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(fs::read(at("pg_wal/000000010000000000000001")).unwrap()[24..32], 7u64.to_le_bytes());
    }
}
