//! The library OS's file systems: a virtual root made of host directories, memory and read-only bundles.
//!
//! A [`Namespace`] is the root directory of one virtual system. It consists of mounts, each a [`FileSystem`]
//! ([`HostFs`]: a directory of the host; [`MemoryFs`]: a tree in memory) at a path, and of grants, which show a host
//! path at its own place. Whatever no mount or grant covers does not exist for the programs inside: it is refused
//! with `EACCES`, and neither `..`, links, renames nor races between them lead there.
//!
//! Paths are raw bytes, flags and modes are Linux's (`libc`), errors are [`Errno`].
//!
//! ```
//! # fn main() -> Result<(), vfs::Errno> {
//! use vfs::{Access, File, Identity, MemoryFs, Namespace};
//!
//! let namespace = Namespace::new(Identity::new(26, 26));
//! namespace.mount(b"/data", MemoryFs::new(None), Access::ReadWrite)?;
//! let mut cwd = namespace.root();
//! namespace.chdir(&mut cwd, b"/data")?;
//! namespace.mkdir(&cwd, b"base", 0o700)?;
//! let file = namespace.open(&cwd, b"base/1", libc::O_RDWR | libc::O_CREAT, 0o600)?;
//! let File::Memory(file) = file else { unreachable!() };
//! file.pwrite(b"hello", 0)?;
//! assert_eq!(namespace.stat(&cwd, b"/data/base/1")?.st_size, 5);
//! assert_eq!(namespace.stat(&cwd, b"/etc/passwd").unwrap_err(), vfs::Errno::ACCESS);
//! # Ok(())
//! # }
//! ```

mod directory;
mod host;
mod identity;
mod memory;
mod namespace;
mod path;
mod pending;
mod sys;
mod types;

pub use bytes::Bytes;
pub use directory::{Attempt, Directory, FileSystem, Found, How, Scope, Stop};
pub use host::HostFs;
pub use identity::Identity;
pub use memory::{Content, MemoryFs, MemoryHandle};
pub use namespace::{Cwd, HostEntry, Namespace};
pub use pending::Pending;
pub use rustix::io::Errno;
pub use types::{Access, DirEntry, File, Object, Special, SpecialKind};
