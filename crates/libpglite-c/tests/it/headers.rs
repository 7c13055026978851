//! The headers are made from the source: what is in `include` is compared. `PGLITE_BLESS=1` writes them anew.

use crate::support::folder;
use cbindgen::{Builder, Config, DocumentationStyle, Language, Style};
use std::fs;

const MODERN: &[&str] = &["status.rs", "error.rs", "log.rs", "options.rs", "exec.rs", "database.rs", "session.rs"];

const OVERVIEW: &str = "\
/*
 * pglite.h: a real, unmodified PostgreSQL inside your program.
 *
 * A pglite_database is a server in this process, or one standalone session; a pglite_session is a client of it. All text is UTF-8.
 * Functions that can fail return a pglite_status, and an error object through their last argument, where that is not null: free it
 * with pglite_error_free. No function may be called in a signal handler but pglite_cancel, and none in a child after fork.
 *
 * Made from the source of crates/libpglite-c.
 */";

const COMPAT: &str = "\
/*
 * pglite_compat.h: the interface of the libpglite draft: one global standalone session.
 *
 * In this order: pgl_initdb, pg_conf, pgl_backend; then interactive_write, interactive_one, interactive_read for each input. One
 * thread at a time is inside; others wait. Parameters come from the environment: PREFIX (/tmp/pglite), PGDATA (PREFIX/base), PGUSER,
 * PGDATABASE, PGSYSCONFDIR, PGCLIENTENCODING, PGTZ, PG_COLOR, PGL_CMA_MB (12), PGL_PASSWORD, PGL_PASSWORD_ENCRYPTION, PGL_VERBOSE.
 *
 * Made from the source of crates/libpglite-c.
 */";

const INITIALIZERS: &str = "\
/* What structures of options begin with. */
#define PGLITE_OPTIONS_INIT { .size = sizeof(pglite_options) }
#define PGLITE_SESSION_OPTIONS_INIT { .size = sizeof(pglite_session_options) }

";

fn generate(files: &[&str], guard: &str, overview: &str, more: &str) -> String {
    let mut config = Config {
        language: Language::C,
        cpp_compat: true,
        include_guard: Some(guard.into()),
        documentation_style: DocumentationStyle::Doxy,
        style: Style::Type,
        usize_is_size_t: true,
        no_includes: true,
        sys_includes: vec!["stddef.h".into(), "stdint.h".into()],
        header: Some(overview.into()),
        line_length: 120,
        ..Config::default()
    };
    config.function.sort_by = None;
    let mut builder = Builder::new().with_config(config);
    for file in files {
        builder = builder.with_src(folder().join("src").join(file));
    }
    let mut bytes = Vec::new();
    builder.generate().expect("the source is read").write(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let text = without_safety(&text);
    let end = text.rfind("#ifdef __cplusplus\n}").expect("the end of extern \"C\"");
    format!("{}{more}{}", &text[..end], &text[end..])
}

/// Drops the sections that Rust's lints want: they say nothing to C.
fn without_safety(text: &str) -> String {
    let mut all = String::new();
    let mut skipping = false;
    for line in text.lines() {
        if line.trim() == "* # Safety" {
            skipping = true;
            // The empty line before it.
            let cut = all.trim_end_matches('\n').rfind('\n').map_or(0, |n| n + 1);
            if all[cut..].trim() == "*" {
                all.truncate(cut);
            }
        }
        skipping &= !line.contains("*/");
        if !skipping {
            all += line;
            all.push('\n');
        }
    }
    all
}

fn check(name: &str, expected: &str) {
    let path = folder().join("include").join(name);
    if std::env::var_os("PGLITE_BLESS").is_some_and(|v| v == "1") {
        fs::write(&path, expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{name} is not what the source says: run this test with PGLITE_BLESS=1");
}

#[test]
fn the_modern_header_is_current() {
    check("pglite.h", &generate(MODERN, "PGLITE_H", OVERVIEW, INITIALIZERS));
}

#[test]
fn the_header_of_the_draft_is_current() {
    check("pglite_compat.h", &generate(&["compat.rs"], "PGLITE_COMPAT_H", COMPAT, ""));
}
