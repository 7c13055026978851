//! Maps real modules that the machine's compilers make.

mod binding;
mod cxx;
mod data;
mod host;
mod initialisers;
mod refusals;
mod support;
mod thread_local;
