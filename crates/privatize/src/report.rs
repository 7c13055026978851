//! What the pass did, in numbers.

use serde::Serialize;

/// Figures of one run, for people and for build scripts. Sizes are in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The unit's name.
    pub unit: String,
    /// The names of the emitted `privatized_program_*` constants.
    pub programs: Vec<String>,
    /// Objects and archive members that were linked; one that is linked into two places counts twice.
    pub inputs: usize,
    /// Functions that are defined in the result.
    pub functions: usize,
    /// Functions that load the base pointer.
    pub functions_with_base: usize,
    /// Variables that the program can change.
    pub mutable_variables: usize,
    /// Variables in the private block: those, and constants that point at such.
    pub private_variables: usize,
    /// Places in code that use a private variable.
    pub uses: usize,
    /// Of each process's block.
    pub block_size: u64,
    /// Of the block's alignment.
    pub block_align: u64,
    /// Of the part of the block that is not zero.
    pub template_size: u64,
    /// Pointers to private variables in the template.
    pub fixups: usize,
    /// Symbols in the export table.
    pub exports: usize,
    /// Constructors that run when a program starts.
    pub constructors: usize,
    /// Destructors that run when a program ends.
    pub destructors: usize,
    /// The modules, with the number of symbols of each.
    pub modules: Vec<(String, usize)>,
    /// Variables of the C library that became private.
    pub libc_data: Vec<String>,
    /// Functions whose uses go to the library OS.
    pub redirected: Vec<String>,
    /// Functions and constants of the C library that are used as they are.
    pub passed: Vec<String>,
}
