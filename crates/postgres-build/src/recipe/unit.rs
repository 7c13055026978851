//! The units that are given to the pass, as `docs/privatization.md` describes them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;

use super::options::{FORK, INLINED, SERVER, SMALL};
use crate::record::{Link, Links};

/// A whole-program link.
#[derive(Debug, Serialize)]
pub struct Unit {
    /// Its name.
    pub name: &'static str,
    /// Its programs.
    pub programs: Vec<Program>,
    archives: Vec<Archive>,
    libraries: Vec<Library>,
    /// The modules that are built in.
    pub modules: Vec<Module>,
    replace: BTreeMap<&'static str, Replacement>,
    wrap: Vec<String>,
    export: bool,
    small: &'static [&'static str],
    inlined: &'static [&'static str],
    no_unwind_tables: bool,
    os: PathBuf,
    /// Libraries of the system that it needs. Not part of what the pass reads.
    #[serde(skip)]
    pub system_libraries: Vec<String>,
}

/// A program of a unit.
#[derive(Debug, Serialize)]
pub struct Program {
    /// Its name.
    pub name: String,
    objects: Vec<PathBuf>,
    libraries: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Archive {
    path: PathBuf,
    whole: bool,
}

#[derive(Debug, Serialize)]
struct Library {
    name: String,
    objects: Vec<PathBuf>,
    archives: Vec<Archive>,
    libraries: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exports: Option<Vec<String>>,
}

/// A module of a unit.
#[derive(Debug, Serialize)]
pub struct Module {
    /// Its name.
    pub name: String,
    objects: Vec<PathBuf>,
    archives: Vec<Archive>,
    libraries: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Replacement {
    with: &'static str,
    returns_twice: bool,
}

impl Unit {
    fn empty(name: &'static str, os: &Path) -> Self {
        Self {
            name,
            programs: Vec::new(),
            archives: Vec::new(),
            libraries: Vec::new(),
            modules: Vec::new(),
            replace: BTreeMap::new(),
            wrap: Vec::new(),
            export: false,
            small: &SMALL,
            inlined: &INLINED,
            no_unwind_tables: true,
            os: os.into(),
            system_libraries: Vec::new(),
        }
    }

    fn add_program(&mut self, links: &Links, link: &Link, whole: impl Fn(&Path) -> bool) -> Result<&mut Program> {
        for path in link.archives() {
            if !self.archives.iter().any(|archive| archive.path == path) {
                self.archives.push(Archive { path: path.into(), whole: whole(path) });
            }
        }
        let libraries = self.add_libraries(links, link)?;
        self.programs.push(Program { name: link.name().into(), objects: link.objects.clone(), libraries });
        let last = self.programs.len() - 1;
        Ok(&mut self.programs[last])
    }

    fn add_module(&mut self, links: &Links, link: &Link) -> Result<()> {
        let libraries = self.add_libraries(links, link)?;
        let (name, objects) = (link.name().to_owned(), link.objects.clone());
        // what the program has already is not linked once more
        let mut archives = own_archives(link);
        archives.retain(|archive| self.archives.iter().all(|known| known.path != archive.path));
        self.modules.push(Module { name, objects, archives, libraries });
        Ok(())
    }

