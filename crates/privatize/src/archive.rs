//! Reads static libraries.

use std::path::Path;

use object::read::archive::ArchiveFile;

use crate::Error;

/// The members of an archive, in its order: name and contents.
pub(crate) fn members(path: &Path) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let data = std::fs::read(path).map_err(|error| Error::Read(path.to_owned(), error))?;
    let fail = |error: object::Error| Error::Input(path.display().to_string(), format!("not an archive: {error}"));
    let archive = ArchiveFile::parse(&*data).map_err(fail)?;
    let mut members = Vec::new();
    for member in archive.members() {
        let member = member.map_err(fail)?;
        let name = String::from_utf8_lossy(member.name()).into_owned();
        let bytes = if archive.is_thin() {
            let file = path.parent().unwrap_or(Path::new("")).join(&name);
            std::fs::read(&file).map_err(|error| Error::Read(file, error))?
        } else {
            member.data(&*data).map_err(fail)?.to_owned()
        };
        members.push((name, bytes));
    }
    Ok(members)
}
