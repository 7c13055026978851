//! Nothing outside of the mounts is ever reached.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{at_data, content, get, host, put};
use rustix::fs::{CWD, RenameFlags};
use vfs::{Access, Errno, File, MemoryFs};

struct Places {
    directory: tempfile::TempDir,
}

impl Places {
    /// `inside`, which gets mounted, and `outside` with a secret.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("inside/d")).unwrap();
        fs::create_dir_all(directory.path().join("outside")).unwrap();
        fs::write(directory.path().join("inside/d/f"), "inside").unwrap();
        fs::write(directory.path().join("outside/f"), "secret").unwrap();
        fs::set_permissions(directory.path().join("outside/f"), fs::Permissions::from_mode(0o640)).unwrap();
        Self { directory }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn assert_untouched(&self) {
        let names = fs::read_dir(self.path("outside")).unwrap().count();
        assert_eq!(names, 1, "an entry was made or removed outside");
        let file = self.path("outside/f");
        assert_eq!(fs::read(&file).unwrap(), b"secret");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    }
}

/// Every operation, on a path that would lead out.
fn all_refused(namespace: &vfs::Namespace, cwd: &vfs::Cwd, directory: &str) {
    let file = format!("{directory}/f");
    let new = format!("{directory}/new");
    let (d, f, n) = (directory.as_bytes(), file.as_bytes(), new.as_bytes());
    let time = libc::timespec { tv_sec: 1, tv_nsec: 0 };
    let create = libc::O_RDWR | libc::O_CREAT;
    let results = [
        ("open", namespace.open(cwd, f, libc::O_RDONLY, 0).map(drop)),
        ("open for writing", namespace.open(cwd, f, libc::O_RDWR | libc::O_TRUNC, 0).map(drop)),
        ("open path", namespace.open(cwd, f, libc::O_PATH, 0).map(drop)),
        ("create", namespace.open(cwd, n, create, 0o600).map(drop)),
        ("create exclusively", namespace.open(cwd, n, create | libc::O_EXCL, 0o600).map(drop)),
        ("temporary", namespace.open(cwd, d, libc::O_RDWR | libc::O_TMPFILE, 0o600).map(drop)),
        ("stat", namespace.stat(cwd, f).map(drop)),
        ("lstat", namespace.lstat(cwd, f).map(drop)),
        ("access", namespace.access(cwd, f, libc::F_OK)),
        ("chmod", namespace.chmod(cwd, f, 0o777)),
        ("chown", namespace.chown(cwd, f, Some(common::UID), None, true)),
        ("truncate", namespace.truncate(cwd, f, 0)),
        ("set_times", namespace.set_times(cwd, f, &[time, time], true)),
        ("statvfs", namespace.statvfs(cwd, f).map(drop)),
        ("read_dir", namespace.read_dir(cwd, d).map(drop)),
        ("readlink", namespace.readlink(cwd, f).map(drop)),
        ("mkdir", namespace.mkdir(cwd, n, 0o700)),
        ("rmdir", namespace.rmdir(cwd, f)),
        ("unlink", namespace.unlink(cwd, f)),
        ("rename in", namespace.rename(cwd, f, b"stolen")),
        ("rename out", namespace.rename(cwd, b"d/f", n)),
        ("link in", namespace.link(cwd, f, b"stolen")),
        ("link out", namespace.link(cwd, b"d/f", n)),
        ("symlink", namespace.symlink(cwd, b"f", n)),
        ("chdir", namespace.chdir(&mut cwd.clone(), d)),
        ("canonicalize", namespace.canonicalize(cwd, f).map(drop)),
        ("host_path", namespace.host_path(cwd, f).map(drop)),
        ("special", namespace.special(cwd, f).map(drop)),
    ];
    for (name, result) in results {
        assert_eq!(result, Err(Errno::ACCESS), "{name} of {directory}");
    }
}

#[test]
fn ways_out_are_refused() {
    for walking in [false, true] {
        for nested in [false, true] {
            let places = Places::new();
            let outside = places.text("outside");
            let (namespace, cwd) = at_data(&places.path("inside"), walking);
            if nested {
                namespace.mount(b"/data/memory", MemoryFs::new(None), Access::ReadWrite).unwrap();
            }
            symlink(&outside, places.path("inside/absolute")).unwrap();
            symlink("../outside", places.path("inside/relative")).unwrap();
            symlink("../../outside", places.path("inside/d/deeper")).unwrap();
            symlink("absolute", places.path("inside/indirect")).unwrap();
            symlink("/", places.path("inside/root")).unwrap();
            let ways = [
                outside.clone(),
                "../outside".to_owned(),
                "/data/../outside".to_owned(),
                "d/../../outside".to_owned(),
                "../../../../../../../../outside".to_owned(),
                "absolute".to_owned(),
                "absolute/.".to_owned(),
                "relative".to_owned(),
                "d/deeper".to_owned(),
                "/data/d/deeper".to_owned(),
                "indirect".to_owned(),
                format!("root{outside}"),
                format!("/proc/self/root{outside}"),
                format!("root/proc/self/root{outside}"),
            ];
            for way in &ways {
                all_refused(&namespace, &cwd, way);
            }
            places.assert_untouched();
            assert_eq!(get(&namespace, &cwd, "d/f").unwrap(), b"inside");
        }
    }
}

