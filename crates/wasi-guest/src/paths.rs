//! Paths as text: what can be said of them without the file system.

/// The absolute form of `path`, without `.`, `..` and doubled slashes, where `current` is the working directory. Links are not followed: WASI
/// shows nothing above a directory that the host has opened, and PostgreSQL makes no links in what it opens that way.
pub(crate) fn absolute(path: &[u8], current: &[u8]) -> Vec<u8> {
    let mut result = Vec::new();
    let start: &[u8] = if path.starts_with(b"/") { b"" } else { current };
    for part in start.split(|b| *b == b'/').chain(path.split(|b| *b == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => {
                let end = result.iter().rposition(|b| *b == b'/').unwrap_or(0);
                result.truncate(end);
            }
            name => {
                result.push(b'/');
                result.extend_from_slice(name);
            }
        }
    }
    if result.is_empty() {
        result.push(b'/');
    }
    result
}

/// The name of the module that a path of a shared object means: `/lib/plpgsql.so` is `plpgsql`.
pub(crate) fn module(path: &[u8]) -> &[u8] {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    name.split(|b| *b == b'.').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_absolute() {
        let all =
            [("/a/./b//../c", "/a/c"), ("x/y", "/data/x/y"), ("..", "/"), ("../..", "/"), ("/", "/"), (".", "/data")];
        for (path, expected) in all {
            assert_eq!(absolute(path.as_bytes(), b"/data"), expected.as_bytes(), "{path}");
        }
    }

    #[test]
    fn modules_have_the_name_of_their_file() {
        assert_eq!(module(b"/pglite/lib/plpgsql.so"), b"plpgsql");
        assert_eq!(module(b"plpgsql"), b"plpgsql");
    }
}
