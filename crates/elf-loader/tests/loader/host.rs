//! The host's names.

use std::ffi::{c_char, c_void};

use elf_loader::{HostResolver, Resolver};

use crate::support::Module;

#[test]
fn versions_and_the_lack_of_them() {
    let host = HostResolver::new();
    let plain = host.resolve("strtol", None).unwrap();
    assert_eq!(host.resolve("strtol", Some("GLIBC_2.2.5")), Some(plain));
    assert_eq!(host.resolve("strtol", Some("GLIBC_9.99")), Some(plain));
    assert_eq!(host.resolve("strtol", Some("OTHER_1")), None);
    assert_eq!(host.resolve("no_such_function", None), None);
    assert_eq!(host.resolve("no\0function", None), None);
    assert_ne!(host.resolve("memcpy", Some("GLIBC_2.2.5")), host.resolve("memcpy", Some("GLIBC_2.14")));
}

#[test]
fn newer_names_fall_back() {
    let host = HostResolver::new();
    let newer = host.resolve("__isoc23_strtol", Some("GLIBC_2.38"));
    let function = newer.expect("neither the new name nor the old one");
    // SAFETY: `strtol`, by whichever name.
    let function: extern "C" fn(*const c_char, *mut *mut c_char, i32) -> i64 =
        unsafe { std::mem::transmute::<*const c_void, _>(function) };
    assert_eq!(function(c"123".as_ptr(), std::ptr::null_mut(), 10), 123);
    assert!(host.resolve("__isoc23_sscanf", Some("GLIBC_2.38")).is_some());
}

#[test]
fn a_module_built_for_a_newer_host() {
    let source = "
        extern long newer(const char *, char **, int) __asm__(\"__isoc23_strtol\");
        int parse(void) { return (int) newer(\"77\", 0, 10); }
    ";
    assert_eq!(Module::c(source, &[]).load().call("parse", 0), 77);
}

#[test]
fn needed_libraries_are_opened_but_not_shown() {
    let library = Module::c("int only_in_library(int n) { return n - 1; }", &[]);
    // SAFETY: a library of ours that has no initialisers.
    let host = unsafe { HostResolver::open([library.path.to_str().unwrap()]) }.unwrap();
    assert!(host.resolve("only_in_library", None).is_none());
    assert!(host.resolve_dependency("only_in_library", None).is_some());

    let source = "int only_in_library(int); int run(int n) { return only_in_library(n) * 2; }";
    let object = Module::c(source, &[]).open().unwrap();
    let mapping = object.map(&host).unwrap();
    assert_eq!(crate::support::call(&mapping, "run", 11), 20);
}

#[test]
fn missing_libraries_are_all_named() {
    // SAFETY: there are no such libraries.
    let error = unsafe { HostResolver::open(["libabsent-one.so", "libabsent-two.so"]) };
    let message = error.unwrap_err().to_string();
    assert!(message.contains("libabsent-one.so") && message.contains("libabsent-two.so"));
}

#[test]
fn definitions_without_versions_come_first() {
    // As a program's own `malloc` does.
    let replacement = "int atoi(const char *s) { return 1234; }";
    let replacement = Module::c(replacement, &["-fno-builtin"]);
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("versions");
    std::fs::write(&script, "ONE { global: f; local: *; };").unwrap();
    let script = format!("-Wl,--version-script={}", script.display());
    let versioned = "int old(void) { return 1; } __asm__(\".symver old, f@@ONE\");";
    let versioned = Module::c(versioned, &[&script]);
    let paths = [&replacement.path, &versioned.path].map(|p| p.to_str().unwrap());
    // SAFETY: libraries of ours without initialisers.
    let host = unsafe { HostResolver::open(paths) }.unwrap();
    let find = |name, version| host.resolve_dependency(name, Some(version));
    let own = host.resolve_dependency("atoi", None).unwrap();
    assert_ne!(Some(own), host.resolve("atoi", None));
    assert_eq!(find("atoi", "GLIBC_2.2.5"), Some(own));
    assert!(find("f", "ONE").is_some());
    assert!(find("f", "TWO").is_none());
}
