//! `PREFIX/postgresql.conf`: read, and changed a value at a time.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Reads the settings of a file, in its order; none where there is no file.
///
/// # Errors
/// What is wrong in which line.
pub(crate) fn read(path: &Path) -> Result<Vec<(String, String)>, String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(format!("cannot read {}: {e}", path.display())),
    };
    let mut all = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let wrong = |what: &str| format!("{}, line {}: {what}", path.display(), number + 1);
        match parse(line) {
            Ok(None) => {}
            Ok(Some((name, _))) if name.starts_with("include") => {
                return Err(wrong("files cannot be included here; put the settings into this file"));
            }
            Ok(Some((name, value))) => all.push((name.to_owned(), value)),
            Err(what) => return Err(wrong(what)),
        }
    }
    Ok(all)
}

/// Sets a value, or takes the setting out where there is none.
///
/// # Errors
/// When the name or the value cannot be in such a file, or the file cannot be written.
pub(crate) fn set(path: &Path, name: &str, value: Option<&str>) -> Result<(), String> {
    let begins = |c: char| c.is_ascii_alphabetic() || c == '_';
    let goes_on = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.');
    if !name.starts_with(begins) || !name.chars().all(goes_on) {
        return Err(format!("\"{name}\" is not the name of a setting"));
    }
    if value.is_some_and(|value| value.contains(['\n', '\r', '\0'])) {
        return Err(format!("the value of {name} has a line end in it"));
    }
    let fail = |e: io::Error| format!("cannot write {}: {e}", path.display());
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(fail(e)),
    };
    let other = |line: &&str| !matches!(parse(line), Ok(Some((found, _))) if found.eq_ignore_ascii_case(name));
    let mut changed: String = text.lines().filter(other).flat_map(|line| [line, "\n"]).collect();
    if let Some(value) = value {
        changed += &format!("{name} = '{}'\n", value.replace('\\', "\\\\").replace('\'', "''"));
    }
    let new = path.with_extension("conf.new");
    let write = || {
        let mut file = fs::File::create(&new)?;
        file.write_all(changed.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(|e| {
        let _ = fs::remove_file(&new);
        fail(e)
    })
}

/// Name and value of a line, as PostgreSQL's own parser takes them (`guc-file.l`).
fn parse(line: &str) -> Result<Option<(&str, String)>, &'static str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let end = line.find(|c: char| c.is_whitespace() || matches!(c, '=' | '#' | '\'')).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    if name.is_empty() {
        return Err("a setting begins with its name");
    }
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
    let (value, rest) = match rest.strip_prefix('\'') {
        Some(quoted) => unquote(quoted).ok_or("a quote is not closed")?,
        None => match rest.find(|c: char| c.is_whitespace() || c == '#').unwrap_or(rest.len()) {
            0 => return Err("the value is missing"),
            end => (rest[..end].to_owned(), &rest[end..]),
        },
    };
    let rest = rest.trim_start();
    if rest.is_empty() || rest.starts_with('#') { Ok(Some((name, value))) } else { Err("one setting a line") }
}

fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            '\'' if characters.next_if(|(_, next)| *next == '\'').is_some() => value.push('\''),
            '\'' => return Some((value, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'b' => value.push('\u{8}'),
                'f' => value.push('\u{c}'),
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                other => value.push(other),
            },
            _ => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_postgresql_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postgresql.conf");
        assert_eq!(read(&path).unwrap(), []);
        let text =
            "# a comment\n\nwork_mem = 8MB # more\nsearch_path='a, ''b'''\nx.y  'c:\\\\d'\nempty = ''\nfsync off\n";
        fs::write(&path, text).unwrap();
        let all: Vec<_> = read(&path).unwrap().into_iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(all, ["work_mem=8MB", "search_path=a, 'b'", "x.y=c:\\d", "empty=", "fsync=off"]);
        for wrong in ["work_mem", "= 3", "a = 'b", "a = 1 b = 2", "include 'x'"] {
            fs::write(&path, format!("fsync = on\n{wrong}\n")).unwrap();
            assert!(read(&path).unwrap_err().contains("line 2"), "{wrong}");
        }
    }

    #[test]
    fn values_are_set_replaced_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postgresql.conf");
        set(&path, "work_mem", Some("8MB")).unwrap();
        fs::write(&path, format!("# mine\n{}", fs::read_to_string(&path).unwrap())).unwrap();
        set(&path, "app.text", Some("it's a \\ back")).unwrap();
        set(&path, "WORK_MEM", Some("9MB")).unwrap();
        let all = read(&path).unwrap();
        assert_eq!(all, [("app.text".into(), "it's a \\ back".into()), ("WORK_MEM".into(), "9MB".into())]);
        set(&path, "work_mem", None).unwrap();
        assert_eq!(read(&path).unwrap().len(), 1);
        assert!(fs::read_to_string(&path).unwrap().starts_with("# mine\n"));
        for (name, value) in [("", "1"), ("a b", "1"), ("1a", "1"), ("a", "b\nfsync = off")] {
            assert!(set(&path, name, Some(value)).is_err(), "{name}");
        }
        assert!(set(Path::new("/nowhere/postgresql.conf"), "a", Some("1")).is_err());
    }
}
