//! `getopt` and `getopt_long`, on the process's own `optind`, `optarg`, `opterr` and `optopt`.

use super::{Shown, bytes, write_line};
use crate::current;
use libc::{c_char, c_int};
use std::ptr::null_mut;

/// A variable of the C library that belongs to the process.
fn datum<T>(name: &str, fallback: *mut T) -> *mut T {
    current::process().libc_datum(name).unwrap_or(fallback)
}

/// One step of `getopt`: the option character, `?` for an error, -1 at the end.
///
/// # Safety
/// As `getopt`.
unsafe fn next_option(argc: c_int, argv: *const *mut c_char, options: &[u8]) -> c_int {
    let p = current::process();
    let (mut i, mut e, mut o, mut a) = (1, 1, 0, null_mut());
    // SAFETY: the process's variables, or the locals above where it does not use them.
    let (index, errors, option, argument) = unsafe {
        (
            &mut *datum("optind", &raw mut i),
            *datum::<c_int>("opterr", &raw mut e),
            &mut *datum::<c_int>("optopt", &raw mut o),
            &mut *datum::<*mut c_char>("optarg", &raw mut a),
        )
    };
    let complain = |what: &str, c: u8| {
        if errors != 0 && options.first() != Some(&b':') {
            // SAFETY: argv[0] is a string.
            let program = Shown(unsafe { *argv });
            write_line(2, format_args!("{program}: {what} -- '{}'\n", c as char));
        }
    };
    *argument = null_mut();
    // `optind = 0`, as well as 1, begins anew.
    if *index == 0 {
        *index = 1;
        p.local.getopt.set(0);
    }
    // SAFETY: argv has argc strings.
    unsafe {
        if p.local.getopt.get() == 0 {
            if *index >= argc {
                return -1;
            }
            let word = bytes(*argv.add(*index as usize));
            if word.len() < 2 || word[0] != b'-' {
                return -1;
            }
            if word == b"--" {
                *index += 1;
                return -1;
            }
            p.local.getopt.set(1);
        }
        let word = bytes(*argv.add(*index as usize));
        let at = p.local.getopt.get();
        let c = word[at];
        let last = at + 1 == word.len();
        *option = c.into();
        p.local.getopt.set(if last { 0 } else { at + 1 });
        let known = options.iter().position(|o| *o == c).filter(|_| c != b':');
        let Some(known) = known else {
            *index += c_int::from(last);
            complain("invalid option", c);
            return b'?'.into();
        };
        if options.get(known + 1) != Some(&b':') {
            *index += c_int::from(last);
            return c.into();
        }
        let rest = (*argv.add(*index as usize)).add(at + 1);
        p.local.getopt.set(0);
        *index += 1;
        if !last {
            *argument = rest;
        } else if options.get(known + 2) == Some(&b':') {
            // An optional argument stands in the same word or not at all.
        } else if *index < argc {
            *argument = *argv.add(*index as usize);
            *index += 1;
        } else {
            complain("option requires an argument", c);
            return if options.first() == Some(&b':') { b':' } else { b'?' }.into();
        }
        c.into()
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_getopt(
    argc: c_int,
    argv: *mut *mut c_char,
    options: *const c_char,
) -> c_int {
    // SAFETY: C's contract.
    unsafe {
        let options = in_order(argc, argv, bytes(options), std::ptr::null());
        next_option(argc, argv, options)
    }
}

/// Brings the next option to the front, unless `options` or the environment want the order as it is, or a word is not used up
/// yet. Returns the option letters.
///
/// # Safety
/// As `getopt_long`.
unsafe fn in_order(argc: c_int, argv: *mut *mut c_char, options: &[u8], long: *const LongOption) -> &[u8] {
    let p = current::process();
    let plain = options.strip_prefix(b"+").or_else(|| options.strip_prefix(b"-")).unwrap_or(options);
    if p.local.getopt.get() == 0 && plain.len() == options.len() && crate::env::get(p, b"POSIXLY_CORRECT").is_none() {
        // SAFETY: by the caller's promise.
        unsafe { reorder(argc, argv, plain, long) };
    }
    plain
}

/// glibc's `struct option`.
#[repr(C)]
pub(crate) struct LongOption {
    name: *const c_char,
    has_argument: c_int,
    flag: *mut c_int,
    value: c_int,
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_getopt_long(
    argc: c_int,
    argv: *mut *mut c_char,
    options: *const c_char,
    long: *const LongOption,
    long_index: *mut c_int,
) -> c_int {
    let (mut i, mut a) = (1, null_mut());
    // SAFETY: C's contract; the process's variables.
    unsafe {
        let plain = in_order(argc, argv, bytes(options), long);
        let index = &mut *datum::<c_int>("optind", &raw mut i);
        let argument = &mut *datum::<*mut c_char>("optarg", &raw mut a);
        if *index == 0 {
            *index = 1;
            current::process().local.getopt.set(0);
        }
        if current::process().local.getopt.get() != 0 || *index >= argc {
            return next_option(argc, argv, plain);
        }
        let word = bytes(*argv.add(*index as usize));
        let Some(text) = word.strip_prefix(b"--").filter(|t| !t.is_empty()) else {
            return next_option(argc, argv, plain);
        };
        *argument = null_mut();
        *index += 1;
        let name_end = text.iter().position(|b| *b == b'=').unwrap_or(text.len());
        let Some((at, found)) = find_long(long, &text[..name_end]) else {
            complain_long(argv, "unrecognized option", *argv.add(*index as usize - 1));
            return b'?'.into();
        };
        if name_end < text.len() {
            if found.has_argument == 0 {
                complain_long(argv, "option doesn't allow an argument", *argv.add(*index as usize - 1));
                return b'?'.into();
            }
            *argument = (*argv.add(*index as usize - 1)).add(2 + name_end + 1);
        } else if found.has_argument == 1 {
            if *index >= argc {
                complain_long(argv, "option requires an argument", *argv.add(*index as usize - 1));
                return if plain.first() == Some(&b':') { b':' } else { b'?' }.into();
            }
            *argument = *argv.add(*index as usize);
            *index += 1;
        }
        if let Some(long_index) = long_index.as_mut() {
            *long_index = at as c_int;
        }
        match found.flag.as_mut() {
            Some(flag) => {
                *flag = found.value;
                0
            }
            None => found.value,
        }
    }
}

/// Finds a long option by its name or an unambiguous beginning of it.
///
/// # Safety
/// `long` is null or ends with a null name.
unsafe fn find_long<'a>(long: *const LongOption, name: &[u8]) -> Option<(usize, &'a LongOption)> {
    if long.is_null() {
        return None;
    }
    let mut beginnings = Vec::new();
    for i in 0.. {
        // SAFETY: by the caller's promise.
        let option = unsafe { &*long.add(i) };
        if option.name.is_null() {
            break;
        }
        // SAFETY: names are strings.
        let own = unsafe { bytes(option.name) };
        if own == name {
            return Some((i, option));
        }
        if own.starts_with(name) {
            beginnings.push((i, option));
        }
    }
    if beginnings.len() == 1 { beginnings.pop() } else { None }
}

/// # Safety
/// `argv[0]` and `word` are strings.
unsafe fn complain_long(argv: *mut *mut c_char, what: &str, word: *const c_char) {
    let mut on = 1;
    // SAFETY: the process's variable; by the caller's promise.
    unsafe {
        if *datum::<c_int>("opterr", &raw mut on) != 0 {
            write_line(2, format_args!("{}: {what} '{}'\n", Shown(*argv), Shown(word)));
        }
    }
}

/// Brings the next option, with its argument, before the operands in front of it.
///
/// # Safety
/// As `getopt_long`.
unsafe fn reorder(argc: c_int, argv: *mut *mut c_char, options: &[u8], long: *const LongOption) {
    let mut fallback = 1;
    // SAFETY: by the caller's promise; the process's variable.
    unsafe {
        let index = (*datum::<c_int>("optind", &raw mut fallback)).max(1);
        let word = |i: c_int| bytes(*argv.add(i as usize));
        let Some(next) = (index..argc).find(|i| word(*i).len() > 1 && word(*i)[0] == b'-') else { return };
        if next == index {
            return;
        }
        let text = word(next);
        let takes_next = if text == b"--" {
            false
        } else if let Some(name) = text.strip_prefix(b"--") {
            !name.contains(&b'=') && find_long(long, name).is_some_and(|(_, o)| o.has_argument == 1)
        } else {
            // The last letter of a cluster decides, unless an earlier one takes the rest.
            let needs = |c: u8| {
                options
                    .iter()
                    .position(|o| *o == c)
                    .is_some_and(|at| options.get(at + 1) == Some(&b':') && options.get(at + 2) != Some(&b':'))
            };
            let first = text[1..].iter().position(|c| needs(*c));
            first.is_some_and(|at| at + 2 == text.len())
        };
        let count = if takes_next && next + 1 < argc { 2 } else { 1 };
        for step in 0..count {
            let moved = *argv.add((next + step) as usize);
            for i in ((index + step)..(next + step)).rev() {
                *argv.add(i as usize + 1) = *argv.add(i as usize);
            }
            *argv.add((index + step) as usize) = moved;
        }
    }
}