    /// Adds the libraries of a link that are not there yet, and returns their names.
    fn add_libraries(&mut self, links: &Links, link: &Link) -> Result<Vec<String>> {
        for name in link.system_libraries() {
            if !self.system_libraries.iter().any(|known| known == name) {
                self.system_libraries.push(name.into());
            }
        }
        let mut names = Vec::new();
        for path in link.libraries() {
            let library = links.library(path)?;
            let name = library.name().to_owned();
            if self.libraries.iter().all(|known| known.name != name) {
                let libraries = self.add_libraries(links, library)?;
                let (objects, exports) = (library.objects.clone(), library.exports.clone());
                let archives = own_archives(library);
                self.libraries.push(Library { name: name.clone(), objects, archives, libraries, exports });
            }
            names.push(name);
        }
        Ok(names)
    }
}

fn own_archives(link: &Link) -> Vec<Archive> {
    link.archives().map(|path| Archive { path: path.into(), whole: false }).collect()
}

/// The server with everything that it can load, and our own objects beside it. PostgreSQL's own archives are
/// taken whole: modules use functions of them that the server itself does not.
pub fn server(links: &Links, glue: &[PathBuf], wrap: Vec<String>, os: &Path) -> Result<Unit> {
    let mut unit = Unit::empty(SERVER, os);
    let program = unit.add_program(links, links.program(SERVER)?, |path| links.is_own(path))?;
    program.objects.extend(glue.iter().cloned());
    for module in links.modules() {
        unit.add_module(links, module)?;
    }
    unit.replace.insert(FORK.0, Replacement { with: FORK.1, returns_twice: true });
    unit.wrap = wrap;
    unit.export = true;
    Ok(unit)
}

/// Programs that share one unit.
pub fn programs(name: &'static str, names: &[&str], links: &Links, os: &Path) -> Result<Unit> {
    let mut unit = Unit::empty(name, os);
    for name in names {
        unit.add_program(links, links.program(name)?, |_| false)?;
    }
    Ok(unit)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::record;

    /// A unit as JSON, with paths below `root` made relative.
    fn json(unit: &Unit, root: &Path) -> Value {
        let prefix = format!("{}/", root.canonicalize().unwrap().display());
        serde_json::from_str(&serde_json::to_string(unit).unwrap().replace(&prefix, "")).unwrap()
    }

    #[test]
    fn the_server_has_its_modules_their_libraries_and_the_glue() {
        let dir = record::miniature();
        let links = Links::read(dir.path()).unwrap();
        let unit = server(&links, &["glue.o".into()], vec!["InitProcess".into()], Path::new("names.txt")).unwrap();
        assert_eq!(unit.system_libraries, ["m", "rt"]);
        let expected = json!({
            "name": "postgres",
            "programs": [{ "name": "postgres", "objects": ["src/backend/main.o", "glue.o"], "libraries": [] }],
            "archives": [{ "path": "src/port/libpgport_srv.a", "whole": true }],
            "libraries": [{
                "name": "libpq",
                "objects": ["src/libpq/fe.o"],
                "archives": [{ "path": "src/port/libpgport_shlib.a", "whole": false }],
                "libraries": [],
                "exports": ["PQconnect", "PQfinish"],
            }],
            "modules": [{ "name": "x", "objects": ["contrib/x/x.o"], "archives": [], "libraries": ["libpq"] }],
            "replace": { "fork_process": { "with": "libos_vfork", "returns_twice": true } },
            "wrap": ["InitProcess"],
            "export": true,
            "small": SMALL.as_slice(),
            "inlined": INLINED.as_slice(),
            "no_unwind_tables": true,
            "os": "names.txt",
        });
        assert_eq!(json(&unit, dir.path()), expected);
    }

    #[test]
    fn programs_share_archives_and_libraries() {
        let dir = record::miniature();
        let links = Links::read(dir.path()).unwrap();
        let unit = programs("clients", &["initdb", "psql"], &links, Path::new("names.txt")).unwrap();
        let json = json(&unit, dir.path());
        let programs = json!([
            { "name": "initdb", "objects": ["src/bin/initdb.o"], "libraries": [] },
            { "name": "psql", "objects": ["src/bin/a.o", "src/bin/b.o"], "libraries": ["libpq"] },
        ]);
        assert_eq!(json["programs"], programs);
        assert_eq!(json["archives"], json!([{ "path": "src/port/libpgport.a", "whole": false }]));
        assert_eq!(json["libraries"].as_array().unwrap().len(), 1);
        assert_eq!((&json["replace"], &json["export"]), (&json!({}), &json!(false)));
    }
}
