//! Descriptors: those of the host, counted, and those that WASI cannot give: pipes, copies, `/dev/null`, `/dev/urandom`, a socket.
//!
//! A function with `...` in C gets its last arguments by a pointer to them: that is WebAssembly's calling convention, and how such functions
//! can be written here.

use super::{Global, fail, session, signals};
use std::ffi::{CStr, c_char, c_int, c_void};

/// Numbers of our own begin here.
const FIRST: c_int = 2000;
/// As many of our own as there can be.
const COUNT: usize = 400;
/// As many as there can be in all. Where a host has no more it says that there was an input error, so it is not asked for more.
pub(crate) const MOST: usize = 512;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Free,
    /// The end of a pipe that is read, and how many bytes are in it. Only that they came matters, to a latch.
    PipeOut(usize),
    /// The end that is written, and the number of the other.
    PipeIn(usize),
    Copy(c_int),
    Random,
    Null,
    /// Never ready.
    Socket,
}

struct Table {
    own: [Kind; COUNT],
    /// One bit for each descriptor of the host that C has opened.
    host: [u64; MOST / 64],
    open: usize,
}

static TABLE: Global<Table> = Global::new(Table { own: [Kind::Free; COUNT], host: [0; MOST / 64], open: 0 });

impl Table {
    fn add(&mut self, kind: Kind) -> c_int {
        if self.open >= MOST {
            return fail(libc::EMFILE);
        }
        match self.own.iter().position(|own| *own == Kind::Free) {
            Some(at) => {
                self.own[at] = kind;
                self.open += 1;
                FIRST + at as c_int
            }
            None => fail(libc::EMFILE),
        }
    }

    fn mark(&mut self, fd: c_int, open: bool) {
        let Ok(fd) = usize::try_from(fd) else { return };
        if let Some(word) = self.host.get_mut(fd / 64) {
            let bit = 1 << (fd % 64);
            match (*word & bit != 0, open) {
                (false, true) => self.open += 1,
                (true, false) => self.open -= 1,
                _ => {}
            }
            *word = if open { *word | bit } else { *word & !bit };
        }
    }
}

fn index(fd: c_int) -> Option<usize> {
    usize::try_from(fd - FIRST).ok().filter(|at| *at < COUNT)
}

/// What a descriptor of our own is.
fn own(fd: c_int) -> Option<Kind> {
    index(fd).map(|at| TABLE.with(|table| table.own[at]))
}

/// Whether it is one of ours.
pub(crate) fn is_own(fd: c_int) -> bool {
    index(fd).is_some()
}

/// Closes everything that C has opened: its process has ended.
pub(crate) fn close_all() {
    let host = TABLE.with(|table| table.host);
    for (word, bits) in host.iter().enumerate() {
        for bit in (0..64).filter(|bit| bits & (1 << bit) != 0) {
            // SAFETY: a number is all that it takes.
            unsafe { __real_close((word * 64 + bit) as c_int) };
        }
    }
}

