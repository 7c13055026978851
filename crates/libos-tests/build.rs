//! Compiles the test programs three ways: through the compiler pass, into a static library that the tests link; as ordinary
//! programs, which tell what a real kernel does; and the stock modules as shared objects.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use serde_json::json;

/// The static library.
const LIBRARY: &str = "libos_test_programs";

/// The program that loads modules.
const LOADS_MODULES: &str = "modules";

/// The program that is not for the real kernel.
const FOR_COROUTINES: &str = "console";

/// What the pass's output needs of the tools that Debian packages as clang-22, lld-22 and llvm-22.
const INSTALL: &str = "install clang-22, lld-22, llvm-22 and llvm-22-dev (Debian: apt-get install clang-22 lld-22 \
                       llvm-22 llvm-22-dev)";

fn main() {
    let manifest = folder("CARGO_MANIFEST_DIR");
    let out = folder("OUT_DIR");
    let sources = manifest.join("tests/programs");
    let names = manifest.join("../libos/names.txt");
    for path in [&sources, &manifest.join("tests/modules"), &names, &manifest.join("../libos/include")] {
        println!("cargo::rerun-if-changed={}", path.display());
    }

    let programs = c_files(&sources);
    let modules = c_files(&sources.join("built_in"));
    let support = c_files(&sources.join("support"));
    let mut jobs = Vec::new();
    for source in programs.iter().chain(&modules).chain(&support) {
        jobs.push(compile(source, &out.join(stem(source)).with_extension("bc")));
    }
    let native = out.join("native");
    fs::create_dir_all(&native).expect("a folder for ordinary programs");
    for source in programs.iter().filter(|source| stem(source) != FOR_COROUTINES) {
        jobs.push(compile_native(source, &support, &native.join(stem(source))));
    }
    for source in c_files(&manifest.join("tests/modules")) {
        jobs.push(compile_module(&source, &["-O1"], &out.join(stem(&source)).with_extension("so")));
        // As distributions do.
        let fortified = out.join(format!("{}_fortified.so", stem(&source)));
        jobs.push(compile_module(&source, &["-O2", "-D_FORTIFY_SOURCE=2", "-fstack-protector-strong"], &fortified));
    }
    in_parallel(jobs, |mut job| run(&mut job));

    let pass = pass(&manifest, &out);
    let bitcode = |source: &Path| out.join(stem(source)).with_extension("bc");
    let program = |name: &str, source: &Path| {
        let objects: Vec<_> =
            std::iter::once(source).chain(support.iter().map(PathBuf::as_path)).map(bitcode).collect();
        json!({ "name": name, "objects": objects })
    };
    let built_in: Vec<_> =
        modules.iter().map(|source| json!({ "name": stem(source), "objects": [bitcode(source)] })).collect();
    let replace = json!({ "fork_process": { "with": "libos_vfork", "returns_twice": true } });
    let mut units = Vec::new();
    for source in &programs {
        let name = stem(source);
        let mut unit = json!({ "name": name, "programs": [program(&name, source)], "replace": replace, "os": names });
        if name == LOADS_MODULES {
            unit["modules"] = json!(built_in);
            unit["export"] = json!(true);
        }
        units.push(unit);
    }
    // Two programs with one layout of the private block, whose names are those of other units again.
    let pair = ["one", "two"].map(|name| program(name, &sources.join("args.c")));
    units.push(json!({ "name": "pair", "programs": pair, "replace": replace, "os": names }));
    let objects: Vec<PathBuf> = in_parallel(units, |unit| privatize(&pass, &unit, &out));
    let library = out.join(format!("lib{LIBRARY}.a"));
    let _ = fs::remove_file(&library);
    run(tool("llvm-ar-22").arg("crs").arg(&library).args(&objects));
    println!("cargo::rustc-link-search=native={}", out.display());
    println!("cargo::rustc-link-lib=static={LIBRARY}");
    println!("cargo::rustc-link-lib=m");
    println!("cargo::rustc-env=LIBOS_TEST_PROGRAMS={}", out.display());

    let mut names: Vec<String> = programs.iter().map(|source| stem(source)).collect();
    names.extend(["one", "two"].map(str::to_owned));
    fs::write(out.join("programs.rs"), table(&names)).expect("the table of programs");
}

/// Rust source: the descriptors that the pass emits, by name.
fn table(names: &[String]) -> String {
    let statics: String = names.iter().map(|name| format!("        static privatized_program_{name}: u8;\n")).collect();
    let entries: String =
        names.iter().map(|name| format!("    (\"{name}\", &raw const privatized_program_{name}),\n")).collect();
    format!(
        "unsafe extern \"C\" {{\n{statics}}}\nconst DESCRIPTORS: [(&str, *const u8); {}] = [\n{entries}];\n",
        names.len()
    )
}

