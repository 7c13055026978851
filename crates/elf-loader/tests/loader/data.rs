//! Each mapping has its own data, and no more rights to it than it needs.

use crate::support::{Module, Names, call, compilers, exists, initialise};

const COUNTER: &str = "
    static int counter = 7;
    int zeroed[5000];
    static int *const address_of_counter = &counter;
    static int twice(int x) { return 2 * x; }
    static int thrice(int x) { return 3 * x; }
    int (*const functions[])(int) = { twice, thrice };
    int add(int n) { return *address_of_counter += n; }
    int add_zeroed(int n) { zeroed[4999] += n; return zeroed[4999] + zeroed[0]; }
    int apply_twice(int n) { return functions[0](n); }
    int apply_thrice(int n) { return functions[1](n); }
";

#[test]
fn mappings_of_one_object_share_no_data() {
    for compiler in compilers() {
        let module = Module::build(compiler, "c", COUNTER, &[]);
        let (a, b) = (module.load(), module.load());
        assert_eq!(a.call("add", 1), 8);
        assert_eq!(a.call("add", 1), 9);
        assert_eq!(b.call("add", 100), 107);
        assert_eq!(a.call("add_zeroed", 5), 5);
        assert_eq!(b.call("add_zeroed", 0), 0);
        assert_eq!(b.call("apply_twice", 21), 42);
        assert_eq!(b.call("apply_thrice", 21), 63);
    }
}

#[test]
fn packed_relative_relocations() {
    let module = Module::c(COUNTER, &["-Wl,-z,pack-relative-relocs"]);
    assert!(sections(&module).contains(".relr.dyn"));
    let loaded = module.load();
    assert_eq!(loaded.call("add", 1), 8);
    assert_eq!(loaded.call("apply_thrice", 5), 15);
}

#[test]
fn objects_linked_by_lld() {
    let Some(linker) = ["ld.lld-22", "ld.lld"].into_iter().find(|l| exists(l)) else {
        return;
    };
    let Some(compiler) = compilers().into_iter().find(|c| c.starts_with("clang")) else {
        return;
    };
    let linker = format!("--ld-path={linker}");
    for pack in ["none", "relr"] {
        let pack = format!("-Wl,--pack-dyn-relocs={pack}");
        let loaded = Module::build(compiler, "c", COUNTER, &[&linker, &pack]).load();
        assert_eq!(loaded.call("add", 1), 8);
        assert_eq!(loaded.call("add_zeroed", 5), 5);
        assert_eq!(loaded.call("apply_thrice", 5), 15);
    }
}

#[test]
fn both_kinds_of_hash_table() {
    for style in ["sysv", "gnu", "both"] {
        let style = format!("-Wl,--hash-style={style}");
        let loaded = Module::c(COUNTER, &[&style]).load();
        assert_eq!(loaded.call("add", 1), 8);
        assert!(loaded.mapping.symbol("twice").is_none());
        assert!(loaded.mapping.symbol("").is_none());
        assert!(loaded.mapping.symbol("added").is_none());
    }
}

#[test]
fn stripped_objects() {
    let loaded = Module::c(COUNTER, &["-s"]).load();
    assert_eq!(loaded.call("add", 1), 8);
}

#[test]
fn large_alignment_is_kept() {
    let source = "
        __attribute__((aligned(65536))) int wide[4] = { 1, 2, 3, 4 };
        int is_aligned(void) { return ((unsigned long) wide & 65535) == 0 && wide[3] == 4; }
    ";
    let module = Module::c(source, &["-Wl,-z,max-page-size=65536"]);
    for loaded in [module.load(), module.load(), module.load()] {
        assert_eq!(loaded.call("is_aligned", 0), 1);
    }
}

#[test]
fn memory_is_never_writable_and_executable() {
    let source = "
        int f(int x) { return x; }
        int (*const constant)(int) = f;
        int (*variable)(int) = f;
    ";
    let module = Module::c(source, &["-Wl,-z,relro"]);
    let object = module.open().unwrap();
    let mapping = object.map(&Names::default()).unwrap();
    for initialised in [false, true] {
        if initialised {
            initialise(&mapping);
        }
        assert_eq!(call(&mapping, "f", 3), 3);
        assert!(!rights(mapping.addresses().start).contains('w'));
        assert_eq!(rights(mapping.symbol("f").unwrap().addr()), "r-xp");
        assert_eq!(rights(mapping.symbol("constant").unwrap().addr()), "r--p");
        assert_eq!(rights(mapping.symbol("variable").unwrap().addr()), "rw-p");
    }
}

/// The rights of the page with this address, as the kernel lists them.
fn rights(address: usize) -> String {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| {
        let (range, _) = line.split_once(' ').unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let parse = |s| usize::from_str_radix(s, 16).unwrap();
        (parse(start)..parse(end)).contains(&address)
    });
    line.unwrap().split(' ').nth(1).unwrap().to_owned()
}

fn sections(module: &Module) -> String {
    let output = std::process::Command::new("readelf").args(["-SW"]).arg(&module.path).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}
