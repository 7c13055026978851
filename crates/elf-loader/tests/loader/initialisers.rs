//! What runs at the beginning and the end, and when.

use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::sync::Mutex;

use crate::support::{Module, Names, finalise, initialise};

static LOG: Mutex<Vec<i32>> = Mutex::new(Vec::new());
/// The tests share the log.
static TURN: Mutex<()> = Mutex::new(());

extern "C" fn log(n: i32) -> i32 {
    LOG.lock().unwrap().push(n);
    0
}

fn take() -> Vec<i32> {
    std::mem::take(&mut LOG.lock().unwrap())
}

fn names() -> Names {
    Names { global: vec![("log_number", log as *const c_void)], ..Names::default() }
}

const SOURCE: &str = "
    #include <stdlib.h>
    int log_number(int);
    void _init_of_module(int argc, char **argv) { log_number(1); }
    void _fini_of_module(void) { log_number(-1); }
    __attribute__((constructor(101))) static void a(int argc, char **argv, char **envp) {
        log_number(2);
        if (argc == 1 && argv[0][0] == 'x' && !argv[1] && envp[0][0] == 'y') log_number(3);
    }
    static void at_exit(void) { log_number(-5); }
    __attribute__((constructor(102))) static void b(void) { log_number(4); atexit(at_exit); }
    __attribute__((destructor(101))) static void c(void) { log_number(-2); }
    __attribute__((destructor(102))) static void d(void) { log_number(-3); }
";

#[test]
fn order_and_arguments() {
    let _turn = TURN.lock();
    let flags = ["-Wl,-init,_init_of_module", "-Wl,-fini,_fini_of_module"];
    let object = Module::c(SOURCE, &flags).open().unwrap();
    let mapping = object.map(&names()).unwrap();
    assert_eq!(take(), []);
    // Nothing to finalise yet.
    finalise(&mapping);
    assert_eq!(take(), []);

    let (argument, variable) = (CString::new("x").unwrap(), CString::new("y=z").unwrap());
    let argv: [*const c_char; 2] = [argument.as_ptr(), ptr::null()];
    let envp: [*const c_char; 2] = [variable.as_ptr(), ptr::null()];
    // SAFETY: a module of ours.
    unsafe { mapping.run_initialisers(1, argv.as_ptr(), envp.as_ptr()) }.unwrap();
    assert_eq!(take(), [1, 2, 3, 4]);
    initialise(&mapping);
    assert_eq!(take(), []);

    finalise(&mapping);
    assert_eq!(take(), [-5, -3, -2, -1]);
    finalise(&mapping);
    drop(mapping);
    assert_eq!(take(), []);
}

#[test]
fn unmapping_alone_runs_nothing() {
    let _turn = TURN.lock();
    let object = Module::c(SOURCE, &[]).open().unwrap();
    let mapping = object.map(&names()).unwrap();
    initialise(&mapping);
    take();
    drop(mapping);
    assert_eq!(take(), []);
}

#[test]
fn static_objects_of_cxx() {
    let _turn = TURN.lock();
    let source = "
        extern \"C\" int log_number(int);
        struct Traced { int n; Traced(int n) : n(n) { log_number(n); } ~Traced() { log_number(-n); } };
        static Traced one(1), two(2);
        extern \"C\" int late() { static Traced three(3); static thread_local Traced four(4); return four.n; }
    ";
    let module = Module::cxx(source, &[]);
    let object = module.open().unwrap();
    // SAFETY: the compiler's own libraries.
    let host = unsafe { elf_loader::HostResolver::open(object.needed()) }.unwrap();
    let mapping = object.map(&Both(names(), host)).unwrap();
    initialise(&mapping);
    assert_eq!(crate::support::call(&mapping, "late", 0), 4);
    assert_eq!(take(), [1, 2, 3, 4]);
    finalise(&mapping);
    assert_eq!(take(), [-4, -3, -2, -1]);
}

/// Ours first, then the host's.
struct Both(Names, elf_loader::HostResolver);

impl elf_loader::Resolver for Both {
    fn resolve(&self, name: &str, version: Option<&str>) -> Option<*const c_void> {
        let own = self.0.resolve(name, version);
        own.or_else(|| self.1.resolve(name, version))
    }

    fn resolve_dependency(&self, name: &str, version: Option<&str>) -> Option<*const c_void> {
        self.1.resolve_dependency(name, version)
    }
}
