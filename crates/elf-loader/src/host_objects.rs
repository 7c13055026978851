//! What the host's loader tells of the objects that it mapped itself.
//!
//! Relies on: `dl_iterate_phdr` of the host's C library lists its objects with valid headers, and keeps them while it runs.

use std::ffi::{c_int, c_void};

use object::elf;

/// One object of the host, during [`find`].
pub(crate) struct HostObject<'a>(&'a libc::dl_phdr_info);

/// Asks `choose` about each object, until it answers.
pub(crate) fn find<T>(mut choose: impl FnMut(&HostObject<'_>) -> Option<T>) -> Option<T> {
    struct Search<'a, T> {
        choose: &'a mut dyn FnMut(&HostObject<'_>) -> Option<T>,
        found: Option<T>,
    }

    unsafe extern "C" fn look<T>(info: *mut libc::dl_phdr_info, size: libc::size_t, search: *mut c_void) -> c_int {
        if size < size_of::<libc::dl_phdr_info>() {
            return 0;
        }
        // SAFETY: the host's structure, as long as we know it, and the `Search` of the call below.
        let (info, search) = unsafe { (&*info, &mut *search.cast::<Search<'_, T>>()) };
        search.found = (search.choose)(&HostObject(info));
        c_int::from(search.found.is_some())
    }

    let mut search = Search { choose: &mut choose, found: None };
    // SAFETY: `look` gets what it expects, for the time of this call.
    unsafe { libc::dl_iterate_phdr(Some(look::<T>), (&raw mut search).cast()) };
    search.found
}

/// A number that tells the host's object at this address from all others.
pub(crate) fn identity(address: *const c_void) -> Option<usize> {
    find(|object| object.contains(address).then(|| object.0.dlpi_phdr.addr()))
}

/// Whether the host's object at this address gives versions to the names that it defines.
pub(crate) fn defines_versions(address: *const c_void) -> bool {
    find(|object| object.contains(address).then(|| object.defines_versions())).unwrap_or(false)
}

impl HostObject<'_> {
    fn headers(&self) -> &[libc::Elf64_Phdr] {
        if self.0.dlpi_phnum == 0 {
            return &[];
        }
        // SAFETY: the host's own table.
        unsafe { std::slice::from_raw_parts(self.0.dlpi_phdr, usize::from(self.0.dlpi_phnum)) }
    }

    fn contains(&self, address: *const c_void) -> bool {
        let address = address.addr() as u64;
        self.headers().iter().any(|header| {
            let start = self.0.dlpi_addr.wrapping_add(header.p_vaddr);
            header.p_type == libc::PT_LOAD && address.wrapping_sub(start) < header.p_memsz
        })
    }

    fn defines_versions(&self) -> bool {
        let Some(header) = self.headers().iter().find(|header| header.p_type == libc::PT_DYNAMIC) else {
            return false;
        };
        let start = self.0.dlpi_addr.wrapping_add(header.p_vaddr) as usize;
        let table: *const [i64; 2] = std::ptr::with_exposed_provenance(start);
        (0..header.p_memsz as usize / 16)
            // SAFETY: the dynamic section, which the host keeps mapped; its end is checked.
            .map(|index| unsafe { *table.add(index) })
            .take_while(|[tag, _]| *tag != elf::DT_NULL.0)
            // The first definition is the object's own name.
            .any(|[tag, value]| tag == elf::DT_VERDEFNUM.0 && value > 1)
    }

    /// The object's number and the offset in its block, if the address is in the calling thread's block of it.
    pub(crate) fn thread_local(&self, address: *const c_void) -> Option<(u64, u64)> {
        let block = self.0.dlpi_tls_data;
        // A thread that has no block yet cannot be where the address comes from.
        if self.0.dlpi_tls_modid == 0 || block.is_null() {
            return None;
        }
        let offset = address.addr().wrapping_sub(block.addr()) as u64;
        self.headers()
            .iter()
            .any(|header| header.p_type == libc::PT_TLS && offset < header.p_memsz)
            .then_some((self.0.dlpi_tls_modid as u64, offset))
    }
}
