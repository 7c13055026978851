//! What a new cluster's `postgresql.conf` says beyond PostgreSQL's defaults.
//!
//! They are in the file, not on the server's command line, so that `ALTER SYSTEM` and an editor win over them, and so that
//! a stock server that takes the directory over runs with the same.

/// Name, value and the reason. Measured on two cores; see docs/architecture.md.
const DEFAULTS: &[(&str, &str, &str)] = &[
    ("io_method", "sync", "workers cost a thread hop, and most databases here fit the page cache"),
    ("io_max_concurrency", "8", "without workers more handles only take memory"),
    ("recovery_init_sync_method", "syncfs", "one call; a sync of each file takes some disks seconds"),
    ("jit", "off", "not built in; other servers of the directory should plan alike"),
    ("max_wal_size", "256MB", "a small database stays small"),
    ("min_wal_size", "8MB", "a small database stays small"),
    ("log_min_messages", "warning", "the log is the host program's"),
    ("log_checkpoints", "off", "the log is the host program's"),
    ("update_process_title", "off", "threads have no title that ps shows"),
    ("huge_pages", "off", "the buffers are ordinary memory of the host program"),
];

/// `postgresql.conf` with our lines at its end.
pub(crate) fn with_defaults(mut text: String) -> String {
    text.push_str("\n# libpglite: defaults of an embedded cluster. Change or remove them as you like.\n");
    for (name, value, why) in DEFAULTS {
        let line = format!("{name} = {value}");
        text.push_str(&format!("{line:<40}# {why}\n"));
    }
    let zone = iana_time_zone::get_timezone().unwrap_or_else(|_| "UTC".into());
    if zone.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_+-".contains(&b)) {
        for name in ["timezone", "log_timezone"] {
            let line = format!("{name} = '{zone}'");
            text.push_str(&format!("{line:<40}# the host's when the cluster was made\n"));
        }
    }
    text
}