#[test]
fn a_link_to_a_file_outside_is_refused() {
    for walking in [false, true] {
        let places = Places::new();
        let (namespace, cwd) = at_data(&places.path("inside"), walking);
        symlink(places.path("outside/f"), places.path("inside/to_file")).unwrap();
        symlink(places.path("outside/new"), places.path("inside/to_nothing")).unwrap();
        for name in [&b"to_file"[..], b"/data/to_file", b"to_nothing"] {
            for flags in [libc::O_RDONLY, libc::O_RDWR | libc::O_TRUNC, libc::O_WRONLY | libc::O_CREAT] {
                let error = namespace.open(&cwd, name, flags, 0o600).unwrap_err();
                assert_eq!(error, Errno::ACCESS);
            }
            assert_eq!(namespace.chmod(&cwd, name, 0o777), Err(Errno::ACCESS));
            assert_eq!(namespace.truncate(&cwd, name, 0), Err(Errno::ACCESS));
        }
        // A hard link to the link is the link.
        namespace.link(&cwd, b"to_file", b"hard").unwrap();
        assert_eq!(get(&namespace, &cwd, "hard"), Err(Errno::ACCESS));
        assert_eq!(namespace.lstat(&cwd, b"hard").unwrap().st_mode & libc::S_IFMT, libc::S_IFLNK);
        places.assert_untouched();
    }
}

#[test]
fn magic_links_are_not_followed() {
    for walking in [false, true] {
        let places = Places::new();
        let namespace = common::namespace();
        // Even where /proc is visible, which nobody should do.
        namespace.mount(b"/p", host(Path::new("/proc/self"), walking), Access::ReadOnly).unwrap();
        let cwd = namespace.root();
        let way = format!("/p/root{}/f", places.text("outside"));
        assert!(get(&namespace, &cwd, &way).is_err());
        assert!(get(&namespace, &cwd, "/p/cwd/Cargo.toml").is_err());
        assert!(get(&namespace, &cwd, "/p/exe").is_err());
    }
}

/// Swaps two paths while `run` does.
fn swapping(a: &Path, b: &Path, run: impl FnOnce()) {
    /// Also when `run` panics, or the test would hang instead of failing.
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stopped = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stopped.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let _stop = Stop(&stopped);
        run();
    });
}

const ROUNDS: usize = 4000;

#[test]
fn a_directory_that_turns_into_a_link_leads_nowhere() {
    for walking in [false, true] {
        for target in ["absolute", "relative"] {
            let places = Places::new();
            let (namespace, cwd) = at_data(&places.path("inside"), walking);
            let target = if target == "absolute" { places.text("outside") } else { "../outside".to_owned() };
            symlink(target, places.path("inside/link")).unwrap();
            let (mut inside, mut refused) = (0, 0);
            swapping(&places.path("inside/d"), &places.path("inside/link"), || {
                for round in 0..ROUNDS {
                    let path = ["d/f", "/data/d/f", "d/./f", "/data//d/../d/f"][round % 4];
                    match namespace.open(&cwd, path.as_bytes(), libc::O_RDONLY, 0) {
                        Ok(file) => {
                            assert_eq!(content(&file), b"inside");
                            inside += 1;
                        }
                        Err(Errno::ACCESS) => refused += 1,
                        Err(errno) => panic!("{errno}"),
                    }
                    let _ = namespace.open(&cwd, b"d/new", libc::O_RDWR | libc::O_CREAT, 0o600);
                    let _ = namespace.mkdir(&cwd, b"d/dir", 0o700);
                    let _ = namespace.rename(&cwd, b"d/new", b"d/newer");
                    let _ = namespace.chmod(&cwd, b"d/f", 0o600);
                    let _ = namespace.truncate(&cwd, b"d/f", 6);
                    let _ = namespace.unlink(&cwd, b"d/newer");
                    let _ = namespace.rmdir(&cwd, b"d/dir");
                    let listed = namespace.read_dir(&cwd, b"d");
                    assert!(listed.is_err_and(|errno| errno == Errno::ACCESS) || inside + refused > 0);
                }
            });
            places.assert_untouched();
            assert!(inside > 0 && refused > 0, "the race was run: {inside} inside, {refused} refused");
        }
    }
}

