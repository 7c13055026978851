//! Compiles small C programs, runs them as they are and through the pass.
#![allow(dead_code, reason = "each test file uses its part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use privatize::{Program, Report, Unit, privatize};
use tempfile::TempDir;

/// What the tests' library OS (`runtime.c`) does with the C library's names.
pub(crate) const NAMES: &str = "\
data stdout optind
setjmp __sigsetjmp
pass fprintf fputs fputc fwrite putc snprintf vsnprintf sprintf strcat strcpy strlen strcmp strncpy atoi strtol
pass memset memcpy memmove memcmp _setjmp longjmp siglongjmp abs abort bcmp __muldc3 __stack_chk_fail
redirect malloc free
";

pub(crate) const LEVELS: [&str; 2] = ["-O0", "-O2"];

/// Runs a tool; its absence and its failure are the test's.
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| {
        panic!(
            "{:?} does not run ({error}): install clang-22, lld-22, llvm-22 and llvm-22-dev (Debian: apt-get install \
             clang-22 lld-22 llvm-22 llvm-22-dev)",
            command.get_program()
        )
    });
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    output
}

pub(crate) fn text(output: Output) -> String {
    String::from_utf8(output.stdout).expect("UTF-8")
}

pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// A folder for one test.
pub(crate) struct Bench {
    folder: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        fs::write(folder.path().join("names.txt"), NAMES).expect("names");
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a source and compiles it to bitcode.
    pub(crate) fn object(&self, name: &str, flags: &[&str], code: &str) -> PathBuf {
        let extension = if code.contains("target triple") { "ll" } else { "c" };
        let file = self.path(&format!("{name}.{extension}"));
        fs::write(&file, code).expect("source");
        self.compile(&file, flags)
    }

    /// Compiles a file to bitcode.
    pub(crate) fn compile(&self, file: &Path, flags: &[&str]) -> PathBuf {
        let stem = file.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        let object = self.path(&format!("{stem}.o"));
        run(Command::new("clang-22")
            .args(["-c", "-flto", "-fPIC", "-g", "-w", "-ffp-contract=off", "-I"])
            .arg(source("programs"))
            .args(flags)
            .arg("-o")
            .arg(&object)
            .arg(file));
        object
    }

    pub(crate) fn archive(&self, name: &str, objects: &[&Path]) -> PathBuf {
        let path = self.path(name);
        run(Command::new("llvm-ar-22").arg("crs").arg(&path).args(objects));
        path
    }

    /// A unit of one program.
    pub(crate) fn unit(&self, objects: &[PathBuf]) -> Unit {
        Unit {
            name: "test".into(),
            programs: vec![Program { name: "test".into(), objects: objects.to_vec(), ..Program::default() }],
            os: Some(self.path("names.txt")),
            ..Unit::default()
        }
    }

    /// Puts a unit through the pass.
    pub(crate) fn privatize(&self, unit: &Unit) -> (PathBuf, Report) {
        let output = self.path(&format!("{}.bc", unit.name));
        let report = privatize(unit, &output).unwrap_or_else(|error| panic!("{error}"));
        (output, report)
    }

    /// The message with which a unit is refused.
    pub(crate) fn refusal(&self, unit: &Unit) -> String {
        match privatize(unit, &self.path("refused.bc")) {
            Ok(_) => panic!("it was not refused"),
            Err(error) => error.to_string(),
        }
    }

    /// The result of the pass, readable.
    pub(crate) fn disassemble(&self, bitcode: &Path) -> String {
        text(run(Command::new("llvm-dis-22").arg("-o").arg("-").arg(bitcode)))
    }

    /// Links a privatized program with the tests' library OS and runs it.
    pub(crate) fn run(&self, bitcode: &Path, program: &str) -> String {
        let object = bitcode.with_extension("native.o");
        run(Command::new("clang-22").args(["-c", "-O2", "-fPIC", "-w", "-o"]).arg(&object).arg(bitcode));
        self.run_objects(&[&object], program)
    }

    /// Links objects with the tests' library OS by the system's compiler, and runs the program.
    pub(crate) fn run_objects(&self, objects: &[&Path], program: &str) -> String {
        let executable = self.path("run");
        run(Command::new("cc")
            .args(["-O1", "-pthread", "-Wl,--fatal-warnings", &format!("-DPROGRAM=privatized_program_{program}"), "-o"])
            .arg(&executable)
            .arg(source("runtime.c"))
            .args(objects)
            .arg("-lm"));
        text(run(&mut Command::new(&executable)))
    }

    /// Compiles and runs a program of `programs/` without the pass, with an argument.
    pub(crate) fn run_plain(&self, files: &[&str], flags: &[&str], argument: &str) -> String {
        let executable = self.path("plain");
        run(Command::new("clang-22")
            .args(["-fuse-ld=lld-22", "-fPIC", "-w", "-ffp-contract=off", "-Wl,--wrap=main", "-I"])
            .arg(source("programs"))
            .args(flags)
            .arg("-o")
            .arg(&executable)
            .args(files.iter().map(|file| source("programs").join(file)))
            .arg(source("plain.c"))
            .arg("-lm"));
        text(run(Command::new(&executable).arg(argument)))
    }
}

/// What the tests' library OS prints, given what the runs print with the arguments 1 and 2.
pub(crate) fn expected(one: &str, two: &str) -> String {
    format!("{one}--\n{two}--\n{one}")
}
