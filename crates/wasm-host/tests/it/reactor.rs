//! `libpglite.wasm`, the module that a host calls again and again: sessions that begin and end in one instance.

use crate::support::{engine, rows};
use wasmtime::{Collector, Config, Engine, Linker, Memory, Module, Store, TypedFunc};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

struct Reactor {
    store: Store<WasiP1Ctx>,
    memory: Memory,
    pump: TypedFunc<i32, i32>,
    address: TypedFunc<i32, i32>,
    _folder: tempfile::TempDir,
}

impl Reactor {
    fn new() -> Reactor {
        let mut config = Config::new();
        config.wasm_exceptions(true).collector(Collector::Null).max_wasm_stack(12 << 20).async_stack_size(13 << 20);
        config.wasm_backtrace_max_frames(None);
        let engine_ = Engine::new(&config).unwrap();
        let modules = engine().modules().folder();
        let module = Module::from_file(&engine_, modules.join("libpglite.wasm")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut wasi = WasiCtxBuilder::new();
        wasi.allow_blocking_current_thread(true).env("PGUSER", "postgres").env("PGDATABASE", "postgres");
        wasi.preopened_dir(modules.join("root"), "/pglite", FsPerms::ReadOnly).unwrap();
        wasi.preopened_dir(folder.path(), "/tmp/pglite", FsPerms::ReadWrite).unwrap();
        let mut store = Store::new(&engine_, wasi.build_p1());
        let mut linker = Linker::new(&engine_);
        p1::add_to_linker_sync(&mut linker, |wasi: &mut WasiP1Ctx| wasi).unwrap();
        let instance = linker.instantiate(&mut store, &module).unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        instance.get_typed_func::<(), ()>(&mut store, "_initialize").unwrap().call(&mut store, ()).unwrap();
        let pump = instance.get_typed_func(&mut store, "pgl_pump").unwrap();
        let address = instance.get_typed_func(&mut store, "get_buffer_addr").unwrap();
        Reactor { store, memory, pump, address, _folder: folder }
    }

    fn ask(&mut self, sql: &str) -> Result<String, String> {
        let query = draft::query(sql);
        self.memory.write(&mut self.store, 1, &query).unwrap();
        let length = self.pump.call(&mut self.store, i32::try_from(query.len()).unwrap()).unwrap();
        assert!(length >= 0, "the session has ended");
        let start = self.address.call(&mut self.store, 1).unwrap().cast_unsigned() as usize;
        let reply = &self.memory.data(&self.store)[start..start + length.cast_unsigned() as usize];
        Ok(rows(reply)?.first().and_then(|row| row.first().cloned()).unwrap_or_default())
    }

    fn end(&mut self) {
        assert!(self.pump.call(&mut self.store, -1).unwrap() < 0);
    }
}

/// As many as `PGLITE_SOAK` says; it takes some hundredths of a second for each.
#[test]
fn sessions_begin_and_end_in_one_instance_and_leave_nothing_behind() {
    let count = std::env::var("PGLITE_SOAK").ok().and_then(|count| count.parse().ok()).unwrap_or(30);
    let mut reactor = Reactor::new();
    assert_eq!(reactor.ask("CREATE TABLE t AS SELECT 0 AS n; SELECT n FROM t").unwrap(), "0");
    // Its static data are what the next one must not find.
    assert_eq!(reactor.ask("SET work_mem = '3MB'; SHOW work_mem").unwrap(), "3MB");
    reactor.end();
    let mut size = 0;
    for number in 1..=count {
        assert_eq!(reactor.ask("SHOW work_mem").unwrap(), "4MB");
        // What is read from files, and what takes memory.
        assert_eq!(
            reactor.ask("SELECT convert_from('\\xa4a4', 'BIG5') || convert_from('\\x82a0', 'SJIS')").unwrap(),
            "中あ"
        );
        let sql =
            "SELECT count(*) FROM (SELECT g, repeat('x', 100) FROM generate_series(1, 20000) g ORDER BY g DESC) t";
        assert_eq!(reactor.ask(sql).unwrap(), "20000");
        assert!(reactor.ask("SELECT 1/0").unwrap_err().starts_with("22012"));
        assert_eq!(reactor.ask("UPDATE t SET n = n + 1 RETURNING n").unwrap(), number.to_string());
        if number % 2 == 0 {
            reactor.end();
        } else {
            // FATAL, which is the end as well.
            let query = draft::query("SELECT pg_terminate_backend(pg_backend_pid())");
            reactor.memory.write(&mut reactor.store, 1, &query).unwrap();
            assert!(reactor.pump.call(&mut reactor.store, i32::try_from(query.len()).unwrap()).unwrap() < 0);
        }
        let now = reactor.memory.data_size(&reactor.store);
        if number <= 4 {
            size = now;
        }
        assert_eq!(now, size, "memory after session {number}");
    }
}
