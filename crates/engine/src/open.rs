//! From options to a cluster that is ready to be run: looks, locks, makes.

use crate::cluster::marker::{self, Progress};
use crate::cluster::{self, Engine, Lock, State, Target, Unpacking};
use crate::error::{Error, Result};
use crate::machine::{Machine, MemoryTree, canonical};
use crate::options::{Location, Options};
use crate::resources::Resources;
use crate::settling::{Unsettled, sync_cluster};
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A cluster with its machine, locked, and not running yet.
pub(crate) struct Opened {
    pub(crate) machine: Machine,
    pub(crate) path: PathBuf,
    pub(crate) created: Option<Created>,
    /// Where it is new: its files may not be on the disk yet.
    pub(crate) unsettled: Option<Unsettled>,
    pub(crate) lock: Option<Lock>,
}

/// What was made, so that a failure can take it back.
pub(crate) struct Created {
    path: PathBuf,
    /// The directory and those above it that were not there, the innermost first.
    directories: Vec<PathBuf>,
}

impl Created {
    /// Removes what was made.
    pub(crate) fn undo(self) {
        // Best effort: the error that led here is the one to tell.
        let _ = clear(&self.path);
        for directory in self.directories {
            let _ = fs::remove_dir(directory);
        }
    }
}

/// Opens or makes the cluster.
pub(crate) fn open(resources: &Resources, options: &Options) -> Result<Opened> {
    let memory = vfs::MemoryFs::new(None);
    match &options.location {
        Location::Memory => open_memory(resources, options, &memory),
        Location::Directory(path) => open_directory(resources, options, path),
    }
}

fn open_memory(resources: &Resources, options: &Options, memory: &MemoryTree) -> Result<Opened> {
    let machine = Machine::new(resources, options, None, memory)?;
    let path = PathBuf::from(machine.data());
    match template(resources, options) {
        Some(template) => cluster::unpack(template, &Target::Memory(memory), |_| true)?,
        None => cluster::run_initdb(&machine, options, &path, None)?,
    }
    machine.edit("postgresql.conf", cluster::with_defaults)?;
    Ok(Opened { machine, path, created: None, unsettled: None, lock: None })
}

fn open_directory(resources: &Resources, options: &Options, path: &Path) -> Result<Opened> {
    let state = cluster::inspect(path, resources.version(), Some(Engine::Native)).or_else(|e| match e {
        // Unless it is being made by somebody at this moment.
        Error::NotACluster(_) => Lock::look(path).and(Err(e)),
        _ => Err(e),
    })?;
    if state == State::Cluster || options.existing_only {
        match state {
            State::Cluster => {}
            // Unless somebody makes it at this moment.
            State::Empty => return Lock::look(path).and(Err(Error::NotACluster(path.into()))),
            State::Missing => return Err(Error::NotACluster(path.into())),
        }
        let path = canonical(&options.location)?.unwrap_or_default();
        check_writable(&path)?;
        let lock = Lock::take(&path)?;
        // Before the server makes a checkpoint, which would be taken for one of somebody for whom all was on the disk.
        if marker::progress(&path) == Progress::Unsynced {
            if options.wants_sync() { sync_cluster(&path)? } else { marker::remove(&path)? }
        }
        let machine = Machine::new(resources, options, Some(&path), &vfs::MemoryFs::new(None))?;
        return Ok(Opened { machine, path, created: None, unsettled: None, lock: Some(lock) });
    }
    let directories = missing_directories(path);
    if state == State::Missing {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| Error::at(path, "create", e))?;
    }
    let path = canonical(&options.location)?.unwrap_or_default();
    let lock = Lock::take(&path)?;
    // Somebody may have made it meanwhile.
    if cluster::inspect(&path, resources.version(), Some(Engine::Native))? == State::Cluster {
        drop(lock);
        return open_directory(resources, options, &path);
    }
    if marker::progress(&path) == Progress::Unfinished {
        clear(&path)?;
    }
    let created = Created { path: path.clone(), directories };
    match make(resources, options, &path) {
        Ok((machine, unpacking)) => {
            let unsettled = Some(Unsettled::new(&machine.system, &path, unpacking));
            Ok(Opened { machine, path, created: Some(created), unsettled, lock: Some(lock) })
        }
        Err(e) => {
            created.undo();
            Err(e)
        }
    }
}

