//! Sessions, as handles of C.

use crate::cancel::{Registered, Target, register};
use crate::database::{Kind, Slot, pglite_database};
use crate::error::{Failure, pglite_error};
use crate::exec::{Handlers, pglite_notice_callback, pglite_row_callback, run};
use crate::guard::{guard, guard_or};
use crate::options::{Who, pglite_session_options, who};
use crate::status::pglite_status;
use crate::text;
use crate::transport::{Channel, Transport};
use draft::{Connection, Profile};
use libpglite::Database;
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr::{null, null_mut};
use std::sync::{Arc, Mutex, TryLockError};

/// A session. One thread at a time uses it; only pglite_cancel is for all.
#[allow(non_camel_case_types, reason = "it is C's")]
pub struct pglite_session {
    registered: Registered,
    state: Mutex<State>,
}

struct State {
    transport: Transport,
    greeting: Vec<u8>,
    tag: CString,
    notice: pglite_notice_callback,
    notice_context: *mut c_void,
    home: Home,
}

/// What the session came from; it keeps the database open.
enum Home {
    Server(Arc<Database>),
    Standalone(Arc<Slot>),
}

// SAFETY: the context of the notice callback is used on the threads that use the session, which are the caller's.
unsafe impl Send for State {}

impl pglite_session {
    fn with<R>(&self, f: impl FnOnce(&mut State) -> Result<R, Failure>) -> Result<R, Failure> {
        match self.state.try_lock() {
            Ok(mut state) => f(&mut state),
            Err(TryLockError::Poisoned(poisoned)) => f(&mut poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                Err(pglite_error::new(pglite_status::PGLITE_BUSY, "the session is in use by another call"))
            }
        }
    }
}

/// # Safety
/// `session` is null or open.
unsafe fn open_session<'a>(session: *const pglite_session) -> Result<&'a pglite_session, Failure> {
    // SAFETY: by the caller's promise.
    unsafe { session.as_ref() }.ok_or_else(|| pglite_error::usage("session is a null pointer"))
}

/// Opens a session. `options` may be null. It is closed by pglite_session_close. A standalone database has one at a time: else it
/// says PGLITE_BUSY.
///
/// # Safety
/// `database` is open; `options` is null or as its type says; `session` can be written to; `error` is null, or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pglite_session_open(
    database: *mut pglite_database,
    options: *const pglite_session_options,
    session: *mut *mut pglite_session,
    error: *mut *mut pglite_error,
) -> pglite_status {
    guard(error, || {
        if session.is_null() {
            return Err(pglite_error::usage("session is a null pointer"));
        }
        // SAFETY: by the caller's promise.
        unsafe { *session = null_mut() };
        // SAFETY: as above.
        let database = unsafe { database.as_ref() }.ok_or_else(|| pglite_error::usage("database is a null pointer"))?;
        // SAFETY: as above.
        let mut who = unsafe { who(options) }?;
        who.user.get_or_insert_with(|| database.superuser.clone());
        let opened = match &database.kind {
            Kind::Server(server) => open_on_server(server, &who)?,
            Kind::Standalone(slot) => open_standalone(slot, who)?,
        };
        // SAFETY: as above.
        unsafe { *session = Box::into_raw(Box::new(opened)) };
        Ok(())
    })
}

fn session(transport: Transport, greeting: Vec<u8>, home: Home, target: Target) -> Result<pglite_session, Failure> {
    let state = State { transport, greeting, tag: CString::default(), notice: None, notice_context: null_mut(), home };
    Ok(pglite_session { registered: register(target)?, state: Mutex::new(state) })
}

fn open_on_server(server: &Arc<Database>, who: &Who) -> Result<pglite_session, Failure> {
    let mut transport = Transport::new(Channel::Server(server.stream()?));
    let mut words: Vec<&str> = vec!["user", who.user.as_deref().unwrap_or_default()];
    words.extend(["database", who.database.as_deref().unwrap_or("postgres")]);
    for (name, value) in &who.settings {
        words.extend([name.as_str(), value.as_str()]);
    }
    if words.iter().any(|word| word.is_empty() || word.contains('\0')) {
        return Err(pglite_error::usage("a role, database or setting is empty"));
    }
    let body: Vec<u8> = words.iter().flat_map(|word| word.bytes().chain([0])).chain([0]).collect();
    let length = (body.len() as u32 + 8).to_be_bytes();
    transport.send(&[&length[..], &[0, 3, 0, 0], &body].concat())?;
    let mut greeting = Vec::new();
    let mut key = Vec::new();
    loop {
        let (kind, body) = transport.message()?;
        match kind {
            b'E' => return Err(pglite_error::from_message(body)),
            b'K' => key = body.to_vec(),
            b'R' => continue,
            _ => {}
        }
        greeting.extend(draft::message(kind, body));
        if kind == b'Z' {
            break;
        }
    }
    let target = Target::Server(Arc::downgrade(server), key);
    session(transport, greeting, Home::Server(server.clone()), target)
}

