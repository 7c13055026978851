//! What can go wrong, in words that say what to do.

use std::fmt;
use std::path::PathBuf;

/// Why a unit was not privatized.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {}: {}", .0.display(), .1)]
    Read(PathBuf, #[source] std::io::Error),
    /// A file cannot be written.
    #[error("cannot write {}: {}", .0.display(), .1)]
    Write(PathBuf, #[source] std::io::Error),
    /// The unit's description (name) makes no sense.
    #[error("unit {0}: {1}")]
    Unit(String, String),
    /// A line of the library OS's names makes no sense.
    #[error("{0}:{1}: {2}")]
    Directive(String, usize, String),
    /// An input is not what it should be.
    #[error("{0}: {1}")]
    Input(String, String),
    /// The program does something that the pass cannot follow; each with its name.
    #[error("unit {unit} is refused:\n{}", list(.refusals))]
    Refused {
        /// The unit's name.
        unit: String,
        /// Everything that was found, not only the first.
        refusals: Vec<Refusal>,
    },
    /// LLVM failed, or the pass made something that LLVM does not accept.
    #[error("LLVM: {0}")]
    Llvm(String),
}

fn list(refusals: &[Refusal]) -> String {
    refusals.iter().map(|refusal| format!("  {refusal}")).collect::<Vec<_>>().join("\n")
}

/// One thing that the pass cannot follow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Refusal {
    /// An undefined symbol without a directive, and an input that uses it.
    Undefined {
        /// The symbol.
        symbol: String,
        /// Whether it is a function; otherwise a variable.
        function: bool,
        /// One input that uses it.
        user: String,
    },
    /// A directive that does not fit the symbol, such as `redirect` for a variable.
    Directive {
        /// The symbol.
        symbol: String,
        /// What does not fit.
        reason: String,
    },
    /// Two definitions of one symbol.
    Duplicate {
        /// The symbol.
        symbol: String,
        /// The input that defines it first.
        first: String,
        /// The other one.
        second: String,
    },
    /// Several programs of the unit define a symbol that a module wants.
    Ambiguous {
        /// The symbol.
        symbol: String,
        /// The module.
        user: String,
    },
    /// `replace`, `wrap` or `exports` names something that no input defines.
    Missing {
        /// The symbol.
        symbol: String,
        /// Where it was asked for.
        wanted: String,
    },
    /// Assembly that names a symbol of the unit.
    Assembly {
        /// The symbol.
        symbol: String,
        /// The input, and the function if it is inline assembly.
        place: String,
    },
    /// An ifunc whose resolver needs private data, which runs before any process exists.
    Ifunc {
        /// The ifunc.
        symbol: String,
        /// The function that needs private data.
        function: String,
    },
    /// An initialiser with a private address in something else than a whole pointer-sized slot.
    Initializer {
        /// The variable that is initialised.
        variable: String,
        /// Where in it, in bytes.
        at: u64,
    },
    /// Something else, in words.
    Unsupported {
        /// The symbol.
        symbol: String,
        /// Why.
        reason: String,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undefined { symbol, function: true, user } => {
                write!(f, "undefined function `{symbol}` (used by {user}): give it a directive")
            }
            Self::Undefined { symbol, function: false, user } => {
                write!(f, "undefined variable `{symbol}` (used by {user}): give it a directive (data or pass)")
            }
            Self::Directive { symbol, reason } => write!(f, "directive for `{symbol}`: {reason}"),
            Self::Duplicate { symbol, first, second } => {
                write!(f, "two definitions of `{symbol}`: in {first} and in {second}")
            }
            Self::Ambiguous { symbol, user } => {
                write!(
                    f,
                    "`{symbol}`, which {user} wants, is defined by several programs: put them in units of their own"
                )
            }
            Self::Missing { symbol, wanted } => {
                write!(f, "{wanted} names `{symbol}`, which nothing defines")
            }
            Self::Assembly { symbol, place } => {
                write!(f, "assembly in {place} names `{symbol}`: pass its address as an operand")
            }
            Self::Ifunc { symbol, function } => write!(
                f,
                "ifunc `{symbol}` needs private data (in `{function}`) before any process exists: use a function pointer"
            ),
            Self::Initializer { variable, at } => write!(
                f,
                "the initialiser of `{variable}` stores a private address at byte {at} in something else than a whole pointer"
            ),
            Self::Unsupported { symbol, reason } => write!(f, "`{symbol}`: {reason}"),
        }
    }
}
