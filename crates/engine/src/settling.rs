//! Makes a new cluster durable while it is already in use.
//!
//! A thousand new files take the disk longer than everything else that opening a new database does. Nobody needs to wait for
//! it before something is committed, so the cluster is synced in the background: until that is done, PostgreSQL's own
//! syncs wait in the library OS, and no commit is acknowledged. The marker (`crates/cluster-files`) stays in the directory as
//! long: after a crash of the machine in this time the cluster is made again, for nothing in it was promised to anybody.

use crate::cluster::{Unpacking, marker};
use crate::error::{Error, Result};
use libos::{Deferral, System};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

/// A cluster whose files may not be on the disk yet.
pub(crate) struct Unsettled {
    path: PathBuf,
    unpacking: Option<Unpacking>,
    deferral: Deferral,
}

/// A cluster on its way to the disk.
pub(crate) struct Settling {
    thread: Option<JoinHandle<Result<()>>>,
    owner: u32,
}

impl Unsettled {
    /// What the processes of `system` sync need not be durable until [`Unsettled::settle`].
    pub(crate) fn new(system: &Arc<System>, path: &Path, unpacking: Option<Unpacking>) -> Unsettled {
        Unsettled { path: path.into(), unpacking, deferral: Deferral::begin(system) }
    }

    /// Begins to sync. From now on commits wait for the end of it.
    pub(crate) fn settle(self) -> Result<Settling> {
        self.deferral.hold();
        self.unpacking.iter().for_each(Unpacking::list);
        std::thread::Builder::new()
            .name("pglite-sync".into())
            .spawn(move || {
                if let Some(unpacking) = self.unpacking {
                    unpacking.finish()?;
                    marker::complete(&self.path)?;
                }
                sync_cluster(&self.path)?;
                self.deferral.fulfil();
                Ok(())
            })
            .map(|thread| Settling { thread: Some(thread), owner: std::process::id() })
            .map_err(|e| Error::io("start a thread", e))
    }

    /// Nothing is to be synced: durability was not asked for.
    pub(crate) fn waive(self) -> Result<()> {
        marker::remove(&self.path)?;
        self.deferral.fulfil();
        Ok(())
    }
}

impl Settling {
    /// Waits for the end.
    ///
    /// # Errors
    /// When the cluster could not be made durable; nobody has been told of any commit then.
    pub(crate) fn finish(&mut self) -> Result<()> {
        // In a fork of the process there is no such thread to wait for.
        let thread = self.thread.take().filter(|_| std::process::id() == self.owner);
        thread.map_or(Ok(()), |thread| thread.join().unwrap_or(Ok(())))
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        // Whoever wants to know has called `finish`; commits have failed.
        let _ = self.finish();
    }
}

/// Brings a cluster whose files are all there to the disk. One call for all files: a thousand times `fsync` would take some disks seconds.
pub(crate) fn sync_cluster(path: &Path) -> Result<()> {
    sync_file_system(path)?;
    // What `initdb --waldir` puts elsewhere.
    let wal = path.join("pg_wal");
    if wal.is_symlink() {
        sync_file_system(&wal)?;
    }
    marker::remove(path)?;
    File::open(path).and_then(|directory| directory.sync_all()).map_err(|e| Error::at(path, "sync", e))
}

fn sync_file_system(path: &Path) -> Result<()> {
    let directory = File::open(path).map_err(|e| Error::at(path, "open", e))?;
    rustix::fs::syncfs(&directory).map_err(|e| Error::at(path, "sync", e))
}
