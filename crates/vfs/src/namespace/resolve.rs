//! From a path to the directory that carries an operation out: at once where the text of the path says enough, by a walk
//! where it does not.

use std::sync::Arc;

use rustix::io::Errno;

use super::table::Mount;
use super::walk::{Final, Last, Spot, Walked};
use super::{At, Cwd, Namespace};
use crate::directory::{Attempt, Directory, How, Scope, Stop};
use crate::path;
use crate::types::Access;

/// Rounds after others changed what a walk had found. Each is lost by a rename at the very moment.
const TRIES: usize = 64;

/// A guess by the text of a path, which the directory then confirms.
pub(super) struct Guess<'a> {
    pub(super) mount: Arc<Mount>,
    dir: Option<&'a Arc<dyn Directory>>,
    path: &'a [u8],
    scope: Scope,
}

impl Guess<'_> {
    /// The path is the mount's own; a mounted entry has its name.
    fn is_mount(&self) -> bool {
        self.path.is_empty() && self.mount.entry.is_none()
    }

    pub(super) fn at(&self, follow: bool) -> At<'_> {
        let path = match (&self.mount.entry, self.path) {
            (Some(entry), _) => entry,
            (None, b"") => &b"."[..],
            (None, path) => path,
        };
        let scope = if path == b"." { Scope::Entry } else { self.scope };
        At {
            mount: &self.mount,
            dir: self.dir.map_or(&*self.mount.root, |dir| &**dir),
            path,
            how: How { scope, follow },
        }
    }
}

impl Namespace {
    /// Looks at the text only. None: walk.
    pub(super) fn guess<'a>(&self, cwd: &'a Cwd, path: &'a [u8]) -> Option<Guess<'a>> {
        if !path.starts_with(b"/") {
            return self.guess_relative(cwd, path);
        }
        let table = self.table();
        let mount = table.find(path)?.clone();
        let rest = &path[mount.path.len()..];
        let inner = path::trim_start(rest);
        if mount.entry.is_some() {
            let scope = Scope::Entry;
            let dir = None;
            return rest.is_empty().then_some(Guess { mount, dir, path: rest, scope });
        }
        let mut scope = Scope::Beneath;
        if mount.is_nested() {
            let doubtful = rest.len() > inner.len() + 1 || !(inner.is_empty() || path::is_normal(inner));
            if doubtful || table.is_ancestor(path::trim_end(path)) {
                return None;
            }
            scope = Scope::BeneathNoLinks;
        }
        Some(Guess { mount, dir: None, path: inner, scope })
    }

    fn guess_relative<'a>(&self, cwd: &'a Cwd, path: &'a [u8]) -> Option<Guess<'a>> {
        let mount = &cwd.node.mount;
        if mount.synthetic {
            return None;
        }
        let mut scope = Scope::Beneath;
        if mount.is_nested() {
            let table = self.table();
            let related = |below: &[u8]| path::is_within(path, below) || path::is_within(below, path::trim_end(path));
            if !path::is_normal(path) || table.below(&cwd.path).any(|(below, _)| related(below)) {
                return None;
            }
            scope = Scope::BeneathNoLinks;
        }
        Some(Guess { mount: mount.clone(), dir: Some(&cwd.node.dir), path, scope })
    }

