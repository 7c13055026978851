//! Damaged files: whatever is changed in them, they are refused or mapped, and nothing else happens. No code of theirs runs.

use std::ffi::c_void;
use std::io::{Seek, Write};
use std::process::Command;
use std::sync::OnceLock;

use elf_loader::{HostResolver, Resolver, SharedObject};
use proptest::prelude::*;

const SOURCE: &str = "
    #include <stdexcept>
    #include <cstdlib>
    static thread_local int local = 3;
    int zeroed[3000];
    extern \"C\" { int (*chosen())(int) { return nullptr; } int indirect(int) __attribute__((ifunc(\"chosen\"))); }
    static int *pointers[] = { zeroed, zeroed + 1, zeroed + 2 };
    struct Base { virtual ~Base() {} virtual int f(int n) { if (n) throw std::runtime_error(\"x\"); return local; } };
    Base base;
    extern \"C\" int run(int n) { try { return base.f(n) + *pointers[n] + indirect(n); } catch (...) { return std::abs(n); } }
";

/// A module with all that the loader looks at, linked in three ways.
fn modules() -> &'static [Vec<u8>] {
    static MODULES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    MODULES.get_or_init(|| {
        let flags: [&[&str]; 3] = [
            &["-Wl,--hash-style=gnu", "-Wl,-z,now"],
            &["-Wl,--hash-style=sysv", "-mtls-dialect=gnu2"],
            &["-Wl,-z,pack-relative-relocs", "-s"],
        ];
        flags.iter().map(|flags| compile(flags)).collect()
    })
}

fn compile(flags: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("a.cc"), folder.path().join("a.so"));
    std::fs::write(&input, SOURCE).unwrap();
    let mut compiler = Command::new("c++");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).args([&output, &input]);
    assert!(compiler.args(flags).status().unwrap().success());
    std::fs::read(&output).unwrap()
}

/// Where a change can make a difference: the program headers say it.
fn interesting(bytes: &[u8]) -> Vec<usize> {
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let count = usize::from(bytes[56]);
    let headers = 0..64 + 56 * count;
    // Read-only data and the dynamic section, but not the code.
    let segments = (0..count).map(|n| 64 + 56 * n).filter_map(|at| {
        let (kind, flags) = (bytes[at], bytes[at + 4]);
        let loaded = kind == 1 && flags & 1 == 0;
        (loaded || kind == 2).then(|| word(at + 8)..word(at + 8) + word(at + 32))
    });
    headers.chain(segments.flatten()).collect()
}

/// Finds everything, so that damaged names do not end the test early.
struct Anything(HostResolver);

impl Resolver for Anything {
    fn resolve(&self, name: &str, version: Option<&str>) -> Option<*const c_void> {
        let host = self.0.resolve(name, version);
        host.or_else(|| (!name.starts_with("__unw")).then_some(std::ptr::dangling()))
    }
}

/// Opens and maps; returns whether it is accepted.
fn try_map(bytes: &[u8]) -> bool {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    let Ok(object) = SharedObject::open(&file, "damaged") else {
        return false;
    };
    let undefined = object.undefined().count();
    assert!(undefined < bytes.len());
    let names: Vec<_> = object.exported().map(str::to_owned).collect();
    match object.map(&Anything(HostResolver::new())) {
        Ok(mapping) => {
            for name in &names {
                let _ = mapping.symbol(name);
            }
            // Any exception in the program makes the unwinder read the frames of all that is registered.
            let unwound = std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new(())));
            unwound.is_err()
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

#[test]
fn undamaged() {
    for module in modules() {
        assert!(try_map(module));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes(
        which in 0..3_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = modules()[which].clone();
        let places = interesting(&bytes);
        for (place, value) in changes {
            bytes[*place.get(&places)] = value;
        }
        try_map(&bytes);
    }

    #[test]
    fn changed_words(
        which in 0..3_usize,
        place in any::<prop::sample::Index>(),
        value in prop::sample::select(vec![0, 1, 7, 0x7f, 0xfff, 0x1000, 0x7fff_ffff, 0xffff_ffff, 1 << 32, i64::MAX as u64, u64::MAX - 4095, u64::MAX]),
        half in any::<bool>(),
    ) {
        let mut bytes = modules()[which].clone();
        let places = interesting(&bytes);
        let at = (*place.get(&places) & !3).min(bytes.len() - 8);
        let size = if half { 4 } else { 8 };
        bytes[at..at + size].copy_from_slice(&u64::to_le_bytes(value)[..size]);
        try_map(&bytes);
    }

    #[test]
    fn cut_off(which in 0..3_usize, length in any::<prop::sample::Index>()) {
        let bytes = &modules()[which];
        try_map(&bytes[..length.index(bytes.len())]);
    }
}
