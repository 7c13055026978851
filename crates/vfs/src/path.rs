//! Lexical helpers for byte paths.

/// The longest path that the kernel takes, with its final NUL.
pub(crate) const PATH_MAX: usize = libc::PATH_MAX as usize;
/// The longest name of a directory entry.
pub(crate) const NAME_MAX: usize = 255;

pub(crate) fn trim_start(path: &[u8]) -> &[u8] {
    let n = path.iter().take_while(|&&b| b == b'/').count();
    &path[n..]
}

pub(crate) fn trim_end(path: &[u8]) -> &[u8] {
    let n = path.iter().rev().take_while(|&&b| b == b'/').count();
    &path[..path.len() - n]
}

/// The first component and what follows it, which is empty or begins with a slash.
pub(crate) fn first(path: &[u8]) -> (&[u8], &[u8]) {
    let end = path.iter().position(|&b| b == b'/').unwrap_or(path.len());
    path.split_at(end)
}

/// The directory part, empty or ending in a slash, and the last component with its trailing slashes.
pub(crate) fn split_last(path: &[u8]) -> (&[u8], &[u8]) {
    let slash = trim_end(path).iter().rposition(|&b| b == b'/');
    path.split_at(slash.map_or(0, |at| at + 1))
}

/// `path` lies below `ancestor`, or is it.
pub(crate) fn is_within(path: &[u8], ancestor: &[u8]) -> bool {
    path.strip_prefix(ancestor).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

/// Relative, and without `.`, `..` and empty components, so that it names one place. A trailing slash is allowed.
pub(crate) fn is_normal(path: &[u8]) -> bool {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    path.split(|&b| b == b'/').all(|name| !matches!(name, b"" | b"." | b".."))
}

/// `directory` joined with `name`. The root directory is the empty path.
pub(crate) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(directory.len() + 1 + name.len());
    path.extend_from_slice(directory);
    path.push(b'/');
    path.extend_from_slice(name);
    path
}

/// `path` from `directory`, absolute, with `.`, `..` and empty components resolved by the text. The root directory is the empty path.
pub(crate) fn resolve(directory: &[u8], path: &[u8]) -> Vec<u8> {
    let mut resolved = if path.starts_with(b"/") { Vec::new() } else { directory.to_vec() };
    for name in path.split(|&b| b == b'/') {
        match name {
            b"" | b"." => {}
            b".." => resolved.truncate(resolved.iter().rposition(|&b| b == b'/').unwrap_or(0)),
            _ => resolved = join(&resolved, name),
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits() {
        assert_eq!(split_last(b"a/b"), (&b"a/"[..], &b"b"[..]));
        assert_eq!(split_last(b"a//b//"), (&b"a//"[..], &b"b//"[..]));
        assert_eq!(split_last(b"b/"), (&b""[..], &b"b/"[..]));
        assert_eq!(first(b"a//b"), (&b"a"[..], &b"//b"[..]));
    }

    #[test]
    fn resolves_by_the_text() {
        assert_eq!(resolve(b"/a", b"b//./c"), b"/a/b/c");
        assert_eq!(resolve(b"/a/b", b"../../../c/"), b"/c");
        assert_eq!(resolve(b"/a", b"/b/../.."), b"");
    }

    #[test]
    fn relations() {
        assert!(is_within(b"/a/b", b"/a") && is_within(b"/a", b"/a") && is_within(b"/a", b""));
        assert!(!is_within(b"/ab", b"/a"));
        assert!(is_normal(b"a/b/"));
        assert!(!is_normal(b"a//b") && !is_normal(b"a/../b") && !is_normal(b"./a") && !is_normal(b"a//"));
    }
}
