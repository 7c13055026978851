//! The session: PostgreSQL's `--single`, which takes bytes and gives bytes.
//!
//! There are two ways to run one. In the reactor PostgreSQL is left when it wants a message and there is none, and entered again when there
//! is one (`glue/postgres.c` has the trick). In the command its input is the standard input, which it waits for.

use super::{Global, reset, signals};
use crate::copies::{Copies, Raw};
use draft::{Ended, Profile};
use std::ffi::{CStr, CString, c_char, c_int, c_void};

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// No session: plain `postgres`.
    Plain,
    /// Left and entered again.
    Reentered,
    /// On the standard streams.
    Streams,
}

struct State {
    mode: Mode,
    /// It has begun, and not ended.
    begun: bool,
    input: Vec<u8>,
    /// What of the input PostgreSQL has taken.
    taken: usize,
    /// What is left of the message that it has begun to take.
    message: usize,
    /// No more input will come.
    over: bool,
    output: Vec<u8>,
    /// A `COPY` has given up for want of data.
    starved: bool,
    /// PostgreSQL runs, and its log is for nobody.
    quiet: bool,
    /// It shall be seen: `PGL_VERBOSE` is 1.
    verbose: bool,
    copies: Copies,
    /// What `main` was called with: PostgreSQL keeps pointers into it.
    arguments: Vec<CString>,
}

impl State {
    const fn new() -> State {
        State {
            mode: Mode::Plain,
            begun: false,
            input: Vec::new(),
            taken: 0,
            message: 0,
            over: false,
            output: Vec::new(),
            starved: false,
            quiet: false,
            verbose: false,
            copies: Copies::new(),
            arguments: Vec::new(),
        }
    }
}

static STATE: Global<State> = Global::new(State::new());

/// Capacity that is kept between calls, in bytes.
const KEPT: usize = 1 << 20;

unsafe extern "C" {
    /// Runs `main` until it wants input: -1, or it ends: its status.
    fn pgl_begin(count: c_int, arguments: *const *const c_char) -> c_int;
    /// Goes on in `PostgresMain`; the result as that of `pgl_begin`.
    fn pgl_continue() -> c_int;
    fn __real___main_argc_argv(count: c_int, arguments: *const *const c_char) -> c_int;
    fn __real_read(fd: c_int, buffer: *mut c_void, size: usize) -> isize;
    fn __real_write(fd: c_int, buffer: *const c_void, size: usize) -> isize;
    fn setenv(name: *const c_char, value: *const c_char, overwrite: c_int) -> c_int;
    fn unsetenv(name: *const c_char) -> c_int;
}

impl State {
    /// Length of the next whole message; 0 where there is none.
    fn next_message(&self) -> usize {
        match self.input.get(self.taken..) {
            Some(&[_, a, b, c, d, ref rest @ ..]) => {
                let length = u32::from_be_bytes([a, b, c, d]) as usize;
                if rest.len() + 4 >= length { length + 1 } else { 0 }
            }
            _ => 0,
        }
    }
}

/// Whether the program that runs is a session.
#[unsafe(no_mangle)]
extern "C" fn pgl_is_session() -> bool {
    STATE.with(|state| state.mode != Mode::Plain)
}

/// Whether PostgreSQL can begin to read a message without being left.
#[unsafe(no_mangle)]
extern "C" fn pgl_has_message() -> bool {
    STATE.with(|state| state.mode != Mode::Reentered || state.over || state.next_message() > 0)
}

/// Reads at most one message, so that PostgreSQL keeps none in a buffer of its own when it is left. 0: nothing is there; negative: nothing
/// will come.
#[unsafe(no_mangle)]
unsafe extern "C" fn libos_console_read(buffer: *mut c_void, size: usize) -> isize {
    if STATE.with(|state| state.mode == Mode::Streams) {
        // SAFETY: the caller's buffer.
        let n = unsafe { __real_read(0, buffer, size) };
        // A timer may have rung meanwhile.
        signals::deliver();
        return if n > 0 { n } else { -1 };
    }
    STATE.with(|state| {
        if state.message == 0 {
            state.message = state.next_message();
        }
        let n = state.message.min(size);
        if n == 0 {
            return if state.over { -1 } else { 0 };
        }
        let bytes = &state.input[state.taken..state.taken + n];
        // SAFETY: the caller's buffer.
        unsafe { buffer.cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), n) };
        state.taken += n;
        state.message -= n;
        n as isize
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn libos_console_write(bytes: *const c_void, size: usize) -> isize {
    if STATE.with(|state| state.mode == Mode::Streams) {
        // SAFETY: the caller's bytes.
        return unsafe { __real_write(1, bytes, size) };
    }
    // SAFETY: the caller's bytes.
    let bytes = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), size) };
    STATE.with(|state| state.output.extend_from_slice(bytes));
    size as isize
}

