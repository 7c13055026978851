//! Path resolution by the virtual system's own rules, one component at a time.
//!
//! Every directory on the way is held open, and each is opened as one name of the one before, never through a link. So
//! nothing that others rename meanwhile can lead out; `..` goes back to the directory that we came through.

use std::sync::Arc;

use rustix::io::Errno;

use super::synthetic::Synthetic;
use super::table::{Mount, Table};
use super::{Cwd, Namespace};
use crate::directory::{Directory, Found, How, Scope};
use crate::path;

/// As many symbolic links as the kernel follows.
const MAX_LINKS: u32 = 40;
/// As many directories as a walk holds open, so that no path can use up the descriptors of the process. If a `..` needs
/// an earlier one, it is looked for anew.
const MAX_HELD: usize = 32;

/// A directory, and the mount by which it is seen.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) mount: Arc<Mount>,
    pub(super) dir: Arc<dyn Directory>,
}

/// Where a path leads: `name` in `node`, which may be `.`, may not exist, and may have a trailing slash for operations on
/// entries.
pub(super) struct Spot {
    pub(super) node: Node,
    pub(super) name: Vec<u8>,
    /// The virtual path, without links; the root is empty.
    pub(super) path: Vec<u8>,
}

/// What the last component of a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    Name,
    Root,
    Dot,
    DotDot,
    /// A mount, or a directory above one.
    Mount,
}

/// What to do with the last component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Final {
    /// If it is a symbolic link, that is meant.
    NoFollow,
    Follow,
    /// Follow, to make a file if there is none; a trailing slash is a mistake.
    Create,
}

pub(super) enum Walked {
    Spot(Spot),
    /// An absolute link was met: try this path from the start.
    Restart(Vec<u8>),
}

/// What a name in a directory is, mounts considered.
enum Child {
    Dir(Node),
    /// The entry that is mounted here.
    Entry(Arc<Mount>),
    Link(Vec<u8>),
    Other,
}

struct Walker<'n> {
    namespace: &'n Namespace,
    table: Arc<Table>,
    /// The directories on the way; the last is the current one.
    nodes: Vec<Node>,
    /// The virtual path of the current one.
    path: Vec<u8>,
    /// The links that were followed.
    links: u32,
}

impl Namespace {
    /// Resolves a path to what it stands for. `links` counts the links, over restarts too.
    pub(super) fn walk(&self, cwd: &Cwd, path: &[u8], last: Final, links: &mut u32) -> Result<Walked, Errno> {
        let mut walker = Walker::new(self, cwd, path)?;
        walker.links = *links;
        let walked = walker.object(path, last, true);
        *links = walker.links;
        walked
    }

    /// Resolves a path to an entry of a directory, without looking at the entry.
    pub(super) fn walk_entry(&self, cwd: &Cwd, path: &[u8]) -> Result<(Spot, Last), Errno> {
        let mut walker = Walker::new(self, cwd, path)?;
        let (directory, last) = path::split_last(path);
        let name = path::trim_end(last);
        if name.is_empty() {
            return Ok((walker.here(), Last::Root));
        }
        if !path::trim_start(directory).is_empty() {
            walker.directory(directory)?;
        }
        match name {
            b"." => return Ok((walker.here(), Last::Dot)),
            b".." => return Ok((walker.here(), Last::DotDot)),
            _ => {}
        }
        let slash = if name.len() < last.len() { &b"/"[..] } else { b"" };
        let path = path::join(&walker.path, name);
        if let Some(mount) = walker.table.at(&path) {
            let Some(entry) = &mount.entry else {
                return Ok((walker.here(), Last::Mount));
            };
            let spot = Spot { node: Node::root_of(mount), name: [entry, slash].concat(), path };
            return Ok((spot, Last::Name));
        }
        if walker.table.is_ancestor(&path) {
            return Ok((walker.here(), Last::Mount));
        }
        let name = [name, slash].concat();
        let node = walker.top().clone();
        Ok((Spot { node, name, path }, Last::Name))
    }

    fn synthetic_node(&self, path: &[u8]) -> Node {
        Node { mount: self.synthetic.clone(), dir: Arc::new(Synthetic::new(path)) }
    }

    pub(super) fn root_node(&self, table: &Table) -> Node {
        match table.at(b"") {
            Some(mount) => Node::root_of(mount),
            None => self.synthetic_node(b""),
        }
    }
}

impl Node {
    fn root_of(mount: &Arc<Mount>) -> Self {
        Self { mount: mount.clone(), dir: mount.root.clone() }
    }
}

impl Spot {
    pub(super) fn at(&self, follow: bool) -> super::At<'_> {
        super::At {
            mount: &self.node.mount,
            dir: &*self.node.dir,
            path: &self.name,
            how: How { scope: Scope::Entry, follow },
        }
    }
}

impl<'n> Walker<'n> {
    /// Starts where `path` does.
    fn new(namespace: &'n Namespace, cwd: &Cwd, path: &[u8]) -> Result<Self, Errno> {
        let table = namespace.table();
        let node = namespace.root_node(&table);
        let mut walker = Self { namespace, table, nodes: vec![node], path: Vec::new(), links: 0 };
        if path.starts_with(b"/") {
            return Ok(walker);
        }
        if cwd.node.mount.synthetic {
            // Something may have been mounted there meanwhile.
            walker.directory(&[&cwd.path[..], b"/"].concat())?;
        } else {
            walker.nodes = vec![cwd.node.clone()];
            walker.path = cwd.path.clone();
        }
        Ok(walker)
    }

