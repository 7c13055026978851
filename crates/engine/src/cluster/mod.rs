//! A data directory: what is in it, who has it, how it comes to be.

mod configuration;
mod info;
mod initdb;
mod inspect;
mod lock;
pub(crate) mod marker;
mod template;
mod unpacking;

pub use cluster_files::Engine;
pub use info::{Info, info};

pub(crate) use configuration::with_defaults;
pub(crate) use initdb::run as run_initdb;
pub use inspect::look;
pub(crate) use inspect::{State, inspect};
pub(crate) use lock::Lock;
pub(crate) use template::{Target, unpack};
pub(crate) use unpacking::Unpacking;
