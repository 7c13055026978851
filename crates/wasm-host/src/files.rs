//! What the host does around WASI's functions for files: files that are not there yet are made (`making.rs`), syncs wait for them, and a
//! directory can be synced, which WASI does not offer.
//!
//! Each function here takes the place of wasmtime's, and calls it.

use crate::making::{Cluster, When};
use crate::sandbox::State;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasmtime::{Caller, Linker, Result, StoreContextMut};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::wasi_snapshot_preview1::{self as real, WasiSnapshotPreview1};
use wiggle::GuestMemory;

/// The number of the first directory that a program finds open.
const FIRST: u32 = 3;
/// How much of a program's memory a function may read for names, in bytes.
const NAMES: usize = 1 << 20;

/// Whose functions they are.
pub(crate) const MODULE: &str = "wasi_snapshot_preview1";

/// WASI's numbers for errors, and for rights and flags.
const BADF: i32 = 8;
const FAULT: i32 = 21;
const IO: i32 = 29;
const NOSPC: i32 = 51;
const CAN_WRITE: i64 = 1 << 6;
const SYNCHRONOUS: i32 = 1 << 1 | 1 << 3 | 1 << 4;

/// What is known of a program's files.
pub(crate) struct Files {
    /// Directories of the host, by the numbers of descriptors.
    roots: Vec<PathBuf>,
    /// The cluster that is being made, and which of the roots it is.
    making: Option<(Arc<Cluster>, u32)>,
    /// What is open for reading: it may be a directory. The number of the one that it was found in, and its name there.
    opened: HashMap<u32, (u32, String)>,
}

impl Files {
    /// `roots` are the directories that the program finds open; the cluster is the one at the index.
    pub(crate) fn new(roots: Vec<PathBuf>, making: Option<(Arc<Cluster>, usize)>) -> Files {
        let making = making.and_then(|(cluster, index)| Some((cluster, FIRST + u32::try_from(index).ok()?)));
        Files { roots, making, opened: HashMap::new() }
    }

    /// A path is wanted, which is relative to the directory with this number.
    fn need(&self, directory: u32, path: &str, lists: bool) -> io::Result<()> {
        match &self.making {
            Some((cluster, root)) if *root == directory => cluster.need(path, lists),
            // Nothing is found by way of another directory: wasi-libc begins at a root.
            _ => Ok(()),
        }
    }

    fn sync(&self) -> io::Result<When> {
        self.making.as_ref().map_or(Ok(When::Now), |(cluster, _)| cluster.sync())
    }

    /// Something is opened, whose writes may be synchronous.
    fn opens(&self, flags: i32) -> io::Result<()> {
        if let Some((cluster, _)) = &self.making
            && flags & SYNCHRONOUS != 0
        {
            cluster.session_has_begun();
            cluster.sync()?;
        }
        Ok(())
    }

    /// Syncs what is open with this number, if it is a directory.
    fn sync_directory(&self, descriptor: u32) -> io::Result<()> {
        let badf = || io::Error::from(rustix::io::Errno::BADF);
        let (root, path) = self.opened.get(&descriptor).ok_or_else(badf)?;
        let root = root.checked_sub(FIRST).and_then(|root| self.roots.get(root as usize)).ok_or_else(badf)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let path = Path::new(if path.is_empty() { "." } else { path });
        let directory = match rustix::fs::openat2(File::open(root)?, path, flags, Mode::empty(), beneath) {
            // Not known, or not allowed, in this sandbox of the host's.
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => File::open(root.join(path))?,
            opened => opened?.into(),
        };
        directory.sync_all()
    }
}

/// WASI's number for an error of the host.
fn number(error: &io::Error) -> i32 {
    match error.kind() {
        io::ErrorKind::StorageFull => NOSPC,
        _ if error.raw_os_error() == Some(rustix::io::Errno::BADF.raw_os_error()) => BADF,
        _ => IO,
    }
}

/// The program's memory, and what wasmtime's functions work on.
pub(crate) fn parts<'a>(caller: &'a mut Caller<'_, State>) -> Result<(GuestMemory<'a>, &'a mut WasiP1Ctx)> {
    let memory = caller.get_export("memory").and_then(|export| export.into_memory());
    let memory = memory.ok_or_else(|| wasmtime::Error::msg("the module has no memory"))?;
    let store: StoreContextMut<'a, State> = wasmtime::AsContextMut::as_context_mut(caller);
    let (bytes, state) = memory.data_and_store_mut(store);
    state.wasi.set_hostcall_fuel(NAMES);
    Ok((GuestMemory::Unshared(bytes), &mut state.wasi))
}

/// A name in the program's memory.
fn name(caller: &mut Caller<'_, State>, address: i32, length: i32) -> Option<String> {
    let memory = caller.get_export("memory")?.into_memory()?;
    let start = address.cast_unsigned() as usize;
    let bytes = memory.data(&caller).get(start..)?.get(..length.cast_unsigned() as usize)?;
    Some(String::from_utf8_lossy(bytes).into_owned())
}

