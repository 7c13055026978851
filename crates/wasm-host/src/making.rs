//! A new cluster that is used before all of its files are made, and before they are on the disk.
//!
//! A first result needs a tenth of the thousand files. Those of the databases are therefore made by a thread, and one that the session wants
//! earlier is made when it asks for it (`files.rs`). While the session begins, its syncs return at once, for nobody has been told anything; then they
//! wait for one `syncfs`, which comes when the session has begun and all files are there. So no commit is acknowledged that a power failure could
//! take away. The native engine does the same (`unpacking.rs`, `settling.rs` of crates/engine).

use cluster_files::marker;
use rustix::fs::{StatVfs, statvfs};
use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// Bytes that must be free for each byte to be written: a full disk should be noticed while the caller waits.
const SPARE: u64 = 3;

/// The thread. Dropped, it stops where it is, as in a crash.
#[derive(Debug)]
pub(crate) struct Making {
    cluster: Arc<Cluster>,
    thread: Option<JoinHandle<()>>,
}

/// A cluster that is being made: what the session is to ask.
#[derive(Debug)]
pub(crate) struct Cluster {
    root: PathBuf,
    template: PathBuf,
    /// Files that come later, by their path in the cluster, and whether they are there.
    files: HashMap<String, Mutex<bool>>,
    /// The directories that they are in.
    directories: HashSet<String>,
    /// Some are not there.
    missing: AtomicBool,
    stopped: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How the making of files ended.
    made: Option<Result<(), io::ErrorKind>>,
    /// The session has begun: somebody outside may be told something.
    begun: bool,
    /// How the sync ended.
    settled: Option<Result<(), io::ErrorKind>>,
}

/// When what PostgreSQL syncs is to be synced.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// With all the rest, before anybody is told anything.
    Later,
    /// At once.
    Now,
}

