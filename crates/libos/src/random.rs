//! A process's random numbers: those of the C library's generator, with a state of its own, so that a seed means what C says.

use std::ffi::c_uint;

/// glibc's `struct random_data`: pointers into the state, and three ints.
#[repr(C)]
#[derive(Default)]
struct Data([usize; 6]);

unsafe extern "C" {
    fn initstate_r(seed: c_uint, state: *mut u8, size: usize, data: *mut Data) -> i32;
    fn srandom_r(seed: c_uint, data: *mut Data) -> i32;
    fn random_r(data: *mut Data, result: *mut i32) -> i32;
}

/// The generator. Boxed: the data point at the state.
pub(crate) struct Random {
    state: [u8; 128],
    data: Data,
}

impl Random {
    /// Seeded with 1, as C wants it.
    pub(crate) fn new() -> Box<Random> {
        let mut new = Box::new(Random { state: [0; 128], data: Data::default() });
        // SAFETY: zeroed data, and a state that lives and stays as long.
        unsafe { initstate_r(1, new.state.as_mut_ptr(), new.state.len(), &mut new.data) };
        new
    }

    pub(crate) fn seed(&mut self, seed: c_uint) {
        // SAFETY: initialised by `new`.
        unsafe { srandom_r(seed, &mut self.data) };
    }

    /// The next number, 0 to 2^31 - 1.
    pub(crate) fn next(&mut self) -> i32 {
        let mut result = 0;
        // SAFETY: initialised by `new`.
        unsafe { random_r(&mut self.data, &mut result) };
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_c_librarys() {
        let mut random = Random::new();
        // Of a fresh program: documented nowhere, and the same for decades.
        assert_eq!([random.next(), random.next()], [1804289383, 846930886]);
        random.seed(42);
        let first = random.next();
        random.seed(42);
        assert_eq!(random.next(), first);
    }
}
