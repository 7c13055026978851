//! C++: exceptions inside a mapping.

use crate::support::{Module, compilers, exists};

const THROWING: &str = "
    #include <stdexcept>
    #include <string>
    #include <vector>
    struct Guard { int &n; ~Guard() { ++n; } };
    static int destroyed;
    __attribute__((noinline)) static void thrower(int n) {
        Guard guard{destroyed};
        std::vector<std::string> some(3, std::string(100, 'x'));
        if (n > 10) throw std::out_of_range(\"too large\");
        if (n > 5) throw n;
    }
    __attribute__((noinline)) static void middle(int n) { Guard guard{destroyed}; thrower(n); }
    extern \"C\" int run(int n) {
        try { middle(n); } catch (int e) { return e * 2; } catch (const std::logic_error &e) { return -(int) std::string(e.what()).size(); }
        return 0;
    }
    extern \"C\" int count() { return destroyed; }
";

fn check(module: &Module) {
    let (a, b) = (module.load(), module.load());
    for _ in 0..3 {
        assert_eq!(a.call("run", 1), 0);
        assert_eq!(a.call("run", 6), 12);
        assert_eq!(a.call("run", 11), -9);
    }
    assert_eq!(a.call("count", 0), 18);
    drop(a);
    // The frames of the first mapping are gone, those of the second are not.
    assert_eq!(b.call("run", 7), 14);
    assert_eq!(b.call("count", 0), 2);
    // New mappings at old addresses do not meet old frames.
    for n in 6..10 {
        let c = module.load();
        assert_eq!(c.call("run", n), 2 * n);
    }
}

#[test]
fn exceptions() {
    check(&Module::cxx(THROWING, &[]));
}

#[test]
fn exceptions_compiled_by_clang() {
    if compilers().contains(&"clang-22") && exists("clang++-22") {
        check(&Module::build("clang++-22", "cc", THROWING, &[]));
    }
}

#[test]
fn exceptions_with_an_unwinder_linked_in() {
    check(&Module::cxx(THROWING, &["-static-libgcc", "-static-libstdc++"]));
}

#[test]
fn exceptions_in_many_threads() {
    let module = Module::cxx(THROWING, &[]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..50 {
                    let loaded = module.load();
                    assert_eq!(loaded.call("run", 6 + n % 4), 2 * (6 + n % 4));
                }
            });
        }
    });
}

#[test]
fn dynamic_casts_and_the_standard_library() {
    let source = "
        #include <map>
        #include <memory>
        #include <sstream>
        struct Base { virtual ~Base() = default; };
        struct Left : Base { int n = 3; };
        struct Right : Base {};
        extern \"C\" int run(int n) {
            std::map<std::string, std::unique_ptr<Base>> all;
            all[\"left\"] = std::make_unique<Left>();
            all[\"right\"] = std::make_unique<Right>();
            std::ostringstream out;
            for (auto &[name, base] : all)
                if (auto left = dynamic_cast<Left *>(base.get())) out << name << left->n + n;
            return out.str() == \"left10\";
        }
    ";
    assert_eq!(Module::cxx(source, &[]).load().call("run", 7), 1);
}

#[test]
fn call_once() {
    // Through thread-local variables of the host's libstdc++.
    let source = "
        #include <mutex>
        static std::once_flag flag; static int calls;
        extern \"C\" int run(int n) { std::call_once(flag, [n] { calls += n; }); return calls; }
    ";
    let module = Module::cxx(source, &[]);
    let (a, b) = (module.load(), module.load());
    assert_eq!(a.call("run", 3), 3);
    assert_eq!(a.call("run", 4), 3);
    assert_eq!(b.call("run", 5), 5);
}
