//! The tests that are expected to fail, each with its reason: `xtask/conformance-exceptions.toml`.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::variant::Variant;

/// The file, in the checkout.
pub(crate) const FILE: &str = "xtask/conformance-exceptions.toml";

/// The expected failures.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exceptions {
    #[serde(default)]
    exception: Vec<Exception>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    suite: String,
    test: String,
    /// In which variants; in all where there is none.
    #[serde(default)]
    variants: Vec<Variant>,
    reason: String,
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
        for Exception { suite, test, reason, .. } in &parsed.exception {
            ensure!(!reason.trim().is_empty(), "the exception for {suite}, {test} has no reason");
        }
        Ok(parsed)
    }

    /// Why a test is expected to fail, if it is.
    pub(crate) fn reason(&self, variant: Variant, suite: &str, test: &str) -> Option<&str> {
        let fits = |exception: &&Exception| {
            exception.suite == suite
                && exception.test == test
                && (exception.variants.is_empty() || exception.variants.contains(&variant))
        };
        self.exception.iter().find(fits).map(|exception| exception.reason.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_is_for_one_test_and_has_a_reason() {
        let text = "[[exception]]\nsuite = 'core'\ntest = 'a'\nvariants = ['memory']\nreason = 'r'\n";
        let exceptions = Exceptions::parse(text).unwrap();
        assert_eq!(exceptions.reason(Variant::Memory, "core", "a"), Some("r"));
        assert_eq!(exceptions.reason(Variant::Plain, "core", "a"), None);
        assert_eq!(exceptions.reason(Variant::Memory, "core", "b"), None);
        assert!(Exceptions::parse(&text.replace("'r'", "' '")).unwrap_err().to_string().contains("no reason"));
        assert!(Exceptions::parse(&text.replace("reason", "why")).is_err());
    }

    #[test]
    fn the_file_of_this_checkout_is_in_order() {
        Exceptions::read(&postgres_build::layout::Workspace::compiled_from().root).unwrap();
    }
}
