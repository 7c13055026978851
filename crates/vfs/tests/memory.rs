//! Files in memory: what the kernel comparison does not reach.

mod common;

use std::io::{self, IoSlice, IoSliceMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{get, names};
use proptest::prelude::*;
use vfs::{Access, Bytes, Content, Cwd, Errno, File, MemoryFs, MemoryHandle, Namespace};

const PAGE: u64 = 8192;

struct Mounted {
    namespace: Namespace,
    cwd: Cwd,
    fs: Arc<MemoryFs>,
}

impl Mounted {
    fn new(limit: Option<u64>) -> Self {
        let namespace = common::namespace();
        let fs = MemoryFs::new(limit);
        namespace.mount(b"/m", fs.clone(), Access::ReadWrite).unwrap();
        let mut cwd = namespace.root();
        namespace.chdir(&mut cwd, b"/m").unwrap();
        Self { namespace, cwd, fs }
    }

    fn open(&self, path: &str, flags: i32) -> Result<MemoryHandle, Errno> {
        match self.namespace.open(&self.cwd, path.as_bytes(), flags, 0o600)? {
            File::Memory(handle) => Ok(handle),
            other => panic!("{other:?}"),
        }
    }

    fn create(&self, path: &str) -> MemoryHandle {
        self.open(path, libc::O_RDWR | libc::O_CREAT).unwrap()
    }
}

fn read_at(file: &MemoryHandle, length: usize, offset: u64) -> Vec<u8> {
    let mut buffer = vec![0xEE; length];
    let n = file.pread(&mut buffer, offset as i64).unwrap();
    buffer.truncate(n);
    buffer
}

#[test]
fn large_files_are_sparse() {
    let m = Mounted::new(None);
    let file = m.create("big");
    let far = 5 << 30;
    file.pwrite(b"end", far).unwrap();
    assert_eq!(file.stat().st_size, far + 3);
    assert_eq!(m.fs.used(), PAGE);
    assert_eq!(read_at(&file, 10, far as u64 - 5), b"\0\0\0\0\0end");
    assert!(read_at(&file, 1 << 20, 1 << 30).iter().all(|&b| b == 0));
    file.truncate(1 << 40).unwrap();
    assert_eq!(file.stat().st_size, 1 << 40);
    assert_eq!(file.seek(0, libc::SEEK_END), Ok(1 << 40));
    file.truncate(far + 1).unwrap();
    file.truncate(far + 3).unwrap();
    assert_eq!(read_at(&file, 10, far as u64), b"e\0\0");
    assert_eq!(file.truncate(i64::MAX), Err(Errno::FBIG));
    assert_eq!(file.pwrite(b"x", i64::MAX), Err(Errno::FBIG));
    assert_eq!(file.seek(i64::MAX, libc::SEEK_SET), Ok(i64::MAX as u64));
    assert_eq!(file.seek(1, libc::SEEK_CUR), Err(Errno::INVAL));
    assert_eq!(file.read(&mut [0; 8]), Ok(0));
}

#[test]
fn a_limit_is_kept_and_space_comes_back() {
    let m = Mounted::new(Some(4 * PAGE));
    let file = m.create("f");
    let data = vec![1; 5 * PAGE as usize];
    assert_eq!(file.write(&data), Ok(4 * PAGE as usize));
    assert_eq!(file.write(&data), Err(Errno::NOSPC));
    assert_eq!(file.stat().st_size as u64, 4 * PAGE);
    assert_eq!(m.namespace.statvfs(&m.cwd, b"f").unwrap().f_bfree, 0);
    // What is there can still be changed.
    assert_eq!(file.pwrite(&data[..100], 5), Ok(100));
    assert_eq!(file.fallocate(0, 0, 4 * PAGE as i64), Ok(()));
    assert_eq!(file.fallocate(0, 0, 5 * PAGE as i64), Err(Errno::NOSPC));
    assert_eq!(file.fallocate(0, 0, 1 << 43), Err(Errno::NOSPC));
    file.truncate(PAGE as i64 + 1).unwrap();
    assert_eq!(m.fs.used(), 2 * PAGE);
    m.namespace.unlink(&m.cwd, b"f").unwrap();
    // An unlinked file lives as long as it is open.
    assert_eq!(read_at(&file, 1, 0), [1]);
    assert_eq!(file.stat().st_nlink, 0);
    let other = file.clone();
    drop(file);
    assert_eq!(m.fs.used(), 2 * PAGE);
    drop(other);
    assert_eq!(m.fs.used(), 0);
}

#[test]
fn shared_content_is_copied_when_written() {
    let m = Mounted::new(None);
    let base: Vec<u8> = (0..20_000u32).map(|i| i as u8).collect();
    let bytes = Bytes::from(base.clone());
    m.fs.insert_file(b"a/b/one", 0o640, Content::Bytes(bytes.clone())).unwrap();
    m.fs.insert_file(b"/a/two", 0o644, Content::Bytes(bytes)).unwrap();
    assert_eq!(m.fs.insert_file(b"/a/two", 0o644, Content::Bytes(Bytes::new())), Err(Errno::EXIST));
    assert_eq!(m.fs.insert_file(b"/a/two/x", 0o644, Content::Bytes(Bytes::new())), Err(Errno::NOTDIR));
    assert_eq!(m.fs.insert_file(b"/a/../x", 0o644, Content::Bytes(Bytes::new())), Err(Errno::INVAL));
    assert_eq!(names(&m.namespace, &m.cwd, "a"), ["b", "two"]);
    assert_eq!(m.namespace.stat(&m.cwd, b"a/b/one").unwrap().st_mode, libc::S_IFREG | 0o640);
    let one = m.open("a/b/one", libc::O_RDWR).unwrap();
    assert_eq!(read_at(&one, 30_000, 0), base);
    assert_eq!(m.fs.used(), 0);
    one.pwrite(b"changed", 9000).unwrap();
    assert_eq!(m.fs.used(), PAGE);
    let mut expected = base.clone();
    expected[9000..9007].copy_from_slice(b"changed");
    assert_eq!(read_at(&one, 30_000, 0), expected);
    assert_eq!(get(&m.namespace, &m.cwd, "a/two").unwrap(), base);
    // What was cut off does not come back.
    one.truncate(100).unwrap();
    one.truncate(20_000).unwrap();
    expected[100..].fill(0);
    assert_eq!(read_at(&one, 30_000, 0), expected);
}

#[test]
fn lazy_content_is_loaded_once() {
    let m = Mounted::new(None);
    let loads = Arc::new(AtomicUsize::new(0));
    let counter = loads.clone();
    let load = move || {
        // The first attempt fails, the second is of the wrong length.
        Ok(match counter.fetch_add(1, Ordering::Relaxed) {
            0 => return Err(io::Error::other("no")),
            1 => Bytes::from_static(b"short"),
            _ => Bytes::from_static(b"content"),
        })
    };
    let content = Content::Lazy { length: 7, load: Box::new(load) };
    m.fs.insert_file(b"f", 0o644, content).unwrap();
    assert_eq!(m.namespace.stat(&m.cwd, b"f").unwrap().st_size, 7);
    let file = m.open("f", libc::O_RDWR).unwrap();
    assert_eq!(loads.load(Ordering::Relaxed), 0);
    assert_eq!(file.read(&mut [0; 4]), Err(Errno::IO));
    assert_eq!(file.pwrite(b"x", 0), Err(Errno::IO));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(read_at(&file, 10, 0), b"content"));
        }
    });
    assert_eq!(loads.load(Ordering::Relaxed), 3);
    // Nothing is loaded for what nobody reads.
    let content = Content::Lazy { length: 7, load: Box::new(|| panic!("not needed")) };
    m.fs.insert_file(b"g", 0o644, content).unwrap();
    let file = m.open("g", libc::O_RDWR | libc::O_TRUNC).unwrap();
    assert_eq!(file.write(b"new"), Ok(3));
    assert_eq!(read_at(&file, 10, 0), b"new");
}

