//! The template's databases, unpacked while the server already starts.
//!
//! A first result needs a tenth of the thousand files of a new cluster. What lies in `base` is therefore made in the background, and
//! a file that a process wants earlier is made when it asks for it: `vfs` asks us before each operation on a path. Lists of a
//! database's directory wait for all of it, once the server runs; a server that starts looks for old temporary files there, and a
//! new cluster has none.

use super::template::write_file;
use crate::error::{Error, Result};
use bundle::{Bundle, EntryKind, FileRef};
use libos::System;
use std::collections::{HashMap, HashSet};
use std::ops::Deref;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use vfs::Errno;

/// The directory that is unpacked later.
const LATER: &str = "base";

/// Bytes that must be free on the disk for each byte to be written: a full disk should be noticed while the caller waits.
const SPARE: u64 = 3;

/// Files that are being made in the background. Dropped, it stops where it is.
pub(crate) struct Unpacking {
    rest: Arc<Rest>,
    system: Arc<System>,
    thread: Option<JoinHandle<Result<()>>>,
}

/// The files, and which of them are there.
struct Rest {
    root: PathBuf,
    template: Arc<Bundle>,
    files: HashMap<String, File>,
    directories: HashSet<String>,
    /// Whether lists wait.
    listed: AtomicBool,
    stopped: AtomicBool,
    end: Mutex<Option<std::result::Result<(), Errno>>>,
    ended: Condvar,
}

/// A file, and whether it is there.
struct File {
    content: FileRef,
    mode: u32,
    made: Mutex<bool>,
}

impl Unpacking {
    /// Whether a file is made in the background.
    pub(crate) fn is_later(path: &str) -> bool {
        path.strip_prefix(LATER).and_then(|rest| rest.strip_prefix('/')).is_some_and(|rest| rest.contains('/'))
    }

    /// Whether the disk has room enough that nobody needs to wait in order to hear that it has not.
    pub(crate) fn has_room(template: &Bundle, root: &Path) -> bool {
        let bytes: u64 = template
            .entries()
            .map(|entry| match entry.kind {
                // A block, and what the file system keeps of it.
                EntryKind::File(file) => file.size().next_multiple_of(4096) + 4096,
                EntryKind::Directory => 4096,
            })
            .sum();
        let files = template.entries().len() as u64;
        rustix::fs::statvfs(root).is_ok_and(|free| {
            let inodes = free.f_files == 0 || free.f_favail > SPARE * files;
            inodes && free.f_bavail.saturating_mul(free.f_frsize) > SPARE * bytes
        })
    }

    /// Begins. All directories, and all other files, are there; `root` is the data directory, for the processes of `system` too.
    pub(crate) fn begin(template: &Arc<Bundle>, root: &Path, system: &Arc<System>) -> Result<Unpacking> {
        let rest = Arc::new(Rest::new(template, root));
        let worker = rest.clone();
        let thread = std::thread::Builder::new()
            .name("pglite-unpack".into())
            .spawn(move || worker.make_all())
            .map_err(|e| Error::io("start a thread", e))?;
        system.namespace().set_pending(Some(rest.clone()));
        Ok(Unpacking { rest, system: system.clone(), thread: Some(thread) })
    }

    /// From now on lists of directories wait.
    pub(crate) fn list(&self) {
        self.rest.listed.store(true, Ordering::Release);
    }

    /// Waits until all files are there.
    ///
    /// # Errors
    /// What the disk said.
    pub(crate) fn finish(mut self) -> Result<()> {
        let result = self.thread.take().map_or(Ok(()), |thread| thread.join().unwrap_or(Ok(())));
        if result.is_ok() {
            self.system.namespace().set_pending(None);
        }
        result
    }
}

impl Drop for Unpacking {
    fn drop(&mut self) {
        self.rest.stopped.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // Nobody wants the files any more.
            let _ = thread.join();
        }
    }
}

impl Rest {
    fn new(template: &Arc<Bundle>, root: &Path) -> Rest {
        let mut files = HashMap::new();
        let mut directories = HashSet::new();
        for entry in template.below(LATER) {
            let path = entry.path.to_owned();
            match entry.kind {
                EntryKind::Directory => drop(directories.insert(path)),
                EntryKind::File(content) => {
                    files.insert(path, File { content, mode: entry.mode, made: Mutex::new(false) });
                }
            }
        }
        Rest {
            root: root.into(),
            template: template.clone(),
            files,
            directories,
            listed: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            end: Mutex::new(None),
            ended: Condvar::new(),
        }
    }

