//! The release that is built where nobody names another one.

/// The major version that libpglite is written for.
pub const MAJOR: u32 = 18;

/// The release that is downloaded.
pub const PINNED: &str = "18.6";

/// SHA-256 of `postgresql-18.6.tar.bz2`.
pub const PINNED_SHA256: &str = "555610c24d53e4316da5b7d3fc25c279d96856d5e0e23ee308c328c5fa881d9f";

/// The major version of LLVM, clang and lld that compile it.
pub const LLVM_MAJOR: u32 = 22;

/// The minor version in a release's number: 6 for `18.6`. `None` for anything that is not a release
/// of [`MAJOR`].
pub fn minor(version: &str) -> Option<u32> {
    let (major, minor) = version.split_once('.')?;
    (major.parse() == Ok(MAJOR)).then(|| minor.parse().ok())?
}

/// Whether a version string, such as `18.6`, `18beta1` or `18devel`, is of [`MAJOR`].
pub fn is_supported(version: &str) -> bool {
    version.strip_prefix(&MAJOR.to_string()).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// The triple of the machine that this program runs on.
pub fn host_target() -> String {
    let environment = if cfg!(target_env = "musl") { "musl" } else { "gnu" };
    match std::env::consts::OS {
        "linux" => format!("{}-unknown-linux-{environment}", std::env::consts::ARCH),
        other => format!("{}-unknown-{other}", std::env::consts::ARCH),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(minor("18.6"), Some(6));
        assert_eq!(minor("18.12"), Some(12));
        assert_eq!(minor("17.6"), None);
        assert_eq!(minor("18beta1"), None);
        assert!(is_supported("18beta1") && is_supported("18.7"));
        assert!(!is_supported("180.1") && !is_supported("17.4"));
        assert!(minor(PINNED).is_some());
    }
}
