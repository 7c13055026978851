//! Exceptions: tells the unwinder where a mapping's frames are.
//!
//! Relies on: the frames were checked ([`Frames`]); the unwinder's registration functions are those of libgcc or of
//! LLVM's libunwind, which share names but not meaning.

use std::ffi::c_void;

use crate::eh_frame::Frames;
use crate::host_objects;
use crate::memory::Memory;
use crate::resolver::Resolver;

type Register = unsafe extern "C" fn(*const c_void);

unsafe extern "C" {
    // Of the unwinder that this program is linked with; Rust's standard library always brings one.
    fn __register_frame(frames: *const c_void);
    fn __deregister_frame(frames: *const c_void);
}

/// Frames that an unwinder knows of, until dropped.
#[derive(Debug)]
pub(crate) struct FrameRegistration {
    registered: Vec<*const c_void>,
    deregister: Register,
}

// SAFETY: the addresses are only given back to the unwinder, which has its own locks.
unsafe impl Send for FrameRegistration {}
// SAFETY: as above.
unsafe impl Sync for FrameRegistration {}

impl FrameRegistration {
    /// Registers the frames with the unwinder that the object's own `throw` reaches, by the same search.
    pub(crate) fn new(frames: &Frames, memory: &Memory, resolver: &dyn Resolver) -> Self {
        let find = |name| resolver.resolve(name, None).or_else(|| resolver.resolve_dependency(name, None));
        let found = find("__register_frame").zip(find("__deregister_frame"));
        let (register, deregister) = match found {
            // SAFETY: the functions' type, in both unwinders.
            Some((register, deregister)) => unsafe {
                (
                    std::mem::transmute::<*const c_void, Register>(register),
                    std::mem::transmute::<*const c_void, Register>(deregister),
                )
            },
            None => (__register_frame as Register, __deregister_frame as Register),
        };
        let start = memory.at(frames.start).cast_const();
        let registered: Vec<*const c_void> = if takes_one_function(register, find) {
            let functions = frames.functions.iter();
            functions.map(|offset| start.wrapping_add(*offset as usize).cast()).collect()
        } else {
            vec![start.cast()]
        };
        for frames in &registered {
            // SAFETY: checked frames in memory that stays mapped until they are deregistered.
            unsafe { register(*frames) };
        }
        Self { registered, deregister }
    }
}

impl Drop for FrameRegistration {
    fn drop(&mut self) {
        for frames in &self.registered {
            // SAFETY: registered once, with the same unwinder.
            unsafe { (self.deregister)(*frames) };
        }
    }
}

/// Whether this is LLVM's function, which takes one function's entry; libgcc's takes the whole table.
fn takes_one_function(register: Register, find: impl Fn(&'static str) -> Option<*const c_void>) -> bool {
    if cfg!(target_env = "musl") {
        return true;
    }
    let own = find("__unw_add_dynamic_fde").or_else(|| {
        // SAFETY: a name.
        let own = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"__unw_add_dynamic_fde".as_ptr()) };
        (!own.is_null()).then_some(own.cast_const())
    });
    let own = own.and_then(host_objects::identity);
    own.is_some() && own == host_objects::identity(register as *const c_void)
}
