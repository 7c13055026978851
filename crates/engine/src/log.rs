//! The server's log: whole messages, to `tracing` or to whoever asked for them.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// One message of a server process, without its line end.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// PostgreSQL's process id, as in `pg_stat_activity`.
    pub pid: i32,
    /// How severe it is.
    pub severity: Severity,
    /// The text, with DETAIL, HINT and the like on further lines.
    pub text: &'a str,
}

/// PostgreSQL's severities, as far as they differ for a reader of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// DEBUG1 to DEBUG5.
    Debug,
    /// LOG, INFO, NOTICE, and what has no severity.
    Info,
    /// WARNING.
    Warning,
    /// ERROR: a statement failed.
    Error,
    /// FATAL and PANIC: a process ended.
    Fatal,
}

/// Where log messages go.
#[derive(Clone, Default)]
pub enum Log {
    /// To `tracing`, target `postgres`.
    #[default]
    Tracing,
    /// To a function, which may be called on any thread.
    Callback(Arc<dyn Fn(&Message<'_>) + Send + Sync>),
    /// Nowhere.
    Discard,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Log::Tracing => "Tracing",
            Log::Callback(_) => "Callback",
            Log::Discard => "Discard",
        })
    }
}

impl Log {
    /// Writes one message of the process `pid`, without its line end.
    pub fn text(&self, pid: i32, text: &str) {
        self.write(&Message { pid, severity: severity(text), text });
    }

    fn write(&self, message: &Message<'_>) {
        match self {
            Log::Discard => {}
            // A panic is reported by its hook; the process that wrote the message goes on.
            Log::Callback(f) => drop(catch_unwind(AssertUnwindSafe(|| f(message)))),
            Log::Tracing => {
                let (pid, text) = (message.pid, message.text);
                match message.severity {
                    Severity::Debug => tracing::debug!(target: "postgres", pid, "{text}"),
                    Severity::Info => tracing::info!(target: "postgres", pid, "{text}"),
                    Severity::Warning => tracing::warn!(target: "postgres", pid, "{text}"),
                    Severity::Error | Severity::Fatal => tracing::error!(target: "postgres", pid, "{text}"),
                }
            }
        }
    }
}

/// The severity that a message begins with, behind whatever prefix it has.
pub(crate) fn severity(text: &str) -> Severity {
    let first = text.lines().next().unwrap_or_default();
    let found = [
        ("PANIC:  ", Severity::Fatal),
        ("FATAL:  ", Severity::Fatal),
        ("ERROR:  ", Severity::Error),
        ("WARNING:  ", Severity::Warning),
        ("LOG:  ", Severity::Info),
        ("NOTICE:  ", Severity::Info),
        ("INFO:  ", Severity::Info),
        ("DEBUG:  ", Severity::Debug),
    ]
    .into_iter()
    .filter_map(|(word, severity)| first.find(word).map(|at| (at, severity)))
    .min_by_key(|(at, _)| *at);
    found.map_or(Severity::Info, |(_, severity)| severity)
}

/// The last messages, for the error of a server that does not start.
#[derive(Default)]
pub(crate) struct Recent(Mutex<VecDeque<String>>);

impl Recent {
    const KEPT: usize = 20;

    pub(crate) fn push(&self, text: &str) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == Self::KEPT {
            kept.pop_front();
        }
        kept.push_back(text.to_owned());
    }

    /// The messages that say why: those of an error, and what could not be done before it; or else all.
    pub(crate) fn reasons(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tells = |text: &str| severity(text) >= Severity::Error || text.contains(":  could not ");
        let severe: Vec<&str> = kept.iter().map(String::as_str).filter(|text| tells(text)).collect();
        if severe.is_empty() { kept.iter().cloned().collect::<Vec<_>>().join("\n") } else { severe.join("\n") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_is_found_behind_a_prefix() {
        assert_eq!(severity("2026-01-01 00:00:00 UTC [1] FATAL:  no LOG:  here"), Severity::Fatal);
        assert_eq!(severity("LOG:  an ERROR:  inside"), Severity::Info);
        assert_eq!(severity("plain words"), Severity::Info);
    }
}
