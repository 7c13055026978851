//! Mounts, grants, the directories above them, and who one is in there.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;

use common::{GID, UID, at_data, content, get, host, names, put, write};
use vfs::{Access, Bytes, Content, Errno, File, MemoryFs, Special, SpecialKind};

fn bundle() -> Arc<MemoryFs> {
    let fs = MemoryFs::new(None);
    let bytes = |text: &'static str| Content::Bytes(Bytes::from_static(text.as_bytes()));
    fs.insert_file(b"/share/postgres.bki", 0o644, bytes("bki")).unwrap();
    fs.insert_file(b"/share/tz/UTC", 0o644, bytes("utc")).unwrap();
    fs.insert_symlink(b"/share/link", b"tz/UTC").unwrap();
    fs
}

#[test]
fn the_root_shows_mounts_only() {
    let namespace = common::namespace();
    namespace.mount(b"/usr/lib/pg", bundle(), Access::ReadOnly).unwrap();
    namespace.mount(b"/data", MemoryFs::new(None), Access::ReadWrite).unwrap();
    let cwd = namespace.root();
    assert_eq!(cwd.path(), b"/");
    assert_eq!(names(&namespace, &cwd, "/"), ["data", "usr"]);
    assert_eq!(names(&namespace, &cwd, "/usr/"), ["lib"]);
    assert_eq!(names(&namespace, &cwd, "usr/lib/pg/share"), ["link", "postgres.bki", "tz"]);
    let stat = namespace.stat(&cwd, b"/usr/lib").unwrap();
    assert_eq!(stat.st_mode, libc::S_IFDIR | 0o555);
    assert_eq!(namespace.stat(&cwd, b"/usr/lib/pg/../../lib").unwrap().st_ino, stat.st_ino);
    for path in [&b"/etc/passwd"[..], b"/etc", b"/usr/bin", b"/usr/libx", b"../etc", b"/usr/lib/../bin"] {
        assert_eq!(namespace.stat(&cwd, path).unwrap_err(), Errno::ACCESS);
        assert_eq!(namespace.mkdir(&cwd, path, 0o700), Err(Errno::ACCESS));
        let create = libc::O_CREAT | libc::O_RDWR;
        assert_eq!(namespace.open(&cwd, path, create, 0o600).unwrap_err(), Errno::ACCESS);
    }
    // What is there already can be made as little as anywhere.
    for path in [&b"/"[..], b"/usr", b"/usr/", b"/usr/lib/pg", b"/data", b"data/."] {
        assert_eq!(namespace.mkdir(&cwd, path, 0o700), Err(Errno::EXIST));
    }
    assert_eq!(namespace.rmdir(&cwd, b"/usr"), Err(Errno::BUSY));
    assert_eq!(namespace.rename(&cwd, b"/data", b"/usr/data"), Err(Errno::BUSY));
    let root = namespace.open(&cwd, b"/usr", libc::O_RDONLY | libc::O_DIRECTORY, 0).unwrap();
    let File::Memory(root) = root else { panic!("a directory without a descriptor") };
    assert_eq!(root.sync(), Ok(()));
    assert_eq!(namespace.canonicalize(&cwd, b"usr/lib/pg/share/../share/link").unwrap(), b"/usr/lib/pg/share/tz/UTC");
}

#[test]
fn mount_points_are_checked() {
    let namespace = common::namespace();
    let fs = MemoryFs::new(None);
    for path in [&b""[..], b"data", b"/a/../b", b"/a//b", b"/./a"] {
        assert_eq!(namespace.mount(path, fs.clone(), Access::ReadOnly), Err(Errno::INVAL));
        assert_eq!(namespace.grant(path, Access::ReadOnly), Err(Errno::INVAL));
    }
    namespace.mount(b"/a/", fs.clone(), Access::ReadOnly).unwrap();
    assert_eq!(namespace.mount(b"/a", fs.clone(), Access::ReadOnly), Err(Errno::BUSY));
    namespace.unmount(b"/a").unwrap();
    assert_eq!(namespace.unmount(b"/a"), Err(Errno::INVAL));
    assert_eq!(namespace.stat(&namespace.root(), b"/a").unwrap_err(), Errno::ACCESS);
    // The root itself; a current directory from before sees it.
    let cwd = namespace.root();
    fs.insert_directory(b"x", 0o755).unwrap();
    namespace.mount(b"/", fs, Access::ReadWrite).unwrap();
    assert!(namespace.stat(&cwd, b"x").is_ok() && namespace.stat(&cwd, b"/x").is_ok());
    assert_eq!(namespace.stat(&cwd, b"/y").unwrap_err(), Errno::NOENT);
}

