//! What the library OS does with the C library's names: the file that a unit's `os` names.

use std::collections::{HashMap, HashSet};

use crate::Error;

/// Functions of the library OS that a program may call by their own name.
const PREFIX: &str = "libos_";

/// What becomes of an undefined symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Directive {
    /// Uses of the function go to the library OS.
    Redirect,
    /// Left alone.
    Pass,
    /// A variable that each process has its own of.
    Data,
    /// A `sigsetjmp`.
    Setjmp,
}

/// The directives, by name.
#[derive(Debug, Default)]
pub(crate) struct Directives {
    names: HashMap<String, Directive>,
    twice: HashSet<String>,
}

impl Directives {
    pub(crate) fn parse(text: &str, origin: &str) -> Result<Self, Error> {
        let mut result = Self::default();
        for (number, line) in text.lines().enumerate() {
            let fail = |what: String| Error::Directive(origin.to_owned(), number + 1, what);
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let Some(keyword) = words.next() else {
                continue;
            };
            let directive = match keyword {
                "redirect" => Some(Directive::Redirect),
                "pass" => Some(Directive::Pass),
                "data" => Some(Directive::Data),
                "setjmp" => Some(Directive::Setjmp),
                "twice" => None,
                other => return Err(fail(format!("there is no directive `{other}`"))),
            };
            for word in words {
                let Some(directive) = directive else {
                    result.twice.insert(word.to_owned());
                    continue;
                };
                if let Some(earlier) = result.names.insert(word.to_owned(), directive)
                    && earlier != directive
                {
                    return Err(fail(format!("`{word}` has another directive further up")));
                }
            }
        }
        Ok(result)
    }

    /// What becomes of an undefined symbol; `None` if nobody said so.
    pub(crate) fn find(&self, name: &str) -> Option<Directive> {
        let own = name.starts_with(PREFIX) || self.twice.contains(name);
        self.names.get(name).copied().or(own.then_some(Directive::Pass))
    }

    /// Whether the function may return twice.
    pub(crate) fn twice(&self, name: &str) -> bool {
        self.twice.contains(name)
    }

    /// The library OS's own function for a redirected one.
    pub(crate) fn redirected(name: &str) -> String {
        format!("{PREFIX}{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read_line_by_line() {
        let text = "# head\nredirect open close # tail\npass sin\n\ndata environ\nsetjmp __sigsetjmp\ntwice vfork\n";
        let directives = Directives::parse(text, "names.txt").unwrap();
        assert_eq!(directives.find("close"), Some(Directive::Redirect));
        assert_eq!(directives.find("sin"), Some(Directive::Pass));
        assert_eq!(directives.find("environ"), Some(Directive::Data));
        assert_eq!(directives.find("__sigsetjmp"), Some(Directive::Setjmp));
        assert_eq!(directives.find("vfork"), Some(Directive::Pass));
        assert_eq!(directives.find("libos_poll"), Some(Directive::Pass));
        assert_eq!(directives.find("tail"), None);
        assert!(directives.twice("vfork") && !directives.twice("open"));
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        let error = Directives::parse("pass sin\nredirct open\n", "names.txt").unwrap_err().to_string();
        assert!(error.contains("names.txt:2") && error.contains("redirct"), "{error}");
        let error = Directives::parse("pass sin\nredirect sin\n", "names.txt").unwrap_err().to_string();
        assert!(error.contains("names.txt:2") && error.contains("`sin`"), "{error}");
    }
}
