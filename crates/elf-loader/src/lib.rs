//! Maps a stock ELF shared object once per virtual process.
//!
//! The system's loader maps an object once per host process. Here each *mapping* has its own variables, its own
//! thread-local block and its own list of exit handlers, so that a process that is a thread of the host can load, use
//! and drop an extension module as if it were alone.
//!
//! ```no_run
//! use elf_loader::{HostResolver, SharedObject};
//!
//! let file = std::fs::File::open("extension.so")?;
//! let object = SharedObject::open(&file, "extension.so")?; // once
//! // SAFETY: the host's own libraries.
//! let host = unsafe { HostResolver::open(object.needed())? };
//! let mapping = object.map(&host)?; // once per process
//! // SAFETY: the object's code is meant for this process.
//! unsafe { mapping.run_initialisers(0, std::ptr::null(), std::ptr::null())? };
//! let magic = mapping.symbol("Pg_magic_func");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The README tells the ideas and the limits.

mod arch;
mod bind;
mod dynamic;
mod eh_frame;
mod error;
mod fallback;
mod host;
mod host_objects;
mod layout;
mod loaded;
mod mapping;
mod memory;

mod provided;
mod relocation;
mod resolver;
mod shared_object;
mod symbols;
mod thread_local;
mod unwind;
mod versions;

pub use error::{Error, ErrorKind, Undefined};
pub use fallback::host_fallback;
pub use host::{HostLibraryError, HostResolver};
pub use mapping::Mapping;
pub use resolver::Resolver;
pub use shared_object::SharedObject;