#[test]
fn a_mount_hides_what_the_host_has() {
    for walking in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("stat")).unwrap();
        fs::create_dir_all(directory.path().join("sub")).unwrap();
        fs::write(directory.path().join("stat/f"), "host").unwrap();
        symlink("stat", directory.path().join("link")).unwrap();
        symlink("/data/stat", directory.path().join("sub/absolute")).unwrap();
        let (namespace, cwd) = at_data(directory.path(), walking);
        assert_eq!(get(&namespace, &cwd, "stat/f").unwrap(), b"host");
        let memory = MemoryFs::new(None);
        namespace.mount(b"/data/stat", memory.clone(), Access::ReadWrite).unwrap();
        namespace.mount(b"/data/not/there/memory", MemoryFs::new(None), Access::ReadWrite).unwrap();
        put(&namespace, &cwd, "stat/f", b"memory");
        for path in [
            "stat/f",
            "/data/stat/f",
            "/data//stat/f",
            "./stat/f",
            "sub/../stat/f",
            "link/f",
            "/data/link/f",
            "sub/absolute/f",
            "stat/../stat/f",
        ] {
            assert_eq!(get(&namespace, &cwd, path).unwrap(), b"memory", "{path}");
        }
        assert_eq!(fs::read(directory.path().join("stat/f")).unwrap(), b"host");
        assert_eq!(names(&namespace, &cwd, "."), ["link", "not", "stat", "sub"]);
        assert_eq!(names(&namespace, &cwd, "not"), ["there"]);
        assert_eq!(names(&namespace, &cwd, "not/there/memory/.."), ["memory"]);
        assert_eq!(namespace.rmdir(&cwd, b"stat"), Err(Errno::BUSY));
        assert_eq!(namespace.unlink(&cwd, b"stat"), Err(Errno::ISDIR));
        assert_eq!(namespace.mkdir(&cwd, b"not", 0o700), Err(Errno::EXIST));
        assert!(namespace.mkdir(&cwd, b"not/there/x", 0o700).is_err());
        assert_eq!(namespace.rename(&cwd, b"stat/f", b"f"), Err(Errno::XDEV));
        assert_eq!(namespace.link(&cwd, b"stat/f", b"f"), Err(Errno::XDEV));
        assert_eq!(namespace.rename(&cwd, b"sub", b"stat"), Err(Errno::BUSY));
        let mut inner = cwd.clone();
        namespace.chdir(&mut inner, b"link").unwrap();
        assert_eq!(inner.path(), b"/data/stat");
        assert_eq!(get(&namespace, &inner, "f").unwrap(), b"memory");
        assert_eq!(get(&namespace, &inner, "../link/f").unwrap(), b"memory");
        namespace.unmount(b"/data/stat").unwrap();
        assert_eq!(get(&namespace, &cwd, "stat/f").unwrap(), b"host");
    }
}

#[test]
fn a_tablespace_needs_a_grant() {
    for walking in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let space = root.join("space");
        fs::create_dir_all(root.join("data/pg_tblspc")).unwrap();
        fs::create_dir_all(&space).unwrap();
        let space = space.to_str().unwrap();
        let (namespace, cwd) = at_data(&root.join("data"), walking);
        namespace.symlink(&cwd, space.as_bytes(), b"pg_tblspc/16384").unwrap();
        assert_eq!(namespace.mkdir(&cwd, b"pg_tblspc/16384/PG_18", 0o700), Err(Errno::ACCESS));
        namespace.grant(space.as_bytes(), Access::ReadWrite).unwrap();
        namespace.mkdir(&cwd, b"pg_tblspc/16384/PG_18", 0o700).unwrap();
        put(&namespace, &cwd, "pg_tblspc/16384/PG_18/1", b"row");
        assert_eq!(fs::read(format!("{space}/PG_18/1")).unwrap(), b"row");
        namespace.rename(&cwd, b"pg_tblspc/16384/PG_18/1", b"pg_tblspc/16384/2").unwrap();
        namespace.link(&cwd, b"pg_tblspc/16384/2", b"pg_tblspc/16384/3").unwrap();
        assert_eq!(namespace.rename(&cwd, b"pg_tblspc/16384/2", b"2"), Err(Errno::XDEV));
        assert_eq!(namespace.link(&cwd, b"pg_tblspc/16384/2", b"2"), Err(Errno::XDEV));
        assert_eq!(names(&namespace, &cwd, "pg_tblspc/16384"), ["2", "3", "PG_18"]);
        assert_eq!(namespace.readlink(&cwd, b"pg_tblspc/16384").unwrap(), space.as_bytes());
        let real = namespace.canonicalize(&cwd, b"pg_tblspc/16384/PG_18").unwrap();
        assert_eq!(real, format!("{space}/PG_18").as_bytes());
        // The link itself belongs to the data directory.
        namespace.unlink(&cwd, b"pg_tblspc/16384").unwrap();
        assert!(fs::exists(format!("{space}/3")).unwrap());
    }
}