fn compile(source: &Path, output: &Path) -> Command {
    let mut command = tool("clang-22");
    command.args(["-O1", "-g1", "-fPIC", "-flto", "-Wall", "-Wno-unused-function", "-D_GNU_SOURCE", "-DLIBOS", "-I"]);
    command.arg(folder("CARGO_MANIFEST_DIR").join("../libos/include"));
    command.arg("-I").arg(folder("CARGO_MANIFEST_DIR").join("tests/programs/support"));
    command.arg("-c").arg("-o").arg(output).arg(source);
    command
}

fn compile_native(source: &Path, support: &[PathBuf], output: &Path) -> Command {
    let mut command = tool("clang-22");
    command.args(["-O1", "-g1", "-Wno-unused-function", "-D_GNU_SOURCE", "-I"]);
    command.arg(folder("CARGO_MANIFEST_DIR").join("tests/programs/support"));
    command.arg("-rdynamic").arg("-o").arg(output).arg(source).args(support).args(["-ldl", "-lm", "-lpthread"]);
    command
}

/// As somebody else's compiler would: a stock extension.
fn compile_module(source: &Path, how: &[&str], output: &Path) -> Command {
    let mut command = Command::new("cc");
    command.args(how).args(["-shared", "-fPIC", "-g0", "-D_GNU_SOURCE", "-o"]).arg(output).arg(source);
    command
}

/// Runs the pass and generates code; the object shows only what other units and the tests look for.
fn privatize(pass: &Path, unit: &serde_json::Value, out: &Path) -> PathBuf {
    let name = unit["name"].as_str().expect("a unit's name");
    let file = |extension: &str| out.join(format!("unit_{name}.{extension}"));
    fs::write(file("json"), unit.to_string()).expect("the unit's description");
    run(Command::new(pass).arg("--unit").arg(file("json")).arg("--output").arg(file("bc")));
    let (bitcode, object) = (file("bc"), file("o"));
    run(tool("ld.lld-22").args(["-r", "--lto-O1", "-o"]).arg(&object).arg(bitcode));
    run(tool("llvm-objcopy-22")
        .args(["-w", "--keep-global-symbol=privatized_program_*", "--keep-global-symbol=privatized_base"])
        .arg(&object));
    object
}

/// The compiler pass: what `PRIVATIZE` names, or built now, in a target folder of its own, since this one is locked.
fn pass(manifest: &Path, out: &Path) -> PathBuf {
    println!("cargo::rerun-if-env-changed=PRIVATIZE");
    if let Some(path) = env::var_os("PRIVATIZE").filter(|path| !path.is_empty()) {
        println!("cargo::rerun-if-changed={}", path.display());
        return path.into();
    }
    let source = manifest.join("../privatize");
    for part in ["src", "shim", "build.rs", "Cargo.toml"] {
        println!("cargo::rerun-if-changed={}", source.join(part).display());
    }
    // OUT_DIR is TARGET/PROFILE/build/PACKAGE/out.
    let target = out.ancestors().nth(4).unwrap_or(out).join("privatize");
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--release", "--bin", "privatize", "--manifest-path"]).arg(source.join("Cargo.toml"));
    command.arg("--target-dir").arg(&target).stdin(Stdio::null());
    for (name, _) in env::vars_os() {
        let foreign = name.to_str().is_some_and(|name| {
            let cargo = name.starts_with("CARGO_") && name != "CARGO_HOME";
            cargo || name.starts_with("RUSTFLAGS") || matches!(name, "TARGET" | "PROFILE" | "OPT_LEVEL" | "DEBUG")
        });
        if foreign {
            command.env_remove(name);
        }
    }
    run(&mut command);
    target.join("release/privatize")
}

fn tool(name: &str) -> Command {
    Command::new(name)
}

/// Does all jobs, as many at once as cargo allows.
fn in_parallel<T: Send, R: Send>(jobs: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let parallel = env::var("NUM_JOBS").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let (jobs, results) = (Mutex::new(jobs), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..parallel {
            scope.spawn(|| {
                loop {
                    let Some(job) = jobs.lock().expect("no job panics with the lock").pop() else { break };
                    let result = work(job);
                    results.lock().expect("as above").push(result);
                }
            });
        }
    });
    results.into_inner().expect("as above")
}

fn run(command: &mut Command) {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().unwrap_or_else(|error| panic!("{name} does not run ({error}): {INSTALL}"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{text}", output.status);
}

fn c_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension() == Some(OsStr::new("c")));
    files.sort();
    files
}

fn stem(path: &Path) -> String {
    path.file_stem().expect("a file name").to_string_lossy().into_owned()
}

fn folder(variable: &str) -> PathBuf {
    env::var_os(variable).unwrap_or_else(|| panic!("cargo has not set {variable}")).into()
}
