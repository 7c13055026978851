//! What stock modules call beyond what programs do: other names of the same functions, those that compilers and headers put
//! in, and what there is not for a process. The rest of the C library is as the host has it.

use super::table::lookup;
use crate::current;
use libc::{c_char, c_int};
use std::collections::HashSet;
use std::ffi::c_void;
use std::sync::LazyLock;

/// Names, and what they stand for in the table. Trailing arguments that the latter does not have are not looked at.
const SAME: &[(&str, &str)] = &[
    ("open64", "open"),
    ("__open_2", "open"),
    ("__open64_2", "open"),
    ("creat64", "creat"),
    ("stat64", "stat"),
    ("lstat64", "lstat"),
    ("fstat64", "fstat"),
    ("lseek64", "lseek"),
    ("pread64", "pread"),
    ("pwrite64", "pwrite"),
    ("preadv64", "preadv"),
    ("pwritev64", "pwritev"),
    ("ftruncate64", "ftruncate"),
    ("truncate64", "truncate"),
    ("posix_fadvise64", "posix_fadvise"),
    ("posix_fallocate64", "posix_fallocate"),
    ("mmap64", "mmap"),
    ("fopen64", "fopen"),
    ("freopen64", "freopen"),
    ("tmpfile64", "tmpfile"),
    ("readdir64", "readdir"),
    ("mkstemp64", "mkstemp"),
    ("fcntl64", "fcntl"),
    ("getrlimit64", "getrlimit"),
    ("setrlimit64", "setrlimit"),
    ("__read_chk", "read"),
    ("__pread_chk", "pread"),
    ("__pread64_chk", "pread"),
    ("__readlink_chk", "readlink"),
    ("__realpath_chk", "realpath"),
    ("__getcwd_chk", "getcwd"),
    ("__poll_chk", "poll"),
    ("__ppoll_chk", "ppoll"),
    ("__longjmp_chk", "siglongjmp"),
    ("_Exit", "_exit"),
    ("__sysv_signal", "signal"),
    ("bsd_signal", "signal"),
    ("memalign", "aligned_alloc"),
    ("__strdup", "strdup"),
    ("__strndup", "strndup"),
    ("secure_getenv", "getenv"),
    ("__getpid", "getpid"),
];

/// Variables of the C library, and the name under which programs have them.
const DATA: &[(&str, &str)] = &[
    ("environ", "environ"),
    ("__environ", "environ"),
    ("_environ", "environ"),
    ("optarg", "optarg"),
    ("optind", "optind"),
    ("opterr", "opterr"),
    ("optopt", "optopt"),
    ("stdin", "stdin"),
    ("stdout", "stdout"),
    ("stderr", "stderr"),
];

/// What would reach the host, or hand out its memory.
static REFUSED: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let text = include_str!("../../refused.txt");
    text.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace).collect()
});

