//! Thread-local variables: one copy for each mapping, whichever thread runs it.

use elf_loader::{ErrorKind, HostResolver, Resolver};

use crate::support::{Module, Names, call, compilers};

const SOURCE: &str = "
    __thread int exported = 40;
    static __thread int first = 1, second = 2, zeroed;
    static int plain = 9;
    static __thread int *relocated = &plain;
    static __thread __attribute__((aligned(256))) char wide[256];
    int add(int n) { return exported += n; }
    int add_static(int n) { first += n; second += n; zeroed += n; return 100 * first + 10 * second + zeroed; }
    int follow(void) { return *relocated; }
    int aligned(void) { return ((unsigned long) wide & 255) == 0; }
    double mixed(double a, double b) { exported += (int) (a + b); return a * b + exported; }
    int check_registers(int n) { return (int) mixed(n, 2.0) + n; }
";

fn check(module: &Module) {
    let (a, b) = (module.load(), module.load());
    assert_eq!(a.call("add", 2), 42);
    assert_eq!(a.call("add", 0), 42);
    assert_eq!(b.call("add", 0), 40);
    assert_eq!(a.call("add_static", 1), 231);
    assert_eq!(b.call("add_static", 2), 342);
    assert_eq!(a.call("follow", 0), 9);
    assert_eq!(a.call("aligned", 0), 1);
    assert_eq!(b.call("aligned", 0), 1);
    // 40 + (3 + 2) + 3 * 2, and 3.
    assert_eq!(b.call("check_registers", 3), 54);
    let exported = a.mapping.symbol("exported").unwrap().cast::<i32>();
    // SAFETY: the variable's address.
    assert_eq!(unsafe { *exported }, 42);
    // A process may go on in another thread; its variables go with it.
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(a.call("add", 1), 43)).join().unwrap();
    });
}

#[test]
fn general_and_local_dynamic() {
    for compiler in compilers() {
        for model in ["global-dynamic", "local-dynamic"] {
            let model = format!("-ftls-model={model}");
            check(&Module::build(compiler, "c", SOURCE, &[&model]));
        }
    }
}

#[test]
fn descriptors() {
    let module = Module::c(SOURCE, &["-mtls-dialect=gnu2"]);
    check(&module);
    let optimised = Module::c(SOURCE, &["-mtls-dialect=gnu2", "-O3"]);
    check(&optimised);
}

#[test]
fn initial_exec_is_refused() {
    let source = "
        __thread int counter; static __thread int hidden = 5;
        int add(int n) { return (counter += n) + hidden++; }
    ";
    let message = Module::c(source, &["-ftls-model=initial-exec"]).refusal();
    assert!(message.contains("counter"), "{message}");
    assert!(message.contains("a static variable at offset"), "{message}");
    assert!(message.contains("-ftls-model=global-dynamic"), "{message}");
}

const OF_OTHERS: &str = "
    extern __thread int others; extern __thread int more[8];
    int *where(void) { return &others; }
    int *where_more(void) { return &more[3]; }
    int add(int n) { return others += n; }
";

#[test]
fn variables_of_host_libraries() {
    let library = "
        __thread char first[100]; __thread int others = 5, more[8];
        int *where(void) { return &others; }
        int *where_more(void) { return &more[3]; }
    ";
    let library = Module::c(library, &[]);
    // SAFETY: a library of ours without initialisers.
    let host = unsafe { HostResolver::open([library.path.to_str().unwrap()]) }.unwrap();
    let object = Module::c(OF_OTHERS, &[]).open().unwrap();
    let mapping = object.map(&host).unwrap();
    let check = || {
        for name in ["where", "where_more"] {
            let ours = mapping.symbol(name).unwrap();
            let theirs = host.resolve_dependency(name, None).unwrap();
            assert_ne!(ours, theirs);
            // SAFETY: functions of this type in both.
            unsafe {
                let ours: extern "C" fn() -> *const i32 = std::mem::transmute(ours);
                let theirs: extern "C" fn() -> *const i32 = std::mem::transmute(theirs);
                assert_eq!(ours(), theirs());
            }
        }
        assert_eq!(call(&mapping, "add", 2), 7);
        assert_eq!(call(&mapping, "add", 2), 9);
    };
    check();
    // Every thread has its own, as it has in the library.
    std::thread::scope(|scope| scope.spawn(check).join().unwrap());

    let object = Module::c(OF_OTHERS, &["-mtls-dialect=gnu2"]).open();
    let error = object.unwrap().map(&host).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::ForeignThreadLocal { .. }));
    let message = error.to_string();
    assert!(message.contains("others") && message.contains("-mtls-dialect=gnu"), "{message}");
}

#[test]
fn variables_of_other_mappings() {
    let defining = "__thread int others = 30; __thread int more[8];";
    let first = Module::c(defining, &[]).load();
    let names = Names {
        global: vec![
            ("others", first.mapping.symbol("others").unwrap()),
            ("more", first.mapping.symbol("more").unwrap()),
        ],
        ..Names::default()
    };
    for flags in [&[][..], &["-mtls-dialect=gnu2"]] {
        let object = Module::c(OF_OTHERS, flags).open().unwrap();
        let before = call(&object.map(&names).unwrap(), "add", 0);
        let mapping = object.map(&names).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!(call(&mapping, "add", 3), before + 3));
        });
        assert_eq!(call(&mapping, "add", 0), before + 3);
    }
}

#[test]
fn variables_of_nobody() {
    let object = Module::c(OF_OTHERS, &[]).open().unwrap();
    let message = object.map(&Names::default()).unwrap_err().to_string();
    assert!(message.contains("undefined symbols"), "{message}");
    assert!(message.contains("others") && message.contains("more"), "{message}");
    let message = Module::c(OF_OTHERS, &["-ftls-model=initial-exec"]).refusal();
    assert!(message.contains("others"), "{message}");
}

#[test]
fn zeroed_only() {
    let source = "static __thread int n; int add(int by) { return n += by; }";
    let object = Module::c(source, &[]).open().unwrap();
    let mapping = object.map(&Names::default()).unwrap();
    assert_eq!(call(&mapping, "add", 3), 3);
    assert_eq!(call(&mapping, "add", 3), 6);
}
