//! What the tests share.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::Path;
use std::sync::Arc;

use vfs::{Access, Cwd, File, HostFs, Identity, Namespace};

/// The user that the programs inside believe to be.
pub(crate) const UID: u32 = 4321;
pub(crate) const GID: u32 = 8765;

pub(crate) fn namespace() -> Namespace {
    Namespace::new(Identity::new(UID, GID))
}

/// A host directory, by either way of resolving paths.
pub(crate) fn host(path: &Path, walking: bool) -> Arc<HostFs> {
    if walking { HostFs::open_walking(path) } else { HostFs::open(path) }.unwrap()
}

/// A name space with the host directory at `/data`, and that as the current directory.
pub(crate) fn at_data(path: &Path, walking: bool) -> (Namespace, Cwd) {
    let namespace = namespace();
    namespace.mount(b"/data", host(path, walking), Access::ReadWrite).unwrap();
    let mut cwd = namespace.root();
    namespace.chdir(&mut cwd, b"/data").unwrap();
    (namespace, cwd)
}

/// The whole content, from the start.
pub(crate) fn content(file: &File) -> Vec<u8> {
    let mut buffer = vec![0; 1 << 16];
    let n = match file {
        File::Kernel(fd) => rustix::io::pread(fd, &mut buffer[..], 0).unwrap(),
        File::Memory(handle) => handle.pread(&mut buffer, 0).unwrap(),
        File::Special(_) => panic!("a special node has no content"),
    };
    buffer.truncate(n);
    buffer
}

pub(crate) fn write(file: &File, data: &[u8]) {
    let n = match file {
        File::Kernel(fd) => rustix::io::write(fd, data).unwrap(),
        File::Memory(handle) => handle.write(data).unwrap(),
        File::Special(_) => panic!("a special node has no content"),
    };
    assert_eq!(n, data.len());
}

pub(crate) fn put(namespace: &Namespace, cwd: &Cwd, path: &str, data: &[u8]) {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC;
    write(&namespace.open(cwd, path.as_bytes(), flags, 0o600).unwrap(), data);
}

pub(crate) fn get(namespace: &Namespace, cwd: &Cwd, path: &str) -> Result<Vec<u8>, vfs::Errno> {
    namespace.open(cwd, path.as_bytes(), libc::O_RDONLY, 0).map(|file| content(&file))
}

/// The names in a directory, sorted, without `.` and `..`.
pub(crate) fn names(namespace: &Namespace, cwd: &Cwd, path: &str) -> Vec<String> {
    let entries = namespace.read_dir(cwd, path.as_bytes()).unwrap();
    let names = entries.into_iter().map(|entry| String::from_utf8(entry.name).unwrap());
    let mut names: Vec<_> = names.filter(|name| name != "." && name != "..").collect();
    names.sort();
    names
}
