//! Which names there are: the directories' entries, under one lock.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rustix::io::Errno;

use super::inode::Inode;
use crate::path::NAME_MAX;
use crate::types::DirEntry;

/// The directories that exist, by inode number. A removed one may still be held by an [`Inode`]; its number is gone.
pub(crate) struct Tree {
    folders: RwLock<HashMap<u64, Folder>>,
}

struct Folder {
    parent: u64,
    entries: HashMap<Box<[u8]>, Arc<Inode>>,
    inode: Arc<Inode>,
}

impl Folder {
    fn get(&self, name: &[u8]) -> Result<&Arc<Inode>, Errno> {
        check_name(name)?;
        self.entries.get(name).ok_or(Errno::NOENT)
    }

    fn touch(&self, links: i32) {
        self.inode.touch();
        if links != 0 {
            self.inode.add_links(links);
        }
    }
}

type Folders = HashMap<u64, Folder>;

fn folder(folders: &Folders, number: u64) -> Result<&Folder, Errno> {
    folders.get(&number).ok_or(Errno::NOENT)
}

fn folder_mut(folders: &mut Folders, number: u64) -> Result<&mut Folder, Errno> {
    folders.get_mut(&number).ok_or(Errno::NOENT)
}

fn check_name(name: &[u8]) -> Result<(), Errno> {
    if name.len() > NAME_MAX { Err(Errno::NAMETOOLONG) } else { Ok(()) }
}

impl Tree {
    pub(crate) fn new(root: &Arc<Inode>) -> Self {
        root.add_links(1);
        let folder = Folder { parent: root.number, entries: HashMap::new(), inode: root.clone() };
        Self { folders: RwLock::new(HashMap::from([(root.number, folder)])) }
    }

