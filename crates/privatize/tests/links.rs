//! Which definition a reference goes to, and what the library OS can find.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{Bench, expected, run, text};
use object::{Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, elf};
use privatize::{Archive, Library, LoadableModule, Program, Replacement, Unit};

/// A program that prints an expression of `seed` after both instances have set things up.
fn main_printing(declarations: &str, setup: &str, format: &str, values: &str) -> String {
    format!(
        "#include \"program.h\"
         {declarations}
         int main(int argc, char **argv) {{
             int seed = atoi(argv[1]);
             {setup};
             step();
             show(\"{format}\\n\", {values});
             return 0;
         }}"
    )
}

fn lines(one: &str, two: &str) -> String {
    expected(&format!("{one}\nstatus 0\n"), &format!("{two}\nstatus 0\n"))
}

fn archive(path: std::path::PathBuf, whole: bool) -> Archive {
    Archive { path, whole }
}

#[test]
fn archive_members_are_taken_when_needed() {
    let bench = Bench::new();
    let code =
        main_printing("int used(int); int weak(void) __attribute__((weak));", "", "%d %d", "used(seed), weak != 0");
    let main = bench.object("main", &["-O2"], &code);
    let used = bench.object("used", &["-O2"], "int deeper(int); int used(int x) { return deeper(x) + 1; }");
    // A member that is taken for one symbol brings the other; the later archive's definition of that is not taken.
    let deeper = bench.object("deeper", &["-O2"], "int extra = 5; int deeper(int x) { return x * 10 + extra++; }");
    let unused = bench.object("unused", &["-O2"], "int missing(void); int nobody(void) { return missing(); }");
    // Weak references take nothing out of an archive.
    let weak = bench.object("weak", &["-O2"], "int weak(void) { return 1; }");
    let late = bench.object("late", &["-O2"], "int deeper(int x) { return 0; }");
    let first = bench.archive("libfirst.a", &[&used, &unused, &weak]);
    let second = bench.archive("libsecond.a", &[&deeper]);
    let third = bench.archive("libthird.a", &[&late]);
    let mut unit = bench.unit(&[main]);
    unit.archives = vec![archive(first.clone(), false), archive(second, false), archive(third, false)];
    let (bitcode, report) = bench.privatize(&unit);
    assert_eq!(report.inputs, 3);
    assert_eq!(bench.run(&bitcode, "test"), lines("16 0", "26 0"));

    unit.archives[0].whole = true;
    unit.export = true;
    let message = bench.refusal(&unit);
    assert!(message.contains("`missing`") && message.contains("libfirst.a(unused.o)"), "{message}");

    let unused = bench.object("unused", &["-O2"], "int nobody(void) { return 1; }");
    let whole = bench.archive("libwhole.a", &[&used, &unused, &weak]);
    unit.archives[0] = archive(whole, true);
    let (bitcode, report) = bench.privatize(&unit);
    assert_eq!(report.inputs, 5);
    assert_eq!(bench.run(&bitcode, "test"), lines("16 1", "26 1"));
}

#[test]
fn thin_archives() {
    let bench = Bench::new();
    let main = bench.object("main", &[], &main_printing("int f(int);", "", "%d", "f(seed)"));
    let f = bench.object("f", &[], "static int k = 3; int f(int x) { return x * k; }");
    let path = bench.path("libthin.a");
    run(Command::new("llvm-ar-22").args(["--thin", "crs"]).arg(&path).arg(&f));
    let mut unit = bench.unit(&[main]);
    unit.archives.push(archive(path, false));
    let (bitcode, _) = bench.privatize(&unit);
    assert_eq!(bench.run(&bitcode, "test"), lines("3", "6"));
}

#[test]
fn libraries_keep_to_themselves() {
    let bench = Bench::new();
    // `helper` is in the program and in the library; each uses its own. `own` is exported, but the program's wins.
    let code = main_printing(
        "int exported(int); int own(void) { return 1; } int helper(void) { return 100; }",
        "",
        "%d %d %d",
        "exported(seed), own(), helper()",
    );
    let main = bench.object("main", &["-O2"], &code);
    let library = "int helper(void); int own(void) { return 2; } int state = 7; int inside(void) { return 5; }
                   int exported(int x) { state += x; return helper() + own() + state; }";
    let library = bench.object("library", &["-O2"], library);
    let helper = bench.object("helper", &["-O2"], "int helper(void) { return 1000; }");
    let helpers = bench.archive("libhelpers.a", &[&helper]);
    let mut unit = bench.unit(&[main]);
    unit.libraries.push(Library {
        name: "libx".into(),
        objects: vec![library],
        archives: vec![archive(helpers, false)],
        exports: Some(vec!["exported".into(), "own".into()]),
        ..Library::default()
    });
    let message = bench.refusal(&unit);
    assert!(message.contains("`exported`"), "a program sees the libraries that it names only: {message}");
    unit.programs[0].libraries.push("libx".into());
    let (bitcode, _) = bench.privatize(&unit);
    assert_eq!(bench.run(&bitcode, "test"), lines("1010 1 100", "1011 1 100"));

    let code = main_printing("int inside(void);", "", "%d", "inside() + seed");
    let main = bench.object("main", &["-O2"], &code);
    unit.programs[0].objects = vec![main];
    let message = bench.refusal(&unit);
    assert!(message.contains("`inside`"), "what is not exported cannot be seen: {message}");
    unit.libraries[0].exports = None;
    let (bitcode, _) = bench.privatize(&unit);
    assert_eq!(bench.run(&bitcode, "test"), lines("6", "7"));
    unit.libraries[0].exports = Some(vec!["inside".into(), "absent".into()]);
    let message = bench.refusal(&unit);
    assert!(message.contains("`absent`") && message.contains("library libx"), "{message}");
}

/// A program with two modules whose symbols clash, and a library that only they use.
fn modules(bench: &Bench, level: &str) -> Unit {
    let code = main_printing(
        "void *libos_module(const char *, const char *); void *libos_export(const char *);
         int shared = 1; int service(int x) { return x * 2 + shared; } int unused_here(void) { return 77; }
         static int call(const char *module, int x) {
             int (*function)(int) = (int (*)(int))libos_module(module, \"run\");
             return function(x);
         }",
        "shared += seed; call(\"one\", 1); *(int *)libos_module(\"two\", \"state\") += seed; *(int *)libos_export(\"shared\") += 10",
        "%d %d %d %d %d %d %d",
        "call(\"one\", 5), call(\"two\", 5), *(int *)libos_module(\"one\", \"state\"), *(int *)libos_module(\"two\", \"state\"),
         libos_module(\"one\", \"hidden\") != NULL || libos_module(\"one\", \"service\") != NULL || libos_module(\"one\", \"library\") != NULL,
         ((int (*)(void))libos_export(\"unused_here\"))(), libos_export(\"run\") == NULL && libos_export(\"call\") == NULL",
    );
    let main = bench.object("main", &[level], &code);
    let one = "int service(int); int library(int); int state = 100;
               __attribute__((visibility(\"hidden\"))) int hidden(void) { return 1; }
               __attribute__((constructor)) static void start(void) { state += 1000; }
               int unused_here(void); extern int shared; int *pointer = &shared;
               int run(int x) { state++; return service(x) + library(x) + hidden() + unused_here() - 77 + *pointer; }";
    let two = "int library(int); int state = 200; static int hidden(void) { return state; }
               int unused_here(void) { return 5; }
               int run(int x) { return library(x) + hidden() + unused_here(); }";
    let library =
        "int service(int x) { return x + 10000; } int calls; int library(int x) { return service(x) + ++calls; }";
    let mut unit = bench.unit(&[main]);
    unit.export = true;
    let library = bench.object("library", &[level], library);
    unit.libraries.push(Library { name: "libx".into(), objects: vec![library], ..Library::default() });
    for (name, code) in [("one", one), ("two", two)] {
        let objects = vec![bench.object(name, &[level], code)];
        let libraries = vec!["libx".into()];
        unit.modules.push(LoadableModule { name: name.into(), objects, libraries, ..LoadableModule::default() });
    }
    unit
}

#[test]
fn modules_have_symbols_of_their_own() {
    for level in common::LEVELS {
        let bench = Bench::new();
        let unit = modules(&bench, level);
        let (bitcode, report) = bench.privatize(&unit);
        let sizes: Vec<_> = report.modules.iter().map(|(name, size)| (name.as_str(), *size)).collect();
        // `pointer`, `run`, `state`; and `run`, `state`, `unused_here`. The hidden ones and the static ones are not there.
        assert_eq!(sizes, [("one", 3), ("two", 3)]);
        // shared is 1 + seed + 10 by now; the library has been called once.
        let run_one = |shared: i32| (5 * 2 + shared) + (5 + 10000 + 2) + 1 + shared;
        let run_two = |seed: i32| (5 + 10000 + 3) + (200 + seed) + 5;
        let line = |seed| format!("{} {} 1102 {} 0 77 1", run_one(11 + seed), run_two(seed), 200 + seed);
        assert_eq!(bench.run(&bitcode, "test"), lines(&line(1), &line(2)), "{level}");
    }
}

#[test]
fn tables_need_no_relocation_at_load() {
    let bench = Bench::new();
    let (bitcode, _) = bench.privatize(&modules(&bench, "-O2"));
    let data = machine_code(&bench, &bitcode);
    let file = object::File::parse(&*data).expect("ELF");
    let table = file.symbols().find(|s| s.name() == Ok("privatized.symbols")).expect("the table");
    let section = file.section_by_index(table.section_index().expect("defined")).expect("its section");
    let range = table.address()..table.address() + table.size();
    let mut seen = 0;
    for (_, relocation) in section.relocations().filter(|(at, _)| range.contains(at)) {
        assert!(matches!(relocation.target(), RelocationTarget::Symbol(_) | RelocationTarget::Section(_)));
        // The linker knows the distance, whatever address the program is loaded at.
        let relative = match (file.architecture(), relocation.flags()) {
            (object::Architecture::X86_64, RelocationFlags::Elf { r_type }) => r_type == elf::R_X86_64_PC64,
            (_, RelocationFlags::Elf { r_type }) => r_type == elf::R_AARCH64_PREL64,
            _ => false,
        };
        assert!(relative, "{relocation:?}");
        seen += 1;
    }
    assert!(seen > 0, "functions in the table are relative to it");
}

#[test]
fn modules_may_need_members_that_no_program_does() {
    let bench = Bench::new();
    let code = main_printing(
        "void *libos_module(const char *, const char *);",
        "",
        "%d",
        "((int (*)(int))libos_module(\"m\", \"run\"))(seed)",
    );
    let main = bench.object("main", &[], &code);
    let member = bench.object("member", &[], "int member(int x) { return x + 40; }");
    let module = bench.object("module", &[], "int member(int); int run(int x) { return member(x); }");
    let mut unit = bench.unit(&[main]);
    unit.archives.push(archive(bench.archive("lib.a", &[&member]), false));
    unit.modules.push(LoadableModule { name: "m".into(), objects: vec![module], ..LoadableModule::default() });
    let (bitcode, _) = bench.privatize(&unit);
    assert_eq!(bench.run(&bitcode, "test"), lines("41", "42"));
}

#[test]
fn several_programs_share_archives_but_not_symbols() {
    let bench = Bench::new();
    let program = |name: &str, factor: i32| {
        let declarations = format!(
            "int shared(int); int outer(int); extern int counter; static int state = {factor};
             int callback(int x) {{ return x * {factor} + state; }} int same_name = {factor};"
        );
        let code = main_printing(
            &declarations,
            "state += seed; counter += seed",
            "%d %d %d %d",
            "shared(1), outer(1), counter, same_name",
        );
        bench.object(name, &["-O2"], &code)
    };
    let (a, b) = (program("a", 10), program("b", 20));
    let shared = bench.object("shared", &["-O2"], "int counter = 5; int shared(int x) { return x + counter++; }");
    // A member that uses what each program defines for itself.
    let back = bench.object(
        "back",
        &["-O2"],
        "int callback(int); int calls; int back(int x) { calls++; return callback(x) + calls; }",
    );
    // And one that uses that.
    let outer = bench.object("outer", &["-O2"], "int back(int); int outer(int x) { return back(x); }");
    let both = bench.archive("libboth.a", &[&shared, &back, &outer]);
    let mut unit = bench.unit(&[a]);
    unit.programs[0].name = "first".into();
    unit.programs.push(Program { name: "the-second".into(), objects: vec![b], ..Program::default() });
    unit.archives.push(archive(both, false));
    let (bitcode, report) = bench.privatize(&unit);
    assert_eq!(report.programs, ["privatized_program_first", "privatized_program_the_second"]);
    assert_eq!(report.inputs, 7, "two programs, one copy of the shared member, two of those that depend on a program");
    // shared() runs first or last: C leaves the order open, clang goes from left to right.
    assert_eq!(bench.run(&bitcode, "first"), lines("7 22 7 10", "8 23 8 10"));
    assert_eq!(bench.run(&bitcode, "the_second"), lines("7 42 7 20", "8 43 8 20"));
}

#[test]
fn wrapped_functions() {
    for level in common::LEVELS {
        let bench = Bench::new();
        let code = main_printing(
            "int f(int); int g(int); int outside(int);",
            "",
            "%d %d %d",
            "f(seed), g(seed), outside(seed)",
        );
        let main = bench.object("main", &[level], &code);
        // `table` and `g` are in the object that defines `f`, and go to the wrapper as well.
        let f = "__attribute__((noinline)) int f(int x) { static const void *labels[] = {&&one, &&two}; goto *labels[x & 1];
                     one: return 10; two: return 20; }
                 static int (*table[])(int) = {f}; int g(int x) { return table[0](x) + 1000; }";
        let f = bench.object("f", &[level], f);
        let wrapper = "int __real_f(int); int __wrap_f(int x) { return __real_f(x) + 5; }
                       int __real_libos_twin(int); int __wrap_libos_twin(int x) { return __real_libos_twin(x) + 7; }
                       int libos_twin(int); int outside(int x) { return libos_twin(x); }";
        let wrapper = bench.object("wrapper", &[level], wrapper);
        let mut unit = bench.unit(&[main, f, wrapper]);
        unit.wrap = ["f".to_owned(), "libos_twin".to_owned()].into();
        let (bitcode, _) = bench.privatize(&unit);
        assert_eq!(bench.run(&bitcode, "test"), lines("25 1025 1008", "15 1015 1009"), "{level}");
    }
}

#[test]
fn replaced_functions() {
    for level in common::LEVELS {
        let bench = Bench::new();
        let code = main_printing(
            "#include <setjmp.h>
             int twin(int); int through(int); int checkpoint(jmp_buf); extern int (*pointer)(int); int missing_symbol(void);
             static jmp_buf buffer; static int times;",
            "if (checkpoint(buffer) < 3 * seed) longjmp(buffer, ++times)",
            "%d %d %d %d",
            "twin(seed), through(seed), pointer(seed), times",
        );
        let main = bench.object("main", &[level], &code);
        // The body must be gone: what it calls does not exist.
        let file = "int gone(int); __attribute__((noinline)) int twin(int x) { return gone(x); }
                    int (*pointer)(int) = twin; int through(int x) { return twin(x) * 2; }
                    int checkpoint(void *buffer) { return gone(0); }";
        let file = bench.object("file", &[level], file);
        let mut unit = bench.unit(&[main, file]);
        unit.replace.insert("twin".into(), Replacement { with: "libos_twin".into(), returns_twice: false });
        unit.replace.insert("checkpoint".into(), Replacement { with: "libos_checkpoint".into(), returns_twice: true });
        let (bitcode, _) = bench.privatize(&unit);
        assert_eq!(bench.run(&bitcode, "test"), lines("1001 2002 1001 3", "1002 2004 1002 6"), "{level}");
        let text = bench.disassemble(&bitcode);
        let declaration = text
            .lines()
            .find(|line| line.starts_with("declare") && line.contains("@libos_checkpoint("))
            .expect("a declaration");
        let number = declaration.rsplit_once('#').expect("attributes").1.split_whitespace().next().expect("a number");
        let attributes =
            text.lines().find(|line| line.starts_with(&format!("attributes #{number} "))).expect("attributes");
        assert!(attributes.contains("returns_twice"), "{attributes}");
    }
}

#[test]
fn redirected_functions_are_not_the_c_library_s() {
    let bench = Bench::new();
    let code = main_printing(
        "__attribute__((noinline)) char *zeroed(int n) { char *p = malloc(n); if (p) memset(p, 0, n); return p; }",
        "char *p = zeroed(seed * 100); p[5] = seed",
        "%d",
        "p[5] + p[6]; free(p)",
    );
    let object = bench.object("main", &["-O2", "-fno-builtin-calloc"], &code.replace("p[6]; free(p)", "p[6]"));
    let (bitcode, report) = bench.privatize(&bench.unit(&[object]));
    assert!(report.redirected.contains(&"malloc".to_owned()));
    let optimised = bench.path("optimised.ll");
    run(Command::new("clang-22").args(["-O2", "-S", "-emit-llvm", "-w", "-o"]).arg(&optimised).arg(&bitcode));
    let text = fs::read_to_string(&optimised).expect("the optimised module");
    assert!(text.contains("@libos_malloc("), "{text}");
    for wrong in ["@calloc(", "@malloc(", "alloc-family", "allockind", "alloc-variant"] {
        assert!(!text.contains(wrong), "`{wrong}` in {text}");
    }
    assert_eq!(bench.run(&bitcode, "test"), lines("1", "2"));
}

#[test]
fn the_base_is_loaded_where_it_is_needed() {
    let bench = Bench::new();
    let code = "int a = 1; int used(int);
        __attribute__((noinline)) int fast(int x) { return x > 0 ? x : a++; }
        __attribute__((noinline)) int loop(const int *p, int n) { int s = 0; for (int i = 0; i < n; i++) if (p[i]) s += a++; return s; }
        int main(int argc, char **argv) { int v[3] = {argc, 0, 1}; return fast(argc) + loop(v, argc); }";
    let object = bench.object("main", &["-O1"], code);
    let (bitcode, _) = bench.privatize(&bench.unit(&[object]));
    let text = bench.disassemble(&bitcode);
    let body = |name: &str| {
        let start = text.find(&format!("@{name}(")).expect("the function");
        let start = start + text[start..].find("{\n").expect("its body");
        text[start..start + text[start..].find("\n}").expect("its end")].to_owned()
    };
    let load = "@privatized_base";
    let fast = body("fast");
    assert!(fast.contains(load) && !fast.split("\n\n").next().expect("an entry").contains(load), "{fast}");
    // In the loop's function: one load, before the loop's first phi.
    let in_loop = body("loop");
    assert_eq!(in_loop.matches(load).count(), 1, "{in_loop}");
    assert!(in_loop.find(load) < in_loop.find(" phi "), "{in_loop}");
}

/// How a unit becomes an ordinary object, as `docs/privatization.md` recommends.
fn ordinary_object(bench: &Bench, bitcode: &std::path::Path) -> std::path::PathBuf {
    let object = bitcode.with_extension("o");
    run(Command::new("ld.lld-22").args(["-r", "--lto-O2", "--lto-partitions=2", "-o"]).arg(&object).arg(bitcode));
    let keep = ["-w", "--keep-global-symbol=privatized_program_*", "--keep-global-symbol=privatized_base"];
    run(Command::new("llvm-objcopy-22").args(keep).arg(&object));
    let _ = bench;
    object
}

#[test]
fn units_share_one_base_and_show_nothing_else() {
    let bench = Bench::new();
    let program = |name: &str, factor: i32| {
        let code = main_printing(
            &format!(
                "static int state = {factor}; __attribute__((noinline)) int helper(int x) {{ return x + state++; }}"
            ),
            "helper(seed)",
            "%d",
            "helper(seed)",
        );
        let mut unit = bench.unit(&[bench.object(name, &["-O2"], &code)]);
        unit.name = name.into();
        unit.programs[0].name = name.into();
        let (bitcode, _) = bench.privatize(&unit);
        ordinary_object(&bench, &bitcode)
    };
    let (a, b) = (program("a", 10), program("b", 20));
    assert_eq!(bench.run_objects(&[&a, &b], "a"), lines("12", "13"));
    assert_eq!(bench.run_objects(&[&a, &b], "b"), lines("22", "23"));
    let symbols =
        text(run(Command::new("llvm-nm-22").args(["--extern-only", "--defined-only", "--just-symbol-name"]).arg(&a)));
    let mut symbols: Vec<_> = symbols.lines().collect();
    symbols.sort_unstable();
    assert_eq!(symbols, ["privatized_base", "privatized_program_a"]);
}

fn machine_code(bench: &Bench, bitcode: &Path) -> Vec<u8> {
    let path = bench.path("out.o");
    run(Command::new("clang-22").args(["-c", "-O2", "-fPIC", "-w", "-o"]).arg(&path).arg(bitcode));
    fs::read(&path).expect("the object")
}

/// The size of `function` in machine code, and whether there are unwind tables.
fn generated(bench: &Bench, unit: &Unit, function: &str) -> (u64, bool) {
    let (bitcode, _) = bench.privatize(unit);
    let data = machine_code(bench, &bitcode);
    let file = object::File::parse(&*data).expect("ELF");
    let symbol = file.symbols().find(|symbol| symbol.name() == Ok(function)).expect("the function");
    (symbol.size(), file.section_by_name(".eh_frame").is_some_and(|section| section.size() > 0))
}

#[test]
fn inputs_for_size_and_without_unwind_tables() {
    let bench = Bench::new();
    let code = "__attribute__((noinline)) void add(float *to, const float *from, int n) {
                    for (int i = 0; i < n; i++) to[i] += from[i];
                }
                int main(int argc, char **argv) { add((float *) argv, (float *) argv, argc); return 0; }";
    let object = bench.object("main", &["-O2", "-fasynchronous-unwind-tables"], code);
    let mut unit = bench.unit(std::slice::from_ref(&object));
    let (fast, tables) = generated(&bench, &unit, "add");
    assert!(tables);
    unit.no_unwind_tables = true;
    assert!(!generated(&bench, &unit, "add").1);
    unit.small = vec!["/elsewhere/".into()];
    assert_eq!(generated(&bench, &unit, "add").0, fast);
    unit.small = vec![object.file_name().unwrap().to_string_lossy().into_owned()];
    let small = generated(&bench, &unit, "add").0;
    assert!(small < fast, "{small} bytes, {fast} before");
}

#[test]
fn what_the_profile_never_saw_is_small() {
    let bench = Bench::new();
    let size = |name: &str, calls: u32| {
        let code = format!(
            "target triple = \"x86_64-pc-linux-gnu\"
             define void @add(ptr noalias %to, ptr noalias %from, i64 %n) noinline !prof !0 {{
             entry:
               br label %loop
             loop:
               %i = phi i64 [ 0, %entry ], [ %next, %loop ]
               %a = getelementptr float, ptr %to, i64 %i
               %b = getelementptr float, ptr %from, i64 %i
               %x = load float, ptr %a
               %y = load float, ptr %b
               %sum = fadd float %x, %y
               store float %sum, ptr %a
               %next = add nuw nsw i64 %i, 1
               %more = icmp ult i64 %next, %n
               br i1 %more, label %loop, label %end
             end:
               ret void
             }}
             define i32 @main(i32 %argc, ptr %argv) {{
               %n = zext i32 %argc to i64
               call void @add(ptr %argv, ptr %argv, i64 %n)
               ret i32 0
             }}
             !0 = !{{!\"function_entry_count\", i64 {calls}}}"
        );
        let object = bench.object(name, &["-O2"], &code);
        generated(&bench, &bench.unit(std::slice::from_ref(&object)), "add").0
    };
    let (called, never) = (size("called", 1000), size("never", 0));
    assert!(never < called, "{never} bytes, {called} where it is called");
}

#[test]
fn functions_are_inlined_by_name() {
    let bench = Bench::new();
    let code = "__attribute__((used)) static int loop(int n, int twice) {
                    volatile int sum = 0;
                    for (int i = 0; i < n; i++) sum += twice ? 2 * i : i;
                    return sum;
                }
                __attribute__((used)) int f(int n) { return loop(n, 1) + loop(n + 1, 0) + loop(n + 2, 1); }
                int main(int argc, char **argv) { return f(argc) + loop(argc, 0); }";
    let object = bench.object("main", &["-O2", "-fno-inline-functions"], code);
    let mut unit = bench.unit(std::slice::from_ref(&object));
    let calls = |unit: &Unit| {
        let (bitcode, _) = bench.privatize(unit);
        let data = machine_code(&bench, &bitcode);
        let file = object::File::parse(&*data).expect("ELF");
        file.symbols().find(|symbol| symbol.name() == Ok("f")).expect("the function").size()
    };
    let before = calls(&unit);
    unit.inlined = ["loop".to_owned()].into();
    let after = calls(&unit);
    assert!(after > before, "{after} bytes, {before} with calls");
}