    fn top(&self) -> &Node {
        &self.nodes[self.nodes.len() - 1]
    }

    fn here(&self) -> Spot {
        Spot { node: self.top().clone(), name: b".".to_vec(), path: self.path.clone() }
    }

    fn named(&self, name: &[u8]) -> Spot {
        Spot { node: self.top().clone(), name: name.to_vec(), path: path::join(&self.path, name) }
    }

    fn look(&self, name: &[u8]) -> Result<Child, Errno> {
        let path = path::join(&self.path, name);
        if let Some(mount) = self.table.at(&path) {
            return Ok(match mount.entry {
                Some(_) => Child::Entry(mount.clone()),
                None => Child::Dir(Node::root_of(mount)),
            });
        }
        let top = self.top();
        let found = top.dir.lookup(name);
        if let Ok(Found::Directory(dir)) = found {
            let mount = top.mount.clone();
            return Ok(Child::Dir(Node { mount, dir }));
        }
        if self.table.is_ancestor(&path) {
            return Ok(Child::Dir(self.namespace.synthetic_node(&path)));
        }
        match found? {
            Found::Symlink(target) => Ok(Child::Link(target)),
            _ => Ok(Child::Other),
        }
    }

    fn down(&mut self, name: &[u8], node: Node) {
        self.nodes.push(node);
        if self.nodes.len() > MAX_HELD {
            self.nodes.remove(0);
        }
        self.path.push(b'/');
        self.path.extend_from_slice(name);
    }

    fn up(&mut self) -> Result<(), Errno> {
        if self.path.is_empty() {
            return Ok(());
        }
        let parent = path::trim_end(path::split_last(&self.path).0).to_vec();
        self.nodes.pop();
        if self.nodes.is_empty() {
            // Above what is held: only the names are known.
            self.go_to_root();
            return self.directory(&[&parent[..], b"/"].concat());
        }
        self.path = parent;
        Ok(())
    }

    fn go_to_root(&mut self) {
        self.nodes = vec![self.namespace.root_node(&self.table)];
        self.path.clear();
    }

    /// Walks `path`, which ends in a slash, to the directory that it stands for.
    fn directory(&mut self, path: &[u8]) -> Result<(), Errno> {
        self.object(path, Final::Follow, false).map(drop)
    }

    /// Walks `path` from the current directory. With `restart`, an absolute link ends the walk, because the rest may well
    /// be resolved at once.
    fn object(&mut self, path: &[u8], last: Final, restart: bool) -> Result<Walked, Errno> {
        let mut todo = path.to_vec();
        let mut done = 0;
        loop {
            let slashes = todo[done..].len() - path::trim_start(&todo[done..]).len();
            done += slashes;
            let (name, rest) = path::first(&todo[done..]);
            let is_last = path::trim_start(rest).is_empty();
            let slash = is_last && !rest.is_empty();
            match name {
                b"" => return Ok(Walked::Spot(self.here())),
                b"." => {}
                b".." => self.up()?,
                // Linux does not even look.
                _ if slash && last == Final::Create => return Err(Errno::ISDIR),
                _ if is_last && !slash && last == Final::NoFollow && !self.is_shadowed(name) => {
                    return Ok(Walked::Spot(self.named(name)));
                }
                _ => match self.look(name) {
                    Ok(Child::Dir(node)) => self.down(name, node),
                    Ok(Child::Entry(mount)) if is_last && !slash => {
                        return Ok(Walked::Spot(Spot {
                            node: Node::root_of(&mount),
                            name: mount.entry.clone().unwrap_or_default(),
                            path: mount.path.clone(),
                        }));
                    }
                    Ok(Child::Link(target)) => {
                        self.links += 1;
                        if self.links > MAX_LINKS {
                            return Err(Errno::LOOP);
                        }
                        if target.is_empty() {
                            return Err(Errno::NOENT);
                        }
                        let next = [&target[..], rest].concat();
                        if target.starts_with(b"/") {
                            if restart {
                                return Ok(Walked::Restart(next));
                            }
                            self.go_to_root();
                        }
                        todo = next;
                        done = 0;
                        continue;
                    }
                    Ok(Child::Other) if is_last && !slash => {
                        return Ok(Walked::Spot(self.named(name)));
                    }
                    Ok(Child::Entry(_) | Child::Other) => return Err(Errno::NOTDIR),
                    // What does not exist may be created.
                    Err(Errno::NOENT) if is_last && !slash => {
                        return Ok(Walked::Spot(self.named(name)));
                    }
                    Err(errno) => return Err(errno),
                },
            }
            done = todo.len() - rest.len();
        }
    }

    /// The name is a mount, or a directory above one.
    fn is_shadowed(&self, name: &[u8]) -> bool {
        let path = path::join(&self.path, name);
        self.table.at(&path).is_some() || self.table.is_ancestor(&path)
    }
}