    fn read(&self) -> RwLockReadGuard<'_, Folders> {
        self.folders.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Folders> {
        self.folders.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node `name` of the directory.
    pub(crate) fn get(&self, directory: u64, name: &[u8]) -> Result<Arc<Inode>, Errno> {
        folder(&self.read(), directory)?.get(name).cloned()
    }

    /// Follows directories only. `Err(None)`: a link is on the way.
    pub(crate) fn descend(&self, start: &Arc<Inode>, path: &[u8]) -> Result<Arc<Inode>, Option<Errno>> {
        let folders = self.read();
        let mut at = start;
        for name in path.split(|&b| b == b'/') {
            match name {
                b"" | b"." => {}
                b".." => return Err(None),
                _ => {
                    at = folder(&folders, at.number)?.get(name)?;
                    match &at.kind {
                        super::Kind::Directory => {}
                        super::Kind::Symlink(_) => return Err(None),
                        _ => return Err(Some(Errno::NOTDIR)),
                    }
                }
            }
        }
        Ok(at.clone())
    }

    /// Adds an entry. `EEXIST` if the name is taken.
    pub(crate) fn insert(&self, directory: u64, name: &[u8], inode: Arc<Inode>) -> Result<(), Errno> {
        self.insert_linked(directory, name, inode, false)
    }

    /// Adds another name of a file. `ENOENT` if its last one has gone meanwhile, `EPERM` for a directory.
    pub(crate) fn link(&self, directory: u64, name: &[u8], inode: Arc<Inode>) -> Result<(), Errno> {
        self.insert_linked(directory, name, inode, true)
    }

    fn insert_linked(&self, directory: u64, name: &[u8], inode: Arc<Inode>, linked: bool) -> Result<(), Errno> {
        let mut folders = self.write();
        let parent = folder_mut(&mut folders, directory)?;
        check_name(name)?;
        if parent.entries.contains_key(name) {
            return Err(Errno::EXIST);
        }
        if linked && inode.is_directory() {
            return Err(Errno::PERM);
        }
        if linked && inode.status().links == 0 {
            return Err(Errno::NOENT);
        }
        inode.add_links(1);
        parent.entries.insert(name.into(), inode.clone());
        parent.touch(i32::from(inode.is_directory()));
        if inode.is_directory() {
            let folder = Folder { parent: directory, entries: HashMap::new(), inode: inode.clone() };
            folders.insert(inode.number, folder);
        }
        Ok(())
    }

    /// Removes a name that is no directory's.
    pub(crate) fn unlink(&self, directory: u64, name: &[u8], must_be_directory: bool) -> Result<(), Errno> {
        let mut folders = self.write();
        let parent = folder_mut(&mut folders, directory)?;
        let inode = parent.get(name)?;
        if inode.is_directory() {
            return Err(Errno::ISDIR);
        }
        if must_be_directory {
            return Err(Errno::NOTDIR);
        }
        let inode = parent.entries.remove(name);
        parent.touch(0);
        if let Some(inode) = &inode {
            inode.add_links(-1);
        }
        // A large file takes its time to go; nobody need wait for that.
        drop(folders);
        drop(inode);
        Ok(())
    }

    /// Removes an empty directory.
    pub(crate) fn rmdir(&self, directory: u64, name: &[u8]) -> Result<(), Errno> {
        let mut folders = self.write();
        let inode = folder(&folders, directory)?.get(name)?.clone();
        if !inode.is_directory() {
            return Err(Errno::NOTDIR);
        }
        if !folder(&folders, inode.number)?.entries.is_empty() {
            return Err(Errno::NOTEMPTY);
        }
        folders.remove(&inode.number);
        inode.add_links(-2);
        let parent = folder_mut(&mut folders, directory)?;
        parent.entries.remove(name);
        parent.touch(-1);
        Ok(())
    }

    /// Moves a name, perhaps over another, with the rules and the errors of Linux. `slash` says that one of the paths
    /// ended in a slash.
    pub(crate) fn rename(&self, from: (u64, &[u8]), to: (u64, &[u8]), slash: bool) -> Result<(), Errno> {
        let mut folders = self.write();
        let moved = folder(&folders, from.0)?.get(from.1)?.clone();
        let target = folder(&folders, to.0)?;
        check_name(to.1)?;
        let old = target.entries.get(to.1).cloned();
        let is_directory = moved.is_directory();
        if slash && !is_directory {
            return Err(Errno::NOTDIR);
        }
        if is_directory && is_below(&folders, to.0, moved.number) {
            return Err(Errno::INVAL);
        }
        if let Some(old) = &old {
            if is_below(&folders, from.0, old.number) {
                return Err(Errno::NOTEMPTY);
            }
            if Arc::ptr_eq(old, &moved) {
                return Ok(());
            }
            match (is_directory, old.is_directory()) {
                (true, false) => return Err(Errno::NOTDIR),
                (false, true) => return Err(Errno::ISDIR),
                (true, true) if !folder(&folders, old.number)?.entries.is_empty() => {
                    return Err(Errno::NOTEMPTY);
                }
                (true, true) => {
                    folders.remove(&old.number);
                    old.add_links(-2);
                }
                (false, false) => old.add_links(-1),
            }
        }
        let source = folder_mut(&mut folders, from.0)?;
        source.entries.remove(from.1);
        source.touch(-i32::from(is_directory));
        let target = folder_mut(&mut folders, to.0)?;
        target.entries.insert(to.1.into(), moved.clone());
        let replaced_directory = old.as_ref().is_some_and(|old| old.is_directory());
        target.touch(i32::from(is_directory) - i32::from(replaced_directory));
        if is_directory {
            folder_mut(&mut folders, moved.number)?.parent = to.0;
        }
        moved.add_links(0);
        drop(folders);
        drop(old);
        Ok(())
    }

    /// The entries, `.` and `..` first.
    pub(crate) fn list(&self, directory: u64) -> Result<Vec<DirEntry>, Errno> {
        let folders = self.read();
        let folder = folder(&folders, directory)?;
        let dot = |name: &[u8], inode| DirEntry { name: name.to_vec(), inode, file_type: libc::DT_DIR };
        let mut entries = vec![dot(b".", directory), dot(b"..", folder.parent)];
        entries.extend(folder.entries.iter().map(|(name, inode)| DirEntry {
            name: name.to_vec(),
            inode: inode.number,
            file_type: inode.dirent_type(),
        }));
        Ok(entries)
    }
}

/// `directory` is `ancestor`, or lies below it.
fn is_below(folders: &Folders, mut directory: u64, ancestor: u64) -> bool {
    while directory != ancestor {
        match folders.get(&directory) {
            Some(folder) if folder.parent != directory => directory = folder.parent,
            _ => return false,
        }
    }
    true
}