/// PostgreSQL waits for input that is not there, in the middle of something. `glue/postgres.c` sees to it that it does not come to that.
#[unsafe(no_mangle)]
extern "C" fn libos_suspend() {
    STATE.with(|state| state.over = true);
}

/// A `COPY` wants data, and gives up.
#[unsafe(no_mangle)]
extern "C" fn pgl_copy_waits() {
    STATE.with(|state| state.starved = true);
}

/// Whether what is written to the error stream is the log of a session that shall not be seen.
pub(crate) fn is_quiet() -> bool {
    STATE.with(|state| state.quiet)
}

/// Begins or ends that.
fn hush(on: bool) {
    STATE.with(|state| state.quiet = on && !state.verbose);
}

/// What the environment says of a session (`glue/session.c`).
fn describe(profile: &Profile) {
    let set = |name: String, value: &str| {
        if let (Ok(name), Ok(value)) = (CString::new(name), CString::new(value)) {
            // SAFETY: strings of ours.
            unsafe { setenv(name.as_ptr(), value.as_ptr(), 1) };
        }
    };
    set("PGLITE_USER".into(), profile.user.as_deref().unwrap_or(draft::Parameters::SUPERUSER));
    for (at, (name, value)) in profile.parameters.iter().enumerate() {
        set(format!("PGLITE_SETTING_{}", at + 1), &format!("{name}={value}"));
    }
    let behind = CString::new(format!("PGLITE_SETTING_{}", profile.parameters.len() + 1)).unwrap_or_default();
    // SAFETY: a string of ours.
    unsafe { unsetenv(behind.as_ptr()) };
}

/// Where `postgres` believes that it is.
const PROGRAM: &CStr = c"/pglite/bin/postgres";

/// Ends the session if there is one, and begins another in the data directory `data`.
pub(crate) fn begin(
    data: &str,
    profile: &Profile,
    settings: &[(String, String)],
    output: &mut dyn FnMut(&[u8]),
) -> Result<(), Ended> {
    end();
    describe(profile);
    let mut arguments = vec!["--single".to_owned(), "-D".into(), data.into()];
    for (name, value) in settings {
        arguments.extend(["-c".to_owned(), format!("{name}={value}")]);
    }
    arguments.extend(["--".to_owned(), profile.database.clone()]);
    let arguments: Result<Vec<CString>, _> = arguments.into_iter().map(CString::new).collect();
    let arguments = arguments.map_err(|_| Ended("a setting has a zero byte in it".into()))?;
    let mut pointers: Vec<_> = std::iter::once(PROGRAM.as_ptr()).chain(arguments.iter().map(|a| a.as_ptr())).collect();
    let count = pointers.len() as c_int;
    pointers.push(std::ptr::null());
    signals::arm();
    let verbose = std::env::var_os("PGL_VERBOSE").is_some_and(|value| value == "1");
    STATE.with(|state| {
        state.verbose = verbose;
        state.arguments = arguments;
        (state.mode, state.begun, state.over) = (Mode::Reentered, true, false);
        (state.taken, state.message, state.starved) = (0, 0, false);
        state.copies = Copies::new();
        state.input.clear();
        state.output.clear();
    });
    // SAFETY: nothing runs; the strings live until the next session begins, and the pointers are copied by PostgreSQL's `save_ps_display_args`
    // and used up by its `getopt` before it is left.
    let status = unsafe {
        hush(true);
        let status = pgl_begin(count, pointers.as_ptr());
        hush(false);
        status
    };
    finish(status, output)
}

/// The session without what [`Copies`] does for it.
struct Plain;

impl Raw for Plain {
    type Ended = Ended;

