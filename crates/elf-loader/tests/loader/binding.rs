//! Where names come from, and in which order.

use std::ffi::c_void;

use elf_loader::ErrorKind;

use crate::support::{Module, Names, call, initialise};

extern "C" fn outside(n: i32) -> i32 {
    n + 1000
}

static OUTSIDE_VARIABLE: i32 = 4321;

fn address(function: extern "C" fn(i32) -> i32) -> *const c_void {
    function as *const c_void
}

#[test]
fn all_unresolved_names_are_in_one_error() {
    let source = "
        extern int missing_function(int); extern int missing_variable;
        extern int absent(int) __attribute__((weak));
        int f(int n) { return missing_function(n) + missing_variable + (absent ? absent(1) : 0); }
        int ran; __attribute__((constructor)) static void first(void) { ran = 1; }
    ";
    let object = Module::c(source, &[]).open().unwrap();
    let error = object.map(&Names::default()).unwrap_err();
    let ErrorKind::Unresolved(names) = &error.kind else {
        panic!("{error}");
    };
    let mut names: Vec<_> = names.iter().map(|n| n.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["missing_function", "missing_variable"]);
    let message = error.to_string();
    assert!(message.contains("missing_function") && message.contains("missing_variable"));

    let undefined: Vec<_> = object.undefined().collect();
    let find = |name| undefined.iter().find(|u| u.name == name).unwrap();
    assert!(find("absent").weak);
    assert!(!find("missing_variable").weak);
}

#[test]
fn weak_names_may_be_nowhere() {
    let source = "
        extern int absent(int) __attribute__((weak));
        int f(int n) { return absent ? absent(n) : -1; }
    ";
    let object = Module::c(source, &[]).open().unwrap();
    let mapping = object.map(&Names::default()).unwrap();
    initialise(&mapping);
    assert_eq!(call(&mapping, "f", 1), -1);

    let names = Names { global: vec![("absent", address(outside))], ..Names::default() };
    let mapping = object.map(&names).unwrap();
    initialise(&mapping);
    assert_eq!(call(&mapping, "f", 1), 1001);
}

const INTERPOSED: &str = "
    int shared(int n) { return n; }
    __attribute__((visibility(\"protected\"))) int guarded(int n) { return n; }
    __attribute__((visibility(\"hidden\"))) int hidden(int n) { return n; }
    int variable = 1;
    int (*pointer)(int) = shared;
    int call_shared(int n) { return shared(n); }
    int call_guarded(int n) { return guarded(n); }
    int call_hidden(int n) { return hidden(n); }
    int call_pointer(int n) { return pointer(n); }
    int read_variable(void) { return variable; }
";

#[test]
fn the_global_scope_interposes() {
    let names = || {
        vec![
            ("shared", address(outside)),
            ("guarded", address(outside)),
            ("hidden", address(outside)),
            ("variable", (&raw const OUTSIDE_VARIABLE).cast()),
        ]
    };
    let flags = ["-fno-inline", "-fsemantic-interposition"];
    let object = Module::c(INTERPOSED, &flags).open().unwrap();
    let global = Names { global: names(), ..Names::default() };
    let mapping = object.map(&global).unwrap();
    assert_eq!(call(&mapping, "call_shared", 1), 1001);
    assert_eq!(call(&mapping, "call_pointer", 1), 1001);
    assert_eq!(call(&mapping, "read_variable", 0), 4321);
    assert_eq!(call(&mapping, "call_guarded", 1), 1);
    assert_eq!(call(&mapping, "call_hidden", 1), 1);
    // What the object exports stays its own.
    assert_eq!(call(&mapping, "shared", 1), 1);

    // A dependency comes after the object itself.
    let dependency = Names { dependency: names(), ..Names::default() };
    let mapping = object.map(&dependency).unwrap();
    assert_eq!(call(&mapping, "call_shared", 1), 1);
    assert_eq!(call(&mapping, "read_variable", 0), 1);

    // As does everything, if the object says so.
    let flags = [&flags[..], &["-Wl,-Bsymbolic"]].concat();
    let object = Module::c(INTERPOSED, &flags).open().unwrap();
    let mapping = object.map(&global).unwrap();
    assert_eq!(call(&mapping, "call_shared", 1), 1);
    assert_eq!(call(&mapping, "call_pointer", 1), 1);
    assert_eq!(call(&mapping, "read_variable", 0), 1);
}

#[test]
fn names_have_versions() {
    let source = "
        int old_f(int n) { return n; }
        int new_f(int n) { return n + 1; }
        __asm__(\".symver old_f, f@ONE\");
        __asm__(\".symver new_f, f@@TWO\");
    ";
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("versions");
    std::fs::write(&script, "ONE { global: f; local: *; }; TWO {} ONE;").unwrap();
    let script = format!("-Wl,--version-script={}", script.display());
    let object = Module::c(source, &[&script]).open().unwrap();
    let mapping = object.map(&Names::default()).unwrap();
    assert_eq!(call(&mapping, "f", 1), 2);
    assert_eq!(object.exported().filter(|n| *n == "f").count(), 1);
}

#[test]
fn needed_libraries_and_own_name() {
    let flags = ["-Wl,-soname,module.so.1", "-Wl,--no-as-needed", "-lm"];
    let object = Module::c("int x;", &flags).open().unwrap();
    assert_eq!(object.needed(), ["libm.so.6", "libc.so.6"]);
    assert_eq!(object.soname(), Some("module.so.1"));
    let exported: Vec<_> = object.exported().filter(|n| !n.starts_with('_')).collect();
    assert_eq!(exported, ["x"]);
}

#[test]
fn indirect_functions() {
    let source = "
        static int chosen(int n) { return n + 5; }
        static void *choose(void) { return chosen; }
        int exported(int n) __attribute__((ifunc(\"choose\")));
        static int internal(int n) __attribute__((ifunc(\"choose\")));
        int (*pointer)(int) = exported;
        __thread int (*local)(int) = internal;
        int call_exported(int n) { return exported(n); }
        int call_internal(int n) { return internal(n); }
        int call_pointer(int n) { return pointer(n); }
        int call_local(int n) { return local(n); }
    ";
    for flags in [&["-Wl,-z,now"][..], &["-Wl,-z,lazy"], &["-Wl,-z,norelro"]] {
        let object = Module::c(source, flags).open().unwrap();
        let mapping = object.map(&Names::default()).unwrap();
        assert!(mapping.symbol("exported").is_none());
        initialise(&mapping);
        for name in ["exported", "call_exported", "call_internal", "call_pointer", "call_local"] {
            assert_eq!(call(&mapping, name, 1), 6, "{name} {flags:?}");
        }
    }
}

#[test]
fn the_file_is_not_changed_meanwhile() {
    let module = Module::c("int x = 1;", &[]);
    let object = module.open().unwrap();
    let file = std::fs::OpenOptions::new().append(true).open(&module.path);
    std::io::Write::write_all(&mut file.unwrap(), b"more").unwrap();
    let error = object.map(&Names::default()).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Changed), "{error}");
}