#[test]
fn files_can_be_granted_one_by_one() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    let at = |name: &str| root.join(name).to_str().unwrap().to_owned();
    fs::write(root.join("real"), "time").unwrap();
    fs::write(root.join("neighbour"), "secret").unwrap();
    symlink("real", root.join("localtime")).unwrap();
    let namespace = common::namespace();
    let cwd = namespace.root();
    namespace.grant(b"/dev/null", Access::ReadWrite).unwrap();
    namespace.grant(b"/dev/zero", Access::ReadOnly).unwrap();
    namespace.grant(at("localtime").as_bytes(), Access::ReadOnly).unwrap();
    namespace.grant(at("later").as_bytes(), Access::ReadWrite).unwrap();

    write(&namespace.open(&cwd, b"/dev/null", libc::O_WRONLY, 0).unwrap(), b"gone");
    assert_eq!(namespace.open(&cwd, b"/dev/zero", libc::O_RDWR, 0).unwrap_err(), Errno::ROFS);
    assert_eq!(names(&namespace, &cwd, "/dev"), ["null", "zero"]);
    assert_eq!(namespace.stat(&cwd, b"/dev/null/").unwrap_err(), Errno::NOTDIR);
    assert_eq!(namespace.stat(&cwd, b"/dev/null/x").unwrap_err(), Errno::NOTDIR);
    assert_eq!(get(&namespace, &cwd, &at("localtime")).unwrap(), b"time");
    assert_eq!(namespace.lstat(&cwd, at("localtime").as_bytes()).unwrap().st_mode & libc::S_IFMT, libc::S_IFREG);
    assert_eq!(get(&namespace, &cwd, &at("neighbour")), Err(Errno::ACCESS));
    assert_eq!(get(&namespace, &cwd, &at("real")), Err(Errno::ACCESS));
    assert_eq!(get(&namespace, &cwd, &at("localtime/../neighbour")), Err(Errno::NOTDIR));

    let later = at("later");
    assert_eq!(names(&namespace, &cwd, root.to_str().unwrap()), ["localtime"]);
    assert_eq!(get(&namespace, &cwd, &later), Err(Errno::NOENT));
    assert_eq!(namespace.symlink(&cwd, b"neighbour", later.as_bytes()), Err(Errno::ACCESS));
    put(&namespace, &cwd, &later, b"now");
    assert_eq!(fs::read(root.join("later")).unwrap(), b"now");
    // If others make a link of it, that leads nowhere new.
    namespace.unlink(&cwd, later.as_bytes()).unwrap();
    symlink("neighbour", root.join("later")).unwrap();
    assert!(get(&namespace, &cwd, &later).is_err());

    namespace.grant(later.as_bytes(), Access::ReadOnly).unwrap();
    assert_eq!(get(&namespace, &cwd, &later).unwrap(), b"secret");
}

