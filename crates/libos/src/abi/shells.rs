//! `popen`, `pclose` and `system`.

use crate::current::{call, enter, set_errno};
use crate::shell::{self, Job, Pipe};
use crate::stdio;
use libc::{FILE, c_char, c_int};
use rustix::io::Errno;
use std::ffi::CStr;
use std::ptr::null_mut;

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_popen(command: *const c_char, mode: *const c_char) -> *mut FILE {
    // SAFETY: C's contract.
    let (command, mode) = unsafe { (CStr::from_ptr(command), CStr::from_ptr(mode)) };
    call(|p| {
        let pipe = match mode.to_bytes().first() {
            Some(b'r') => Pipe::FromOutput,
            Some(b'w') => Pipe::ToInput,
            _ => return Err(Errno::INVAL),
        };
        let (job, fd) = shell::start(p, command.to_bytes(), pipe)?;
        let file = stdio::open(p, fd, mode)?;
        p.local.shells.borrow_mut().insert(file, job);
        Ok(file)
    })
}

/// Waits for a command; its wait status.
fn wait(job: Job) -> c_int {
    loop {
        let status = call(|p| Ok(shell::poll(p, job)?.unwrap_or(c_int::MIN)));
        if status != c_int::MIN {
            return status;
        }
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_pclose(file: *mut FILE) -> c_int {
    let Some(job) = enter(|p| p.local.shells.borrow().get(file)) else {
        set_errno(libc::EINVAL);
        return -1;
    };
    // SAFETY: C's contract.
    unsafe { super::streams::libos_fclose(file) };
    let status = wait(job);
    // Not before: should the process end meanwhile, the job is still known. The address may mean another stream by now.
    enter(|p| p.local.shells.borrow_mut().forget(file, job));
    status
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_system(command: *const c_char) -> c_int {
    if command.is_null() {
        return enter(|p| c_int::from(p.system.policy.programs));
    }
    // SAFETY: C's contract.
    let command = unsafe { CStr::from_ptr(command) };
    let started = enter(|p| -> Result<_, Errno> {
        let (job, _) = shell::start(p, command.to_bytes(), Pipe::None)?;
        p.local.shells.borrow_mut().insert(null_mut(), job);
        Ok(job)
    });
    match started {
        Ok(job) => {
            let status = wait(job);
            enter(|p| p.local.shells.borrow_mut().forget(null_mut(), job));
            status
        }
        Err(e) => {
            set_errno(e.raw_os_error());
            -1
        }
    }
}
