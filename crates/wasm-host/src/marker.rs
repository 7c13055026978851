//! A file that is in a directory from before the first file of a new cluster until all of them are on the disk; the native engine's
//! (`crates/engine/src/cluster/marker.rs`) has the same name, and says more.
//!
//! It is empty while files are missing. Then it says in which boot of the machine they were all there: until the machine crashes they still are, whatever
//! happened to the process.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

const NAME: &str = "libpglite.unfinished";

/// How far the making of a cluster went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There is no marker: a cluster that is whole, or no cluster of ours.
    Done,
    /// All files are there, but maybe not on the disk.
    Unsynced,
    /// Some files may not be there. Nothing in them was promised to anybody.
    Unfinished,
}

/// Whether a file is the marker.
pub(crate) fn is_at(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == NAME)
}

/// What the marker in a directory says.
pub(crate) fn progress(path: &Path) -> Progress {
    let text = match fs::read_to_string(path.join(NAME)) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return Progress::Done,
        Err(_) => return Progress::Unfinished,
    };
    match text.split_whitespace().next() {
        Some(boot) if Some(boot) == this_boot().as_deref() => Progress::Unsynced,
        _ => Progress::Unfinished,
    }
}

/// Says that files are missing.
pub(crate) fn begin(path: &Path) -> io::Result<()> {
    fs::write(path.join(NAME), "")
}

/// Says that all files are there.
pub(crate) fn complete(path: &Path) -> io::Result<()> {
    // Without the number of the boot a crash of the process counts as one of the machine.
    this_boot().map_or(Ok(()), |boot| fs::write(path.join(NAME), boot + "\n"))
}

/// All is on the disk, or nothing is there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path.join(NAME)) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn this_boot() -> Option<String> {
    Some(fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_of_the_machine_makes_a_complete_cluster_unfinished() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert_eq!(progress(path), Progress::Done);
        begin(path).unwrap();
        assert_eq!(progress(path), Progress::Unfinished);
        complete(path).unwrap();
        assert_eq!(progress(path), Progress::Unsynced);
        fs::write(path.join(NAME), "another-boot\n").unwrap();
        assert_eq!(progress(path), Progress::Unfinished);
        remove(path).unwrap();
        assert_eq!(progress(path), Progress::Done);
    }
}