/// Makes what a name says, and with `lists` all that is in it; the name, or the number of an error.
fn need(
    caller: &mut Caller<'_, State>,
    directory: i32,
    address: i32,
    length: i32,
    lists: bool,
) -> std::result::Result<String, i32> {
    let name = name(caller, address, length).ok_or(FAULT)?;
    match caller.data().files.need(directory.cast_unsigned(), &name, lists) {
        Ok(()) => Ok(name),
        Err(e) => Err(number(&e)),
    }
}

/// The value, or the function ends with the number of an error.
macro_rules! or_number {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(number) => return Ok(number),
        }
    };
}

/// A function whose arguments name a path in a directory, which is made first; with `true`, and all that is in it.
macro_rules! path_function {
    ($linker:expr, $name:ident, ($($argument:ident: $type:ty),*), $lists:expr, $(($directory:ident, $address:ident, $length:ident)),*) => {
        $linker.func_wrap_async(
            MODULE,
            stringify!($name),
            |mut caller: Caller<'_, State>, ($($argument,)*): ($($type,)*)| {
                Box::new(async move {
                    $(or_number!(need(&mut caller, $directory, $address, $length, $lists));)*
                    let (mut memory, wasi) = parts(&mut caller)?;
                    real::$name(wasi, &mut memory, $($argument),*).await
                })
            },
        )?;
    };
}

/// Takes the place of wasmtime's functions, which are in the linker.
pub(crate) fn add(linker: &mut Linker<State>) -> Result<()> {
    path_function!(
        linker,
        path_filestat_get,
        (directory: i32, flags: i32, path: i32, length: i32, result: i32),
        false,
        (directory, path, length)
    );
    path_function!(
        linker,
        path_unlink_file,
        (directory: i32, path: i32, length: i32),
        false,
        (directory, path, length)
    );
    path_function!(
        linker,
        path_filestat_set_times,
        (directory: i32, flags: i32, path: i32, length: i32, access: i64, change: i64, which: i32),
        false,
        (directory, path, length)
    );
    path_function!(
        linker,
        path_link,
        (directory: i32, flags: i32, path: i32, length: i32, to: i32, other: i32, size: i32),
        false,
        (directory, path, length)
    );
    path_function!(
        linker,
        path_rename,
        (from: i32, path: i32, length: i32, to: i32, other: i32, size: i32),
        true,
        (from, path, length),
        (to, other, size)
    );
    path_function!(
        linker,
        path_remove_directory,
        (directory: i32, path: i32, length: i32),
        true,
        (directory, path, length)
    );
    linker.func_wrap_async(MODULE, "path_open", |caller, arguments| Box::new(path_open(caller, arguments)))?;
    linker.func_wrap_async(
        MODULE,
        "fd_readdir",
        |mut caller: Caller<'_, State>, (directory, buffer, size, cookie, result): (i32, i32, i32, i64, i32)| {
            Box::new(async move {
                let files = &caller.data().files;
                let known = files.opened.get(&directory.cast_unsigned());
                or_number!(known.map_or(Ok(()), |(root, path)| files.need(*root, path, true)).map_err(|e| number(&e)));
                let (mut memory, wasi) = parts(&mut caller)?;
                real::fd_readdir(wasi, &mut memory, directory, buffer, size, cookie, result).await
            })
        },
    )?;
    linker.func_wrap_async(MODULE, "fd_sync", |mut caller: Caller<'_, State>, (descriptor,): (i32,)| {
        Box::new(async move {
            if or_number!(caller.data().files.sync().map_err(|e| number(&e))) == When::Later {
                return Ok(0);
            }
            let (mut memory, wasi) = parts(&mut caller)?;
            match real::fd_sync(wasi, &mut memory, descriptor).await? {
                BADF => {
                    let synced = caller.data().files.sync_directory(descriptor.cast_unsigned());
                    Ok(synced.map_or_else(|e| number(&e), |()| 0))
                }
                result => Ok(result),
            }
        })
    })?;
    linker.func_wrap_async(MODULE, "fd_datasync", |mut caller: Caller<'_, State>, (descriptor,): (i32,)| {
        Box::new(async move {
            if or_number!(caller.data().files.sync().map_err(|e| number(&e))) == When::Later {
                return Ok(0);
            }
            let (mut memory, wasi) = parts(&mut caller)?;
            real::fd_datasync(wasi, &mut memory, descriptor).await
        })
    })?;
    Ok(())
}

/// Directory, flags for links, path and its length, flags, rights, rights of what is found in it, mode, and where the descriptor goes.
type Open = (i32, i32, i32, i32, i32, i64, i64, i32, i32);

