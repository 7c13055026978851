//! The TAP tests that are expected to fail, each with its reason: `xtask/tap-exceptions.toml`.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The file, in the checkout.
const FILE: &str = "xtask/tap-exceptions.toml";

/// The expected failures.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exceptions {
    #[serde(default)]
    exception: Vec<Exception>,
}

/// What fails in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exception {
    pub(crate) file: String,
    /// The tests' descriptions.
    #[serde(default)]
    pub(crate) tests: Vec<String>,
    /// Whether the file does not come to its end.
    #[serde(default)]
    pub(crate) unfinished: bool,
    pub(crate) reason: String,
}

impl Exceptions {
    /// Reads the file of a checkout.
    pub(crate) fn read(checkout: &Path) -> Result<Self> {
        let path = checkout.join(FILE);
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} makes no sense", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let parsed: Self = toml::from_str(text)?;
        for Exception { file, tests, unfinished, reason } in &parsed.exception {
            ensure!(!reason.trim().is_empty(), "the exception for {file} has no reason");
            ensure!(*unfinished || !tests.is_empty(), "the exception for {file} does not say what fails");
        }
        Ok(parsed)
    }

    /// What is expected to fail in a file, if anything is.
    pub(crate) fn of(&self, file: &str) -> Option<&Exception> {
        self.exception.iter().find(|exception| exception.file == file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_says_what_fails_and_why() {
        let text = "[[exception]]\nfile = 'a/t/1.pl'\ntests = ['x']\nreason = 'r'\n";
        let exceptions = Exceptions::parse(text).unwrap();
        assert_eq!(exceptions.of("a/t/1.pl").unwrap().tests, ["x"]);
        assert_eq!(exceptions.of("a/t/2.pl"), None);
        assert!(Exceptions::parse(&text.replace("'r'", "' '")).unwrap_err().to_string().contains("no reason"));
        assert!(Exceptions::parse(&text.replace("['x']", "[]")).unwrap_err().to_string().contains("what fails"));
    }

    #[test]
    fn the_file_of_this_checkout_is_in_order() {
        Exceptions::read(&postgres_build::layout::Workspace::compiled_from().root).unwrap();
    }
}
