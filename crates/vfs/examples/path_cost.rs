//! What the common operations cost, next to the kernel's own: `cargo run --release --example path_cost`.

use std::time::Instant;

use rustix::fs::{AtFlags, Mode, OFlags};
use vfs::{Access, Errno, File, HostFs, Identity, MemoryFs, Namespace};

const ROUNDS: u32 = 200_000;

fn main() -> Result<(), Errno> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let space = directory.path().join("space");
    let data = directory.path().join("data");
    std::fs::create_dir_all(data.join("base/5")).expect("a directory");
    std::fs::create_dir_all(data.join("pg_tblspc")).expect("a directory");
    std::fs::create_dir_all(&space).expect("a directory");
    std::fs::write(data.join("base/5/1259"), [0; 8192]).expect("a file");
    std::fs::write(space.join("1"), [0; 8192]).expect("a file");
    std::os::unix::fs::symlink(&space, data.join("pg_tblspc/1")).expect("a link");

    let raw = rustix::fs::open(&data, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let read = OFlags::RDWR | OFlags::CLOEXEC;
    measure("openat (kernel) base/5/1259", || rustix::fs::openat(&raw, "base/5/1259", read, Mode::empty()).map(drop));
    measure("fstatat (kernel) base/5/1259", || rustix::fs::statat(&raw, "base/5/1259", AtFlags::empty()).map(drop));

    for (name, host, nested) in [
        ("host", HostFs::open(&data)?, false),
        ("host, with a mount below", HostFs::open(&data)?, true),
        ("host, walking", HostFs::open_walking(&data)?, false),
    ] {
        let namespace = Namespace::new(Identity::new(26, 26));
        namespace.mount(b"/data", host, Access::ReadWrite)?;
        namespace.grant(space.as_os_str().as_encoded_bytes(), Access::ReadWrite)?;
        if nested {
            namespace.mount(b"/data/pg_stat_tmp", MemoryFs::new(None), Access::ReadWrite)?;
        }
        paths(name, &namespace, true)?;
    }

    let namespace = Namespace::new(Identity::new(26, 26));
    let memory = MemoryFs::new(None);
    memory.insert_directory(b"base/5", 0o700)?;
    namespace.mount(b"/data", memory, Access::ReadWrite)?;
    let file = namespace.open(&namespace.root(), b"/data/base/5/1259", libc::O_RDWR | libc::O_CREAT, 0o600)?;
    paths("memory", &namespace, false)?;
    let File::Memory(file) = file else { unreachable!("in memory") };
    let mut page = [1; 8192];
    measure("memory: pwrite 8 KiB", || file.pwrite(&page, 8192).map(drop));
    measure("memory: pread 8 KiB", || file.pread(&mut page, 8192).map(drop));
    Ok(())
}

fn paths(name: &str, namespace: &Namespace, tablespace: bool) -> Result<(), Errno> {
    let mut cwd = namespace.root();
    namespace.chdir(&mut cwd, b"/data")?;
    let open = |path: &str| namespace.open(&cwd, path.as_bytes(), libc::O_RDWR, 0).map(drop);
    measure(&format!("{name}: open base/5/1259"), || open("base/5/1259"));
    measure(&format!("{name}: open /data/base/5/1259"), || open("/data/base/5/1259"));
    measure(&format!("{name}: stat base/5/1259"), || namespace.stat(&cwd, b"base/5/1259").map(drop));
    if tablespace {
        measure(&format!("{name}: open pg_tblspc/1/1"), || open("pg_tblspc/1/1"));
    }
    Ok(())
}

fn measure(name: &str, mut run: impl FnMut() -> Result<(), Errno>) {
    let start = Instant::now();
    for _ in 0..ROUNDS {
        run().expect(name);
    }
    let nanoseconds = start.elapsed().as_nanos() / u128::from(ROUNDS);
    println!("{nanoseconds:>7} ns  {name}");
}