#[test]
fn duplicates_share_offset_and_flags() {
    let m = Mounted::new(None);
    let file = m.create("f");
    let duplicate = file.clone();
    let other = m.open("f", libc::O_RDWR | libc::O_APPEND).unwrap();
    file.write(b"abc").unwrap();
    duplicate.write(b"def").unwrap();
    assert_eq!(other.seek(0, libc::SEEK_CUR), Ok(0));
    other.write(b"ghi").unwrap();
    assert_eq!(other.seek(0, libc::SEEK_CUR), Ok(9));
    assert_eq!(read_at(&file, 20, 0), b"abcdefghi");
    assert_eq!(file.flags() & libc::O_ACCMODE, libc::O_RDWR);
    assert_eq!(file.flags() & libc::O_CREAT, 0);
    duplicate.set_flags(libc::O_APPEND | libc::O_WRONLY | libc::O_SYNC);
    assert_eq!(file.flags(), libc::O_RDWR | libc::O_APPEND);
    file.write(b"jkl").unwrap();
    assert_eq!(read_at(&file, 20, 0), b"abcdefghijkl");
}

#[test]
fn buffers_can_be_scattered() {
    let m = Mounted::new(None);
    let file = m.create("f");
    let parts = [IoSlice::new(b"one"), IoSlice::new(b""), IoSlice::new(b"three")];
    assert_eq!(file.writev(&parts), Ok(8));
    assert_eq!(file.pwritev(&parts, PAGE as i64 - 4), Ok(8));
    let (mut a, mut b) = ([0; 2], [0; 20]);
    let mut parts = [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)];
    assert_eq!(file.preadv(&mut parts, PAGE as i64 - 4), Ok(8));
    assert_eq!((&a, &b[..6]), (b"on", &b"ethree"[..]));
    assert_eq!(file.preadv(&mut [], -1), Err(Errno::INVAL));
    file.seek(6, libc::SEEK_SET).unwrap();
    assert_eq!(file.readv(&mut [IoSliceMut::new(&mut a)]), Ok(2));
    assert_eq!(&a, b"ee");
    assert_eq!(file.seek(0, libc::SEEK_DATA), Ok(0));
    assert_eq!(file.seek(9, libc::SEEK_HOLE), Ok(PAGE + 4));
    assert_eq!(file.seek(PAGE as i64 + 4, libc::SEEK_DATA), Err(Errno::NXIO));
}

