#![doc = include_str!("../README.md")]

mod archive;
mod assembly;
mod closure;
mod directives;
mod emit;
mod error;
mod imports;
mod input;
mod link;
mod llvm;
mod pass;
mod private;
mod report;
mod resolve;
mod rewrite;
mod template;
mod unit;

pub use error::{Error, Refusal};
pub use pass::privatize;
pub use report::Report;
pub use unit::{Archive, Library, LoadableModule, Program, Replacement, Unit};
