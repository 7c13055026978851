//! Bundles of what a prepared build knows of itself.

use std::collections::BTreeMap;

use crate::prepared::Manifest;

/// The manifest of a bundle that belongs to a prepared build.
pub fn bundle_manifest(manifest: &Manifest, metadata: BTreeMap<String, String>) -> bundle::Manifest {
    bundle::Manifest {
        postgres_version: manifest.postgres_version.clone(),
        target: manifest.target.clone(),
        checksums: BTreeMap::from([("source".into(), manifest.source_checksum.clone())]),
        metadata,
    }
}