async fn path_open(mut caller: Caller<'_, State>, arguments: Open) -> Result<i32> {
    let (directory, links, path, length, flags, rights, inherited, mode, result) = arguments;
    let name = or_number!(need(&mut caller, directory, path, length, false));
    or_number!(caller.data().files.opens(mode).map_err(|e| number(&e)));
    let (mut memory, wasi) = parts(&mut caller)?;
    let open =
        real::path_open(wasi, &mut memory, directory, links, path, length, flags, rights, inherited, mode, result);
    let error = open.await?;
    if error == 0 {
        let descriptor = memory.read(wiggle::GuestPtr::<u32>::new(result.cast_unsigned()))?;
        let opened = &mut caller.data_mut().files.opened;
        if rights & CAN_WRITE == 0 {
            opened.insert(descriptor, (directory.cast_unsigned(), name));
        } else {
            opened.remove(&descriptor);
        }
    }
    Ok(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::{Engine, Instance, Module, Store};
    use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

    /// `open` opens a name of the first directory for reading, `sync` syncs; both return numbers of errors, and `open` a descriptor behind 16 bits. In
    /// text:
    ///
    /// ```text
    /// (module
    /// (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    /// (import "wasi_snapshot_preview1" "fd_sync" (func $sync (param i32) (result i32)))
    /// (memory (export "memory") 1)
    /// (data (i32.const 100) "folder")
    /// (data (i32.const 200) "file")
    /// (func (export "open") (param $name i32) (param $length i32) (result i32)
    ///     (i32.or
    ///         (call $open (i32.const 3) (i32.const 0) (local.get $name) (local.get $length)
    ///             (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 0))
    ///         (i32.shl (i32.load (i32.const 0)) (i32.const 16))))
    /// (func (export "sync") (param i32) (result i32) (call $sync (local.get 0))))
    /// ```
    const PROGRAM: [&[u8]; 8] = [
        b"\0asm\x01\0\0\0",
        b"\x01\x19\x03`\x01\x7f\x01\x7f`\x09\x7f\x7f\x7f\x7f\x7f~~\x7f\x7f\x01\x7f`\x02\x7f\x7f\x01\x7f",
        b"\x02E\x02\x16wasi_snapshot_preview1\x09path_open\0\x01\x16wasi_snapshot_preview1\x07fd_sync\0\0",
        b"\x03\x03\x02\x02\0",
        b"\x05\x03\x01\0\x01",
        b"\x07\x18\x03\x06memory\x02\0\x04open\0\x02\x04sync\0\x03",
        b"\x0a(\x02\x1f\0A\x03A\0 \0 \x01A\0B\x02B\0A\0A\0\x10\0A\0(\x02\0A\x10tr\x0b\x06\0 \0\x10\x01\x0b",
        b"\x0b\x17\x02\0A\xe4\0\x0b\x06folder\0A\xc8\x01\x0b\x04file",
    ];

    /// Runs what has nothing to wait for.
    fn now<T>(future: impl Future<Output = T>) -> T {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::pin!(future).as_mut().poll(&mut context) {
            std::task::Poll::Ready(result) => result,
            std::task::Poll::Pending => panic!("it waits"),
        }
    }

    fn call<P: wasmtime::WasmParams + Sync>(
        store: &mut Store<State>,
        instance: &Instance,
        name: &str,
        arguments: P,
    ) -> i32 {
        let function = instance.get_typed_func::<P, i32>(&mut *store, name).unwrap();
        now(function.call_async(store, arguments)).unwrap()
    }

    #[test]
    fn a_directory_is_synced() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("folder")).unwrap();
        std::fs::write(folder.path().join("file"), "x").unwrap();
        let engine = Engine::default();
        let mut wasi = WasiCtxBuilder::new();
        wasi.allow_blocking_current_thread(true);
        wasi.preopened_dir(folder.path(), "/", FsPerms::ReadWrite).unwrap();
        let files = Files::new(vec![folder.path().into()], None);
        let state = State { wasi: wasi.build_p1(), files, interrupts: None, cancel: Default::default() };
        let mut store = Store::new(&engine, state);
        let module = Module::new(&engine, PROGRAM.concat()).unwrap();
        let linker = crate::sandbox::linker(&engine).unwrap();
        let instance = now(linker.instantiate_async(&mut store, &module)).unwrap();

        let mut open = |name: i32, length: i32| call(&mut store, &instance, "open", (name, length));
        let (directory, file) = (open(100, 6), open(200, 4));
        assert_eq!((directory & 0xffff, file & 0xffff), (0, 0));
        assert_eq!(call(&mut store, &instance, "sync", directory >> 16), 0);
        assert_eq!(call(&mut store, &instance, "sync", file >> 16), 0);
        assert_eq!(call(&mut store, &instance, "sync", 99), BADF);
        // The file system was asked, and not only nothing refused.
        std::fs::remove_dir(folder.path().join("folder")).unwrap();
        assert_eq!(call(&mut store, &instance, "sync", directory >> 16), IO);
    }
}
