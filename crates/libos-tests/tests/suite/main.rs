//! Tests of the library OS; one file a subject. `README.md` tells how they are made.

mod exits;
mod family;
mod globals;
mod kill;
mod signals;
mod start;