#[test]
fn a_read_only_mount_can_only_be_read() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("share/tz")).unwrap();
    fs::write(directory.path().join("share/postgres.bki"), "bki").unwrap();
    fs::write(directory.path().join("share/tz/UTC"), "utc").unwrap();
    symlink("tz/UTC", directory.path().join("share/link")).unwrap();
    let kinds: [Arc<dyn vfs::FileSystem>; 3] = [bundle(), host(directory.path(), false), host(directory.path(), true)];
    for fs in kinds {
        let namespace = common::namespace();
        namespace.mount(b"/ro", fs, Access::ReadOnly).unwrap();
        let mut cwd = namespace.root();
        namespace.chdir(&mut cwd, b"/ro/share").unwrap();
        let time = libc::timespec { tv_sec: 1, tv_nsec: 0 };
        let open = |path: &str, flags| namespace.open(&cwd, path.as_bytes(), flags, 0o600).map(drop);
        assert_eq!(get(&namespace, &cwd, "link").unwrap(), b"utc");
        assert_eq!(open("link", libc::O_RDONLY | libc::O_CREAT), Ok(()));
        assert_eq!(open("link", libc::O_RDWR), Err(Errno::ROFS));
        assert_eq!(open("link", libc::O_RDONLY | libc::O_TRUNC), Err(Errno::ROFS));
        assert_eq!(open("new", libc::O_RDWR), Err(Errno::NOENT));
        assert_eq!(open("new", libc::O_RDONLY | libc::O_CREAT), Err(Errno::ROFS));
        assert_eq!(open("link", libc::O_RDWR | libc::O_CREAT | libc::O_EXCL), Err(Errno::EXIST));
        assert_eq!(open("tz", libc::O_RDWR), Err(Errno::ISDIR));
        assert_eq!(open(".", libc::O_RDWR | libc::O_TMPFILE), Err(Errno::ROFS));
        assert_eq!(namespace.mkdir(&cwd, b"tz", 0o700), Err(Errno::EXIST));
        assert_eq!(namespace.mkdir(&cwd, b"new", 0o700), Err(Errno::ROFS));
        assert_eq!(namespace.mkdir(&cwd, b"no/new", 0o700), Err(Errno::NOENT));
        assert_eq!(namespace.rmdir(&cwd, b"tz"), Err(Errno::ROFS));
        assert_eq!(namespace.unlink(&cwd, b"link"), Err(Errno::ROFS));
        assert_eq!(namespace.rename(&cwd, b"link", b"new"), Err(Errno::ROFS));
        assert_eq!(namespace.link(&cwd, b"link", b"new"), Err(Errno::ROFS));
        assert_eq!(namespace.symlink(&cwd, b"x", b"new"), Err(Errno::ROFS));
        assert_eq!(namespace.truncate(&cwd, b"link", 0), Err(Errno::ROFS));
        assert_eq!(namespace.truncate(&cwd, b"new", 0), Err(Errno::NOENT));
        assert_eq!(namespace.chmod(&cwd, b"link", 0o600), Err(Errno::ROFS));
        assert_eq!(namespace.chown(&cwd, b"link", Some(UID), None, true), Err(Errno::ROFS));
        assert_eq!(namespace.set_times(&cwd, b"link", &[time, time], true), Err(Errno::ROFS));
        assert_eq!(namespace.access(&cwd, b"link", libc::R_OK), Ok(()));
        assert_eq!(namespace.access(&cwd, b"link", libc::W_OK), Err(Errno::ROFS));
        assert_ne!(namespace.statvfs(&cwd, b"link").unwrap().f_flag & libc::ST_RDONLY, 0);
        let socket = Special { kind: SpecialKind::Socket, object: Arc::new(()) };
        assert_eq!(namespace.bind_special(&cwd, b"new", socket, 0o600), Err(Errno::ROFS));
        // By descriptor: in memory it is seen to here, also above the mounts; for the kernel's the caller must know.
        for path in [&b"link"[..], b"tz", b"/"] {
            match namespace.open_with_access(&cwd, path, libc::O_RDONLY, 0).unwrap() {
                (File::Memory(handle), _) => {
                    let changes = [handle.chmod(0o600), handle.chown(), handle.set_times(&[time, time])];
                    assert_eq!(changes, [Err(Errno::ROFS); 3]);
                }
                (_, access) => assert_eq!(access, Access::ReadOnly),
            }
        }
    }
}

#[test]
fn files_belong_to_the_virtual_user() {
    let directory = tempfile::tempdir().unwrap();
    let kinds: [Arc<dyn vfs::FileSystem>; 2] = [MemoryFs::new(None), host(directory.path(), false)];
    for fs in kinds {
        let namespace = common::namespace();
        namespace.mount(b"/data", fs, Access::ReadWrite).unwrap();
        let mut cwd = namespace.root();
        namespace.chdir(&mut cwd, b"/data").unwrap();
        put(&namespace, &cwd, "f", b"");
        let stat = namespace.stat(&cwd, b"f").unwrap();
        assert_eq!((stat.st_uid, stat.st_gid), (UID, GID));
        let file = namespace.open(&cwd, b"f", libc::O_RDONLY, 0).unwrap();
        if let File::Memory(handle) = file {
            let mut stat = handle.stat();
            namespace.identity().map_stat(&mut stat);
            assert_eq!((stat.st_uid, stat.st_gid), (UID, GID));
        }
        assert_eq!(namespace.chown(&cwd, b"f", Some(UID), Some(GID), true), Ok(()));
        assert_eq!(namespace.chown(&cwd, b"f", None, None, false), Ok(()));
        assert_eq!(namespace.chown(&cwd, b"f", Some(0), None, true), Err(Errno::PERM));
        assert_eq!(namespace.chown(&cwd, b"f", None, Some(GID + 1), true), Err(Errno::PERM));
        // The virtual user is no root, whoever the host's is.
        namespace.chmod(&cwd, b"f", 0o400).unwrap();
        assert_eq!(namespace.access(&cwd, b"f", libc::R_OK), Ok(()));
        assert_eq!(namespace.access(&cwd, b"f", libc::W_OK), Err(Errno::ACCESS));
        assert_eq!(namespace.access(&cwd, b"f", libc::X_OK), Err(Errno::ACCESS));
    }
}

