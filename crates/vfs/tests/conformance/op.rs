//! Operations, and how their results are compared.

use proptest::prelude::*;
use vfs::Errno;

/// A path: relative to the current directory, or absolute, which means below the system's own root.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    pub(crate) absolute: bool,
    pub(crate) text: String,
}

impl Path {
    pub(crate) fn below(&self, root: &str) -> Vec<u8> {
        if self.absolute { format!("{root}{DEEP}/{}", self.text).into_bytes() } else { self.text.clone().into_bytes() }
    }
}

/// Where the tests work: so deep that the few `..` of a path, and of links in it, never leave the root.
pub(crate) const DEEP: &str = "/1/2/3/4/5/6/7/8";

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Open(usize, Path, i32, u32),
    Close(usize),
    Read(usize, usize),
    Write(usize, usize),
    Pread(usize, usize, i64),
    Pwrite(usize, usize, i64),
    Seek(usize, i64, i32),
    SetLength(usize, i64),
    Fstat(usize),
    Truncate(Path, i64),
    Mkdir(Path),
    Rmdir(Path),
    Unlink(Path),
    Rename(Path, Path),
    Link(Path, Path),
    Symlink(Path, Path),
    Readlink(Path),
    Stat(Path),
    Lstat(Path),
    SameFile(Path, Path),
    List(Path),
    Chdir(Path),
    Realpath(Path),
    Access(Path, i32),
    Chmod(Path, u32),
    Touch(Path, i64),
}

/// What an operation gave; without what may differ between file systems.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Unit,
    Number(u64),
    Bytes(Vec<u8>),
    Flag(bool),
    Names(Vec<(Vec<u8>, u8)>),
    Stat { mode: u32, links: Option<libc::nlink_t>, size: Option<i64> },
}

pub(crate) type Outcome = Result<Value, Errno>;

pub(crate) trait System {
    fn apply(&mut self, op: &Op) -> Outcome;
}

pub(crate) fn stat_value(mode: u32, links: libc::nlink_t, size: i64) -> Outcome {
    let kind = mode & libc::S_IFMT;
    Ok(Value::Stat {
        mode,
        // Some file systems do not count a directory's children, and links to the roots differ in length.
        links: (kind != libc::S_IFDIR).then_some(links),
        size: (kind == libc::S_IFREG).then_some(size),
    })
}

pub(crate) fn names_value(mut names: Vec<(Vec<u8>, u8)>) -> Outcome {
    names.sort();
    Ok(Value::Names(names))
}

pub(crate) const SLOTS: usize = 3;

/// Bytes that tell where they were written from.
pub(crate) fn pattern(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 + seed + 1) as u8).collect()
}

fn component() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => prop::sample::select(vec!["a", "b", "c", "d"]).prop_map(str::to_owned),
        1 => Just(".".to_owned()),
        1 => Just("..".to_owned()),
        1 => Just(String::new()),
        1 => Just("n".repeat(255)),
        1 => Just("n".repeat(256)),
    ]
}

fn path() -> impl Strategy<Value = Path> {
    let names = prop::collection::vec(component(), 1..4);
    let slash = prop::bool::weighted(0.1);
    let absolute = prop::bool::weighted(0.2);
    (names, slash, absolute).prop_map(|(names, slash, absolute)| {
        let mut text = names.join("/");
        if slash {
            text.push('/');
        }
        // An empty path has a test of its own.
        if !absolute && (text.is_empty() || text.starts_with('/')) {
            text.insert(0, '.');
        }
        Path { absolute, text }
    })
}

fn target() -> impl Strategy<Value = Path> {
    let text = prop_oneof![
        6 => prop::sample::select(vec!["a", "b", "c", "d", "a/b", "a/c", "b/"]),
        1 => prop::sample::select(vec!["../a", "..", ".", "a/.."]),
    ];
    (text, prop::bool::weighted(0.3)).prop_map(|(text, absolute)| Path { absolute, text: text.to_owned() })
}

fn flags() -> impl Strategy<Value = i32> {
    let access = prop::sample::select(vec![libc::O_RDONLY, libc::O_WRONLY, libc::O_RDWR, libc::O_RDWR]);
    let create = prop_oneof![
        3 => Just(libc::O_CREAT),
        1 => Just(libc::O_CREAT | libc::O_EXCL),
        2 => Just(0),
        1 => Just(libc::O_DIRECTORY),
    ];
    let more = prop::sample::subsequence(vec![libc::O_TRUNC, libc::O_APPEND, libc::O_NOFOLLOW], 0..3);
    (access, create, more).prop_map(|(access, create, more)| access | create | more.into_iter().sum::<i32>())
}

fn mode() -> impl Strategy<Value = u32> {
    prop::sample::select(vec![0o700, 0o755, 0o744])
}

fn offset() -> impl Strategy<Value = i64> {
    prop_oneof![-1..20i64, 8180..8200i64, 0..40_000i64]
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![0..20usize, 8180..8200usize, 0..20_000usize]
}

fn op() -> impl Strategy<Value = Op> {
    let slot = || 0..SLOTS;
    let whence = prop::sample::select(vec![libc::SEEK_SET, libc::SEEK_CUR, libc::SEEK_END, 77]);
    let names = prop_oneof![
        6 => (slot(), path(), flags(), mode()).prop_map(|(s, p, f, m)| Op::Open(s, p, f, m)),
        6 => path().prop_map(Op::Mkdir),
        2 => path().prop_map(Op::Rmdir),
        3 => path().prop_map(Op::Unlink),
        5 => (path(), path()).prop_map(|(a, b)| Op::Rename(a, b)),
        3 => (path(), path()).prop_map(|(a, b)| Op::Link(a, b)),
        4 => (target(), path()).prop_map(|(a, b)| Op::Symlink(a, b)),
        2 => path().prop_map(Op::Readlink),
        3 => path().prop_map(Op::Stat),
        2 => path().prop_map(Op::Lstat),
        1 => (path(), path()).prop_map(|(a, b)| Op::SameFile(a, b)),
        2 => path().prop_map(Op::List),
        2 => path().prop_map(Op::Chdir),
        2 => path().prop_map(Op::Realpath),
        1 => (path(), prop::sample::select(vec![0, 1, 2, 4, 6, 8])).prop_map(|(p, m)| Op::Access(p, m)),
        1 => (path(), mode()).prop_map(|(p, m)| Op::Chmod(p, m)),
        1 => (path(), 0..2_000_000_000i64).prop_map(|(p, t)| Op::Touch(p, t)),
        1 => (path(), offset()).prop_map(|(p, l)| Op::Truncate(p, l)),
    ];
    let contents = prop_oneof![
        1 => slot().prop_map(Op::Close),
        3 => (slot(), length()).prop_map(|(s, l)| Op::Read(s, l)),
        4 => (slot(), length()).prop_map(|(s, l)| Op::Write(s, l)),
        2 => (slot(), length(), offset()).prop_map(|(s, l, o)| Op::Pread(s, l, o)),
        3 => (slot(), length(), offset()).prop_map(|(s, l, o)| Op::Pwrite(s, l, o)),
        2 => (slot(), offset(), whence).prop_map(|(s, o, w)| Op::Seek(s, o, w)),
        2 => (slot(), offset()).prop_map(|(s, l)| Op::SetLength(s, l)),
        2 => slot().prop_map(Op::Fstat),
    ];
    prop_oneof![3 => names, 1 => contents]
}

pub(crate) fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 1..60)
}