#[test]
fn what_a_handle_may_not_do() {
    let m = Mounted::new(None);
    let file = m.create("f");
    let reader = m.open("f", libc::O_RDONLY).unwrap();
    let writer = m.open("f", libc::O_WRONLY).unwrap();
    let path = m.open("f", libc::O_PATH).unwrap();
    let directory = m.open(".", libc::O_RDONLY | libc::O_DIRECTORY).unwrap();
    assert_eq!(reader.write(b"x"), Err(Errno::BADF));
    assert_eq!(reader.truncate(0), Err(Errno::INVAL));
    assert_eq!(reader.fallocate(0, 0, 1), Err(Errno::BADF));
    assert_eq!(writer.read(&mut [0]), Err(Errno::BADF));
    assert_eq!(path.read(&mut [0]), Err(Errno::BADF));
    assert_eq!(path.chmod(0o777), Err(Errno::BADF));
    assert_eq!(directory.read(&mut [0]), Err(Errno::ISDIR));
    assert_eq!(directory.sync(), Ok(()));
    assert_eq!(file.fallocate(0, 0, 0), Err(Errno::INVAL));
    assert_eq!(file.fallocate(libc::FALLOC_FL_ZERO_RANGE, 0, 1), Err(Errno::OPNOTSUPP));
    assert_eq!(file.truncate(-1), Err(Errno::INVAL));
    file.fallocate(libc::FALLOC_FL_KEEP_SIZE, 0, 100).unwrap();
    assert_eq!(file.stat().st_size, 0);
    file.fallocate(0, 50, 100).unwrap();
    assert_eq!(file.stat().st_size, 150);
}

#[test]
fn threads_write_pages_side_by_side() {
    let m = Mounted::new(None);
    let file = m.create("f");
    const PAGES: u64 = 64;
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            let file = &file;
            scope.spawn(move || {
                for round in 0..50u8 {
                    for page in (u64::from(thread)..PAGES).step_by(4) {
                        let fill = round ^ page as u8;
                        file.pwrite(&[fill; PAGE as usize], (page * PAGE) as i64).unwrap();
                        assert_eq!(read_at(file, PAGE as usize, page * PAGE), [fill; PAGE as usize]);
                        // Somebody else's page is never seen half written.
                        let other = read_at(file, PAGE as usize, (page + 1) % PAGES * PAGE);
                        assert!(other.windows(2).all(|pair| pair[0] == pair[1]));
                    }
                }
            });
        }
    });
    assert_eq!(m.fs.used(), PAGES * PAGE);
}