#[test]
fn a_stranger_s_file_stays_one() {
    if !rustix::process::geteuid().is_root() {
        return; // Only root can make one.
    }
    let directory = tempfile::tempdir().unwrap();
    let (namespace, cwd) = at_data(directory.path(), false);
    fs::write(directory.path().join("f"), "").unwrap();
    std::os::unix::fs::chown(directory.path().join("f"), Some(77), Some(78)).unwrap();
    fs::set_permissions(directory.path().join("f"), fs::Permissions::from_mode(0o640)).unwrap();
    let stat = namespace.stat(&cwd, b"f").unwrap();
    assert_eq!((stat.st_uid, stat.st_gid), (77, 78));
    assert_eq!(namespace.chown(&cwd, b"f", Some(UID), None, true), Err(Errno::PERM));
    assert_eq!(namespace.access(&cwd, b"f", libc::R_OK), Err(Errno::ACCESS));
}

#[test]
fn a_directory_can_be_read_by_who_may_not_search_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("d");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("f"), "").unwrap();
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        std::os::unix::fs::chown(&path, Some(77), None).unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o711)).unwrap();
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            if is_root {
                // SAFETY: a system call for this thread, which is nobody else's: it is no longer allowed everything.
                unsafe { libc::setfsuid(77) };
            }
            for walking in [false, true] {
                let (namespace, mut cwd) = at_data(directory.path(), walking);
                namespace.mount(b"/data/d/nested", bundle(), Access::ReadOnly).unwrap();
                assert_eq!(names(&namespace, &cwd, "d"), ["f", "nested"]);
                assert_eq!(namespace.stat(&cwd, b"d/f").unwrap_err(), Errno::ACCESS);
                assert_eq!(namespace.chdir(&mut cwd, b"d"), Err(Errno::ACCESS));
            }
        });
    });
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn the_current_directory_is_held() {
    let directory = tempfile::tempdir().unwrap();
    let (namespace, mut cwd) = at_data(directory.path(), false);
    namespace.mkdir(&cwd, b"base", 0o700).unwrap();
    put(&namespace, &cwd, "base/f", b"x");
    assert_eq!(namespace.chdir(&mut cwd, b"base/f"), Err(Errno::NOTDIR));
    assert_eq!(namespace.chdir(&mut cwd, b"none"), Err(Errno::NOENT));
    assert_eq!(namespace.chdir(&mut cwd, b"../../etc"), Err(Errno::ACCESS));
    assert_eq!(cwd.path(), b"/data");
    namespace.chdir(&mut cwd, b"base").unwrap();
    assert_eq!(cwd.path(), b"/data/base");
    fs::rename(directory.path().join("base"), directory.path().join("moved")).unwrap();
    assert_eq!(get(&namespace, &cwd, "f").unwrap(), b"x");
    let inherited = cwd.clone();
    namespace.chdir(&mut cwd, b"/").unwrap();
    assert_eq!(names(&namespace, &cwd, "."), ["data"]);
    assert_eq!(get(&namespace, &inherited, "f").unwrap(), b"x");
}