fn open_standalone(slot: &Arc<Slot>, who: Who) -> Result<pglite_session, Failure> {
    let busy = || pglite_error::new(pglite_status::PGLITE_BUSY, "a standalone database has one session at a time");
    let local = slot.take().ok_or_else(busy)?;
    let profile = Profile {
        user: who.user,
        database: who.database.unwrap_or_else(|| "postgres".into()),
        parameters: who.settings,
    };
    let cancel = local.cancel();
    match Connection::open(local, profile) {
        Ok(connection) => {
            let greeting = connection.greeting().to_vec();
            let transport = Transport::new(Channel::Local(Box::new(connection)));
            session(transport, greeting, Home::Standalone(slot.clone()), Target::Local(cancel))
        }
        Err((local, reply, text)) => {
            slot.give_back(local);
            let error = draft::messages(&reply).find(|(kind, _)| *kind == b'E');
            Err(match error {
                Some((_, body)) => pglite_error::from_message(body),
                None => pglite_error::new(pglite_status::PGLITE_STARTUP, text),
            })
        }
    }
}

/// Closes a session; the handle is gone. An open transaction is rolled back.
///
/// # Safety
/// `session` is null, or open and not used by another thread; `error` is null, or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pglite_session_close(
    session: *mut pglite_session,
    error: *mut *mut pglite_error,
) -> pglite_status {
    guard(error, || {
        if session.is_null() {
            return Ok(());
        }
        // SAFETY: by the caller's promise.
        let own = unsafe { Box::from_raw(session) };
        drop(own.registered);
        let mut state = own.state.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        match (state.home, &mut state.transport) {
            (Home::Standalone(slot), _) => {
                if let Channel::Local(mut connection) = state.transport.into_channel() {
                    connection.end();
                    slot.give_back(connection.into_backend());
                }
            }
            (Home::Server(server), transport) => {
                // It may have ended already.
                let _ = transport.send(b"X\0\0\0\x04");
                drop(state.transport);
                drop(server);
            }
        }
        Ok(())
    })
}

/// What the session said when it began: the messages ParameterStatus, BackendKeyData and ReadyForQuery, `*length` bytes of them. They
/// live as long as the session.
///
/// # Safety
/// `session` is open; `length` can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pglite_session_greeting(session: *const pglite_session, length: *mut usize) -> *const c_void {
    guard_or(null(), || {
        // SAFETY: by the caller's promise.
        let Ok(session) = (unsafe { open_session(session) }) else { return null() };
        let greeting = session.with(|state| Ok((state.greeting.as_ptr(), state.greeting.len())));
        let (start, size) = greeting.unwrap_or((null(), 0));
        if !length.is_null() {
            // SAFETY: as above.
            unsafe { *length = size };
        }
        start.cast()
    })
}

/// Sends any part of a stream of messages of the wire protocol, version 3, which begins after the start-up. Blocking, it sends
/// everything; else what can be sent, or says PGLITE_AGAIN. `*sent`, where it is not null, is how many bytes that was.
///
/// # Safety
/// `session` is open; `data` has `length` bytes; `sent` and `error` are null or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pglite_session_send(
    session: *mut pglite_session,
    data: *const c_void,
    length: usize,
    sent: *mut usize,
    error: *mut *mut pglite_error,
) -> pglite_status {
    guard(error, || {
        if !sent.is_null() {
            // SAFETY: by the caller's promise.
            unsafe { *sent = 0 };
        }
        if length == 0 {
            return Ok(());
        }
        if data.is_null() || isize::try_from(length).is_err() {
            return Err(pglite_error::usage("data is a null pointer, or length is impossible"));
        }
        // SAFETY: by the caller's promise.
        let bytes = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) };
        // SAFETY: as above.
        let n = unsafe { open_session(session) }?.with(|state| state.transport.send(bytes))?;
        if !sent.is_null() {
            // SAFETY: as above.
            unsafe { *sent = n };
        }
        Ok(())
    })
}