#[test]
fn a_file_that_turns_into_a_link_leads_nowhere() {
    for walking in [false, true] {
        let places = Places::new();
        let (namespace, cwd) = at_data(&places.path("inside"), walking);
        fs::write(places.path("inside/file"), "inside").unwrap();
        symlink(places.path("outside/f"), places.path("inside/link")).unwrap();
        let mut seen = [0, 0];
        swapping(&places.path("inside/file"), &places.path("inside/link"), || {
            for _ in 0..ROUNDS {
                match namespace.open(&cwd, b"file", libc::O_RDWR | libc::O_CREAT, 0o600) {
                    Ok(file) => {
                        assert_eq!(content(&file), b"inside");
                        seen[0] += 1;
                    }
                    Err(errno) => {
                        assert!(matches!(errno, Errno::ACCESS | Errno::LOOP), "{errno}");
                        seen[1] += 1;
                    }
                }
                if let Ok(stat) = namespace.stat(&cwd, b"file") {
                    assert_ne!(stat.st_mode & 0o777, 0o640);
                }
                let _ = namespace.chmod(&cwd, b"file", 0o604);
                let _ = namespace.truncate(&cwd, b"file", 6);
                if let Ok(File::Kernel(fd)) = namespace.open(&cwd, b"file", libc::O_PATH, 0) {
                    assert_ne!(rustix::fs::fstat(&fd).unwrap().st_mode & 0o777, 0o640);
                }
            }
        });
        places.assert_untouched();
        assert!(seen[0] > 0 && seen[1] > 0, "the race was run: {seen:?}");
    }
}

#[test]
fn dot_dot_in_a_directory_that_moves_stays_inside() {
    for walking in [false, true] {
        let places = Places::new();
        // If `..` were taken from a directory that had just been moved up, it would lead to `outside`'s parent.
        fs::create_dir_all(places.path("inside/x/y/deep")).unwrap();
        fs::create_dir_all(places.path("inside/other")).unwrap();
        fs::write(places.path("inside/x/outside"), "inside").unwrap();
        let (namespace, cwd) = at_data(&places.path("inside"), walking);
        swapping(&places.path("inside/x/y/deep"), &places.path("inside/other"), || {
            for _ in 0..ROUNDS {
                for path in ["x/y/deep/../../outside/f", "x/y/deep/../../../outside/f", "other/../outside/f"] {
                    assert!(get(&namespace, &cwd, path).is_err());
                }
            }
        });
        places.assert_untouched();
    }
}

#[test]
fn a_read_only_grant_below_a_writable_mount_stays_read_only() {
    for walking in [false, true] {
        let places = Places::new();
        let root = places.directory.path().canonicalize().unwrap();
        let inside = root.join("inside").to_str().unwrap().to_owned();
        fs::create_dir_all(root.join("inside/p/q")).unwrap();
        fs::write(root.join("inside/p/q/f"), "kept").unwrap();
        let namespace = common::namespace();
        namespace.mount(inside.as_bytes(), host(&root.join("inside"), walking), Access::ReadWrite).unwrap();
        namespace.grant(format!("{inside}/p/q").as_bytes(), Access::ReadOnly).unwrap();
        let mut cwd = namespace.root();
        namespace.chdir(&mut cwd, inside.as_bytes()).unwrap();

        assert_eq!(get(&namespace, &cwd, "p/q/f").unwrap(), b"kept");
        for path in [&b"p/q/f"[..], b"./p/q/f", b"p/../p/q/f", b"p//q/f"] {
            assert_eq!(namespace.open(&cwd, path, libc::O_RDWR, 0).unwrap_err(), Errno::ROFS);
            assert_eq!(namespace.unlink(&cwd, path), Err(Errno::ROFS));
        }
        // Moving it, or what it lies in, would take it out of its mount.
        for path in [&b"p/q"[..], b"p", b"p/", b"d/../p"] {
            assert_eq!(namespace.rename(&cwd, path, b"moved"), Err(Errno::BUSY));
        }
        assert_eq!(namespace.rmdir(&cwd, b"p/q"), Err(Errno::BUSY));
        assert_eq!(namespace.link(&cwd, b"p/q/f", b"hard"), Err(Errno::XDEV));
        assert_eq!(namespace.rename(&cwd, b"p/q/f", b"f"), Err(Errno::XDEV));
        namespace.symlink(&cwd, b"p", b"link").unwrap();
        assert_eq!(namespace.open(&cwd, b"link/q/f", libc::O_RDWR, 0).unwrap_err(), Errno::ROFS);
        put(&namespace, &cwd, "p/free", b"x");
    }
}

#[test]
fn a_current_directory_that_was_moved_up_stays_inside() {
    for walking in [false, true] {
        let places = Places::new();
        fs::create_dir_all(places.path("inside/x/y/deep")).unwrap();
        let (namespace, mut cwd) = at_data(&places.path("inside"), walking);
        namespace.chdir(&mut cwd, b"x/y/deep").unwrap();
        fs::rename(places.path("inside/x/y/deep"), places.path("inside/moved")).unwrap();
        // For the kernel this would be the secret.
        assert_eq!(get(&namespace, &cwd, "../../outside/f"), Err(Errno::NOENT));
        assert_eq!(get(&namespace, &cwd, "../../../d/f").unwrap(), b"inside");
        assert_eq!(get(&namespace, &cwd, "../../../../outside/f"), Err(Errno::ACCESS));
    }
}
