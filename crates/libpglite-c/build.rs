//! What the shared library exports: our own functions, nothing of the crates and libraries inside it.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // All else comes out of archives. Uses of our own symbols stay inside, so that no other library of the program can get between.
    for argument in ["-Wl,--exclude-libs,ALL", "-Wl,-Bsymbolic", "-Wl,-z,nodelete", "-Wl,-soname,libpglite.so.1"] {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
}