#[test]
fn special_nodes_look_like_what_they_stand_for() {
    let namespace = common::namespace();
    let memory = MemoryFs::new(None);
    let program = Special { kind: SpecialKind::Executable, object: Arc::new("postgres") };
    memory.insert_special(b"bin/postgres", 0o755, program).unwrap();
    namespace.mount(b"/run", memory, Access::ReadWrite).unwrap();
    let cwd = namespace.root();
    let socket = Special { kind: SpecialKind::Socket, object: Arc::new(7u32) };
    namespace.bind_special(&cwd, b"/run/.s.PGSQL.5432", socket.clone(), 0o777).unwrap();
    assert_eq!(namespace.bind_special(&cwd, b"/run/.s.PGSQL.5432", socket, 0o777), Err(Errno::EXIST));
    let stat = namespace.stat(&cwd, b"/run/.s.PGSQL.5432").unwrap();
    assert_eq!(stat.st_mode, libc::S_IFSOCK | 0o777);
    assert_eq!(namespace.open(&cwd, b"/run/.s.PGSQL.5432", libc::O_RDWR, 0).unwrap_err(), Errno::NXIO);
    namespace.chmod(&cwd, b"/run/.s.PGSQL.5432", 0o700).unwrap();
    namespace.rename(&cwd, b"/run/.s.PGSQL.5432", b"/run/s").unwrap();
    let found = namespace.special(&cwd, b"/run/s").unwrap().unwrap();
    assert_eq!(found.object.downcast_ref(), Some(&7u32));
    namespace.unlink(&cwd, b"/run/s").unwrap();
    assert_eq!(namespace.special(&cwd, b"/run/s").unwrap_err(), Errno::NOENT);
    assert!(namespace.special(&cwd, b"/run/bin").unwrap().is_none());

    assert_eq!(namespace.stat(&cwd, b"/run/bin/postgres").unwrap().st_mode, libc::S_IFREG | 0o755);
    namespace.access(&cwd, b"/run/bin/postgres", libc::X_OK | libc::R_OK).unwrap();
    let File::Special(object) = namespace.open(&cwd, b"/run/bin/postgres", libc::O_RDONLY, 0).unwrap() else {
        panic!("a program is no file");
    };
    assert_eq!(object.downcast_ref(), Some(&"postgres"));
    assert_eq!(namespace.open(&cwd, b"/run/bin/postgres", libc::O_RDWR, 0).unwrap_err(), Errno::TXTBSY);
}

#[test]
fn sockets_of_the_host_can_be_bound_and_found() {
    for walking in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        // Too long for an address.
        let long = root.join("x".repeat(120));
        fs::create_dir(&long).unwrap();
        let (namespace, cwd) = at_data(&root, walking);
        namespace.mount(b"/memory", MemoryFs::new(None), Access::ReadWrite).unwrap();
        symlink(&long, root.join("refused")).unwrap();
        symlink("x".repeat(120), root.join("link")).unwrap();
        let expected = long.join("socket");
        assert_eq!(namespace.host_path(&cwd, b"link/socket").unwrap(), Some(expected.clone()));
        assert_eq!(namespace.host_path(&cwd, b"/data").unwrap(), Some(root.clone()));
        assert_eq!(namespace.host_path(&cwd, b"/memory/socket").unwrap(), None);
        assert_eq!(namespace.host_path(&cwd, b"refused/socket"), Err(Errno::ACCESS));
        assert_eq!(namespace.host_path(&cwd, b"none/socket"), Err(Errno::NOENT));

        let entry = namespace.host_entry(&cwd, b"link/socket").unwrap().unwrap();
        let listener = std::os::unix::net::UnixListener::bind(entry.short_path()).unwrap();
        assert!(fs::symlink_metadata(expected).is_ok());
        assert_eq!(namespace.stat(&cwd, b"link/socket").unwrap().st_mode & libc::S_IFMT, libc::S_IFSOCK);
        let File::Kernel(fd) = namespace.open(&cwd, b"link/socket", libc::O_PATH, 0).unwrap() else {
            panic!("a file of the host has a descriptor");
        };
        let through = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fd));
        let _client = std::os::unix::net::UnixStream::connect(through).unwrap();
        listener.accept().unwrap();
    }
}