impl Making {
    /// Begins. `files` are those that come later, all else is there. `directory` is the cluster.
    pub(crate) fn begin(template: &Path, root: &Path, files: Vec<String>, directory: File) -> io::Result<Making> {
        let directories = files.iter().filter_map(|file| Some(file.rsplit_once('/')?.0.to_owned())).collect();
        let cluster = Arc::new(Cluster {
            root: root.into(),
            template: template.into(),
            missing: AtomicBool::new(!files.is_empty()),
            files: files.iter().map(|file| (file.clone(), Mutex::new(false))).collect(),
            directories,
            stopped: AtomicBool::new(false),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let worker = cluster.clone();
        let thread =
            thread::Builder::new().name("pglite-making".into()).spawn(move || worker.run(&files, &directory))?;
        Ok(Making { cluster, thread: Some(thread) })
    }

    /// The cluster.
    pub(crate) fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        self.cluster.stopped.store(true, Ordering::Release);
        // Under the lock, so that a thread that is about to wait sees it.
        drop(self.cluster.state());
        self.cluster.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}

impl Cluster {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, files: &[String], directory: &File) {
        let made = files.iter().try_for_each(|file| self.make(file)).and_then(|()| marker::complete(&self.root));
        self.missing.store(made.is_err(), Ordering::Release);
        let mut state = self.state();
        state.made = Some(made.as_ref().map(drop).map_err(io::Error::kind));
        self.changed.notify_all();
        while !state.begun && !self.stopped.load(Ordering::Acquire) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        if self.stopped.load(Ordering::Acquire) {
            if made.is_ok() {
                // A session that was refused has made a checkpoint, which would be taken for one of somebody for whom all was on the disk.
                // At worst there is an empty marker.
                let _ = marker::complete(&self.root);
            }
            return;
        }
        let settled = made.and_then(|()| settle(&self.root, directory));
        self.state().settled = Some(settled.map_err(|e| e.kind()));
        self.changed.notify_all();
    }

    /// Makes a file, unless it is there.
    fn make(&self, path: &str) -> io::Result<()> {
        if self.stopped.load(Ordering::Acquire) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let Some(made) = self.files.get(path) else { return Ok(()) };
        let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
        if !*made {
            copy(&self.template.join(path), &self.root.join(path))?;
            *made = true;
        }
        Ok(())
    }

    /// What is at `path`, which is relative to the cluster, is wanted: makes it, or waits until it is made. `lists` says that the entries of a directory may
    /// be.
    pub(crate) fn need(&self, path: &str, lists: bool) -> io::Result<()> {
        if !self.missing.load(Ordering::Acquire) {
            return Ok(());
        }
        let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
        let plain: Vec<&str> = parts.collect();
        let path = plain.join("/");
        if self.files.contains_key(&path) {
            return self.make(&path);
        }
        if plain.contains(&"..") || lists && self.directories.contains(&path) {
            return self.wait_made();
        }
        Ok(())
    }

    /// Waits until all files are there.
    pub(crate) fn wait_made(&self) -> io::Result<()> {
        let mut state = self.state();
        loop {
            match state.made {
                Some(made) => return made.map_err(io::Error::from),
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// From now on syncs are not put off.
    pub(crate) fn session_has_begun(&self) {
        self.state().begun = true;
        self.changed.notify_all();
    }

    /// Something is to be synced: waits until all of the cluster is.
    pub(crate) fn sync(&self) -> io::Result<When> {
        let mut state = self.state();
        loop {
            match state.settled {
                _ if !state.begun => return Ok(When::Later),
                Some(settled) => return settled.map(|()| When::Now).map_err(io::Error::from),
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

/// Brings a cluster whose files are all there to the disk. `directory` is the cluster.
pub(crate) fn settle(root: &Path, directory: &File) -> io::Result<()> {
    rustix::fs::syncfs(directory)?;
    marker::remove(root)?;
    // Once more, since it is what says that there is no marker.
    directory.sync_all()
}

/// Copies a file of the template.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let bytes = std::fs::read(from)?;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?.write_all(&bytes)
}

/// Whether the disk has room enough for files of these sizes that nobody needs to wait in order to hear that it has not.
pub(crate) fn has_room(root: &Path, files: u64, bytes: u64) -> bool {
    let enough = |free: StatVfs| {
        let inodes = free.f_files == 0 || free.f_favail > SPARE * files;
        inodes && free.f_bavail.saturating_mul(free.f_frsize) > SPARE * bytes
    };
    statvfs(root).is_ok_and(enough)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster_files::control;
    use cluster_files::marker::Progress;
    use std::fs;
    use std::time::Duration;

    /// A template and a cluster whose files are missing.
    fn folders() -> (tempfile::TempDir, PathBuf, PathBuf, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let (template, root) = (folder.path().join("template"), folder.path().join("root"));
        let files = ["base/1/1259", "base/1/PG_VERSION", "base/5/1259"].map(str::to_owned).to_vec();
        for directory in ["base/1", "base/5"] {
            fs::create_dir_all(template.join(directory)).unwrap();
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        for file in &files {
            fs::write(template.join(file), file).unwrap();
        }
        fs::create_dir(root.join("global")).unwrap();
        fs::write(root.join(control::PATH), [1; 8192]).unwrap();
        marker::begin(&root).unwrap();
        (folder, template, root, files)
    }

    /// A cluster whose thread does not run yet.
    fn idle(template: &Path, root: &Path, files: &[String]) -> Arc<Cluster> {
        let making = Making::begin(template, root, Vec::new(), File::open(root).unwrap()).unwrap();
        drop(making);
        Arc::new(Cluster {
            root: root.into(),
            template: template.into(),
            files: files.iter().map(|file| (file.clone(), Mutex::new(false))).collect(),
            directories: ["base/1", "base/5"].map(str::to_owned).into(),
            missing: AtomicBool::new(true),
            stopped: AtomicBool::new(false),
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    #[test]
    fn a_file_is_made_when_it_is_wanted_and_only_once() {
        let (_folder, template, root, files) = folders();
        let cluster = idle(&template, &root, &files);
        let file = root.join("base/5/1259");
        for other in ["base/5/1259_fsm", "global/1262", "", "base"] {
            cluster.need(other, true).unwrap();
            assert!(!file.exists());
        }
        cluster.need("./base//5/1259", false).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "base/5/1259");
        fs::write(&file, "changed").unwrap();
        cluster.need("base/5/1259", false).unwrap();
        cluster.session_has_begun();
        cluster.run(&files, &File::open(&root).unwrap());
        assert_eq!(fs::read_to_string(&file).unwrap(), "changed");
        assert_eq!(fs::read_to_string(root.join("base/1/PG_VERSION")).unwrap(), "base/1/PG_VERSION");
    }

    #[test]
    fn lists_and_odd_paths_wait_for_everything() {
        let (_folder, template, root, files) = folders();
        for (path, lists) in [("base/1", true), ("base/5/../1/1259", false)] {
            let cluster = idle(&template, &root, &files);
            let other = cluster.clone();
            let waits = thread::spawn(move || other.need(path, lists));
            thread::sleep(Duration::from_millis(20));
            assert!(!waits.is_finished());
            cluster.state().made = Some(Ok(()));
            cluster.changed.notify_all();
            waits.join().unwrap().unwrap();
        }
    }

    #[test]
    fn syncs_wait_for_the_disk_once_the_session_has_begun() {
        let (_folder, template, root, files) = folders();
        let making = Making::begin(&template, &root, files, File::open(&root).unwrap()).unwrap();
        making.cluster().wait_made().unwrap();
        assert_eq!(making.cluster().sync().unwrap(), When::Later);
        assert_eq!(marker::progress(&root), Progress::Unsynced);
        making.cluster().session_has_begun();
        assert_eq!(making.cluster().sync().unwrap(), When::Now);
        assert_eq!(marker::progress(&root), Progress::Done);
    }

    #[test]
    fn a_checkpoint_of_a_session_that_was_refused_is_not_somebody_elses() {
        let (_folder, template, root, files) = folders();
        let making = Making::begin(&template, &root, files, File::open(&root).unwrap()).unwrap();
        making.cluster().wait_made().unwrap();
        fs::write(root.join(control::PATH), [2; 8192]).unwrap();
        drop(making);
        assert_eq!(marker::progress(&root), Progress::Unsynced);
        let text = fs::read_to_string(marker::at(&root)).unwrap();
        assert!(text.ends_with(" 202020202020202\n"), "{text}");
    }

    #[test]
    fn what_is_dropped_is_not_finished() {
        let (_folder, template, root, files) = folders();
        drop(Making::begin(&template, &root, files, File::open(&root).unwrap()).unwrap());
        assert_ne!(marker::progress(&root), Progress::Done);
    }

    #[test]
    fn whoever_waits_hears_of_a_failure() {
        let (_folder, template, root, files) = folders();
        fs::remove_dir_all(root.join("base/5")).unwrap();
        let making = Making::begin(&template, &root, files, File::open(&root).unwrap()).unwrap();
        making.cluster().session_has_begun();
        assert!(making.cluster().wait_made().is_err());
        assert!(making.cluster().need("base/1", true).is_err());
        assert!(making.cluster().sync().is_err());
        assert_eq!(marker::progress(&root), Progress::Unfinished);
    }
}