    fn make_all(&self) -> Result<()> {
        let later = |path: &str| self.files.contains_key(path);
        let result = self.template.unpack(1, later, |entry, content| {
            if self.stopped.load(Ordering::Acquire) {
                return Err(Error::Ended(String::new()));
            }
            self.files.get(entry.path).map_or(Ok(()), |file| self.make(entry.path, file, |_| Ok(content)))
        });
        self.template.forget_blocks();
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(result.as_ref().map(drop).map_err(errno));
        self.ended.notify_all();
        result
    }

    /// Makes a file, unless it is there.
    fn make<B: Deref<Target = [u8]>>(
        &self,
        path: &str,
        file: &File,
        content: impl FnOnce(FileRef) -> bundle::Result<B>,
    ) -> Result<()> {
        let mut made = file.made.lock().unwrap_or_else(PoisonError::into_inner);
        if !*made {
            write_file(&self.root.join(path), file.mode, &content(file.content)?)?;
            *made = true;
        }
        Ok(())
    }

    fn wait(&self) -> std::result::Result<(), Errno> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match *end {
                Some(end) => return end,
                None => end = self.ended.wait(end).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl vfs::Pending for Rest {
    fn need(&self, path: &[u8], lists: bool) -> std::result::Result<(), Errno> {
        let below = path.strip_prefix(self.root.as_os_str().as_bytes()).and_then(|rest| rest.strip_prefix(b"/"));
        let Some(path) = below.and_then(|path| str::from_utf8(path).ok()) else { return Ok(()) };
        if let Some(file) = self.files.get(path) {
            return self.make(path, file, |content| self.template.read(content)).map_err(|e| errno(&e));
        }
        if lists && self.listed.load(Ordering::Acquire) && self.directories.contains(path) {
            return self.wait();
        }
        Ok(())
    }
}

fn errno(error: &Error) -> Errno {
    match error {
        Error::NoSpace(_) => Errno::NOSPC,
        _ => Errno::IO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bundle::{Manifest, WriteOptions, Writer};
    use std::fs;
    use std::time::Duration;
    use vfs::Pending;

    fn template() -> Arc<Bundle> {
        let manifest = Manifest { postgres_version: "18".into(), target: "t".into(), ..Manifest::default() };
        let mut writer = Writer::new(manifest);
        for path in ["base/1/1259", "base/1/PG_VERSION", "base/5/1259", "global/1262"] {
            writer.add_file(path, 0o600, "", path.as_bytes()).unwrap();
        }
        Arc::new(Bundle::open(writer.finish(&WriteOptions::default()).unwrap()).unwrap())
    }

    fn rest() -> (tempfile::TempDir, Arc<Rest>) {
        let dir = tempfile::tempdir().unwrap();
        for directory in ["base/1", "base/5"] {
            fs::create_dir_all(dir.path().join(directory)).unwrap();
        }
        let rest = Rest::new(&template(), dir.path());
        (dir, Arc::new(rest))
    }

    fn need(rest: &Rest, path: &str, lists: bool) -> std::result::Result<(), Errno> {
        rest.need(rest.root.join(path).as_os_str().as_bytes(), lists)
    }

    #[test]
    fn a_file_is_made_when_somebody_wants_it_and_only_once() {
        let (dir, rest) = rest();
        let file = dir.path().join("base/5/1259");
        assert!(!file.exists());
        need(&rest, "base/5/1259", true).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "base/5/1259");
        fs::write(&file, "changed").unwrap();
        need(&rest, "base/5/1259", false).unwrap();
        rest.make_all().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "changed");
        assert!(dir.path().join("base/1/1259").exists());
        assert!(!dir.path().join("global/1262").exists());
        for other in ["base/5/1259_fsm", "global/1262", "", "base"] {
            need(&rest, other, false).unwrap();
        }
    }

    #[test]
    fn lists_wait_for_everything() {
        let (dir, rest) = rest();
        // A server that starts finds no temporary files in there.
        need(&rest, "base/1", true).unwrap();
        rest.listed.store(true, Ordering::Release);
        need(&rest, "base/1", false).unwrap();
        let other = rest.clone();
        let lists = std::thread::spawn(move || need(&other, "base/1", true));
        std::thread::sleep(Duration::from_millis(20));
        assert!(!lists.is_finished());
        rest.make_all().unwrap();
        lists.join().unwrap().unwrap();
        assert_eq!(fs::read_dir(dir.path().join("base/1")).unwrap().count(), 2);
    }

    #[test]
    fn whoever_waits_hears_of_a_failure() {
        let (dir, rest) = rest();
        rest.listed.store(true, Ordering::Release);
        fs::remove_dir_all(dir.path().join("base/5")).unwrap();
        assert!(rest.make_all().is_err());
        assert_eq!(need(&rest, "base/1", true), Err(Errno::IO));
        assert_eq!(need(&rest, "base/5/1259", false), Err(Errno::IO));
    }
}
