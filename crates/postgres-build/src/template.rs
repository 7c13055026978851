//! The template cluster: made by PostgreSQL's own initdb, which runs in-process in the program
//! `mkcluster`. That program is linked with the prepared build, so this is a stage of its own, and
//! its bundle is a file of its own.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use bundle::{WriteOptions, Writer};

use crate::layout::{Cache, Workspace};
use crate::pack;
use crate::prepared::{Prepared, Template};
use crate::progress::Progress;
use crate::{child, key, programs};

/// The file in which `mkcluster` may leave metadata: a JSON object of strings.
const METADATA: &str = "metadata.json";
/// The folder in which it leaves the cluster.
const CLUSTER: &str = "cluster";

/// A template is unpacked whole, by several threads: large blocks compress better, but there must be enough of them.
const OPTIONS: WriteOptions = WriteOptions { level: 19, block_size: 1 << 20 };

/// Makes the template cluster of a prepared build and packs it, unless it is there or the checkout
/// has no `mkcluster`.
///
/// `mkcluster --prepared DIR --output DIR2` leaves a data directory in `DIR2/cluster` and, if it
/// wants, `DIR2/metadata.json`.
pub fn make(prepared: &Prepared, workspace: &Workspace, cache: &Cache, again: bool, progress: &Progress) -> Result<()> {
    let Some(key) = key::template(workspace, &prepared.manifest.key)? else {
        progress.note("no template cluster: this checkout has no crates/mkcluster");
        return Ok(());
    };
    let wanted = Template { key };
    if !again && prepared.template().is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    let output = cache.work("template")?;
    let step = progress.step("make the template cluster", 0);
    let mut command = child::cargo();
    command.current_dir(&workspace.root);
    command
        .args(["run", "--release", "--package", "mkcluster", "--target-dir"])
        .arg(programs::folder(workspace, cache)?);
    command.arg("--").arg("--prepared").arg(&prepared.folder).arg("--output").arg(&output);
    // it is linked with this very build; its build script must not ask for it again
    command.env("PGLITE_PREBUILT", &prepared.folder);
    child::run(command).context("cannot make the template cluster")?;
    step.finish("");

    let step = progress.step("pack the template cluster", 0);
    let bytes = pack_cluster(prepared, &output)?;
    let path = prepared.template_bundle_path();
    let partial = path.with_extension("partial");
    std::fs::write(&partial, &bytes).with_context(|| format!("cannot write {}", partial.display()))?;
    std::fs::rename(&partial, &path).with_context(|| format!("cannot write {}", path.display()))?;
    prepared.set_template(&wanted)?;
    std::fs::remove_dir_all(&output).with_context(|| format!("cannot remove {}", output.display()))?;
    step.finish(&format!("{} kB", bytes.len() / 1000));
    Ok(())
}

fn pack_cluster(prepared: &Prepared, output: &Path) -> Result<Vec<u8>> {
    let metadata: BTreeMap<String, String> = match std::fs::read(output.join(METADATA)) {
        Ok(text) => {
            serde_json::from_slice(&text).with_context(|| format!("{METADATA} of mkcluster cannot be understood"))?
        }
        Err(_) => BTreeMap::new(),
    };
    let cluster = output.join(CLUSTER);
    ensure!(cluster.join("PG_VERSION").is_file(), "mkcluster has left no data directory in {}", cluster.display());
    let mut writer = Writer::new(pack::bundle_manifest(&prepared.manifest, metadata));
    writer.add_tree("", &cluster, &|path| path.split_once('/').map_or(String::new(), |(folder, _)| folder.into()))?;
    Ok(writer.finish(&OPTIONS)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_a_data_directory_with_its_metadata() {
        let dir = tempfile::tempdir().unwrap();
        let prepared = Prepared { folder: dir.path().into(), manifest: Prepared::empty_manifest() };
        assert!(pack_cluster(&prepared, dir.path()).unwrap_err().to_string().contains("no data directory"));
        std::fs::create_dir_all(dir.path().join("cluster/base/1")).unwrap();
        std::fs::write(dir.path().join("cluster/PG_VERSION"), "18\n").unwrap();
        std::fs::write(dir.path().join("cluster/base/1/1259"), vec![0; 8192]).unwrap();
        std::fs::write(dir.path().join("metadata.json"), r#"{"encoding": "UTF8"}"#).unwrap();
        let bundle = bundle::Bundle::open(pack_cluster(&prepared, dir.path()).unwrap()).unwrap();
        assert_eq!(bundle.manifest().metadata["encoding"], "UTF8");
        assert_eq!(bundle.read_path("base/1/1259").unwrap().len(), 8192);
    }
}
