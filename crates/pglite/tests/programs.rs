//! PostgreSQL's programs in-process, each with real work.

use std::path::Path;
use std::process::{Command, Output, Stdio};

fn pglite(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pglite")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// Runs to success, and returns what was printed.
#[track_caller]
fn ok(arguments: &[&str]) -> String {
    let output = pglite(arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {}\n{error}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Runs to failure, and returns the errors.
#[track_caller]
fn fails(arguments: &[&str]) -> String {
    let output = pglite(arguments);
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[track_caller]
fn sql(db: &str, statement: &str) -> String {
    ok(&["psql", db, "-XAtqv", "ON_ERROR_STOP=1", "-c", statement]).trim().to_owned()
}

/// A folder for databases, and paths in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// A database with things of many kinds in it.
    fn database(&self) -> String {
        let db = self.path("db");
        sql(
            &db,
            "CREATE TABLE item (id int PRIMARY KEY, name text NOT NULL, tags text[], at timestamptz, price numeric(10,2));
             INSERT INTO item SELECT g, 'item ' || g, ARRAY['a', 'b' || g], 'epoch'::timestamptz + g * interval '1 day', g / 7.0
               FROM generate_series(1, 5000) g;
             CREATE INDEX ON item (name); CREATE VIEW cheap AS SELECT * FROM item WHERE price < 10;
             CREATE FUNCTION twice(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 2 * i; END $$;
             CREATE SEQUENCE counter START 17; CREATE ROLE reader; GRANT SELECT ON item TO reader;
             CREATE TABLE child (item int REFERENCES item, note text DEFAULT 'x'); INSERT INTO child SELECT g FROM generate_series(1, 300) g;
             SELECT lo_from_bytea(4711, 'large');",
        );
        db
    }
}

/// The SQL that makes a database as it is.
#[track_caller]
fn dump(db: &str, name: &str) -> String {
    ok(&["pg_dump", db, "--restrict-key=same", "-d", name])
}

#[test]
fn what_was_dumped_comes_back_the_same() {
    let folder = Folder::new();
    let db = folder.database();
    let before = dump(&db, "postgres");
    assert!(before.contains("COPY public.item") && before.contains("item 4999"), "{}", &before[..2000]);
    for (number, how) in
        [["-Fc", "-Zgzip:1"], ["-Fc", "-Zlz4"], ["-Fc", "-Zzstd"], ["-Ft", "-Znone"], ["-Fd", "-Zzstd:3"]]
            .iter()
            .enumerate()
    {
        let (archive, copy) = (folder.path(&format!("archive{number}")), format!("copy{number}"));
        ok(&["pg_dump", &db, how[0], how[1], "-f", &archive]);
        ok(&["createdb", &db, &copy]);
        assert!(ok(&["pg_restore", "-l", &archive]).contains("TABLE DATA public item"));
        ok(&["pg_restore", &db, "--exit-on-error", "-d", &copy, &archive]);
        assert_eq!(dump(&db, &copy), before, "{how:?}");
    }
    ok(&["dropdb", &db, "copy0"]);
    assert_eq!(sql(&db, "SELECT count(*) FROM pg_database WHERE datname LIKE 'copy%'"), "4");
}

#[test]
fn compressed_scripts_can_be_read() {
    let folder = Folder::new();
    let db = folder.database();
    let script = folder.path("script.sql.gz");
    ok(&["pg_dump", &db, "--restrict-key=same", "-Z6", "-f", &script]);
    let text = Command::new("gzip").args(["-dc", &script]).output().unwrap();
    assert_eq!(String::from_utf8(text.stdout).unwrap(), dump(&db, "postgres"));
}

#[test]
fn jobs_share_the_work() {
    let folder = Folder::new();
    let db = folder.database();
    let archive = folder.path("archive");
    ok(&["pg_dump", &db, "-Fd", "-j3", "-f", &archive]);
    ok(&["createdb", &db, "copy"]);
    ok(&["pg_restore", &db, "-j3", "--exit-on-error", "-d", "copy", &archive]);
    assert_eq!(dump(&db, "copy"), dump(&db, "postgres"));
    ok(&["vacuumdb", &db, "--all", "--analyze", "-j2"]);
    ok(&["reindexdb", &db, "-j2", "-d", "copy"]);
    assert!(fails(&["pg_dump", &db, "-Fd", "-j2", "-f", &archive]).contains("is not empty"));
}

#[test]
fn what_programs_write_has_the_mode_that_the_caller_s_umask_leaves() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let (db, script) = (folder.path("db"), folder.path("script"));
    sql(&db, "SELECT 1");
    let line = "umask 027; exec \"$0\" pg_dump \"$1\" -f \"$2\"";
    let status = Command::new("sh").args(["-c", line, env!("CARGO_BIN_EXE_pglite"), &db, &script]).status().unwrap();
    assert!(status.success());
    assert_eq!(std::fs::metadata(&script).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn pg_dumpall_starts_our_pg_dump() {
    let folder = Folder::new();
    let db = folder.database();
    let script = folder.path("all.sql");
    ok(&["createdb", &db, "other"]);
    ok(&["pg_dumpall", &db, "-f", &script]);
    let text = std::fs::read_to_string(&script).unwrap();
    assert!(text.contains("CREATE ROLE reader") && text.contains("CREATE DATABASE other"));
    let copy = folder.path("copy");
    ok(&["psql", &copy, "-Xq", "-f", &script, "-d", "template1"]);
    assert_eq!(dump(&copy, "postgres"), dump(&db, "postgres"));
}

#[test]
fn pgbench_runs() {
    let folder = Folder::new();
    let db = folder.path("db");
    ok(&["pgbench", &db, "-i", "-q"]);
    assert_eq!(sql(&db, "SELECT count(*) FROM pgbench_accounts"), "100000");
    let report = ok(&["pgbench", &db, "-c6", "-j3", "-t10", "-n"]);
    assert!(report.contains("number of transactions actually processed: 60/60"), "{report}");
    assert_eq!(sql(&db, "SELECT count(*) FROM pgbench_history"), "60");
    let report = ok(&["pgbench", &db, "-S", "-M", "prepared", "-c2", "-j2", "-T1", "-P1", "-n"]);
    assert!(report.contains("number of failed transactions: 0"), "{report}");
}

#[test]
fn a_base_backup_is_a_database() {
    let folder = Folder::new();
    let db = folder.database();
    let (copy, tar) = (folder.path("copy"), folder.path("tar"));
    ok(&["pg_basebackup", &db, "-D", &copy, "-c", "fast"]);
    assert!(ok(&["pg_verifybackup", &copy]).contains("successfully verified"));
    assert_eq!(dump(&copy, "postgres"), dump(&db, "postgres"));
    for how in ["server-zstd", "server-lz4", "client-gzip", "client-zstd"] {
        let tar = format!("{tar}-{how}");
        ok(&["pg_basebackup", &db, "-D", &tar, "-Ft", "-c", "fast", "-Z", how, "-X", "fetch"]);
        assert!(ok(&["pg_verifybackup", "-n", &tar]).contains("successfully verified"), "{how}");
    }
}

#[test]
fn incremental_backups_can_be_combined() {
    let folder = Folder::new();
    let db = folder.database();
    let [full, increment, whole] = ["full", "increment", "whole"].map(|name| folder.path(name));
    let with = ["--set", "summarize_wal=on"];
    ok(&["psql", with[0], with[1], &db, "-c", "CHECKPOINT"]);
    ok(&["pg_basebackup", with[0], with[1], &db, "-D", &full, "-c", "fast"]);
    ok(&["psql", with[0], with[1], &db, "-c", "UPDATE item SET price = 1 WHERE id < 10"]);
    let manifest = format!("{full}/backup_manifest");
    ok(&["pg_basebackup", with[0], with[1], &db, "-D", &increment, "-c", "fast", "-i", &manifest]);
    ok(&["pg_combinebackup", &full, &increment, "-o", &whole]);
    assert_eq!(
        sql(&whole, "SELECT count(*) FROM item WHERE price = 1"),
        sql(&db, "SELECT count(*) FROM item WHERE price = 1")
    );
    let summaries = Path::new(&db).join("pg_wal/summaries");
    let summary = std::fs::read_dir(summaries).unwrap().next().unwrap().unwrap().path();
    ok(&["pg_walsummary", summary.to_str().unwrap()]);
}

#[test]
fn a_stopped_directory_can_be_looked_at_and_mended() {
    let folder = Folder::new();
    let db = folder.database();
    let control = ok(&["pg_controldata", &db]);
    assert!(control.contains("Database cluster state:               shut down"), "{control}");
    let checkpoint = control.lines().find_map(|line| line.strip_prefix("Latest checkpoint location:")).unwrap().trim();
    let wal = format!("{db}/pg_wal");
    let record = ok(&["pg_waldump", "-p", &wal, "-s", checkpoint, "-n", "1"]);
    assert!(record.contains("CHECKPOINT_SHUTDOWN"), "{record}");
    if control.contains("Data page checksum version:           0") {
        ok(&["pg_checksums", "--enable", &db]);
    }
    assert!(ok(&["pg_checksums", "--check", &db]).contains("Bad checksums:  0"));
    assert!(ok(&["pg_resetwal", "-f", &db]).contains("reset"));
    assert_eq!(sql(&db, "SELECT sum(id) FROM item"), "12502500");
    assert!(fails(&["pg_controldata", &folder.path("nothing")]).contains("could not open"));
}

#[test]
fn damage_is_found() {
    let folder = Folder::new();
    let db = folder.database();
    ok(&["pg_amcheck", &db, "--install-missing", "--heapallindexed", "-d", "postgres"]);
    let file = format!("{db}/{}", sql(&db, "SELECT pg_relation_filepath('item_pkey')"));
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4096].fill(0x55);
    std::fs::write(&file, bytes).unwrap();
    let output = pglite(&["pg_amcheck", &db, "-d", "postgres"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn a_cluster_follows_its_copy_again() {
    let folder = Folder::new();
    let db = folder.database();
    let control = ok(&["pg_controldata", &db]);
    if control.contains("Data page checksum version:           0") {
        ok(&["pg_checksums", "--enable", &db]);
    }
    // Its segments of a megabyte would be gone before they are looked for.
    sql(&db, "ALTER SYSTEM SET wal_keep_size = '64MB'");
    let copy = folder.path("copy");
    ok(&["pg_basebackup", &db, "-D", &copy, "-c", "fast"]);
    std::fs::write(Path::new(&copy).join("standby.signal"), "").unwrap();
    assert_eq!(sql(&copy, "SELECT pg_promote()"), "t");
    ok(&["psql", &copy, "-Xc", "INSERT INTO item VALUES (-1, 'in the copy')"]);
    ok(&["psql", &db, "-Xc", "INSERT INTO item VALUES (-2, 'in the other')"]);
    ok(&["pg_rewind", "-D", &db, "--source-pgdata", &copy]);
    assert_eq!(sql(&db, "SELECT id FROM item WHERE id < 0"), "-1");
}

#[test]
fn the_log_can_be_received() {
    let folder = Folder::new();
    let db = folder.database();
    let logical = ["--set", "wal_level=logical"];
    ok(&[
        "pg_recvlogical",
        logical[0],
        logical[1],
        &db,
        "-d",
        "postgres",
        "-S",
        "changes",
        "--create-slot",
        "-P",
        "test_decoding",
    ]);
    ok(&["psql", logical[0], logical[1], &db, "-Xc", "INSERT INTO child VALUES (7, 'seven')"]);
    let end = ok(&["psql", logical[0], logical[1], &db, "-XAtc", "SELECT pg_current_wal_lsn()"]);
    let changes = ok(&[
        "pg_recvlogical",
        logical[0],
        logical[1],
        &db,
        "-d",
        "postgres",
        "-S",
        "changes",
        "--start",
        "-f",
        "-",
        "--endpos",
        end.trim(),
    ]);
    assert!(changes.contains("note[text]:'seven'"), "{changes}");

    ok(&["pg_recvlogical", logical[0], logical[1], &db, "-d", "postgres", "-S", "changes", "--drop-slot"]);

    let archive = folder.path("archive");
    std::fs::create_dir(&archive).unwrap();
    let receive = || {
        let end = sql(&db, "SELECT pg_current_wal_flush_lsn()");
        ok(&["pg_receivewal", &db, "-D", &archive, "-S", "archive", "--endpos", &end, "-Z", "lz4"]);
    };
    ok(&["pg_receivewal", &db, "-S", "archive", "--create-slot"]);
    receive();
    ok(&["psql", &db, "-Xc", "INSERT INTO child VALUES (8)", "-c", "SELECT pg_switch_wal()"]);
    receive();
    let mut files: Vec<_> =
        std::fs::read_dir(&archive).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    assert!(files.len() > 1 && files[0].ends_with(".lz4"), "{files:?}");
    let last = files.last().unwrap()[..24].to_owned();
    ok(&["pg_archivecleanup", "-x", ".lz4", &archive, &last]);
    assert!(std::fs::read_dir(&archive).unwrap().count() < files.len());
}

#[test]
fn small_programs_of_administration() {
    let folder = Folder::new();
    let db = folder.database();
    assert!(ok(&["pg_isready", &db]).contains("accepting connections"));
    ok(&["createuser", &db, "--createdb", "alice"]);
    assert_eq!(sql(&db, "SELECT rolcreatedb FROM pg_roles WHERE rolname = 'alice'"), "t");
    ok(&["dropuser", &db, "alice"]);
    assert!(fails(&["dropuser", &db, "alice"]).contains("does not exist"));
    sql(&db, "CLUSTER item USING item_pkey");
    ok(&["clusterdb", &db, "--verbose"]);
    assert!(ok(&["oid2name", &db, "-d", "postgres", "-t", "item"]).contains("item"));
    assert!(
        ok(&["vacuumlo", &db, "-v", "postgres"]).contains("removed 1 large objects")
            || sql(&db, "SELECT count(*) FROM pg_largeobject") == "0"
    );
    assert!(ok(&["pg_test_timing", "-d", "1"]).contains("Per loop time"));
    assert!(ok(&["pg_test_fsync", "--version"]).contains("pg_test_fsync (PostgreSQL) 18"));
    let made = folder.path("made");
    ok(&["initdb", "-D", &made, "--no-sync", "-U", "postgres", "-A", "trust"]);
    assert_eq!(sql(&made, "SELECT 1"), "1");
}

#[test]
fn programs_without_a_directory_are_those_of_everywhere() {
    assert!(ok(&["psql", "--version"]).starts_with("psql (PostgreSQL) 18"));
    assert!(ok(&["pg_dump", "--help"]).contains("--schema-only"));
    assert!(fails(&["pg_isready", "-h", "/nowhere"]).is_empty());
    assert!(fails(&["psql", "-h", "/nowhere", "-d", "x"]).contains("/nowhere/.s.PGSQL.5432"));
    let help = ok(&["--help"]);
    for name in ["pg_dump", "pgbench", "pg_basebackup", "serve"] {
        assert!(help.contains(&format!("  {name} ")), "{help}");
    }
}

#[test]
fn a_connection_string_is_not_a_directory() {
    let folder = Folder::new();
    for place in
        ["postgresql:///postgres?host=/nonexistent", "postgres://nobody@/x?host=/nonexistent", "host=/nonexistent"]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_pglite"))
            .args(["psql", place, "-c", "SELECT 1"])
            .current_dir(folder.0.path())
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains("/nonexistent/.s.PGSQL.5432"), "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.0.path()).unwrap().count(), 0);
}
