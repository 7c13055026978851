//! Tests of the library OS; one file a subject. `README.md` tells how they are made.

mod commands;
mod coroutines;
mod exits;
mod family;
mod faults;
mod files;
mod forks;
mod globals;
mod host;
mod kill;
mod library;
mod locales;
mod memory;
mod modules;
mod paths;
mod restarts;
mod signals;
mod sockets;
mod start;
mod storm;
mod streams;
mod threads;