    /// Carries out an operation on what a path stands for.
    pub(super) fn object<T>(
        &self,
        cwd: &Cwd,
        path: &[u8],
        last: Final,
        mut op: impl FnMut(&At<'_>) -> Attempt<T>,
    ) -> Result<T, Errno> {
        check(path)?;
        self.pending.ask(&cwd.path, path, false)?;
        let follow = last != Final::NoFollow || path.ends_with(b"/");
        let mut links = 0;
        let mut restarted = None;
        for _ in 0..TRIES {
            // With its slash, a link's text is only good for a walk, which knows what to say if there is no directory.
            let slash = restarted.as_ref().is_some_and(|path: &Vec<u8>| path.ends_with(b"/"));
            let path = restarted.as_deref().unwrap_or(path);
            if !slash && let Some(guess) = self.guess(cwd, path) {
                match op(&guess.at(follow)) {
                    Err(Stop::Walk) => {}
                    Err(Stop::Errno(errno)) => return Err(errno),
                    Ok(done) => return Ok(done),
                }
            }
            match self.walk(cwd, path, last, &mut links)? {
                Walked::Spot(spot) => match op(&spot.at(follow)) {
                    Err(Stop::Walk) => {}
                    Err(Stop::Errno(errno)) => return Err(errno),
                    Ok(done) => return Ok(done),
                },
                Walked::Restart(path) => restarted = Some(path),
            }
        }
        Err(Errno::LOOP)
    }

    /// Resolves a path to what it stands for, by a walk; also what does not exist yet.
    pub(super) fn spot(&self, cwd: &Cwd, path: &[u8]) -> Result<Spot, Errno> {
        check(path)?;
        self.pending.ask(&cwd.path, path, false)?;
        let mut links = 0;
        let mut restarted = None;
        loop {
            let path = restarted.as_deref().unwrap_or(path);
            match self.walk(cwd, path, Final::Follow, &mut links)? {
                Walked::Spot(spot) => return Ok(spot),
                Walked::Restart(path) => restarted = Some(path),
            }
        }
    }

    /// Carries out a change of an entry of a directory; `no_name` is the error for a path that ends in no changeable name.
    pub(super) fn entry<T>(
        &self,
        cwd: &Cwd,
        path: &[u8],
        no_name: fn(Last) -> Errno,
        mut op: impl FnMut(&At<'_>) -> Attempt<T>,
    ) -> Result<T, Errno> {
        check(path)?;
        self.pending.ask(&cwd.path, path, false)?;
        if let Some(guess) = self.guess(cwd, path) {
            if guess.is_mount() {
                return Err(no_name(Last::Mount));
            }
            match op(&guess.at(false)) {
                Err(Stop::Walk) => {}
                Err(Stop::Errno(errno)) => return Err(errno),
                Ok(done) => return Ok(done),
            }
        }
        let (spot, last) = self.walk_entry(cwd, path)?;
        if last != Last::Name {
            return Err(no_name(last));
        }
        finish(op(&spot.at(false)))
    }

    /// Renames; both paths must lie in one mount.
    pub(super) fn rename_entries(&self, cwd: &Cwd, from: &[u8], to: &[u8]) -> Result<(), Errno> {
        check(from)?;
        check(to)?;
        self.pending.ask(&cwd.path, from, true)?;
        self.pending.ask(&cwd.path, to, true)?;
        if let (Some(old), Some(new)) = (self.guess(cwd, from), self.guess(cwd, to))
            && Arc::ptr_eq(&old.mount, &new.mount)
            && !old.is_mount()
            && !new.is_mount()
        {
            let (old, new) = (old.at(false), new.at(false));
            old.writable()?;
            if old.how.scope == new.how.scope {
                match old.dir.rename(old.path, new.dir, new.path, old.how.scope) {
                    Err(Stop::Walk) => {}
                    other => return finish(other),
                }
            }
        }
        let (old, old_last) = self.walk_entry(cwd, from)?;
        let (new, new_last) = self.walk_entry(cwd, to)?;
        if !old.node.mount.is_same_as(&new.node.mount) {
            return Err(Errno::XDEV);
        }
        if old_last != Last::Name || new_last != Last::Name {
            return Err(Errno::BUSY);
        }
        let (old, new) = (old.at(false), new.at(false));
        old.writable()?;
        finish(old.dir.rename(old.path, new.dir, new.path, Scope::Entry))
    }
}

/// What `getname` in the kernel says of a path's text.
pub(super) fn check(path: &[u8]) -> Result<(), Errno> {
    match path.len() {
        0 => Err(Errno::NOENT),
        length if length >= path::PATH_MAX => Err(Errno::NAMETOOLONG),
        _ => Ok(()),
    }
}

/// The end of a walk: there is nothing more to resolve.
pub(super) fn finish<T>(attempt: Attempt<T>) -> Result<T, Errno> {
    attempt.map_err(|stop| match stop {
        Stop::Errno(errno) => errno,
        Stop::Walk => Errno::LOOP,
    })
}

impl At<'_> {
    /// `EROFS` for a mount that is read-only.
    pub(super) fn writable(&self) -> Result<(), Errno> {
        match self.mount.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => Err(Errno::ROFS),
        }
    }
}
