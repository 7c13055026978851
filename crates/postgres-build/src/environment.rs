//! Keeps nested builds from depending on who asks for them.

use std::process::Command;

/// Removes the variables that cargo, make and the user's compiler flags leave for a child.
pub fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_foreign) {
            command.env_remove(&name);
        }
    }
}

fn is_foreign(name: &str) -> bool {
    const EXACT: [&str; 16] = [
        "CC",
        "CFLAGS",
        "CPP",
        "CPPFLAGS",
        "CXX",
        "CXXFLAGS",
        "LDFLAGS",
        "LIBS",
        "OUT_DIR",
        "TARGET",
        "HOST",
        "PROFILE",
        "OPT_LEVEL",
        "DEBUG",
        "NUM_JOBS",
        "DESTDIR",
    ];
    const PREFIXES: [&str; 8] = ["CARGO_", "DEP_", "RUSTC", "RUSTDOC", "RUSTFLAGS", "MAKE", "MFLAGS", "GNUMAKEFLAGS"];
    const KEPT: [&str; 4] = ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR"];
    let starts = |list: &[&str]| list.iter().any(|prefix| name.starts_with(prefix));
    EXACT.contains(&name) || (starts(&PREFIXES) && !starts(&KEPT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_nested_build_must_not_see() {
        for name in
            ["MAKEFLAGS", "CARGO_MAKEFLAGS", "CARGO_TARGET_DIR", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "TARGET"]
        {
            assert!(is_foreign(name), "{name}");
        }
        for name in
            ["PATH", "CARGO", "CARGO_HOME", "CARGO_NET_OFFLINE", "HOME", "RUSTUP_TOOLCHAIN", "LLVM_SYS_221_PREFIX"]
        {
            assert!(!is_foreign(name), "{name}");
        }
    }
}