/// What a name that is none of the program's means for a stock module.
pub(crate) enum Meaning {
    At(*const c_void),
    /// The program's variable of that name, or nothing.
    Variable(&'static str),
    /// Nothing.
    Refused,
    /// Whatever the host says.
    Host,
}

pub(crate) fn meaning(name: &str) -> Meaning {
    let same = SAME.iter().find(|(other, _)| *other == name).map_or(name, |(_, own)| *own);
    if let Some(at) = lookup(same).or_else(|| own(name)) {
        return Meaning::At(at);
    }
    if let Some((_, own)) = DATA.iter().find(|(other, _)| *other == name) {
        return Meaning::Variable(own);
    }
    if REFUSED.contains(name) { Meaning::Refused } else { Meaning::Host }
}

/// Functions that only stock modules call.
fn own(name: &str) -> Option<*const c_void> {
    Some(match name {
        "__sigsetjmp" => crate::arch::libos___sigsetjmp as *const c_void,
        "__printf_chk" => super::print::libos___printf_chk as *const c_void,
        "__vprintf_chk" => super::print::libos___vprintf_chk as *const c_void,
        "__asprintf_chk" => super::print::libos___asprintf_chk as *const c_void,
        "__vasprintf_chk" => super::print::libos___vasprintf_chk as *const c_void,
        "__syslog_chk" => super::print::libos___syslog_chk as *const c_void,
        "vsyslog" => super::print::libos_vsyslog as *const c_void,
        "__vsyslog_chk" => super::print::libos___vsyslog_chk as *const c_void,
        "__xstat" | "__xstat64" => xstat as *const c_void,
        "__lxstat" | "__lxstat64" => lxstat as *const c_void,
        "__fxstat" | "__fxstat64" => fxstat as *const c_void,
        "__recv_chk" => recv_chk as *const c_void,
        "__recvfrom_chk" => recvfrom_chk as *const c_void,
        "__stack_chk_fail" => smashed as *const c_void,
        "gettext" => gettext as *const c_void,
        "dgettext" | "dcgettext" => dgettext as *const c_void,
        "ngettext" => ngettext as *const c_void,
        "dngettext" | "dcngettext" => dngettext as *const c_void,
        _ => return None,
    })
}

unsafe extern "C-unwind" fn xstat(_version: c_int, path: *const c_char, stat: *mut libc::stat) -> c_int {
    // SAFETY: C's contract.
    unsafe { super::paths::libos_stat(path, stat) }
}

unsafe extern "C-unwind" fn lxstat(_version: c_int, path: *const c_char, stat: *mut libc::stat) -> c_int {
    // SAFETY: C's contract.
    unsafe { super::paths::libos_lstat(path, stat) }
}

unsafe extern "C-unwind" fn fxstat(_version: c_int, fd: c_int, stat: *mut libc::stat) -> c_int {
    // SAFETY: C's contract.
    unsafe { super::files::libos_fstat(fd, stat) }
}

unsafe extern "C-unwind" fn recv_chk(fd: c_int, to: *mut c_void, size: usize, _room: usize, flags: c_int) -> isize {
    // SAFETY: C's contract.
    unsafe { super::messages::libos_recv(fd, to, size, flags) }
}

unsafe extern "C-unwind" fn recvfrom_chk(
    fd: c_int,
    to: *mut c_void,
    size: usize,
    _room: usize,
    flags: c_int,
    address: *mut libc::sockaddr,
    length: *mut libc::socklen_t,
) -> isize {
    // SAFETY: C's contract.
    unsafe { super::messages::libos_recvfrom(fd, to, size, flags, address, length) }
}

/// A function has overwritten its frame: the process aborts, not the host.
unsafe extern "C-unwind" fn smashed() -> ! {
    super::write_line(2, format_args!("*** stack smashing detected ***: process {}\n", current::process().pid));
    // SAFETY: only frames of the module are in between.
    unsafe { super::process::libos_abort() }
}

// There are no catalogs of messages: a text is its own translation.

extern "C" fn gettext(text: *const c_char) -> *const c_char {
    text
}

extern "C" fn dgettext(_domain: *const c_char, text: *const c_char) -> *const c_char {
    text
}

extern "C" fn ngettext(one: *const c_char, many: *const c_char, n: libc::c_ulong) -> *const c_char {
    if n == 1 { one } else { many }
}

extern "C" fn dngettext(
    _domain: *const c_char,
    one: *const c_char,
    many: *const c_char,
    n: libc::c_ulong,
) -> *const c_char {
    ngettext(one, many, n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_do_not_contradict_each_other() {
        for (name, same) in SAME {
            assert!(lookup(name).is_none() && lookup(same).is_some(), "{name}");
        }
        for name in REFUSED.iter() {
            assert!(matches!(meaning(name), Meaning::Refused), "{name}");
        }
        for (name, _) in DATA {
            assert!(matches!(meaning(name), Meaning::Variable(_)), "{name}");
        }
    }
}
