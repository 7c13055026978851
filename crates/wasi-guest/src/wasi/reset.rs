//! A PostgreSQL process in this module that ends, and another that begins: memory as it was when the module was made, but for what is Rust's.
//!
//! The linker lays data out by its kind, and in each kind in the order of the objects; `glue/first.c` is the first object, and marks where
//! changeable data begins and ends, and where zeros begin. Relies on: no thread, no frame of C on the stack, no reference to a static of Rust in use. The compiler
//! does not know that these regions are all of its statics: what is read before and written after goes through `black_box`.

use super::alloc::{self, Heap};
use super::descriptors;
use super::engine;
use super::memory::{self, Linear};
use super::session;
use crate::pages::{Owner, Pool};
use std::hint::black_box;
use std::ptr::null_mut;

unsafe extern "C" {
    static mut pgl_first_data: u8;
    static mut pgl_last_data: u8;
    static mut pgl_first_zero: u8;
    static mut __data_end: u8;
    fn __wasm_call_ctors();
}

static IMAGE: super::Global<*mut u8> = super::Global::new(null_mut());

/// Start and size of the changeable data, then of the zeros.
fn regions() -> [(*mut u8, usize); 2] {
    let (data, last) = (&raw mut pgl_first_data, &raw mut pgl_last_data);
    let (zero, end) = (&raw mut pgl_first_zero, &raw mut __data_end);
    assert!(data < last && last < zero && zero < end, "the linker has laid out data in another order");
    black_box([(data, last.addr() - data.addr()), (zero, end.addr() - zero.addr())])
}

/// What a host calls before anything else: keeps an image of the data as the linker made it, then begins.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    let [(data, size), _] = regions();
    let image = memory::keep(size);
    assert!(!image.is_null(), "no memory");
    // The pool that has just been used is not part of what is restored.
    // SAFETY: the image has this size.
    unsafe { image.copy_from_nonoverlapping(data, size) };
    IMAGE.with(|kept| *kept = image);
    // SAFETY: they were not called yet.
    unsafe { __wasm_call_ctors() };
}

/// Makes everything of the session's process new.
pub(crate) fn reset() {
    let image = IMAGE.with(|image| *image);
    if image.is_null() {
        return;
    }
    descriptors::close_all();
    let saved = session::save();
    let host = engine::save();
    let (heaps, pools) = black_box((alloc::KEPT.as_ptr(), memory::POOL.as_ptr()));
    // SAFETY: copies of the bytes; what they are copies of is written over, and not dropped.
    let (heap, pool): (Heap, Pool<Linear>) = black_box(unsafe { (heaps.read(), pools.read()) });
    let [(data, size), (zero, zeros)] = regions();
    // SAFETY: the regions and the image have these sizes; by the module's rule nobody looks.
    unsafe {
        data.copy_from_nonoverlapping(image, size);
        zero.write_bytes(0, zeros);
        black_box((data, zero));
        heaps.write(heap);
        pools.write(pool);
        black_box((heaps, pools));
    }
    IMAGE.with(|kept| *kept = image);
    memory::POOL.with(|pool| pool.give_back_all(Owner::Session));
    engine::restore(host);
    session::restore(saved);
    // SAFETY: as at the very beginning.
    unsafe { __wasm_call_ctors() };
}