#[test]
fn bad_paths_are_errors() {
    let directory = tempfile::tempdir().unwrap();
    let (namespace, cwd) = at_data(directory.path(), false);
    namespace.mount(b"/memory", MemoryFs::new(None), Access::ReadWrite).unwrap();
    let long = "x/".repeat(2048);
    for (path, errno) in [("", Errno::NOENT), (long.as_str(), Errno::NAMETOOLONG)] {
        let path = path.as_bytes();
        assert_eq!(namespace.open(&cwd, path, libc::O_RDONLY, 0).unwrap_err(), errno);
        assert_eq!(namespace.stat(&cwd, path).unwrap_err(), errno);
        assert_eq!(namespace.mkdir(&cwd, path, 0o700), Err(errno));
        assert_eq!(namespace.rename(&cwd, path, b"x"), Err(errno));
        assert_eq!(namespace.rename(&cwd, b"x", path), Err(errno));
        assert_eq!(namespace.link(&cwd, path, b"x"), Err(errno));
        assert_eq!(namespace.symlink(&cwd, path, b"x"), Err(errno));
        assert_eq!(namespace.symlink(&cwd, b"x", path), Err(errno));
        assert_eq!(namespace.read_dir(&cwd, path).unwrap_err(), errno);
        assert_eq!(namespace.canonicalize(&cwd, path).unwrap_err(), errno);
    }
    for root in ["/data", "/memory"] {
        let deep = format!("{root}{}", "/./.".repeat(1000));
        assert!(namespace.stat(&cwd, deep.as_bytes()).is_ok());
        let name = format!("{root}/{}", "n".repeat(256));
        assert_eq!(namespace.mkdir(&cwd, name.as_bytes(), 0o700), Err(Errno::NAMETOOLONG));
        for (from, to) in [("a", "b"), ("b", "a")] {
            namespace.symlink(&cwd, from.as_bytes(), format!("{root}/{to}").as_bytes()).unwrap();
        }
        assert_eq!(get(&namespace, &cwd, &format!("{root}/a")), Err(Errno::LOOP));
        assert_eq!(get(&namespace, &cwd, &format!("{root}/a/x")), Err(Errno::LOOP));
    }
}

#[test]
fn links_between_mounts_count_together() {
    let directory = tempfile::tempdir().unwrap();
    let (namespace, cwd) = at_data(directory.path(), false);
    namespace.mount(b"/memory", MemoryFs::new(None), Access::ReadWrite).unwrap();
    namespace.symlink(&cwd, b"/memory/a", b"/data/a").unwrap();
    namespace.symlink(&cwd, b"/data/a", b"/memory/a").unwrap();
    assert_eq!(namespace.stat(&cwd, b"a").unwrap_err(), Errno::LOOP);
    put(&namespace, &cwd, "/memory/end", b"end");
    for n in 0..40 {
        let (here, there) = if n % 2 == 0 { ("/data", "/memory") } else { ("/memory", "/data") };
        let target = if n == 0 { "/memory/end".to_owned() } else { format!("{there}/l{}", n - 1) };
        namespace.symlink(&cwd, target.as_bytes(), format!("{here}/l{n}").as_bytes()).unwrap();
    }
    assert_eq!(get(&namespace, &cwd, "/memory/l39").unwrap(), b"end");
    namespace.symlink(&cwd, b"/memory/l39", b"/data/l40").unwrap();
    assert_eq!(get(&namespace, &cwd, "/data/l40"), Err(Errno::LOOP));
}

#[test]
fn temporary_files_have_no_name() {
    let directory = tempfile::tempdir().unwrap();
    let (namespace, cwd) = at_data(directory.path(), false);
    match namespace.open(&cwd, b".", libc::O_TMPFILE | libc::O_RDWR, 0o600) {
        Ok(file) => {
            write(&file, b"x");
            assert_eq!(content(&file), b"x");
        }
        Err(errno) => assert_eq!(errno, Errno::OPNOTSUPP),
    }
    assert!(names(&namespace, &cwd, ".").is_empty());
}

#[test]
fn a_walk_finds_back_from_any_depth() {
    for walking in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let (namespace, mut cwd) = at_data(directory.path(), walking);
        // Above the mount, so that it takes a walk.
        let depth = 150;
        for n in 0..depth {
            let path = format!("../data{}", (0..=n).map(|n| format!("/{n}")).collect::<String>());
            namespace.mkdir(&cwd, path.as_bytes(), 0o700).unwrap();
        }
        let down: String = (0..depth).map(|n| format!("{n}/")).collect();
        put(&namespace, &cwd, "0/1/f", b"found");
        let up = "../".repeat(depth - 2);
        assert_eq!(get(&namespace, &cwd, &format!("../data/{down}{up}f")).unwrap(), b"found");
        namespace.chdir(&mut cwd, down.as_bytes()).unwrap();
        assert_eq!(get(&namespace, &cwd, &format!("{up}f")).unwrap(), b"found");
        assert_eq!(get(&namespace, &cwd, &format!("{up}../../../data/0/1/f")).unwrap(), b"found");
        assert_eq!(get(&namespace, &cwd, &format!("{up}../../../etc/passwd")), Err(Errno::ACCESS));
    }
}

