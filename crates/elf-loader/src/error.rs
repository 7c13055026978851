//! What can go wrong between a file and a mapping of it.

use std::fmt;

/// The compilers' option for thread-local variables without descriptors.
const DIALECT: &str = if cfg!(target_arch = "aarch64") { "-mtls-dialect=trad" } else { "-mtls-dialect=gnu" };

/// A reference of the object to a name that another object has to define.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undefined {
    /// The symbol's name, mangled where the language does so.
    pub name: String,
    /// The version asked for, `GLIBC_2.34` for one.
    pub version: Option<String>,
    /// A weak reference may stay undefined: its address is then null.
    pub weak: bool,
}

impl fmt::Display for Undefined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.version {
            Some(version) => write!(f, "@{version}"),
            None => Ok(()),
        }
    }
}

/// An error about one shared object.
#[derive(Debug, thiserror::Error)]
#[error("cannot load {name}: {kind}")]
pub struct Error {
    /// The name given to [`SharedObject::open`](crate::SharedObject::open).
    pub name: String,
    /// What is wrong.
    pub kind: ErrorKind,
}

/// The kinds of [`Error`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A system call failed.
    #[error("{what}: {error}")]
    System {
        /// What was attempted.
        what: &'static str,
        /// The system's answer.
        error: std::io::Error,
    },
    /// The file does not begin as an ELF file does.
    #[error("not an ELF file")]
    NotElf,
    /// A file for pointers of another width.
    #[error("the file is 32-bit; a 64-bit one is needed")]
    WrongClass,
    /// A file for the other byte order.
    #[error("the file is big-endian; a little-endian one is needed")]
    WrongByteOrder,
    /// A file for another processor.
    #[error("the file is for {found}; one for {expected} is needed")]
    WrongMachine {
        /// The file's processor.
        found: String,
        /// This program's processor.
        expected: &'static str,
    },
    /// A valid ELF file, but no shared object.
    #[error("the file is {0}; build it as a shared object (cc -shared -fPIC)")]
    NotShared(&'static str),
    /// The file contradicts itself or is cut off.
    #[error("the file is malformed: {0}")]
    Malformed(String),
    /// The file was written to after it was opened.
    #[error("the file was changed after it was opened; open it anew")]
    Changed,
    /// A segment is both writable and executable.
    #[error(
        "a segment is writable and executable at once, which is never mapped; \
         relink without -z rwx or -N"
    )]
    WritableCode,
    /// The object asks for an executable stack.
    #[error("the object asks for an executable stack; relink with -z noexecstack")]
    ExecutableStack,
    /// A relocation changes code or constants.
    #[error(
        "relocation {relocation} changes read-only memory at {address:#x}{}; compile with -fPIC",
        .symbol.as_ref().map(|s| format!(" for {s}")).unwrap_or_default()
    )]
    TextRelocation {
        /// The relocation's type, as the processor's ABI numbers it.
        relocation: String,
        /// Its place, as an address of the file.
        address: u64,
        /// The symbol it is for.
        symbol: Option<String>,
    },
    /// A relocation that this loader does not do.
    #[error(
        "relocation {relocation} is not supported{}{advice}",
        .symbol.as_ref().map(|s| format!(" (for {s})")).unwrap_or_default()
    )]
    UnsupportedRelocation {
        /// The relocation's type, as the processor's ABI names or numbers it.
        relocation: String,
        /// The symbol it is for.
        symbol: Option<String>,
        /// What to do, beginning with a separator; may be empty.
        advice: &'static str,
    },
    /// Thread-local variables reached at a fixed distance from the thread pointer.
    #[error(
        "thread-local variables use the initial-exec model, which only the system's own loader can \
         serve: {}; compile with -ftls-model=global-dynamic",
        .symbols.join(", ")
    )]
    StaticThreadLocal {
        /// The variables.
        symbols: Vec<String>,
    },
    /// Thread-local variables of the host that are reached by descriptors.
    #[error(
        "thread-local variables of host libraries can be reached by function calls only, not by \
         descriptors: {}; compile with {DIALECT}",
        .symbols.join(", ")
    )]
    ForeignThreadLocal {
        /// The variables.
        symbols: Vec<String>,
    },
    /// Strong references that neither the resolver nor the object defines: all of them.
    #[error("undefined symbols: {}", list(.0))]
    Unresolved(Vec<Undefined>),
}

impl ErrorKind {
    pub(crate) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed(what.into())
    }

    pub(crate) fn system(what: &'static str) -> impl FnOnce(rustix::io::Errno) -> Self {
        move |error| Self::System { what, error: error.into() }
    }

    pub(crate) fn of(self, name: &str) -> Error {
        Error { name: name.to_owned(), kind: self }
    }
}

/// The result of the crate's inner functions, to which the object's name is added at its border.
pub(crate) type Result<T> = std::result::Result<T, ErrorKind>;

fn list(names: &[Undefined]) -> String {
    let names: Vec<_> = names.iter().map(Undefined::to_string).collect();
    names.join(", ")
}