/// Receives at most `size` bytes of the messages that the session sends; `*received` is how many. Blocking, it waits for the first
/// one; else it says PGLITE_AGAIN where there is none. A standalone session has said everything when pglite_session_send returns, and
/// never waits. PGLITE_ENDED: no more will come.
///
/// # Safety
/// `session` is open; `buffer` has `size` bytes; `received` can be written to; `error` is null, or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pglite_session_recv(
    session: *mut pglite_session,
    buffer: *mut c_void,
    size: usize,
    received: *mut usize,
    error: *mut *mut pglite_error,
) -> pglite_status {
    guard(error, || {
        if buffer.is_null() || size == 0 || isize::try_from(size).is_err() || received.is_null() {
            return Err(pglite_error::usage("buffer or received is a null pointer, or size is impossible"));
        }
        // SAFETY: by the caller's promise.
        unsafe { *received = 0 };
        // SAFETY: as above. Bytes need no initial value to be written over.
        let buffer = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), size) };
        // SAFETY: as above.
        let n = unsafe { open_session(session) }?.with(|state| state.transport.receive(buffer))?;
        if n == 0 {
            return Err(pglite_error::new(pglite_status::PGLITE_ENDED, "the session has ended"));
        }
        // SAFETY: as above.
        unsafe { *received = n };
        Ok(())
    })
}

/// Whether pglite_session_send and pglite_session_recv block: 1, as they do at first, or 0.
///
/// # Safety
/// `session` is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pglite_session_set_blocking(session: *mut pglite_session, on: c_int) -> pglite_status {
    guard(null_mut(), || {
        // SAFETY: by the caller's promise.
        unsafe { open_session(session) }?.with(|state| {
            state.transport.blocking = on != 0;
            Ok(())
        })
    })
}

/// The descriptor to wait for with poll: readable when there is something to receive, writable when something can be sent. It belongs
/// to the session. -1 for a standalone session, and while bytes are there that only have to be taken: pglite_session_recv does not
/// wait then.
///
/// # Safety
/// `session` is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pglite_session_fd(session: *const pglite_session) -> c_int {
    guard_or(-1, || {
        // SAFETY: by the caller's promise.
        let Ok(session) = (unsafe { open_session(session) }) else { return -1 };
        let fd = session.with(|state| {
            let waits = !state.transport.has_input();
            Ok(state.transport.fd().filter(|_| waits))
        });
        fd.ok().flatten().unwrap_or(-1)
    })
}

/// Runs statements, and calls `callback`, where it is not null, for each row. The first error ends it.
///
/// # Safety
/// `session` is open; `sql` is a string; `callback` can be called with `context`; `error` is null, or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pglite_session_exec(
    session: *mut pglite_session,
    sql: *const c_char,
    callback: pglite_row_callback,
    context: *mut c_void,
    error: *mut *mut pglite_error,
) -> pglite_status {
    guard(error, || {
        let sql = text::required(sql, "sql")?;
        // SAFETY: by the caller's promise.
        let session = unsafe { open_session(session) }?;
        session.with(|state| {
            if state.transport.has_input() {
                return Err(pglite_error::new(
                    pglite_status::PGLITE_BUSY,
                    "there are bytes to receive: take them before pglite_session_exec",
                ));
            }
            let handlers = Handlers {
                row: callback,
                row_context: context,
                notice: state.notice,
                notice_context: state.notice_context,
            };
            let cancel = || session.registered.stop();
            state.tag = run(&mut state.transport, sql, &handlers, &cancel)?;
            Ok(())
        })
    })
}

/// What the last statement of pglite_session_exec did, such as "INSERT 0 1". The string lives until the next call with the session.
///
/// # Safety
/// `session` is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pglite_session_tag(session: *const pglite_session) -> *const c_char {
    guard_or(null(), || {
        // SAFETY: by the caller's promise.
        let Ok(session) = (unsafe { open_session(session) }) else { return null() };
        session.with(|state| Ok(state.tag.as_ptr())).unwrap_or(null())
    })
}

/// Who gets the notices of pglite_session_exec; null: nobody.
///
/// # Safety
/// `session` is open; `callback` can be called with `context` as long as the session is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pglite_session_set_notice(
    session: *mut pglite_session,
    callback: pglite_notice_callback,
    context: *mut c_void,
) -> pglite_status {
    guard(null_mut(), || {
        // SAFETY: by the caller's promise.
        unsafe { open_session(session) }?.with(|state| {
            (state.notice, state.notice_context) = (callback, context);
            Ok(())
        })
    })
}

/// Cancels what the session does; nothing happens where it does nothing. Any thread may call it, and a signal handler: it only writes
/// to a pipe.
///
/// # Safety
/// `session` is null, or open until this returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pglite_cancel(session: *const pglite_session) {
    // No guard: that would not be for signal handlers; nothing here panics.
    // SAFETY: by the caller's promise. Only what never changes is looked at.
    if let Some(session) = unsafe { session.as_ref() } {
        session.registered.cancel();
    }
}
