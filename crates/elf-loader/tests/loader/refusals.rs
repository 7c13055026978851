//! Files that are not mapped, and what is said about them.

use std::io::{Seek, Write};
use std::process::Command;

use elf_loader::{ErrorKind, SharedObject};

use crate::support::{Module, compilers};

fn refusal_of(bytes: &[u8]) -> String {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    SharedObject::open(&file, "given").unwrap_err().to_string()
}

fn changed(at: usize, value: &[u8]) -> String {
    let module = Module::c("int x = 1;", &[]);
    let mut bytes = std::fs::read(&module.path).unwrap();
    bytes[at..at + value.len()].copy_from_slice(value);
    refusal_of(&bytes)
}

#[test]
fn other_files() {
    assert!(refusal_of(b"").contains("not an ELF file"));
    assert!(refusal_of(b"#!/bin/sh\n").contains("not an ELF file"));
    assert!(refusal_of(b"\x7fELF").contains("malformed"));
    let message = refusal_of(b"\x7fELF\x02\x01\x01");
    assert!(message.contains("given") && message.contains("malformed"));
}

#[test]
fn other_machines() {
    assert!(changed(4, &[1]).contains("32-bit"));
    assert!(changed(5, &[2]).contains("big-endian"));
    let message = changed(18, &[8, 0]);
    assert!(message.contains("machine number 8"), "{message}");
    assert!(changed(16, &[4, 0]).contains("core dump"));
}

#[test]
fn other_outputs_of_the_linker() {
    let main = "int main(void) { return 0; }";
    let refusal = |flags: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let (input, output) = (folder.path().join("main.c"), folder.path().join("main"));
        std::fs::write(&input, main).unwrap();
        let mut command = Command::new("cc");
        command.args(flags).arg("-o").args([&output, &input]);
        assert!(command.status().unwrap().success());
        refusal_of(&std::fs::read(&output).unwrap())
    };
    let message = refusal(&["-no-pie"]);
    assert!(message.contains("an executable;"), "{message}");
    let message = refusal(&["-fPIE", "-pie"]);
    assert!(message.contains("(position-independent)"), "{message}");
    let message = refusal(&["-static-pie"]);
    assert!(message.contains("(static and position-independent)"), "{message}");
    let message = refusal(&["-c"]);
    assert!(message.contains("not linked"), "{message}");
}

#[test]
fn relocations_in_code() {
    let source = "
        extern int others; int get(void) { return others; }
        __asm__(\".text; .globl raw; raw: .quad others\");
    ";
    let message = Module::c(source, &["-Wl,-z,notext", "-Wl,--warn-textrel"]).refusal();
    assert!(message.contains("R_X86_64_64"), "{message}");
    assert!(message.contains("for others"), "{message}");
    assert!(message.contains("-fPIC"), "{message}");
}

#[test]
fn narrow_relocations() {
    let source = "__asm__(\".data; .globl raw; raw: .long others - .\");";
    let message = Module::c(source, &[]).refusal();
    assert!(message.contains("R_X86_64_PC32") && message.contains("-fPIC"), "{message}");
}

#[test]
fn copied_variables() {
    // No linker puts a copy relocation into a shared object; change one, which the addend tells from all else.
    let source = "extern char others[]; char *where = others + 0x1234567;";
    let module = Module::c(source, &[]);
    let mut bytes = std::fs::read(&module.path).unwrap();
    let at =
        bytes.windows(16).position(|entry| entry[..4] == [1, 0, 0, 0] && entry[8..] == 0x123_4567_u64.to_le_bytes());
    let at = at.expect("no relocation of kind 64");
    bytes[at] = 5;
    let message = refusal_of(&bytes);
    assert!(message.contains("R_X86_64_COPY") && message.contains("others"), "{message}");
}

#[test]
fn writable_code() {
    let source = "__asm__(\".section mixed,\\\"awx\\\",@progbits; .globl f; f: ret\");";
    assert!(Module::c(source, &[]).refusal().contains("writable and executable"));
    let message = Module::c("int x;", &["-Wl,-z,execstack"]).refusal();
    assert!(message.contains("executable stack"), "{message}");
}

#[test]
fn exception_frames_without_an_end() {
    // Where nothing but padding follows, it ends them.
    let source = "int f(int n) { return n; }";
    assert_eq!(Module::c(source, &["-nostdlib"]).load().call("f", 1), 1);

    let source = "
        void g(int); void h(int *);
        int f(int n) { try { g(n); } catch (int e) { h(&e); } return n; }
    ";
    let message = Module::cxx(source, &["-nostdlib"]).refusal();
    assert!(message.contains("no end mark"), "{message}");
}

#[test]
fn cut_off_files() {
    for compiler in compilers() {
        let module = Module::build(compiler, "c", "int x = 1;", &[]);
        let bytes = std::fs::read(&module.path).unwrap();
        for length in [16, 63, 64, 200, 4096, 8192] {
            let message = refusal_of(&bytes[..length]);
            assert!(message.contains("malformed"), "{message}");
        }
    }
}

#[test]
fn the_error_has_a_kind() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"text").unwrap();
    let error = SharedObject::open(&file, "given").unwrap_err();
    assert_eq!(error.name, "given");
    assert!(matches!(error.kind, ErrorKind::NotElf));
}
