//! Ways to set the server up.

use clap::ValueEnum;
use serde::Deserialize;

/// How the server is set up for a run of the suites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Variant {
    /// A directory, the defaults, whoever you are (root as well)
    Plain,
    /// As `nobody`, where you are root
    User,
    /// A database in memory
    Memory,
    /// debug_parallel_query=regress: parallel plans wherever one is possible
    Parallel,
    /// Tiny shared buffers, as little WAL as can be (its segments always have 1 MB)
    Small,
    /// contrib as gcc-compiled shared objects through our loader, instead of what is built in
    StockModules,
    /// The WebAssembly engine: one session, for which clients take turns
    #[value(skip)]
    Wasm,
}

impl Variant {
    /// Its name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(|| "wasm".into(), |value| value.get_name().to_owned())
    }

    /// Settings of the server.
    pub(crate) fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Parallel => &[("debug_parallel_query", "regress")],
            // many tests expect the rows of a table in order, which only small tables promise
            Self::Small => &[
                ("shared_buffers", "2MB"),
                ("synchronize_seqscans", "off"),
                ("wal_buffers", "64kB"),
                ("min_wal_size", "2MB"),
                ("max_wal_size", "3MB"),
            ],
            Self::Plain | Self::User | Self::Memory | Self::StockModules | Self::Wasm => &[],
        }
    }

    /// Whether `suite` makes a difference in this variant.
    pub(crate) fn concerns(self, suite: &str) -> bool {
        self != Self::StockModules || suite.starts_with("contrib/")
    }
}
