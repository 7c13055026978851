//! The C interface: `pglite.h`, with handles, and `pglite_compat.h`, the functions of the libpglite draft.
//!
//! Nothing here unwinds into C: every function goes through [`guard`]. The headers in `include` are made from this source by a test,
//! and compared.

mod cancel;
mod compat;
mod database;
mod error;
mod exec;
mod guard;
mod log;
mod options;
mod session;
mod status;
mod text;
mod transport;

pub use compat::*;
pub use database::*;
pub use error::*;
pub use exec::*;
pub use log::*;
pub use options::*;
pub use session::*;
pub use status::*;
