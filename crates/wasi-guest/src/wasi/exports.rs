//! The module's functions: those of `pglite_compat.h`, and a plain session.

use super::{Global, engine, session, signals};
use draft::{Host, IDB_FAILED, Parameters, Profile};
use std::ffi::{CStr, c_char, c_int, c_void};

fn say(text: &str) {
    eprintln!("pglite: {text}");
}

/// Takes what the environment says now, for what begins now.
fn renew(host: &mut engine::TheHost) -> bool {
    match Parameters::from_environment() {
        Ok(parameters) => host.renew(parameters),
        Err(text) => {
            say(&text);
            return false;
        }
    }
    true
}

#[unsafe(no_mangle)]
extern "C" fn pgl_initdb() -> c_int {
    let run = |host: &mut engine::TheHost| {
        if !renew(host) {
            return IDB_FAILED;
        }
        let (bits, reason) = host.initdb();
        reason.iter().for_each(|text| say(text));
        bits
    };
    engine::with(run).unwrap_or(IDB_FAILED)
}

#[unsafe(no_mangle)]
extern "C" fn pg_initdb() -> c_int {
    pgl_initdb()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pg_conf(key: *const c_char, value: *const c_char) -> c_int {
    // SAFETY: the host gives strings, or null.
    let text = |pointer: *const c_char| (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_str());
    let result = match (text(key), text(value).transpose()) {
        (Some(Ok(key)), Ok(value)) => engine::with(|host| host.conf(key, value)).unwrap_or(Ok(())),
        _ => Err("pg_conf: the key is a null pointer, or something is not UTF-8".into()),
    };
    if let Err(text) = &result {
        say(text);
    }
    c_int::from(result.is_err())
}

#[unsafe(no_mangle)]
extern "C" fn pgl_backend() -> c_int {
    let run = |host: &mut engine::TheHost| {
        if !renew(host) {
            return 1;
        }
        let result = host.backend();
        if let Err(text) = &result {
            say(text);
        }
        c_int::from(result.is_err())
    };
    engine::with(run).unwrap_or(1)
}

#[unsafe(no_mangle)]
extern "C" fn use_wire(on: c_int) {
    engine::with(|host| host.use_wire(on > 0));
}

#[unsafe(no_mangle)]
extern "C" fn interactive_write(length: c_int) {
    engine::with(|host| host.write(length));
}

#[unsafe(no_mangle)]
extern "C" fn use_cma(on: c_int) {
    engine::with(|host| host.use_cma(on > 0));
}

#[unsafe(no_mangle)]
extern "C" fn interactive_one() {
    engine::with(Host::one);
}

#[unsafe(no_mangle)]
extern "C" fn interactive_read() -> c_int {
    engine::with(|host| host.read()).unwrap_or(0)
}

#[unsafe(no_mangle)]
extern "C" fn clear_error() {
    engine::with(Host::clear_error);
}

#[unsafe(no_mangle)]
extern "C" fn get_channel() -> c_int {
    engine::with(|host| host.channel()).unwrap_or(0)
}

#[unsafe(no_mangle)]
extern "C" fn pgl_shutdown() {
    if let Some(Err(text)) = engine::with(Host::shutdown) {
        say(&text);
    }
}

#[unsafe(no_mangle)]
extern "C" fn pgl_closed() -> c_int {
    engine::with(|host| c_int::from(host.has_client())).unwrap_or(0)
}

/// The memory area: address 0, of which the host uses 1 and up.
#[unsafe(no_mangle)]
extern "C" fn pgl_cma() -> *mut c_void {
    std::ptr::null_mut()
}

/// What [`pgl_pump`] has to say.
static REPLY: Global<Vec<u8>> = Global::new(Vec::new());

/// Size of a buffer: 0 is the memory area, 1 the last reply of `pgl_pump`, 2 what a host interrupts with.
#[unsafe(no_mangle)]
extern "C" fn get_buffer_size(number: c_int) -> c_int {
    match number {
        0 => engine::with(|host| c_int::try_from(host.cma().size()).unwrap_or(c_int::MAX)).unwrap_or(0),
        1 => REPLY.with(|reply| reply.len() as c_int),
        2 => size_of::<signals::Interrupts>() as c_int,
        _ => 0,
    }
}

/// Address of a buffer, by the numbers of [`get_buffer_size`].
#[unsafe(no_mangle)]
extern "C" fn get_buffer_addr(number: c_int) -> c_int {
    match number {
        0 => 1,
        1 => REPLY.with(|reply| reply.as_ptr().addr() as c_int),
        2 => signals::INTERRUPTS.as_ptr().addr() as c_int,
        _ => 0,
    }
}

/// A plain session, of the user and database that the environment names, without start-up packets, passwords and files: takes `length` bytes
/// of the protocol from the memory area, and returns how long the reply is, which is buffer 1. The first call begins the session, and its
/// reply begins with the session's greeting. A negative result: the session has ended, and the reply is as long as its complement says; the
/// next call begins another. A length below zero ends it.
#[unsafe(no_mangle)]
extern "C" fn pgl_pump(length: c_int) -> c_int {
    let mut reply = REPLY.with(std::mem::take);
    reply.clear();
    let result = pump(length, &mut reply);
    let size = reply.len() as c_int;
    REPLY.with(|place| *place = reply);
    if result.is_ok() { size } else { !size }
}

fn pump(length: c_int, reply: &mut Vec<u8>) -> Result<(), draft::Ended> {
    let Ok(length) = usize::try_from(length) else {
        session::end();
        return Err(draft::Ended(String::new()));
    };
    if !session::has_begun() {
        let parameters = Parameters::from_environment().map_err(draft::Ended);
        let begun = parameters.and_then(|parameters| {
            engine::prepare(&parameters).map_err(draft::Ended)?;
            let profile =
                Profile { user: Some(parameters.user), database: parameters.database, parameters: Vec::new() };
            session::begin(&parameters.data.to_string_lossy(), &profile, &[], &mut |bytes| {
                reply.extend_from_slice(bytes)
            })
        });
        if let Err(draft::Ended(text)) = &begun
            && !text.is_empty()
        {
            reply.extend_from_slice(&draft::error("FATAL", "58000", text));
        }
        begun?;
    }
    if length == 0 {
        return Ok(());
    }
    // SAFETY: the memory area, which the host has filled; a copy, since the session may write to what is behind it.
    let input = unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance::<u8>(1), length) }.to_vec();
    session::exchange(&input, &mut |bytes| reply.extend_from_slice(bytes))
}
