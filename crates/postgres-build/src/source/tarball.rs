//! Release tarballs: `.tar.bz2` and `.tar.gz`.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};

fn open(path: &Path) -> Result<tar::Archive<Box<dyn Read>>> {
    let context = || format!("cannot read {}", path.display());
    let mut file = BufReader::new(File::open(path).with_context(context)?);
    let mut magic = [0; 3];
    let reader: Box<dyn Read> = match file.read_exact(&mut magic).map(|()| magic) {
        Ok([b'B', b'Z', b'h']) => Box::new(bzip2::read::MultiBzDecoder::new(Cursor::new(magic).chain(file))),
        Ok([0x1f, 0x8b, _]) => Box::new(flate2::read::MultiGzDecoder::new(Cursor::new(magic).chain(file))),
        _ => bail!("it is neither a .tar.bz2 nor a .tar.gz"),
    };
    Ok(tar::Archive::new(reader))
}

/// The text of a file in the archive's one folder; `None` where there is none. Stops reading when
/// it has been found.
pub(super) fn read_top_level(tarball: &Path, name: &str) -> Result<Option<String>> {
    let context = || format!("cannot read {}", tarball.display());
    for entry in open(tarball)?.entries().with_context(context)? {
        let mut entry = entry.with_context(context)?;
        let path = entry.path().with_context(context)?.into_owned();
        let parts: Vec<_> = path.components().filter(|part| *part != Component::CurDir).collect();
        if parts.len() == 2 && parts[1].as_os_str() == name {
            let mut text = String::new();
            entry.read_to_string(&mut text).with_context(context)?;
            return Ok(Some(text));
        }
    }
    Ok(None)
}

/// Unpacks into `folder`, which is replaced, and returns the path of the one folder in the archive.
pub(super) fn unpack(tarball: &Path, folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let context = || format!("cannot unpack {} into {}", tarball.display(), folder.display());
    let mut archive = open(tarball)?;
    // times as packed: make must not think that generated files in the tarball are older than their
    // sources
    archive.set_preserve_mtime(true);
    archive.unpack(folder).with_context(context)?;
    let mut inside = std::fs::read_dir(folder).with_context(context)?;
    match (inside.next(), inside.next()) {
        (Some(Ok(only)), None) => Ok(only.path()),
        _ => bail!("{} does not hold exactly one folder", tarball.display()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn tarball(path: &Path, files: &[(&str, &str)]) {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_mtime(1_000_000_000);
            builder.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        let tar = builder.into_inner().unwrap();
        let file = File::create(path).unwrap();
        if path.extension().unwrap() == "gz" {
            flate2::write::GzEncoder::new(file, flate2::Compression::fast()).write_all(&tar).unwrap();
        } else {
            bzip2::write::BzEncoder::new(file, bzip2::Compression::fast()).write_all(&tar).unwrap();
        }
    }

    #[test]
    fn both_compressions() {
        let dir = tempfile::tempdir().unwrap();
        for extension in ["bz2", "gz"] {
            let path = dir.path().join(format!("p.tar.{extension}"));
            tarball(&path, &[("p-18/src/configure", "no"), ("./p-18/configure", "yes")]);
            assert_eq!(read_top_level(&path, "configure").unwrap().as_deref(), Some("yes"));
            assert_eq!(read_top_level(&path, "none").unwrap(), None);
            let tree = unpack(&path, &dir.path().join("out")).unwrap();
            assert_eq!(tree, dir.path().join("out/p-18"));
            let file = std::fs::metadata(tree.join("src/configure")).unwrap();
            let mtime = file.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
            assert_eq!(mtime.as_secs(), 1_000_000_000);
        }
    }

    #[test]
    fn what_is_not_a_tarball() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.tar.bz2");
        std::fs::write(&path, "<html>").unwrap();
        assert!(read_top_level(&path, "configure").unwrap_err().to_string().contains("neither"));
        tarball(&path, &[("a/x", ""), ("b/x", "")]);
        assert!(unpack(&path, &dir.path().join("out")).unwrap_err().to_string().contains("exactly one"));
    }
}
