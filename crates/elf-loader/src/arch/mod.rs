//! What is particular to a processor: its relocation numbers, and code that follows its thread-local storage ABI.
//!
//! A port is one file with `MACHINE`, `MACHINE_NAME`, `action`, `relocation_name`, `tls_get_addr`,
//! `tls_descriptor` and `call_indirect`.

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::*;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::*;

#[cfg(not(all(
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!("elf-loader knows Linux on x86-64 and aarch64 only");

/// The host numbers its objects with thread-local variables from 1; no address is as small as this.
pub(crate) const MOST_HOST_MODULES: u64 = 0xffff;

unsafe extern "C" {
    #[link_name = "__tls_get_addr"]
    fn host_tls_get_addr(index: *const [usize; 2]) -> *mut std::ffi::c_void;
}

/// What a relocation does, whatever its number.
///
/// `S` is the symbol's address, `A` the addend, `B` the difference between addresses in memory and in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing.
    None,
    /// `B + A`.
    Relative,
    /// `S`.
    Symbol,
    /// `S + A`.
    SymbolAddend,
    /// What the function at `B + A` returns.
    Indirect,
    /// The first word of an argument of `__tls_get_addr`.
    TlsModule,
    /// The second word of an argument of `__tls_get_addr`.
    TlsOffset,
    /// A function and its argument, two words.
    TlsDescriptor,
    /// Refused: a distance from the thread pointer.
    TlsStatic,
    /// Refused: copies another object's variable.
    Copy,
    /// Refused: narrower than an address or relative to its place, as only code has it.
    Text,
}

impl Action {
    /// Whether its symbol is a thread-local variable.
    pub(crate) fn is_thread_local(self) -> bool {
        matches!(self, Self::TlsModule | Self::TlsOffset | Self::TlsDescriptor)
    }

    /// How many bytes it writes.
    pub(crate) fn size(self) -> u64 {
        match self {
            Self::None => 0,
            Self::TlsDescriptor => 16,
            _ => 8,
        }
    }
}
