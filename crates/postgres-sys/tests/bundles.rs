//! What a prepared build must have in it.

use bundle::Bundle;

#[test]
fn the_share_bundle_is_of_this_version_and_complete() {
    let bundle = Bundle::open(postgres_sys::share_bundle()).unwrap();
    assert_eq!(bundle.manifest().postgres_version, postgres_sys::version());
    bundle.verify().unwrap();
    let bki = bundle.read_path("share/postgresql/postgres.bki").unwrap();
    assert!(bki.starts_with(b"# PostgreSQL 18"));
    for module in ["plpgsql", "dict_snowball", "pgoutput", "libpqwalreceiver", "utf8_and_win", "hstore", "pg_trgm"] {
        assert!(postgres_sys::modules().contains(&module), "{module}");
        assert!(bundle.get(&format!("lib/postgresql/{module}.so")).is_some(), "{module}");
    }
}

#[test]
fn every_extension_has_its_module() {
    let bundle = Bundle::open(postgres_sys::share_bundle()).unwrap();
    for entry in bundle.children("share/postgresql/extension").filter(|entry| entry.path.ends_with(".control")) {
        let control = bundle.read_path(entry.path).unwrap();
        let control = str::from_utf8(&control).unwrap();
        let path = control.lines().find_map(|line| line.strip_prefix("module_pathname = '$libdir/"));
        if let Some(module) = path.and_then(|rest| rest.split('\'').next()) {
            assert!(postgres_sys::modules().contains(&module), "{}: {module}", entry.path);
        }
    }
}

#[test]
fn the_server_and_initdb_are_linked() {
    assert_eq!(postgres_sys::programs(), ["postgres", "initdb"]);
}

#[test]
fn the_template_is_a_data_directory() {
    let Some(template) = postgres_sys::template_bundle() else {
        return;
    };
    let bundle = Bundle::open(template).unwrap();
    bundle.verify().unwrap();
    assert_eq!(&*bundle.read_path("PG_VERSION").unwrap(), b"18\n");
}