/// An owner that makes `file` when it is asked for it, and lets nobody at `secret`.
struct Owner {
    fs: Arc<MemoryFs>,
    asked: std::sync::Mutex<Vec<(String, bool)>>,
}

impl vfs::Pending for Owner {
    fn need(&self, path: &[u8], lists: bool) -> Result<(), Errno> {
        self.asked.lock().unwrap().push((String::from_utf8(path.into()).unwrap(), lists));
        match path {
            b"/data/file" => {
                // It may be there already.
                let _ = self.fs.insert_file(b"/file", 0o600, Content::Bytes(Bytes::from_static(b"here")));
                Ok(())
            }
            b"/data/secret" => Err(Errno::IO),
            _ => Ok(()),
        }
    }
}

#[test]
fn an_owner_makes_files_when_they_are_wanted() {
    let namespace = common::namespace();
    let fs = MemoryFs::new(None);
    namespace.mount(b"/data", fs.clone(), Access::ReadWrite).unwrap();
    let mut cwd = namespace.root();
    namespace.chdir(&mut cwd, b"/data").unwrap();
    namespace.mkdir(&cwd, b"sub", 0o700).unwrap();
    assert_eq!(namespace.stat(&cwd, b"file").unwrap_err(), Errno::NOENT);
    let owner = Arc::new(Owner { fs, asked: std::sync::Mutex::default() });
    namespace.set_pending(Some(owner.clone()));
    assert_eq!(namespace.stat(&cwd, b"sub/../file").unwrap().st_size, 4);
    assert_eq!(namespace.open(&cwd, b"secret", libc::O_RDWR | libc::O_CREAT, 0o600).unwrap_err(), Errno::IO);
    assert_eq!(namespace.unlink(&cwd, b"/data/secret"), Err(Errno::IO));
    assert_eq!(namespace.rename(&cwd, b"file", b"secret"), Err(Errno::IO));
    assert_eq!(namespace.rename(&cwd, b"secret", b"file"), Err(Errno::IO));
    owner.asked.lock().unwrap().clear();
    namespace.read_dir(&cwd, b".").unwrap();
    assert_eq!(owner.asked.lock().unwrap().first(), Some(&("/data".to_owned(), true)));
    namespace.set_pending(None);
    assert_eq!(namespace.stat(&cwd, b"secret").unwrap_err(), Errno::NOENT);
}

#[test]
fn mounted_entries_are_for_those_who_know_them() {
    let namespace = common::namespace();
    let data = MemoryFs::new(None);
    data.insert_file(b"/global/old", 0o600, Content::Bytes(Bytes::from_static(b"left behind"))).unwrap();
    data.insert_file(b"/global/kept", 0o600, Content::Bytes(Bytes::from_static(b"kept"))).unwrap();
    namespace.mount(b"/data", data.clone(), Access::ReadWrite).unwrap();
    let own = MemoryFs::new(None);
    let names_of: [&[u8]; 2] = [b"old", b"new"];
    namespace.mount_entries(b"/data/global", &*own, &names_of, Access::ReadWrite).unwrap();
    assert_eq!(namespace.mount_entries(b"/data/global", &*own, &[b"old"], Access::ReadWrite), Err(Errno::BUSY));
    assert_eq!(namespace.mount_entries(b"/data", &*own, &[b"a/b"], Access::ReadWrite), Err(Errno::INVAL));
    assert_eq!(namespace.mount_entries(b"/data", &*own, &[b".."], Access::ReadWrite), Err(Errno::INVAL));

    let cwd = namespace.root();
    assert_eq!(namespace.stat(&cwd, b"/data/global/old").unwrap_err(), Errno::NOENT);
    put(&namespace, &cwd, "/data/global/new", b"fresh");
    namespace.rename(&cwd, b"/data/global/new", b"/data/global/old").unwrap();
    assert_eq!(get(&namespace, &cwd, "/data/global/old").unwrap(), b"fresh");
    assert_eq!(names(&namespace, &cwd, "/data/global"), ["kept"]);
    assert_eq!(names(&namespace, &cwd, "/data"), ["global"]);
    assert_eq!(namespace.rename(&cwd, b"/data/global/old", b"/data/global/kept"), Err(Errno::XDEV));

    // What they hide is as it was, and shows again without them.
    namespace.unmount(b"/data/global/old").unwrap();
    assert_eq!(get(&namespace, &cwd, "/data/global/old").unwrap(), b"left behind");
}
