//! Compiles the C++ shim against the LLVM that `llvm-sys` found.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=shim/shim.cpp");
    // llvm-sys hands on the llvm-config that it chose.
    let config = env::var("DEP_LLVM_221_CONFIG_PATH").unwrap_or_else(|_| "llvm-config-22".into());
    let flags = Command::new(&config)
        .arg("--cxxflags")
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .unwrap_or_else(|| {
            panic!(
                "{config} does not run: install LLVM 22 with its headers \
                 (Debian: llvm-22-dev clang-22 lld-22), or set LLVM_SYS_221_PREFIX"
            )
        });
    let mut build = cc::Build::new();
    build.cpp(true).file("shim/shim.cpp").warnings(false).opt_level(1);
    for flag in flags.split_whitespace() {
        build.flag(flag);
    }
    build.compile("privatize_shim");
}
