//! Every measurement works and gives its figures, on a small scale.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn bench(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_bench")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Asserts that there are exactly these figures.
fn names(figures: &Value, expected: &[&str]) {
    let found: Vec<&str> = figures.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(found, expected);
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_owned()
}

/// A cluster whose listeners ask for no password.
fn cluster(folder: &Path) -> String {
    let data = path(folder, "data");
    bench(&["make", &data]);
    std::fs::write(folder.join("data/pg_hba.conf"), "local all all trust\n").unwrap();
    data
}

#[test]
fn a_database_in_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let data = cluster(folder.path());
    let data = data.as_str();
    let opened = bench(&["open", data]);
    names(&opened, &["close", "first", "open"]);
    assert!(opened["first"].as_f64() >= opened["open"].as_f64());
    names(&bench(&["standalone", "--data", data, "--count", "50"]), &["p50", "p99"]);
    names(&bench(&["session", "--data", data, "--count", "50"]), &["p50", "p99"]);
    names(&bench(&["session", "--client", "--data", data, "--count", "50"]), &["p50", "p99"]);
    names(&bench(&["connect", "--data", data, "--count", "3"]), &["p50", "p99"]);
    let bulk = bench(&["bulk", "--data", data, "--rows", "1500"]);
    names(&bulk, &["aggregate", "copy", "index"]);
    assert!(bulk.as_object().unwrap().values().all(|rate| rate.as_f64().unwrap() > 0.0), "{bulk}");
}

#[test]
fn a_new_cluster_is_made_where_the_directory_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let data = path(folder.path(), "data");
    std::fs::create_dir(&data).unwrap();
    bench(&["open", &data]);
    assert!(folder.path().join("data/PG_VERSION").exists());
}

#[test]
fn what_a_database_costs_and_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let data = cluster(folder.path());
    let memory = bench(&["memory", "--data", &data, "--settle", "0"]);
    names(&memory, &["database", "total"]);
    assert!(memory["database"].as_f64().unwrap() > 1.0 && memory["total"].as_f64() > memory["database"].as_f64());
    let this = std::process::id().to_string();
    let [one, two] = [vec!["memory", &this], vec!["memory", &this, &this]].map(|arguments| bench(&arguments));
    assert!(two["total"].as_f64().unwrap() > 1.5 * one["total"].as_f64().unwrap());
    let kinds = ["descriptors", "mappings", "memory", "threads"];
    names(&bench(&["opens", "--data", &data, "--count", "2"]), &kinds);
    names(&bench(&["sessions", "--data", &data, "--count", "5"]), &kinds);
}

#[test]
fn a_server_on_a_socket() {
    let folder = tempfile::tempdir().unwrap();
    let data = cluster(folder.path());
    let server = libpglite::Database::builder(&data).listen_socket(folder.path()).no_log().open().unwrap();
    let socket = folder.path().to_str().unwrap();
    names(&bench(&["session", "--socket", socket, "--count", "50"]), &["p50", "p99"]);
    names(&bench(&["session", "--client", "--socket", socket, "--count", "50"]), &["p50", "p99"]);
    names(&bench(&["connect", "--socket", socket, "--count", "3"]), &["p50", "p99"]);
    bench(&["run", "--socket", socket, "CREATE TABLE t (a int)", "INSERT INTO t VALUES (1)"]);
    let failed = Command::new(env!("CARGO_BIN_EXE_bench")).args(["run", "--socket", socket, "SELECT 1/0"]).output();
    let failed = failed.unwrap();
    let text = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(!failed.status.success() && text.contains("division by zero"), "{text}");
    server.close().unwrap();
}