/// The directories of `path` that are not there, the innermost first.
fn missing_directories(path: &Path) -> Vec<PathBuf> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    path.ancestors().take_while(|directory| !directory.exists()).map(Path::to_owned).collect()
}

/// The template, where it is what the options ask for.
fn template<'a>(resources: &'a Resources, options: &Options) -> Option<&'a Arc<bundle::Bundle>> {
    resources.template.as_ref().filter(|_| options.creation.is_default() && options.user == "postgres")
}

/// Makes a cluster; a part of it may still be made in the background.
fn make(resources: &Resources, options: &Options, path: &Path) -> Result<(Machine, Option<Unpacking>)> {
    let mut unpacking = None;
    let machine = Machine::new(resources, options, Some(path), &vfs::MemoryFs::new(None))?;
    match template(resources, options) {
        Some(template) => {
            marker::begin(path)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))
                .map_err(|e| Error::at(path, "set the mode of", e))?;
            let later = options.wants_sync() && Unpacking::has_room(template, path);
            cluster::unpack(template, &Target::Directory(path), |path| !(later && Unpacking::is_later(path)))?;
            if later {
                unpacking = Some(Unpacking::begin(template, path, &machine.system)?);
            }
        }
        None => {
            marker::begin(path)?;
            run_initdb(&machine, options, path)?;
        }
    }
    machine.edit("postgresql.conf", cluster::with_defaults)?;
    if unpacking.is_none() {
        marker::complete(path)?;
    }
    Ok((machine, unpacking))
}

/// `initdb` wants its directory empty, without a marker: it gets a folder of its own, whose content is moved up when it is whole.
fn run_initdb(machine: &Machine, options: &Options, path: &Path) -> Result<()> {
    const FOLDER: &str = "libpglite.new";
    let folder = path.join(FOLDER);
    fs::DirBuilder::new().mode(0o700).create(&folder).map_err(|e| Error::at(&folder, "create", e))?;
    cluster::run_initdb(machine, options, path, Some(FOLDER))?;
    let moved = fs::read_dir(&folder).and_then(|mut entries| {
        entries.try_for_each(|entry| {
            let entry = entry?;
            fs::rename(entry.path(), path.join(entry.file_name()))
        })?;
        // It is what PostgreSQL takes new files' modes from.
        fs::set_permissions(path, fs::metadata(&folder)?.permissions())?;
        fs::remove_dir(&folder)
    });
    moved.map_err(|e| Error::at(path, "complete", e))
}

/// Makes the cluster that later ones are unpacked from: what `initdb` makes, with SCRAM for everybody, and nothing of ours in it.
///
/// # Errors
/// As for any new cluster; `path` is missing or empty.
pub fn make_template(resources: &Resources, path: &Path) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| Error::at(path, "create", e))?;
    let path = fs::canonicalize(path).map_err(|e| Error::at(path, "find", e))?;
    let options = Options::new(Location::Directory(path.clone()));
    let machine = Machine::new(resources, &options, Some(&path), &vfs::MemoryFs::new(None))?;
    cluster::run_initdb(&machine, &options, &path, None)
}

/// Removes everything in a directory, the marker last.
fn clear(path: &Path) -> Result<()> {
    let entries = fs::read_dir(path).map_err(|e| Error::at(path, "read the directory", e))?;
    let fail = |path: &Path, e| Error::at(path, "remove", e);
    for entry in entries {
        let entry = entry.map_err(|e| fail(path, e))?;
        if marker::is_marker(&entry.file_name()) {
            continue;
        }
        let path = entry.path();
        let is_directory = entry.file_type().is_ok_and(|t| t.is_dir());
        if is_directory { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }.map_err(|e| fail(&path, e))?;
    }
    marker::remove(path)
}

/// Finds a read-only file system before the server says so in its own words.
fn check_writable(path: &Path) -> Result<()> {
    match rustix::fs::access(path, rustix::fs::Access::WRITE_OK) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::ROFS | rustix::io::Errno::ACCESS) => Err(Error::ReadOnly(path.into())),
        Err(e) => Err(Error::at(path, "write to", e)),
    }
}
