//! The file transport: whole files appear and disappear by rename, so that nobody reads half of one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What all names begin with.
const SOCKET: &str = ".s.PGSQL.5432";

/// The files of a data directory that carry input and replies.
pub(crate) struct Files {
    directory: PathBuf,
    /// Number of the last reply that did not fit the memory area.
    number: i32,
}

impl Files {
    /// Those of a data directory. Replies that a host of another time has not fetched are removed.
    pub(crate) fn new(directory: &Path) -> Files {
        let files = Files { directory: directory.into(), number: 0 };
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let overflow = name.to_str().and_then(|name| name.strip_prefix(SOCKET)?.strip_prefix(".out."));
            if overflow.is_some_and(|number| number.parse::<i32>().is_ok()) {
                // What cannot be removed does no harm.
                let _ = fs::remove_file(entry.path());
            }
        }
        files
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.directory.join(format!("{SOCKET}{suffix}"))
    }

    /// Takes the input, where there is one; it is gone then.
    ///
    /// # Errors
    /// Where it is there and cannot be read; it is left then.
    pub(crate) fn take_input(&self) -> io::Result<Option<Vec<u8>>> {
        let path = self.path(".in");
        match fs::read(&path) {
            Ok(bytes) => fs::remove_file(&path).map(|()| Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Begins a reply by file.
    pub(crate) fn reply(&self) -> Spool {
        Spool { lock: self.path(".lock.out"), end: self.path(".out"), file: None, result: Ok(()) }
    }

    /// Begins the file of a reply that does not fit the memory area.
    pub(crate) fn overflow(&mut self) -> (i32, Spool) {
        self.number = self.number.checked_add(1).unwrap_or(1);
        let end = self.path(&format!(".out.{}", self.number));
        let lock = self.path(&format!(".lock.out.{}", self.number));
        (self.number, Spool { lock, end, file: None, result: Ok(()) })
    }
}

/// A file that is being written, and gets its name when it is whole.
pub(crate) struct Spool {
    lock: PathBuf,
    end: PathBuf,
    file: Option<File>,
    result: io::Result<()>,
}

impl Spool {
    /// Adds to it; an error is told by [`Spool::finish`].
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if self.result.is_err() || bytes.is_empty() {
            return;
        }
        self.result = match &mut self.file {
            Some(file) => file.write_all(bytes),
            None => File::create(&self.lock).and_then(|mut file| {
                let result = file.write_all(bytes);
                self.file = Some(file);
                result
            }),
        };
    }

    /// Gives the file its name. Where nothing was written there is none.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let result = std::mem::replace(&mut self.result, Ok(()));
        if self.file.take().is_none() {
            return result;
        }
        let result = result.and_then(|()| fs::rename(&self.lock, &self.end));
        if result.is_err() {
            let _ = fs::remove_file(&self.lock);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(folder.path());
        assert_eq!(files.take_input().unwrap(), None);
        fs::write(folder.path().join(".s.PGSQL.5432.lock.in"), "not yet").unwrap();
        assert_eq!(files.take_input().unwrap(), None);
        fs::write(folder.path().join(".s.PGSQL.5432.in"), "now").unwrap();
        assert_eq!(files.take_input().unwrap(), Some(b"now".to_vec()));
        assert_eq!(files.take_input().unwrap(), None);
    }

    #[test]
    fn replies_appear_when_they_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".s.PGSQL.5432.out.7"), "old").unwrap();
        let mut files = Files::new(folder.path());
        let out = folder.path().join(".s.PGSQL.5432.out");
        let mut spool = files.reply();
        spool.write(b"one ");
        spool.write(b"two");
        assert!(!out.exists());
        spool.finish().unwrap();
        assert_eq!(fs::read(&out).unwrap(), b"one two");
        let (number, mut spool) = files.overflow();
        spool.write(b"large");
        spool.finish().unwrap();
        assert_eq!((number, fs::read(folder.path().join(".s.PGSQL.5432.out.1")).unwrap()), (1, b"large".to_vec()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing else is left");
        fs::remove_dir_all(folder.path()).unwrap();
        let mut spool = files.reply();
        spool.write(b"x");
        assert!(spool.finish().is_err());
        files.reply().finish().unwrap();
    }
}