#[test]
fn threads_change_the_tree_side_by_side() {
    let m = Mounted::new(None);
    m.namespace.mkdir(&m.cwd, b"a", 0o700).unwrap();
    m.namespace.mkdir(&m.cwd, b"b", 0o700).unwrap();
    common::put(&m.namespace, &m.cwd, "a/x", b"x");
    std::thread::scope(|scope| {
        let m = &m;
        scope.spawn(|| {
            for _ in 0..2000 {
                m.namespace.rename(&m.cwd, b"a/x", b"b/x").unwrap();
                m.namespace.rename(&m.cwd, b"b/x", b"a/x").unwrap();
            }
        });
        for thread in 0..3 {
            scope.spawn(move || {
                for round in 0..500 {
                    let path = format!("a/{thread}-{round}");
                    common::put(&m.namespace, &m.cwd, &path, b"y");
                    m.namespace.unlink(&m.cwd, path.as_bytes()).unwrap();
                }
            });
        }
    });
    assert_eq!(names(&m.namespace, &m.cwd, "a"), ["x"]);
    assert_eq!(m.namespace.stat(&m.cwd, b"a").unwrap().st_nlink, 2);
    assert_eq!(m.fs.used(), PAGE);
}

#[derive(Clone, Debug)]
enum Edit {
    Write(u64, usize),
    Truncate(u64),
    Punch(u64, u64),
    Allocate(u64, u64),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let at = || prop_oneof![0..50_000u64, Just(PAGE), Just(3 * PAGE), Just(20_000)];
    let edit = prop_oneof![
        3 => (at(), 0..20_000usize).prop_map(|(o, l)| Edit::Write(o, l)),
        2 => at().prop_map(Edit::Truncate),
        2 => (at(), 1..30_000u64).prop_map(|(o, l)| Edit::Punch(o, l)),
        1 => (at(), 1..30_000u64).prop_map(|(o, l)| Edit::Allocate(o, l)),
    ];
    prop::collection::vec(edit, 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// A file over shared content is like a plain array of bytes.
    #[test]
    fn content_is_like_an_array(edits in edits(), base in 0..30_000usize) {
        let m = Mounted::new(None);
        let mut model: Vec<u8> = (0..base).map(|i| (i % 251) as u8 | 1).collect();
        m.fs.insert_file(b"f", 0o600, Content::Bytes(Bytes::from(model.clone()))).unwrap();
        let file = m.open("f", libc::O_RDWR).unwrap();
        for (number, edit) in edits.into_iter().enumerate() {
            match edit {
                Edit::Write(offset, length) => {
                    let data = vec![number as u8 + 1; length];
                    prop_assert_eq!(file.pwrite(&data, offset as i64), Ok(length));
                    let end = offset as usize + length;
                    if length > 0 {
                        model.resize(model.len().max(end), 0);
                        model[offset as usize..end].copy_from_slice(&data);
                    }
                }
                Edit::Truncate(length) => {
                    file.truncate(length as i64).unwrap();
                    model.resize(length as usize, 0);
                }
                Edit::Punch(offset, length) => {
                    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
                    file.fallocate(mode, offset as i64, length as i64).unwrap();
                    let end = model.len().min((offset + length) as usize);
                    if (offset as usize) < end {
                        model[offset as usize..end].fill(0);
                    }
                }
                Edit::Allocate(offset, length) => {
                    file.fallocate(0, offset as i64, length as i64).unwrap();
                    model.resize(model.len().max((offset + length) as usize), 0);
                }
            }
            prop_assert!(read_at(&file, 100_000, 0) == model);
        }
        drop(file);
        m.namespace.unlink(&m.cwd, b"f").unwrap();
        prop_assert_eq!(m.fs.used(), 0);
    }
}
