//! A process's locale: `setlocale` changes that of the process's thread, never the host's.
//!
//! Relies on: `uselocale` is per thread, and a process runs on one thread at a time.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::{Mutex, PoisonError};

/// glibc's `LC_GLOBAL_LOCALE`.
pub(crate) const GLOBAL: libc::locale_t = usize::MAX as libc::locale_t;

/// The categories that have a mask, by number.
const CATEGORIES: [(i32, i32); 6] = [
    (libc::LC_CTYPE, libc::LC_CTYPE_MASK),
    (libc::LC_NUMERIC, libc::LC_NUMERIC_MASK),
    (libc::LC_TIME, libc::LC_TIME_MASK),
    (libc::LC_COLLATE, libc::LC_COLLATE_MASK),
    (libc::LC_MONETARY, libc::LC_MONETARY_MASK),
    (libc::LC_MESSAGES, libc::LC_MESSAGES_MASK),
];

/// The locale that `setlocale` set, and the names that it answers.
pub(crate) struct Locale {
    object: Cell<libc::locale_t>,
    names: RefCell<[CString; 6]>,
    all: RefCell<CString>,
    /// Those that the program made by itself and has not freed.
    made: RefCell<HashSet<usize>>,
    /// What `localeconv` answers with.
    conventions: Box<UnsafeCell<MaybeUninit<libc::lconv>>>,
}

impl Locale {
    pub(crate) fn new() -> Locale {
        Locale {
            object: Cell::new(null_mut()),
            names: RefCell::new(std::array::from_fn(|_| c"C".to_owned())),
            all: RefCell::new(c"C".to_owned()),
            made: RefCell::default(),
            conventions: Box::new(UnsafeCell::new(MaybeUninit::uninit())),
        }
    }

    /// `localeconv`, in an object of the process's own: the C library has one for all threads.
    pub(crate) fn conventions(&self) -> *mut libc::lconv {
        static FILLING: Mutex<()> = Mutex::new(());
        let to: *mut libc::lconv = self.conventions.get().cast();
        let _guard = FILLING.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: only this process's thread uses the object; the strings are the locale's.
        unsafe { to.copy_from_nonoverlapping(libc::localeconv(), 1) };
        to
    }

    /// Makes it the calling thread's; returns the thread's own.
    pub(crate) fn enter(&self) -> libc::locale_t {
        if self.object.get().is_null() {
            // SAFETY: the C locale always exists.
            self.object.set(unsafe { libc::newlocale(libc::LC_ALL_MASK, c"C".as_ptr(), null_mut()) });
        }
        // SAFETY: a live locale.
        unsafe { libc::uselocale(self.object.get()) }
    }

    pub(crate) fn leave(&self, before: libc::locale_t) {
        // SAFETY: what the thread had.
        unsafe { libc::uselocale(before) };
    }

    pub(crate) fn reclaim(&self) {
        for made in self.made.take() {
            // SAFETY: the program that made it is gone.
            unsafe { libc::freelocale(made as libc::locale_t) };
        }
        let object = self.object.replace(null_mut());
        if !object.is_null() {
            // SAFETY: no thread uses it any more.
            unsafe { libc::freelocale(object) };
        }
    }

    /// `newlocale`.
    ///
    /// # Safety
    /// As C's.
    pub(crate) unsafe fn make(&self, mask: i32, name: *const libc::c_char, base: libc::locale_t) -> libc::locale_t {
        // SAFETY: by the caller's promise.
        let new = unsafe { libc::newlocale(mask, name, base) };
        if !new.is_null() {
            let mut made = self.made.borrow_mut();
            made.remove(&(base as usize));
            made.insert(new as usize);
        }
        new
    }

    /// `freelocale`.
    ///
    /// # Safety
    /// As C's.
    pub(crate) unsafe fn free(&self, locale: libc::locale_t) {
        self.made.borrow_mut().remove(&(locale as usize));
        // SAFETY: by the caller's promise.
        unsafe { libc::freelocale(locale) };
    }

    pub(crate) fn base(&self) -> libc::locale_t {
        self.object.get()
    }

    /// The name of a category, or of all; valid until the next change.
    pub(crate) fn name(&self, category: i32) -> Option<*const libc::c_char> {
        if category == libc::LC_ALL {
            let names = self.names.borrow();
            let all = if names.iter().all(|n| *n == names[0]) {
                names[0].clone()
            } else {
                let keys = ["LC_CTYPE", "LC_NUMERIC", "LC_TIME", "LC_COLLATE", "LC_MONETARY", "LC_MESSAGES"];
                let list: Vec<String> =
                    keys.iter().zip(names.iter()).map(|(k, n)| format!("{k}={}", n.to_string_lossy())).collect();
                CString::new(list.join(";")).unwrap_or_default()
            };
            *self.all.borrow_mut() = all;
            return Some(self.all.borrow().as_ptr());
        }
        let i = CATEGORIES.iter().position(|(c, _)| *c == category)?;
        Some(self.names.borrow()[i].as_ptr())
    }

    /// Sets a category, or all, to `locale`; `None` where the host does not have it.
    pub(crate) fn set(&self, category: i32, locale: &CStr) -> Option<()> {
        let locale = if locale.is_empty() { c"C" } else { locale };
        let chosen: Vec<usize> =
            (0..CATEGORIES.len()).filter(|i| category == libc::LC_ALL || CATEGORIES[*i].0 == category).collect();
        let wanted = self.parse(locale, &chosen)?;
        for (i, name) in wanted {
            // SAFETY: `newlocale` takes over the object that it is given, unless it fails. The thread must not
            // use it meanwhile.
            unsafe {
                let in_use = libc::uselocale(null_mut());
                libc::uselocale(GLOBAL);
                let new = libc::newlocale(CATEGORIES[i].1, name.as_ptr(), self.object.get());
                if new.is_null() {
                    libc::uselocale(in_use);
                    return None;
                }
                let replaced = self.object.replace(new);
                libc::uselocale(if in_use == replaced { new } else { in_use });
            }
            self.names.borrow_mut()[i] = name;
        }
        Some(())
    }

    /// `LC_ALL` takes back what it answered: a list of `LC_x=name`.
    fn parse(&self, locale: &CStr, chosen: &[usize]) -> Option<Vec<(usize, CString)>> {
        let text = locale.to_str().ok()?;
        if !text.contains('=') {
            return Some(chosen.iter().map(|i| (*i, locale.to_owned())).collect());
        }
        let values: Vec<&str> = text.split(';').filter_map(|part| part.split_once('=')).map(|(_, v)| v).collect();
        chosen.iter().map(|i| Some((*i, CString::new(*values.get(*i)?).ok()?))).collect()
    }
}
