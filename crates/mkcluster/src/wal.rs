//! What `initdb` leaves in `pg_wal` for later: segments to be reused, full of records that no server will read again.

use anyhow::{Context, Result, ensure};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

const PAGE: u64 = 8192;

/// Where the last checkpoint's record begins: `checkPoint` of `ControlFileData`.
const CHECKPOINT: std::ops::Range<usize> = 32..40;

/// Removes all segments but the one that ends with the last checkpoint, and clears what follows that in it.
pub(crate) fn trim(cluster: &Path) -> Result<()> {
    let control = cluster.join("global/pg_control");
    let bytes = fs::read(&control).with_context(|| format!("cannot read {}", control.display()))?;
    let field = bytes.get(CHECKPOINT).and_then(|field| field.try_into().ok()).context("pg_control is too short")?;
    let checkpoint = u64::from_le_bytes(field);
    let folder = cluster.join("pg_wal");
    let mut kept = 0;
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.len() != 24 || !path.is_file() {
            continue;
        }
        let size = fs::metadata(&path)?.len();
        if start(&name, size)? == checkpoint / size * size {
            clear_after(&path, checkpoint % size, size).with_context(|| format!("cannot trim {}", path.display()))?;
            kept += 1;
        } else {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    ensure!(kept == 1, "no segment in {} has the checkpoint at {checkpoint:X}", folder.display());
    Ok(())
}

/// The position in the log at which a segment of `size` bytes begins, from its name.
fn start(name: &str, size: u64) -> Result<u64> {
    let part = |range| u64::from_str_radix(&name[range], 16).with_context(|| format!("{name} is no segment"));
    Ok((part(8..16)? << 32) + part(16..24)? * size)
}

/// Zeroes the pages of a segment behind the record at `record`, which may reach into the page after its own.
fn clear_after(path: &Path, record: u64, size: u64) -> Result<()> {
    let segment = OpenOptions::new().read(true).write(true).open(path)?;
    let mut length = [0; 4];
    segment.read_exact_at(&mut length, record)?;
    let end = record + u64::from(u32::from_le_bytes(length)) + 64;
    ensure!(end < size, "a record that long is no checkpoint");
    for page in (end.next_multiple_of(PAGE)..size).step_by(PAGE as usize) {
        segment.write_all_at(&[0; PAGE as usize], page)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_segment_of_the_checkpoint_stays() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("global")).unwrap();
        fs::create_dir_all(at("pg_wal/archive_status")).unwrap();
        let mut control = vec![0; PAGE as usize];
        control[CHECKPOINT].copy_from_slice(&0x0070_0028u64.to_le_bytes());
        fs::write(at("global/pg_control"), control).unwrap();
        let mut segment = vec![7; 1 << 20];
        segment[0x28..0x2c].copy_from_slice(&114u32.to_le_bytes());
        for name in ["000000010000000000000007", "000000010000000000000008"] {
            fs::write(at("pg_wal").join(name), &segment).unwrap();
        }
        trim(dir.path()).unwrap();
        assert!(!at("pg_wal/000000010000000000000008").exists());
        assert!(at("pg_wal/archive_status").exists());
        let left = fs::read(at("pg_wal/000000010000000000000007")).unwrap();
        assert_eq!(left[..8192], segment[..8192]);
        assert!(left[8192..].iter().all(|byte| *byte == 0));
        assert_eq!(left.len(), 1 << 20);
    }
}
