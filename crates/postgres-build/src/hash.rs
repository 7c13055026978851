//! SHA-256 of files and trees.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// A running sum of named parts.
///
/// Every part's length is summed with it, so that moving bytes from one to the next changes the
/// result.
#[derive(Default)]
pub struct Sum(Sha256);

impl Sum {
    /// Adds a part.
    pub fn part(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds a file, or everything below a directory: relative paths and contents in sorted order.
    /// What is not there adds its name only.
    pub fn tree(&mut self, root: &Path, relative: &Path) -> Result<&mut Self> {
        for path in files_below(&root.join(relative))? {
            let name = path.strip_prefix(root).unwrap_or(&path);
            self.part(name.as_os_str().as_encoded_bytes());
            self.part(std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
        }
        self.part(relative.as_os_str().as_encoded_bytes());
        Ok(self)
    }

    /// The sum in hexadecimal.
    pub fn finish(self) -> String {
        hexadecimal(&self.0.finalize())
    }
}

/// SHA-256 of a file's bytes, in hexadecimal.
pub fn file(path: &Path) -> Result<String> {
    let context = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(context)?;
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).with_context(context)? {
            0 => return Ok(hexadecimal(&sum.finalize())),
            len => sum.update(&buffer[..len]),
        }
    }
}

/// The files below a directory in sorted order, without version control's; the path itself where it
/// is a file; nothing where there is none. Symlinks are not followed.
pub fn files_below(path: &Path) -> Result<Vec<PathBuf>> {
    let Ok(metadata) = path.symlink_metadata() else {
        return Ok(Vec::new());
    };
    if metadata.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let mut pending = vec![path.to_owned()];
    while let Some(directory) = pending.pop() {
        let context = || format!("cannot list {}", directory.display());
        for child in std::fs::read_dir(&directory).with_context(context)? {
            let child = child.with_context(context)?;
            let kind = child.file_type().with_context(context)?;
            if kind.is_dir() && child.file_name() != ".git" {
                pending.push(child.path());
            } else if kind.is_file() {
                found.push(child.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_sum() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("abc"), "abc").unwrap();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(file(&dir.path().join("abc")).unwrap(), expected);
    }

    #[test]
    fn a_tree_is_its_names_and_contents() {
        let dir = tempfile::tempdir().unwrap();
        let sum = || {
            let mut sum = Sum::default();
            sum.tree(dir.path(), Path::new("src")).unwrap();
            sum.finish()
        };
        let empty = sum();
        std::fs::create_dir_all(dir.path().join("src/b")).unwrap();
        std::fs::write(dir.path().join("src/b/c"), "1").unwrap();
        let one = sum();
        std::fs::write(dir.path().join("src/b/c"), "2").unwrap();
        let changed = sum();
        std::fs::rename(dir.path().join("src/b/c"), dir.path().join("src/b/d")).unwrap();
        let renamed = sum();
        let all = [&empty, &one, &changed, &renamed];
        assert!(all.iter().enumerate().all(|(at, sum)| !all[..at].contains(sum)));
    }
}
