//! Mapping and unmapping leaves nothing behind. A program of its own, as it counts what the whole process has.

use std::fs::File;
use std::process::Command;
use std::ptr;

use elf_loader::{HostResolver, SharedObject};

const SOURCE: &str = "
    #include <stdexcept>
    #include <string>
    static std::string text = \"a string long enough not to fit into the object itself\";
    static thread_local std::string local = text;
    static char large[1 << 20];
    extern \"C\" int run(int n) {
        large[n] = 1;
        local += text;
        try { throw std::runtime_error(local); } catch (const std::exception &e) { return std::string(e.what()).size(); }
    }
";

#[test]
fn a_thousand_mappings() {
    let folder = tempfile::tempdir().unwrap();
    let (input, path) = (folder.path().join("a.cc"), folder.path().join("leak-test.so"));
    std::fs::write(&input, SOURCE).unwrap();
    let mut compiler = Command::new("c++");
    compiler.args(["-shared", "-fPIC", "-O1", "-Wl,-z,separate-code", "-o"]);
    assert!(compiler.args([&path, &input]).status().unwrap().success());

    let object = SharedObject::open(File::open(&path).unwrap(), "leak-test").unwrap();
    // SAFETY: the compiler's own libraries.
    let host = unsafe { HostResolver::open(object.needed()) }.unwrap();
    let cycle = |finalise: bool| {
        let mapping = object.map(&host).unwrap();
        // SAFETY: a module of ours.
        unsafe {
            mapping.run_initialisers(0, ptr::null(), ptr::null()).unwrap();
            let run = mapping.symbol("run").unwrap();
            let run: extern "C" fn(i32) -> i32 = std::mem::transmute(run);
            assert_eq!(run(70), 108);
            if finalise {
                mapping.run_finalisers();
            }
        }
    };
    for _ in 0..20 {
        cycle(true);
    }
    let before = usage();
    for _ in 0..1000 {
        cycle(true);
    }
    let after = usage();
    assert_eq!(after.descriptors, before.descriptors);
    // The allocator may split or grow its own areas a little.
    assert!(after.areas <= before.areas + 10, "{before:?} {after:?}");
    assert!(after.kilobytes <= before.kilobytes + 4096, "{before:?} {after:?}");
    assert_eq!(after.of_module, 0);

    // A process that crashed finalises nothing, and what it allocated is its heap's to drop; the mapping goes all the same.
    cycle(false);
    assert_eq!(usage().of_module, 0);
}

#[derive(Debug)]
struct Usage {
    areas: usize,
    of_module: usize,
    descriptors: usize,
    kilobytes: usize,
}

fn usage() -> Usage {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let size = status.lines().find_map(|l| l.strip_prefix("VmSize:"));
    let size = size.unwrap().trim().trim_end_matches(" kB");
    Usage {
        areas: maps.lines().count(),
        of_module: maps.lines().filter(|l| l.contains("leak-test")).count(),
        descriptors: std::fs::read_dir("/proc/self/fd").unwrap().count(),
        kilobytes: size.parse().unwrap(),
    }
}