unsafe extern "C" {
    fn __real_read(fd: c_int, buffer: *mut c_void, size: usize) -> isize;
    fn __real_write(fd: c_int, buffer: *const c_void, size: usize) -> isize;
    fn __real_close(fd: c_int) -> c_int;
    fn __real_open(path: *const c_char, flags: c_int, arguments: *const u32) -> c_int;
    fn __real_fcntl(fd: c_int, command: c_int, arguments: *const u32) -> c_int;
    fn __real_poll(fds: *mut libc::pollfd, count: usize, milliseconds: c_int) -> c_int;
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pipe(ends: *mut c_int) -> c_int {
    let (out, inward) = TABLE.with(|table| {
        let out = table.add(Kind::PipeOut(0));
        let inward = if out < 0 { out } else { table.add(Kind::PipeIn((out - FIRST) as usize)) };
        (out, inward)
    });
    if inward < 0 {
        if out >= 0 {
            // SAFETY: our own number.
            unsafe { __wrap_close(out) };
        }
        return -1;
    }
    // SAFETY: the caller gives room for two.
    unsafe {
        ends.write(out);
        ends.add(1).write(inward);
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pipe2(ends: *mut c_int, _: c_int) -> c_int {
    // SAFETY: as the caller's.
    unsafe { pipe(ends) }
}

/// Two ends of which one is enough: PostgreSQL wants a socket's number, and never uses it.
#[unsafe(no_mangle)]
unsafe extern "C" fn socketpair(_: c_int, _: c_int, _: c_int, ends: *mut c_int) -> c_int {
    let all = TABLE.with(|table| [table.add(Kind::Socket), table.add(Kind::Socket)]);
    if all.iter().any(|fd| *fd < 0) {
        return -1;
    }
    // SAFETY: the caller gives room for two.
    unsafe { ends.cast::<[c_int; 2]>().write(all) };
    0
}

#[unsafe(no_mangle)]
extern "C" fn dup(fd: c_int) -> c_int {
    TABLE.with(|table| table.add(Kind::Copy(fd)))
}

#[unsafe(no_mangle)]
extern "C" fn dup2(_: c_int, _: c_int) -> c_int {
    fail(libc::ENOSYS)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_open(path: *const c_char, flags: c_int, arguments: *const u32) -> c_int {
    // SAFETY: the caller gives a string.
    let special = match unsafe { CStr::from_ptr(path) }.to_bytes() {
        b"/dev/null" => Some(Kind::Null),
        b"/dev/urandom" | b"/dev/random" => Some(Kind::Random),
        _ => None,
    };
    if let Some(kind) = special {
        return TABLE.with(|table| table.add(kind));
    }
    if TABLE.with(|table| table.open) >= MOST {
        return fail(libc::EMFILE);
    }
    // SAFETY: as the caller's.
    let fd = unsafe { __real_open(path, flags, arguments) };
    TABLE.with(|table| table.mark(fd, fd >= 0));
    fd
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_close(fd: c_int) -> c_int {
    match index(fd) {
        Some(at) => TABLE.with(|table| {
            if table.own[at] == Kind::Free {
                return fail(libc::EBADF);
            }
            table.own[at] = Kind::Free;
            table.open -= 1;
            0
        }),
        None => {
            TABLE.with(|table| table.mark(fd, false));
            // SAFETY: as the caller's.
            unsafe { __real_close(fd) }
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_read(fd: c_int, buffer: *mut c_void, size: usize) -> isize {
    let n = match own(fd) {
        // SAFETY: as the caller's.
        None => return unsafe { __real_read(fd, buffer, size) },
        // SAFETY: as the caller's.
        Some(Kind::Copy(of)) => return unsafe { __real_read(of, buffer, size) },
        Some(Kind::PipeOut(0)) => return fail(libc::EAGAIN) as isize,
        Some(Kind::PipeOut(there)) => {
            let n = there.min(size);
            if let Some(at) = index(fd) {
                TABLE.with(|table| table.own[at] = Kind::PipeOut(there - n));
            }
            // SAFETY: the caller's buffer.
            unsafe { buffer.write_bytes(0, n) };
            n
        }
        Some(Kind::Random) => {
            for start in (0..size).step_by(256) {
                // SAFETY: the caller's buffer; at most 256 bytes at once.
                if unsafe { libc::getentropy(buffer.add(start), (size - start).min(256)) } != 0 {
                    return -1;
                }
            }
            size
        }
        Some(Kind::Null) => 0,
        Some(Kind::Free | Kind::PipeIn(_) | Kind::Socket) => return fail(libc::EBADF) as isize,
    };
    n as isize
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_write(fd: c_int, buffer: *const c_void, size: usize) -> isize {
    match own(fd) {
        None if fd == 2 && session::is_quiet() => size as isize,
        // SAFETY: as the caller's.
        None => unsafe { __real_write(fd, buffer, size) },
        // SAFETY: as the caller's.
        Some(Kind::Copy(of)) => unsafe { __real_write(of, buffer, size) },
        Some(Kind::PipeIn(other)) => {
            TABLE.with(|table| {
                if let Kind::PipeOut(there) = &mut table.own[other] {
                    *there = (*there + size).min(4096);
                }
            });
            size as isize
        }
        Some(Kind::Null) => size as isize,
        Some(_) => fail(libc::EBADF) as isize,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_fcntl(fd: c_int, command: c_int, arguments: *const u32) -> c_int {
    const F_GETFD: c_int = 1;
    const F_SETFD: c_int = 2;
    if is_own(fd) || command == F_GETFD || command == F_SETFD {
        return 0;
    }
    // SAFETY: as the caller's.
    unsafe { __real_fcntl(fd, command, arguments) }
}

/// How long it sleeps at once, in milliseconds: then it looks whether somebody wants something.
const SLICE: c_int = 10;

/// Whether a descriptor of our own can be read.
fn readable(fd: c_int) -> bool {
    matches!(own(fd), Some(Kind::PipeOut(there)) if there > 0)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_poll(fds: *mut libc::pollfd, count: usize, milliseconds: c_int) -> c_int {
    const POLLIN: i16 = 1;
    // SAFETY: the caller gives as many.
    let all = unsafe { std::slice::from_raw_parts_mut(fds, count) };
    if all.iter().any(|one| one.fd >= 0 && !is_own(one.fd)) {
        // SAFETY: as the caller's; PostgreSQL never mixes the two.
        return unsafe { __real_poll(fds, count, milliseconds) };
    }
    let mut left = milliseconds;
    loop {
        let mut ready = 0;
        for one in all.iter_mut() {
            one.revents = if readable(one.fd) { one.events & POLLIN } else { 0 };
            ready += c_int::from(one.revents != 0);
        }
        if ready > 0 || left == 0 {
            return ready;
        }
        if signals::deliver() {
            return fail(libc::EINTR);
        }
        let slice = if left < 0 { SLICE } else { left.min(SLICE) };
        std::thread::sleep(std::time::Duration::from_millis(slice.unsigned_abs().into()));
        left -= if left < 0 { 0 } else { slice };
    }
}
