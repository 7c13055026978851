//! The functions of the draft, on a database of a test's own.

use draft::{Engine, Host, Parameters, messages};
use gateway::Local;
use libpglite::Database;
use tempfile::TempDir;

pub(crate) struct Directories;

impl Engine for Directories {
    type Backend = Local;

    fn open(&mut self, parameters: &Parameters) -> Result<(Local, bool), String> {
        let new = !parameters.data.exists();
        let builder = Database::builder(&parameters.data).setting("fsync", "off").no_log();
        let session = builder.open_standalone_in("template1").map_err(|e| e.to_string())?;
        Ok((Local::new(session), new))
    }
}

pub(crate) struct Fixture {
    pub(crate) host: Host<Directories, Vec<u8>>,
    folder: TempDir,
}

impl Fixture {
    pub(crate) fn parameters(&self, more: &[(&str, &str)]) -> Parameters {
        parameters(&self.folder, more)
    }

    pub(crate) fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("base").join(format!(".s.PGSQL.5432{name}"))
    }

    /// A round trip through the memory area, wherever the reply goes.
    pub(crate) fn exchange(&mut self, bytes: &[u8]) -> Vec<u8> {
        assert!(bytes.len() <= self.host.cma().size() - 2);
        // SAFETY: in the area.
        unsafe { self.host.cma().start().add(1).copy_from(bytes.as_ptr(), bytes.len()) };
        self.host.write(bytes.len() as i32);
        self.host.one();
        match usize::try_from(self.host.read()) {
            // SAFETY: as above.
            Ok(size) => unsafe {
                std::slice::from_raw_parts(self.host.cma().start().add(2 + bytes.len()), size).to_vec()
            },
            Err(_) => {
                let path = self.file(&format!(".out.{}", -self.host.read()));
                let reply = std::fs::read(&path).unwrap();
                std::fs::remove_file(path).unwrap();
                reply
            }
        }
    }

    pub(crate) fn text(&mut self, sql: &[u8]) -> String {
        let before = self.host.output().len();
        self.host.use_wire(false);
        // SAFETY: as above.
        unsafe {
            self.host.cma().start().add(1).copy_from(sql.as_ptr(), sql.len());
            self.host.cma().start().add(1 + sql.len()).write(0);
        }
        self.host.one();
        self.host.use_wire(true);
        String::from_utf8(self.host.output()[before..].to_vec()).unwrap()
    }
}

fn parameters(folder: &TempDir, more: &[(&str, &str)]) -> Parameters {
    let prefix = folder.path().to_str().unwrap().to_owned();
    let get = |name: &str| match name {
        "PREFIX" => Some(prefix.clone()),
        _ => more.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()),
    };
    Parameters::from(get).unwrap()
}

pub(crate) fn open(more: &[(&str, &str)]) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let mut host = Host::new(Directories, parameters(&folder, more), Vec::new()).unwrap();
    let (bits, reason) = host.initdb();
    assert_eq!((bits & draft::IDB_FAILED, reason), (0, None));
    host.backend().unwrap();
    Fixture { host, folder }
}

pub(crate) fn kinds(reply: &[u8]) -> String {
    messages(reply).map(|(kind, _)| char::from(kind)).collect()
}
