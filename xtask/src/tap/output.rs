//! What `prove --verbose` says of a file, and the log that PostgreSQL's Perl modules keep.

use std::collections::BTreeSet;
use std::fmt;

use super::exceptions::Exception;

/// How a file ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// How many tests passed.
    pub(crate) passed: usize,
    /// The descriptions of those that did not.
    pub(crate) failed: Vec<String>,
    /// Why nothing was run.
    pub(crate) skipped: Option<String>,
    /// Whether the file came to its end.
    pub(crate) finished: bool,
    /// Whether `prove` is content.
    pub(crate) good: bool,
    /// How long it took.
    pub(crate) seconds: u64,
}

/// What that means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    Skipped(String),
    Excepted,
    Failed(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => write!(f, "ok"),
            Self::Skipped(why) => write!(f, "skipped: {why}"),
            Self::Excepted => write!(f, "failed, as expected"),
            Self::Failed(why) => write!(f, "FAILED: {why}"),
        }
    }
}

impl Report {
    /// Reads the output of one file, and its log, of which nothing is lost when `prove` is killed.
    pub(crate) fn parse(text: &str, log: &str, seconds: u64) -> Self {
        let mut report = Self { seconds, ..Self::default() };
        let mut broken = false;
        for line in log.lines().filter_map(|line| line.strip_prefix('[')?.split_once("s) ")).map(|(_, rest)| rest) {
            if line.starts_with("ok ") {
                report.passed += 1;
            } else if let Some(rest) = line.strip_prefix("not ok ") {
                let description = rest.split_once(" - ").map_or(rest, |(_, description)| description);
                if !description.contains("# TODO") {
                    report.failed.push(description.trim_end().to_owned());
                }
            } else if let Some(why) = line.strip_prefix("1..0 # SKIP ") {
                report.skipped = Some(why.trim_end().to_owned());
            }
        }
        for line in text.lines() {
            if let Some(result) = line.strip_prefix("Result: ") {
                report.finished = true;
                report.good = result == "PASS" || (result == "NOTESTS" && report.skipped.is_some());
            }
            broken |= line.trim_start().starts_with("Parse errors: ");
        }
        report.finished &= !broken;
        report
    }

    /// Compares with what was expected.
    pub(crate) fn judge(&self, exception: Option<&Exception>) -> Verdict {
        match (exception, &self.skipped) {
            (None, Some(why)) if self.good => Verdict::Skipped(why.clone()),
            (None, _) if self.good => Verdict::Passed,
            (Some(_), _) if self.good => Verdict::Failed("it passes: remove its exception".into()),
            (Some(exception), _) if self.is_expected(exception) => Verdict::Excepted,
            _ => {
                let rest = if self.finished { "" } else { ", then it ended early" };
                Verdict::Failed(format!("{} passed, failed are {:?}{rest}", self.passed, self.failed))
            }
        }
    }

    fn is_expected(&self, exception: &Exception) -> bool {
        let (expected, failed) = (as_set(&exception.tests), as_set(&self.failed));
        // how far one gets that is killed in the end depends on the machine
        let fits = if exception.unfinished { failed.is_subset(&expected) } else { failed == expected };
        fits && exception.unfinished != self.finished
    }
}

/// A file may have several tests of one description.
fn as_set(descriptions: &[String]) -> BTreeSet<&str> {
    descriptions.iter().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
[18:44:36.879](0.191s) ok 1 - a
[18:44:36.979](0.100s) not ok 2 - b
[18:44:36.979](0.000s) #   Failed test 'b'
# Running: something
[18:44:37.000](0.021s) ok 3 # skip c
[18:44:37.000](0.000s) not ok 4 - d # TODO e
";

    #[test]
    fn one_that_fails_is_excepted_only_for_what_is_expected() {
        let report = Report::parse("ok 1 - a\n1..4\nResult: FAIL\n", LOG, 1);
        assert_eq!((report.passed, &report.failed[..], report.finished), (2, &["b".to_owned()][..], true));
        assert!(matches!(report.judge(None), Verdict::Failed(_)));
        let exception = Exception { tests: vec!["b".into()], ..Exception::default() };
        assert_eq!(report.judge(Some(&exception)), Verdict::Excepted);
        let other = Exception { tests: vec!["b".into(), "x".into()], ..Exception::default() };
        assert!(matches!(report.judge(Some(&other)), Verdict::Failed(_)));
        let early = Exception { unfinished: true, ..exception };
        assert!(matches!(report.judge(Some(&early)), Verdict::Failed(_)));
    }

    #[test]
    fn one_that_passes_must_not_be_excepted() {
        let report = Report::parse("ok 1 - a\n1..1\nResult: PASS\n", "", 1);
        assert_eq!(report.judge(None), Verdict::Passed);
        let exception = Exception { unfinished: true, ..Exception::default() };
        assert!(matches!(report.judge(Some(&exception)), Verdict::Failed(_)));
    }

    #[test]
    fn one_that_is_killed_or_dies_has_not_finished() {
        let early = Exception { tests: vec!["b".into()], unfinished: true, ..Exception::default() };
        for text in ["", "ok 1 - a\n  Parse errors: No plan found in TAP output\nResult: FAIL\n"] {
            let report = Report::parse(text, LOG, 1);
            assert!(matches!(report.judge(None), Verdict::Failed(_)));
            assert_eq!(report.judge(Some(&early)), Verdict::Excepted);
        }
        assert!(matches!(Report::parse("Result: NOTESTS\n", "", 1).judge(None), Verdict::Failed(_)));
    }

    #[test]
    fn one_that_skips_says_why() {
        let log = "[18:44:37.000](0.021s) 1..0 # SKIP no injection points\n";
        let report = Report::parse("t/a.pl .. skipped: no injection points\nResult: NOTESTS\n", log, 1);
        assert_eq!(report.judge(None), Verdict::Skipped("no injection points".into()));
    }
}
