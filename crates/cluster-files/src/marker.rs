//! A file that is in a directory from before the first file of a new cluster until all of them are on the disk.
//!
//! It is empty while files are missing. Then it says in which boot of the machine the cluster was completed, and at which
//! checkpoint: as long as the machine has not crashed all files are there, whatever happened to the process.

use crate::control;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

const NAME: &str = "libpglite.unfinished";

/// How far the making of a cluster went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is no marker: a cluster that is whole, or no cluster of ours.
    Done,
    /// All files are there, but maybe not on the disk.
    Unsynced,
    /// Some files may not be there. Nothing in them was promised to anybody.
    Unfinished,
}

/// Whether `name` is that of the marker.
pub fn is_marker(name: &OsStr) -> bool {
    name == NAME
}

/// The marker of a directory, whether it is there or not.
pub fn at(directory: &Path) -> PathBuf {
    directory.join(NAME)
}

/// What the marker in a directory says.
pub fn progress(directory: &Path) -> Progress {
    let text = match fs::read_to_string(at(directory)) {
        Ok(text) => text,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Progress::Done,
        Err(_) => return Progress::Unfinished,
    };
    let mut words = text.split_whitespace();
    let Some(boot) = words.next() else { return Progress::Unfinished };
    if Some(boot) == this_boot().as_deref() {
        return Progress::Unsynced;
    }
    // Another PostgreSQL may have taken the directory over before the crash: then it has made a checkpoint of its own.
    match (words.next(), checkpoint(directory)) {
        (Some(made_at), Some(now)) if now != made_at => Progress::Unsynced,
        _ => Progress::Unfinished,
    }
}

/// Says that files are missing.
///
/// # Errors
/// What the file system says.
pub fn begin(directory: &Path) -> io::Result<()> {
    fs::write(at(directory), "")
}

/// Says that all files are there.
///
/// # Errors
/// What the file system says.
pub fn complete(directory: &Path) -> io::Result<()> {
    // Without the number of the boot a crash of the process counts as one of the machine.
    match (this_boot(), checkpoint(directory)) {
        (Some(boot), Some(checkpoint)) => fs::write(at(directory), format!("{boot} {checkpoint}\n")),
        _ => Ok(()),
    }
}

/// All is on the disk, or need not be, or nothing is there.
///
/// # Errors
/// What the file system says; none where there is no marker.
pub fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_file(at(directory)) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn this_boot() -> Option<String> {
    Some(fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
}

/// Where the last checkpoint is, as the marker says it.
fn checkpoint(directory: &Path) -> Option<String> {
    let control = fs::read(directory.join(control::PATH)).ok()?;
    Some(format!("{:X}", control::checkpoint(&control)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(checkpoint: u64) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("global")).unwrap();
        let mut control = vec![1u8; 8192];
        control[32..40].copy_from_slice(&checkpoint.to_le_bytes());
        fs::write(folder.path().join(control::PATH), control).unwrap();
        folder
    }

    fn write(path: &Path, text: &str) {
        fs::write(at(path), text).unwrap();
    }

    #[test]
    fn a_crash_of_the_machine_makes_a_complete_cluster_unfinished() {
        let folder = cluster(0x0100_0028);
        let path = folder.path();
        assert_eq!(progress(path), Progress::Done);
        begin(path).unwrap();
        assert_eq!(progress(path), Progress::Unfinished);
        complete(path).unwrap();
        assert_eq!(progress(path), Progress::Unsynced);
        write(path, "another-boot 1000028\n");
        assert_eq!(progress(path), Progress::Unfinished);
        remove(path).unwrap();
        assert_eq!(progress(path), Progress::Done);
        remove(path).unwrap();
    }

    #[test]
    fn what_another_server_has_used_is_kept() {
        let folder = cluster(0x0200_0028);
        write(folder.path(), "another-boot 1000028\n");
        assert_eq!(progress(folder.path()), Progress::Unsynced);
    }

    #[test]
    fn a_marker_with_the_boot_alone_is_believed_in_that_boot_only() {
        let folder = cluster(0x0100_0028);
        write(folder.path(), &(this_boot().unwrap() + "\n"));
        assert_eq!(progress(folder.path()), Progress::Unsynced);
        write(folder.path(), "another-boot\n");
        assert_eq!(progress(folder.path()), Progress::Unfinished);
    }

    #[test]
    fn without_a_control_file_nothing_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        begin(folder.path()).unwrap();
        complete(folder.path()).unwrap();
        assert_eq!(progress(folder.path()), Progress::Unfinished);
        write(folder.path(), "another-boot 1000028\n");
        assert_eq!(progress(folder.path()), Progress::Unfinished);
    }

    #[test]
    fn a_marker_that_cannot_be_read_is_one_and_a_file_has_none() {
        let folder = cluster(0x0100_0028);
        fs::write(at(folder.path()), [0xff]).unwrap();
        assert_eq!(progress(folder.path()), Progress::Unfinished);
        assert_eq!(progress(&folder.path().join(control::PATH)), Progress::Done);
        assert_eq!(progress(&folder.path().join("nothing")), Progress::Done);
        assert!(is_marker(at(folder.path()).file_name().unwrap()) && !is_marker("PG_VERSION".as_ref()));
    }
}