    fn run(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<bool, Ended> {
        run(input, &mut |bytes| output.extend_from_slice(bytes))?;
        Ok(STATE.with(|state| std::mem::take(&mut state.starved)))
    }
}

/// Gives the session input, and runs it until it wants more.
pub(crate) fn exchange(input: &[u8], output: &mut dyn FnMut(&[u8])) -> Result<(), Ended> {
    let mut copies = STATE.with(|state| std::mem::replace(&mut state.copies, Copies::new()));
    copies.exchange(&mut Plain, input, output)?;
    STATE.with(|state| state.copies = copies);
    Ok(())
}

fn run(input: &[u8], output: &mut dyn FnMut(&[u8])) -> Result<(), Ended> {
    let begun = STATE.with(|state| {
        state.input.drain(..state.taken);
        state.taken = 0;
        state.input.shrink_to(KEPT);
        state.input.extend_from_slice(input);
        state.begun
    });
    if !begun {
        return Err(Ended("there is no session".into()));
    }
    // A timer may have rung meanwhile.
    signals::deliver();
    // SAFETY: it was left where it wanted input.
    let status = unsafe {
        hush(true);
        let status = pgl_continue();
        hush(false);
        status
    };
    finish(status, output)
}

/// Hands out what the session has said; an error where it has ended.
fn finish(status: c_int, output: &mut dyn FnMut(&[u8])) -> Result<(), Ended> {
    let mut bytes = STATE.with(|state| std::mem::take(&mut state.output));
    if !bytes.is_empty() {
        output(&bytes);
    }
    if status < 0 {
        bytes.clear();
        bytes.shrink_to(KEPT);
        STATE.with(|state| state.output = bytes);
        return Ok(());
    }
    STATE.with(|state| state.begun = false);
    reset::reset();
    Err(Ended(String::new()))
}

/// Ends the session with a checkpoint.
pub(crate) fn end() {
    if STATE.with(|state| std::mem::replace(&mut state.over, true) || !state.begun) {
        return;
    }
    // What it says at its end is for nobody; that it ends is what was asked for.
    let _ = run(b"", &mut |_| ());
}

/// Whether there is a session.
pub(crate) fn has_begun() -> bool {
    STATE.with(|state| state.begun)
}

/// State that outlives a session.
pub(crate) struct Saved(State);

/// Takes the state out of the way of a reset.
pub(crate) fn save() -> Saved {
    Saved(STATE.with(|state| std::mem::replace(state, State::new())))
}

/// Puts it back; what is there now was never used.
pub(crate) fn restore(saved: Saved) {
    // SAFETY: the reset has written over what was there, which had nothing to drop.
    unsafe { STATE.as_ptr().write(saved.0) };
}

/// The command: `postgres` where the first argument is one of its own that say so (`--single`, `--boot`, `--version`); else a session on the
/// standard streams, with these options and this database.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap___main_argc_argv(count: c_int, arguments: *const *const c_char) -> c_int {
    // SAFETY: the arguments of `main`.
    let given: Vec<*const c_char> = (1..count).map(|at| unsafe { *arguments.add(at as usize) }).collect();
    // SAFETY: strings, as above.
    let first = given.first().map(|first| unsafe { CStr::from_ptr(*first) }.to_bytes());
    if first.is_some_and(|first| first.starts_with(b"--") || first == b"-V") {
        // SAFETY: as the caller's.
        return unsafe { __real___main_argc_argv(count, arguments) };
    }
    let parameters = match draft::Parameters::from_environment() {
        Ok(parameters) => parameters,
        Err(text) => {
            eprintln!("pglite: {text}");
            return 1;
        }
    };
    if let Err(text) = super::engine::prepare(&parameters) {
        eprintln!("pglite: {text}");
        return 1;
    }
    if std::env::var_os("PGLITE_USER").is_none() {
        describe(&Profile { user: Some(parameters.user.clone()), ..Profile::default() });
    }
    STATE.with(|state| (state.mode, state.begun) = (Mode::Streams, true));
    let own = [CString::from(PROGRAM), c"--single".into(), c"-D".into(), text(&parameters.data.to_string_lossy())];
    let database = [text(&parameters.database)];
    let has_database = given.len() % 2 == 1;
    let all: Vec<*const c_char> = own
        .iter()
        .map(|own| own.as_ptr())
        .chain(given)
        .chain(database.iter().filter(|_| !has_database).map(|database| database.as_ptr()))
        .chain([std::ptr::null()])
        .collect();
    // SAFETY: strings that live as long as the program.
    unsafe { __real___main_argc_argv(all.len() as c_int - 1, all.as_ptr()) }
}

fn text(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}
