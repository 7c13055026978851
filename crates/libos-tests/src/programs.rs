//! The test programs: as the compiler pass made them, and as ordinary programs of the host.

use std::ffi::c_void;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libos::{Program, Status};

use crate::Outcome;

include!(concat!(env!("OUT_DIR"), "/programs.rs"));

/// Where the build script put what it made.
const BUILT: &str = env!("LIBOS_TEST_PROGRAMS");

/// All programs, by name.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, Program)> {
    // SAFETY: the descriptors come from the pass, and their code is linked to this program.
    DESCRIPTORS.iter().map(|(name, at)| (*name, unsafe { Program::from_descriptor(at.cast::<c_void>()) }))
}

/// The program `tests/programs/NAME.c`.
///
/// # Panics
/// Panics if there is none.
pub fn program(name: &str) -> Program {
    all().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no test program {name}")).1
}

/// Names of the modules that are built into the test programs.
pub fn built_in_modules() -> Vec<&'static str> {
    program("child").module_names().collect()
}

/// The shared object made of `tests/modules/NAME.c` by the host's compiler.
pub fn stock_module(name: &str) -> PathBuf {
    Path::new(BUILT).join(name).with_extension("so")
}

/// Runs a test program under the real kernel.
pub fn native(name: &str, arguments: &[&str], environment: &[&str]) -> Outcome {
    native_in(Path::new("/"), name, arguments, environment)
}

/// Runs a test program under the real kernel, in a working directory.
///
/// # Panics
/// Panics if it does not start, or if one of its checks fails.
pub fn native_in(directory: &Path, name: &str, arguments: &[&str], environment: &[&str]) -> Outcome {
    let folder = Path::new(BUILT).join("native");
    let mut command = Command::new(folder.join(name));
    command.args(arguments).env_clear().env("BIN", &folder).current_dir(directory).stdin(Stdio::null());
    command.envs(environment.iter().filter_map(|entry| entry.split_once('=')));
    // Whoever started the tests in the background had them ignore some signals.
    // SAFETY: `signal` may be called between fork and exec.
    unsafe {
        command.pre_exec(|| {
            for signal in 1..32 {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        });
    }
    let output = command.output().expect("an ordinary test program");
    let status = match output.status.signal() {
        Some(signal) => Status::Signaled(signal),
        None => Status::Exited(output.status.code().expect("exit or signal")),
    };
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let outcome = Outcome { status, out: text(&output.stdout), err: text(&output.stderr) };
    // What support.c ends with when a check fails: the program expects something that no kernel does.
    assert!(!matches!(status, Status::Exited(96..=99)), "{name} {arguments:?} under the kernel: {outcome:?}");
    outcome
}
