//! Clusters in the guest's files, and the one host of the draft's functions.

use super::{Global, session};
use cluster_files::identifier;
use draft::{Backend, Cma, Ended, Engine, Host, Parameters, Profile};
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// The standard output; Rust's own keeps state that a reset would take away.
pub(crate) struct Output;

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // SAFETY: the bytes are there.
        let n = unsafe { libc::write(1, bytes.as_ptr().cast(), bytes.len()) };
        usize::try_from(n).map_err(|_| io::Error::last_os_error())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) type TheHost = Host<Clusters, BufWriter<Output>>;

static HOST: Global<Option<Box<TheHost>>> = Global::new(None);

/// Size of the memory area: what the build leaves free for it below the stack.
const AREA: usize = 12 << 20;

/// The host, where the environment makes one possible; else it says why.
pub(crate) fn with<R>(f: impl FnOnce(&mut TheHost) -> R) -> Option<R> {
    // The box stays where it is, while a reset moves what points at it.
    let mut host = match HOST.with(Option::take) {
        Some(host) => host,
        None => match make() {
            Ok(host) => Box::new(host),
            Err(text) => {
                eprintln!("pglite: {text}");
                return None;
            }
        },
    };
    let result = f(&mut host);
    HOST.with(|place| *place = Some(host));
    Some(result)
}

fn make() -> Result<TheHost, String> {
    let parameters = Parameters::from_environment()?;
    if parameters.cma > AREA {
        return Err(format!("PGL_CMA_MB is more than {}: this module has no more", AREA >> 20));
    }
    // SAFETY: the linker has left these addresses to it.
    let area = unsafe { Cma::at(std::ptr::with_exposed_provenance_mut(1), parameters.cma) };
    let area = area.ok_or("there is no memory area")?;
    Ok(Host::with_area(Clusters, parameters, BufWriter::new(Output), area))
}

/// Takes the host out of the way of a reset; there is none while one of its functions runs.
pub(crate) fn save() -> Option<Box<TheHost>> {
    HOST.with(Option::take)
}

/// Puts it back.
pub(crate) fn restore(host: Option<Box<TheHost>>) {
    // SAFETY: the reset has written `None` over what was there.
    unsafe { HOST.as_ptr().write(host) };
}

/// Makes sessions.
pub(crate) struct Clusters;

impl Engine for Clusters {
    type Backend = Guest;

    fn open(&mut self, parameters: &Parameters) -> Result<(Guest, bool), String> {
        let created = prepare(parameters)?;
        Ok((Guest { data: parameters.data.to_string_lossy().into_owned(), settings: Vec::new() }, created))
    }
}

/// The session of this module.
pub(crate) struct Guest {
    data: String,
    settings: Vec<(String, String)>,
}

impl Backend for Guest {
    fn exchange(&mut self, input: &[u8], output: &mut dyn FnMut(&[u8])) -> Result<(), Ended> {
        session::exchange(input, output)
    }

    fn restart(&mut self, profile: &Profile, output: &mut dyn FnMut(&[u8])) -> Result<(), Ended> {
        session::begin(&self.data, profile, &self.settings, output)
    }

    fn configure(&mut self, settings: &[(String, String)]) {
        self.settings = settings.to_vec();
    }

    fn close(self) -> Result<(), String> {
        session::end();
        Ok(())
    }
}

/// Where the template is, in a directory that the host opens for the module.
const TEMPLATE: &str = "/pglite/template";

/// Makes the cluster where there is none; whether it was made.
pub(crate) fn prepare(parameters: &Parameters) -> Result<bool, String> {
    let data = &parameters.data;
    let fail = |what: &str, path: &Path, e: io::Error| format!("cannot {what} {}: {e}", path.display());
    if data.join("PG_VERSION").exists() {
        return Ok(false);
    }
    if fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(format!("{} is not empty, and no cluster", data.display()));
    }
    fs::create_dir_all(data).map_err(|e| fail("make", data, e))?;
    let result = copy(Path::new(TEMPLATE), data)
        .map_err(|e| fail("copy the template to", data, e))
        .and_then(|()| renew(data).map_err(|e| fail("renew", data, e)));
    if result.is_err() {
        for entry in fs::read_dir(data).into_iter().flatten().flatten() {
            let path = entry.path();
            // What cannot be removed is in the way of the next attempt, which says so.
            let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        }
    }
    result.map(|()| true)
}

/// Copies a directory; `PG_VERSION`, by which a cluster is known, last.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut last = None;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy(&source, &target)?;
        } else if entry.file_name() == "PG_VERSION" {
            last = Some((source, target));
        } else {
            fs::write(&target, fs::read(&source)?)?;
        }
    }
    last.map_or(Ok(()), |(source, target)| fs::write(target, fs::read(source)?))
}

/// Gives a copy an identifier of its own.
fn renew(data: &Path) -> io::Result<()> {
    let mut random = [0; 2];
    // SAFETY: a buffer of ours. Without randomness the time alone must do.
    unsafe { libc::getentropy(random.as_mut_ptr().cast(), 2) };
    identifier::renew(data, identifier::fresh(u16::from_ne_bytes(random)))
}
