//! PostgreSQL's files, which are part of the program; opened once.

use engine::{Resources, Result};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The version of this library.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The version of PostgreSQL, such as `18.6`.
pub fn postgres_version() -> &'static str {
    postgres_sys::version()
}

pub(crate) fn get() -> Result<&'static Resources> {
    static OPENED: OnceLock<Resources> = OnceLock::new();
    static OPENING: Mutex<()> = Mutex::new(());
    if let Some(resources) = OPENED.get() {
        return Ok(resources);
    }
    let _one_at_a_time = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
    match OPENED.get() {
        Some(resources) => Ok(resources),
        None => {
            let resources = Resources::new(postgres_sys::share_bundle(), postgres_sys::template_bundle())?;
            Ok(OPENED.get_or_init(|| resources))
        }
    }
}
