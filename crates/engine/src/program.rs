//! The one step from PostgreSQL's linked code to the library OS.

use libos::Program;
use postgres_sys::Opaque;

/// The program behind a descriptor.
pub(crate) fn from(descriptor: &'static Opaque) -> Program {
    // SAFETY: `postgres-sys` hands out nothing but the constants of the compiler pass, linked into this program.
    unsafe { Program::from_descriptor(std::ptr::from_ref(descriptor).cast()) }
}
