//! What the pass cannot follow is refused, by name, and all of it in one error.

mod common;

use common::Bench;
use privatize::{LoadableModule, Program, Replacement, Unit};

/// The message for a program of one file.
fn refuse(code: &str) -> String {
    let bench = Bench::new();
    let object = bench.object("file", &["-O2"], code);
    bench.refusal(&bench.unit(&[object]))
}

/// Checks that all words are in the message.
fn says(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "`{word}` is missing in: {message}");
    }
}

#[test]
fn undefined_symbols_all_at_once() {
    let message = refuse(
        "int first(void); int second(void); extern int variable, weak __attribute__((weak));
         int main(void) { return first() + second() + variable + (&weak != 0); }",
    );
    says(&message, &["function `first`", "function `second`", "variable `variable`", "file.o", "directive"]);
    assert!(!message.contains("`weak`"), "{message}");
}

#[test]
fn two_definitions() {
    let bench = Bench::new();
    let a = bench.object("a", &[], "int twice = 1; int main(void) { return twice; }");
    let b = bench.object("b", &[], "int twice = 2;");
    says(&bench.refusal(&bench.unit(&[a, b])), &["two definitions of `twice`", "a.o", "b.o"]);
}

#[test]
fn module_assembly_that_names_a_variable() {
    let message = refuse("int counter; __asm__(\".data\\n.quad counter\\n\"); int main(void) { return counter; }");
    says(&message, &["`counter`", "file.o", "operand"]);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn inline_assembly_that_names_a_variable() {
    let code = "static int counter __attribute__((used));
                void other(void) { __asm__ volatile(\"incl counter(%%rip)\"); }
                int main(void) { other(); return counter; }";
    says(&refuse(code), &["`counter`", "function other"]);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn inline_assembly_that_names_a_variable_of_another_file() {
    let bench = Bench::new();
    let a = bench.object("a", &[], "int main(void) { __asm__ volatile(\"incl counter(%%rip)\"); return 0; }");
    let b = bench.object("b", &[], "int counter;");
    says(&bench.refusal(&bench.unit(&[a, b])), &["`counter`", "a.o, function main"]);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn assembly_that_names_a_redirected_function() {
    let message = refuse("int main(void) { __asm__ volatile(\"call malloc\"); return 0; }");
    says(&message, &["`malloc`", "function main"]);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn assembly_operands_that_must_be_constant() {
    // Not -fPIC: the compiler itself refuses there.
    let bench = Bench::new();
    let code = "static int counter; int main(void) { __asm__ volatile(\"# %0\" : : \"i\"(&counter)); return counter; }";
    let object = bench.object("file", &["-fno-pic", "-O2"], code);
    says(&bench.refusal(&bench.unit(&[object])), &["`counter`", "function main"]);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn ifuncs_that_need_private_data() {
    let message = refuse(
        "int choice; static int one(void) { return 1; } static int two(void) { return 2; }
         __attribute__((noinline)) static int which(void) { return choice; }
         static void *resolve(void) { return which() ? one : two; }
         int chosen(void) __attribute__((ifunc(\"resolve\")));
         int main(void) { choice = 1; return chosen(); }",
    );
    says(&message, &["ifunc `chosen`", "which"]);
}

#[test]
fn parts_of_addresses_in_initialisers() {
    let code = "target triple = \"x86_64-pc-linux-gnu\"
        @variable = global i32 1
        @table = constant { i32, i32 } { i32 0, i32 trunc (i64 ptrtoint (ptr @variable to i64) to i32) }
        define i32 @main() {
          %v = load volatile i32, ptr getelementptr (i8, ptr @table, i64 4)
          ret i32 %v
        }";
    says(&refuse(code), &["initialiser of", "`table`", "byte 4"]);
}

#[test]
fn directives_that_do_not_fit() {
    let message = refuse("extern int v __asm__(\"malloc\"); int main(void) { return v; }");
    says(&message, &["`malloc`", "is a variable"]);
    let message = refuse("extern char stdout[]; int main(void) { return stdout[0]; }");
    says(&message, &["`stdout`", "size"]);
    let message = refuse("int stdout(void); int main(void) { return stdout(); }");
    says(&message, &["`stdout`", "is a function"]);
    let message = refuse(
        "int __sigsetjmp(void *, int) __attribute__((returns_twice)); int (*p)(void *, int) = __sigsetjmp;
         int main(void) { return p(0, 0); }",
    );
    says(&message, &["`__sigsetjmp`", "address"]);
}

#[test]
fn alignment_beyond_a_page() {
    says(&refuse("_Alignas(8192) char big[8192]; int main(void) { return big[5]++; }"), &["`big`", "4096"]);
}

#[test]
fn handlers_that_are_private() {
    let code = "target triple = \"x86_64-pc-linux-gnu\"
        @type = global i32 1
        declare void @libos_raise()
        declare i32 @libos_personality(...)
        define i32 @main() personality ptr @libos_personality {
          invoke void @libos_raise() to label %fine unwind label %caught
        fine:
          ret i32 0
        caught:
          %l = landingpad { ptr, i32 } catch ptr @type
          %v = load i32, ptr @type
          ret i32 %v
        }";
    says(&refuse(code), &["`type`", "exception"]);
}

#[test]
fn what_nothing_defines() {
    let bench = Bench::new();
    let object = bench.object("file", &[], "int start(void) { return 0; }");
    let mut unit = bench.unit(&[object]);
    says(&bench.refusal(&unit), &["program test", "`main`"]);
    unit.replace.insert("lost".into(), Replacement { with: "libos_lost".into(), returns_twice: false });
    unit.wrap.insert("start".into());
    says(&bench.refusal(&unit), &["`replace`", "`lost`", "`wrap`", "`__wrap_start`"]);
}

#[test]
fn hooks_where_they_cannot_be_kept_apart() {
    let bench = Bench::new();
    let hooked = "__attribute__((constructor)) void hook(void) {} int main(void) { return 0; }";
    let a = bench.object("a", &[], hooked);
    let b = bench.object("b", &[], "int main(void) { return 1; }");
    let mut unit = bench.unit(&[a]);
    unit.programs.push(Program { name: "other".into(), objects: vec![b.clone()], ..Program::default() });
    says(&bench.refusal(&unit), &["`hook`", "unit of its own"]);

    let object = bench.object("m", &[], "__attribute__((destructor)) void bye(void) {}");
    let mut unit = bench.unit(&[b]);
    unit.modules.push(LoadableModule { name: "m".into(), objects: vec![object], ..LoadableModule::default() });
    says(&bench.refusal(&unit), &["`bye`", "atexit"]);
}

#[test]
fn modules_that_several_programs_could_serve() {
    let bench = Bench::new();
    let a = bench.object("a", &[], "int common(void) { return 1; } int main(void) { return common(); }");
    let b = bench.object("b", &[], "int common(void) { return 2; } int main(void) { return common(); }");
    let m = bench.object("m", &[], "int common(void); int use(void) { return common(); }");
    let mut unit = bench.unit(&[a]);
    unit.programs.push(Program { name: "other".into(), objects: vec![b], ..Program::default() });
    unit.modules.push(LoadableModule { name: "m".into(), objects: vec![m], ..LoadableModule::default() });
    says(&bench.refusal(&unit), &["`common`", "module m", "several programs"]);
}

#[test]
fn files_that_are_no_bitcode() {
    let bench = Bench::new();
    let object = bench.object("file", &["-fno-lto"], "int main(void) { return 0; }");
    says(&bench.refusal(&bench.unit(&[object])), &["file.o", "machine code", "-flto"]);
    let text = bench.path("names.txt");
    says(&bench.refusal(&bench.unit(&[text])), &["names.txt", "not LLVM bitcode"]);
    says(&bench.refusal(&bench.unit(&[bench.path("absent.o")])), &["absent.o", "cannot read"]);
}

#[test]
fn descriptions_that_make_no_sense() {
    let bench = Bench::new();
    says(&bench.refusal(&Unit { name: "u".into(), ..Unit::default() }), &["unit u", "no program"]);
    let object = bench.object("file", &[], "int main(void) { return 0; }");
    let mut unit = bench.unit(&[object]);
    unit.programs[0].libraries.push("libx".into());
    says(&bench.refusal(&unit), &["no library `libx`"]);
    let file = bench.path("unit.json");
    std::fs::write(&file, "{\"name\": \"u\", \"programs\": [], \"objcts\": []}").expect("a file");
    let message = Unit::load(&file).expect_err("an unknown field").to_string();
    says(&message, &["unit.json", "objcts"]);
}
