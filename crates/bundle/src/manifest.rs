use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a bundle says of itself. Stored as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Manifest {
    /// PostgreSQL's version, such as `18.6`.
    pub postgres_version: String,
    /// The target triple that the files were made for, such as `x86_64-unknown-linux-gnu`.
    pub target: String,
    /// SHA-256, in hexadecimal, by what was summed: `source` is PostgreSQL's tarball.
    pub checksums: BTreeMap<String, String>,
    /// Anything else, by name: how a template cluster was made, for one.
    pub metadata: BTreeMap<String, String>,
}
