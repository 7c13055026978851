//! Loadable modules: they are linked in, and the build writes a table of their symbols. Tables of characters, which few sessions need, are in their files.

use super::Global;
use crate::paths;
use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::os::wasi::ffi::OsStrExt;
use std::ptr::null_mut;
use std::{fs, io};

/// A symbol of a module. Those of a module stand together; a null name ends the table.
#[repr(C)]
struct Symbol {
    module: *const c_char,
    name: *const c_char,
    address: *mut c_void,
}

/// Where tables are to be, which are in the module's file. A null name ends the list.
#[repr(C)]
struct Tables {
    module: *const c_char,
    start: *mut u8,
    end: *mut u8,
}

unsafe extern "C" {
    static pgl_module_symbols: [Symbol; 0];
    static pgl_module_tables: [Tables; 0];
}

static ERROR: Global<Option<CString>> = Global::new(None);

fn refuse(text: String) -> *mut c_void {
    ERROR.with(|error| *error = CString::new(text).ok());
    null_mut()
}

/// All symbols, with the names of their modules.
fn symbols() -> impl Iterator<Item = (&'static Symbol, &'static CStr)> {
    (0..).map_while(|at| {
        // SAFETY: the table ends with a null name, and this ends there.
        let symbol = unsafe { &*(&raw const pgl_module_symbols).cast::<Symbol>().add(at) };
        // SAFETY: names are constants.
        (!symbol.module.is_null()).then(|| (symbol, unsafe { CStr::from_ptr(symbol.module) }))
    })
}

/// Reads the tables of a module, where it has some.
fn load(module: &CStr, path: &[u8]) -> io::Result<()> {
    let all = (0..).map_while(|at| {
        // SAFETY: the list ends with a null name, and this ends there.
        let tables = unsafe { &*(&raw const pgl_module_tables).cast::<Tables>().add(at) };
        (!tables.module.is_null()).then_some(tables)
    });
    for tables in all {
        let size = tables.end.addr() - tables.start.addr();
        // SAFETY: names are constants.
        if size == 0 || unsafe { CStr::from_ptr(tables.module) } != module {
            continue;
        }
        let bytes = fs::read(OsStr::from_bytes(path))?;
        if bytes.len() != size {
            return Err(io::Error::other("it belongs to another build of this program"));
        }
        // SAFETY: the linker has left this place to the tables; nobody uses the module before it is loaded.
        unsafe { tables.start.copy_from_nonoverlapping(bytes.as_ptr(), size) };
    }
    Ok(())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dlopen(path: *const c_char, _: c_int) -> *mut c_void {
    // SAFETY: the caller's string.
    let path = unsafe { CStr::from_ptr(path) }.to_bytes();
    let wanted = paths::module(path);
    match symbols().find(|(_, module)| module.to_bytes() == wanted) {
        Some((symbol, module)) => match load(module, path) {
            Ok(()) => std::ptr::from_ref(symbol).cast_mut().cast(),
            Err(e) => refuse(format!("cannot read \"{}\": {e}", String::from_utf8_lossy(path))),
        },
        None => refuse(format!(
            "the module \"{}\" is not linked into this program, and others cannot be loaded",
            String::from_utf8_lossy(wanted)
        )),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void {
    // SAFETY: the handle is an entry of the table, the name a string.
    let (module, name) = unsafe { (CStr::from_ptr((*handle.cast::<Symbol>()).module), CStr::from_ptr(name)) };
    // SAFETY: names are constants.
    let found = symbols().find(|(symbol, of)| *of == module && unsafe { CStr::from_ptr(symbol.name) } == name);
    match found {
        Some((symbol, _)) => symbol.address,
        None => refuse(format!("there is no symbol {} in {}", name.to_string_lossy(), module.to_string_lossy())),
    }
}

#[unsafe(no_mangle)]
extern "C" fn dlclose(_: *mut c_void) -> c_int {
    0
}

#[unsafe(no_mangle)]
extern "C" fn dlerror() -> *const c_char {
    ERROR.with(|error| error.as_ref().map_or(c"no error".as_ptr(), |text| text.as_ptr()))
}
