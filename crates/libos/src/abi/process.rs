//! Processes: identity, fork and exec, exit, wait.

use super::{Shown, bytes, write_line};
use crate::arch;
use crate::current::{self, call, enter, set_errno};
use crate::env;
use crate::process::{AtExit, Birth, Process, Status, terminate};
use crate::signal::{self, Signals};
use libc::{c_char, c_int, c_long, c_void};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// First half of `libos_vfork`: where the registers go. The child's pid is reserved here.
///
/// In the child's half no signal is delivered: a handler would find itself in a process that it does not know.
pub(crate) extern "C-unwind" fn vfork_begin() -> *mut arch::VforkContext {
    enter(|p| {
        p.local.vfork_mask.set(p.signals.mask());
        p.signals.set_mask(u64::MAX);
        p.local.vfork_child.set(p.system.reserve_pid());
        p.local.vfork.get()
    })
}

/// Ends the child's half of a `vfork`: the parent goes on with `pid`.
///
/// # Safety
/// The process is between `libos_vfork` and its second return.
unsafe fn back_to_parent(p: &Process, pid: i32) -> ! {
    p.local.vfork_child.set(0);
    p.signals.set_mask(p.local.vfork_mask.get());
    // SAFETY: by the caller's promise; the frames in between are the program's.
    unsafe {
        signal::deliver(p);
        arch::vfork_return(p.local.vfork.get(), pid)
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_execv(path: *const c_char, argv: *const *mut c_char) -> c_int {
    let pid = call(|p| {
        let pid = p.local.vfork_child.get();
        if pid == 0 {
            // Replacing the calling process itself is not something that anybody has asked for yet.
            return Err(Errno::NOSYS);
        }
        // SAFETY: C's contract.
        let (path, arguments) = unsafe { (bytes(path), strings(argv)) };
        let program = p.system.find_program(path).ok_or(Errno::NOENT)?;
        p.system.start(
            Birth {
                pid,
                parent: p.pid,
                group: p.group.load(Ordering::SeqCst),
                session: p.session.load(Ordering::SeqCst),
                program,
                arguments,
                environment: env::copy(p),
                cwd: p.local.cwd.borrow().clone(),
                umask: p.local.umask.get(),
                fds: p.local.fds.borrow().inherit(),
                // With all blocked, as they are in the child's half: a signal that comes before the program has set its
                // handlers waits for them.
                signals: Signals::inherit(Some(&p.signals)),
            },
            false,
        )?;
        Ok(pid)
    });
    if pid < 0 {
        return -1;
    }
    // SAFETY: in the child's half.
    unsafe { back_to_parent(current::process(), pid) }
}

/// The strings of a null-terminated table.
///
/// # Safety
/// `table` is one.
unsafe fn strings(table: *const *mut c_char) -> Vec<CString> {
    // SAFETY: by the caller's promise.
    (0..).map_while(|i| unsafe { (*table.add(i)).as_ref().map(|s| CStr::from_ptr(s).to_owned()) }).collect()
}

/// `fork` without `exec` cannot be inside of the host process: both halves would share one private block. Where the system allows
/// it, the host process forks.
#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_fork() -> c_int {
    call(|p| p.system.fork(p))
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_getpid() -> c_int {
    let p = current::process();
    match p.local.vfork_child.get() {
        0 => p.local.own_pid.get(),
        child => child,
    }
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_getppid() -> c_int {
    let p = current::process();
    if p.local.vfork_child.get() != 0 {
        return p.pid;
    }
    match p.parent.load(Ordering::SeqCst) {
        0 => 1,
        parent => parent,
    }
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_getpgrp() -> c_int {
    current::process().group.load(Ordering::SeqCst)
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_getpgid(pid: c_int) -> c_int {
    let p = current::process();
    if pid == 0 || pid == p.pid {
        return libos_getpgrp();
    }
    set_errno(libc::ESRCH);
    -1
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_setpgid(pid: c_int, group: c_int) -> c_int {
    let p = current::process();
    if pid != 0 && pid != p.pid {
        set_errno(libc::ESRCH);
        return -1;
    }
    p.group.store(if group == 0 { p.pid } else { group }, Ordering::SeqCst);
    0
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_setsid() -> c_int {
    let p = current::process();
    p.group.store(p.pid, Ordering::SeqCst);
    p.session.store(p.pid, Ordering::SeqCst);
    p.pid
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_getsid(_pid: c_int) -> c_int {
    current::process().session.load(Ordering::SeqCst)
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_atexit(f: unsafe extern "C-unwind" fn()) -> c_int {
    enter(|p| p.local.at_exit.borrow_mut().push(AtExit::Plain(f)));
    0
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos___cxa_atexit(
    f: unsafe extern "C-unwind" fn(*mut c_void),
    argument: *mut c_void,
    _module: *mut c_void,
) -> c_int {
    enter(|p| p.local.at_exit.borrow_mut().push(AtExit::WithArgument(f, argument)));
    0
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos___cxa_finalize(_module: *mut c_void) {}

/// Not inlined, nor what it calls between the program's functions: these may have moved the process to another thread, and what
/// a caller knows of thread-local variables would be the old one's.
#[inline(never)]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_exit(code: c_int) -> ! {
    let p = current::process();
    if p.local.vfork_child.get() != 0 {
        // SAFETY: as `_exit`: the parent's handlers are not the child's to run.
        unsafe { libos__exit(code) }
    }
    // Each function is taken off before it runs: it may call `exit` again.
    loop {
        let next = next_at_exit();
        match next {
            // SAFETY: the program registered it.
            Some(AtExit::Plain(f)) => unsafe { f() },
            // SAFETY: as above.
            Some(AtExit::WithArgument(f, argument)) => unsafe { f(argument) },
            None => break,
        }
    }
    for hook in p.program.destructors().iter().flatten() {
        // SAFETY: the program's own.
        unsafe { hook() };
    }
    super::modules::finish(p);
    super::streams::flush_all();
    // SAFETY: see `libos__exit`.
    unsafe { libos__exit(code) }
}

#[inline(never)]
fn next_at_exit() -> Option<AtExit> {
    enter(|p| p.local.at_exit.borrow_mut().pop())
}

#[inline(never)]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos__exit(code: c_int) -> ! {
    let p = current::process();
    if p.local.vfork_child.get() != 0 {
        let pid = enter(|p| {
            p.system.stillborn(p, p.local.vfork_child.get(), Status::Exited(code & 0xff));
            p.local.vfork_child.get()
        });
        // SAFETY: in the child's half.
        unsafe { back_to_parent(p, pid) }
    }
    // SAFETY: only frames of the program, and extern functions with nothing to drop, are in between.
    unsafe { terminate(p, Status::Exited(code & 0xff)) }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_abort() -> ! {
    // SAFETY: as above.
    unsafe { terminate(current::process(), Status::Signaled(libc::SIGABRT)) }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos___assert_fail(
    assertion: *const c_char,
    file: *const c_char,
    line: u32,
    function: *const c_char,
) -> ! {
    let (file, function, assertion) = (Shown(file), Shown(function), Shown(assertion));
    write_line(2, format_args!("{file}:{line}: {function}: Assertion `{assertion}' failed.\n"));
    // SAFETY: nothing of this frame is left to drop.
    unsafe { libos_abort() }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int {
    /// What is no answer of `waitpid`: look again.
    const NOT_YET: c_int = i32::MIN;
    let ended_calls = &current::process().signals.ended_calls;
    let before = ended_calls.get();
    loop {
        let mut ended = 0;
        let found = call(|p| {
            let wait = if options & libc::WNOHANG != 0 { Duration::ZERO } else { Duration::from_millis(20) };
            Ok(match p.system.reap(p, pid, wait)? {
                Some((child, how)) => {
                    ended = how.wait_status();
                    child
                }
                None if wait.is_zero() => 0,
                None => NOT_YET,
            })
        });
        if found > 0 {
            // SAFETY: C's contract: null or room for an int.
            if let Some(status) = unsafe { status.as_mut() } {
                *status = ended;
            }
        }
        if found != NOT_YET {
            return found;
        }
        if before != ended_calls.get() {
            set_errno(libc::EINTR);
            return -1;
        }
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_wait(status: *mut c_int) -> c_int {
    // SAFETY: as waitpid.
    unsafe { libos_waitpid(-1, status, 0) }
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_prctl(option: c_int, argument: usize) -> c_int {
    match option {
        libc::PR_SET_PDEATHSIG => {
            current::process().local.parent_death_signal.set(argument as i32);
            0
        }
        // The thread keeps the name by which debuggers find it.
        libc::PR_SET_NAME => 0,
        _ => {
            set_errno(libc::EINVAL);
            -1
        }
    }
}

/// Nothing about the execution domain can be changed.
#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_personality(_persona: libc::c_ulong) -> c_int {
    0
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_getrlimit(resource: c_int, limit: *mut libc::rlimit) -> c_int {
    if resource == libc::RLIMIT_STACK as c_int {
        let size = crate::process::STACK_SIZE as libc::rlim_t;
        // SAFETY: C's contract.
        unsafe { *limit = libc::rlimit { rlim_cur: size, rlim_max: size } };
        return 0;
    }
    if resource == libc::RLIMIT_NOFILE as c_int {
        // Descriptors that the kernel does not know have numbers above all of its own. Its limit shows as EMFILE.
        let most = crate::fd::VIRTUAL as libc::rlim_t * 2;
        // SAFETY: C's contract.
        unsafe { *limit = libc::rlimit { rlim_cur: most, rlim_max: most } };
        return 0;
    }
    // SAFETY: C's contract.
    unsafe { libc::getrlimit(resource as libc::__rlimit_resource_t, limit) }
}

/// The host's limits are the host's.
#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_setrlimit(_resource: c_int, _limit: *const libc::rlimit) -> c_int {
    0
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_getrusage(who: c_int, usage: *mut libc::rusage) -> c_int {
    if who == libc::RUSAGE_SELF {
        // SAFETY: C's contract.
        return unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage) };
    }
    // SAFETY: C's contract; children's usage is not kept.
    unsafe { usage.write_bytes(0, 1) };
    0
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_times(buffer: *mut libc::tms) -> c_long {
    // SAFETY: C's contract.
    unsafe { libc::times(buffer) }
}

/// Tells the system's owner of an event. For glue.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_notify(name: *const c_char, value: *const c_char) {
    enter(|p| {
        // SAFETY: C strings.
        let (name, value) = unsafe { (CStr::from_ptr(name), CStr::from_ptr(value)) };
        p.system.hooks.event(p.pid, &name.to_string_lossy(), &value.to_string_lossy());
    });
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_getuid() -> libc::uid_t {
    current::process().system.namespace.identity().uid()
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_geteuid() -> libc::uid_t {
    libos_getuid()
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_getgid() -> libc::gid_t {
    current::process().system.namespace.identity().gid()
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_getegid() -> libc::gid_t {
    libos_getgid()
}
