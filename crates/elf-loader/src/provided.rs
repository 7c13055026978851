//! The functions of the C library that concern an object's place in memory, which the host's library would answer
//! wrongly for a mapping that it knows nothing of. References to them are bound here, whatever the resolver says.
//!
//! Relies on: the callers are objects that we mapped, and pass what the C++ ABI and the C library's manual say.

use std::ffi::{c_int, c_void};
use std::mem::offset_of;
use std::ptr;
use std::sync::{Arc, OnceLock};

use crate::arch;
use crate::loaded::{self, Handler, Loaded, Moment};

type Function = unsafe extern "C" fn(*mut c_void);

/// The address of our function of this name.
pub(crate) fn address(name: &str) -> Option<*const c_void> {
    let function = match name {
        "__tls_get_addr" => arch::tls_get_addr as *const (),
        "__cxa_atexit" => cxa_atexit as *const (),
        "__cxa_finalize" => cxa_finalize as *const (),
        "__cxa_thread_atexit" | "__cxa_thread_atexit_impl" => cxa_thread_atexit as *const (),
        "__register_atfork" => register_atfork as *const (),
        "dl_iterate_phdr" => dl_iterate_phdr as *const (),
        "_dl_find_object" => dl_find_object as *const (),
        _ => return None,
    };
    Some(function.cast())
}

/// The mapping that a handler belongs to: the one named, else the one the function is in.
fn owner(object: *mut c_void, function: Function) -> Option<Arc<Loaded>> {
    loaded::find(object.addr()).or_else(|| loaded::find(function as usize))
}

fn add(moment: Moment, function: Option<Function>, argument: *mut c_void, object: *mut c_void) -> c_int {
    let Some(function) = function else { return -1 };
    match owner(object, function) {
        Some(owner) => {
            owner.add(moment, Handler { function, argument });
            0
        }
        None => -1,
    }
}

/// The host's would call the function when the host exits, long after the mapping is gone.
unsafe extern "C" fn cxa_atexit(function: Option<Function>, argument: *mut c_void, object: *mut c_void) -> c_int {
    add(Moment::ProcessExit, function, argument, object)
}

unsafe extern "C" fn cxa_thread_atexit(
    function: Option<Function>,
    argument: *mut c_void,
    object: *mut c_void,
) -> c_int {
    add(Moment::ThreadExit, function, argument, object)
}

/// Compilers' startup code calls this among an object's finalisers.
unsafe extern "C" fn cxa_finalize(object: *mut c_void) {
    if let Some(owner) = loaded::find(object.addr()) {
        // SAFETY: the object asks for it, so it is there.
        unsafe { owner.run(Moment::ProcessExit) };
    }
}

/// A virtual process never forks the host; handlers left with the host would outlive the mapping.
unsafe extern "C" fn register_atfork(
    _prepare: Option<unsafe extern "C" fn()>,
    _parent: Option<unsafe extern "C" fn()>,
    _child: Option<unsafe extern "C" fn()>,
    _object: *mut c_void,
) -> c_int {
    0
}

type PhdrCallback = unsafe extern "C" fn(*mut libc::dl_phdr_info, libc::size_t, *mut c_void) -> c_int;

struct Walk {
    callback: PhdrCallback,
    data: *mut c_void,
    changes: (u64, u64),
}

/// The host's objects, then all mappings: an unwinder that is linked into an object finds its frames by it.
unsafe extern "C" fn dl_iterate_phdr(callback: Option<PhdrCallback>, data: *mut c_void) -> c_int {
    let Some(callback) = callback else { return 0 };
    let mut walk = Walk { callback, data, changes: loaded::changes() };
    // SAFETY: `one_of_host` gets the `Walk` that it expects, for the time of this call.
    let stop = unsafe { libc::dl_iterate_phdr(Some(one_of_host), (&raw mut walk).cast()) };
    if stop != 0 {
        return stop;
    }
    for loaded in loaded::all() {
        let mut info = libc::dl_phdr_info {
            dlpi_addr: loaded.bias,
            dlpi_name: loaded.name.as_ptr(),
            dlpi_phdr: loaded.headers.as_ptr(),
            dlpi_phnum: loaded.headers.len() as u16,
            dlpi_adds: walk.changes.0,
            dlpi_subs: walk.changes.1,
            dlpi_tls_modid: 0,
            dlpi_tls_data: ptr::null_mut(),
        };
        // SAFETY: the caller's callback with what it expects; `loaded` keeps name and headers.
        let stop = unsafe { callback(&raw mut info, size_of_val(&info), data) };
        if stop != 0 {
            return stop;
        }
    }
    0
}

/// Passes an object of the host on, with our changes added to its counters: callers cache by them.
unsafe extern "C" fn one_of_host(info: *mut libc::dl_phdr_info, size: libc::size_t, walk: *mut c_void) -> c_int {
    // SAFETY: see `dl_iterate_phdr`.
    let walk = unsafe { &mut *walk.cast::<Walk>() };
    let counters = offset_of!(libc::dl_phdr_info, dlpi_tls_modid);
    if size < counters {
        // SAFETY: the host's own arguments.
        return unsafe { (walk.callback)(info, size, walk.data) };
    }
    // SAFETY: the host's structure is valid up to `size`, and ours is filled from it no further.
    unsafe {
        let mut copy: libc::dl_phdr_info = std::mem::zeroed();
        let size = size.min(size_of_val(&copy));
        ptr::copy_nonoverlapping(info.cast::<u8>(), (&raw mut copy).cast(), size);
        copy.dlpi_adds += loaded::changes().0;
        copy.dlpi_subs += loaded::changes().1;
        (walk.callback)(&raw mut copy, size, walk.data)
    }
}

/// `struct dl_find_object`, as glibc has it on 64-bit processors.
#[repr(C)]
struct FoundObject {
    flags: u64,
    start: *mut c_void,
    end: *mut c_void,
    link_map: *mut c_void,
    frame_header: *mut c_void,
    reserved: [u64; 7],
}

/// What newer unwinders ask instead of `dl_iterate_phdr`.
unsafe extern "C" fn dl_find_object(address: *mut c_void, found: *mut FoundObject) -> c_int {
    type Host = unsafe extern "C" fn(*mut c_void, *mut FoundObject) -> c_int;
    static HOST: OnceLock<Option<Host>> = OnceLock::new();

    if let Some(loaded) = loaded::find(address.addr()) {
        let Some(frame_header) = loaded.frame_header else {
            return -1;
        };
        // SAFETY: the caller's structure.
        unsafe {
            found.write(FoundObject {
                flags: 0,
                start: ptr::without_provenance_mut(loaded.addresses.start),
                end: ptr::without_provenance_mut(loaded.addresses.end),
                link_map: ptr::null_mut(),
                frame_header: ptr::without_provenance_mut(frame_header),
                reserved: [0; 7],
            });
        }
        return 0;
    }
    let host = HOST.get_or_init(|| {
        // SAFETY: a name; if the host has the function, it has this type.
        unsafe {
            let function = libc::dlsym(libc::RTLD_DEFAULT, c"_dl_find_object".as_ptr());
            std::mem::transmute::<*mut c_void, Option<Host>>(function)
        }
    });
    match host {
        // SAFETY: the caller's arguments.
        Some(host) => unsafe { host(address, found) },
        None => -1,
    }
}
