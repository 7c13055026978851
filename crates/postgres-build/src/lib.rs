#![doc = include_str!("../README.md")]

pub mod environment;
pub mod hash;
pub mod key;
pub mod layout;
pub mod prepared;
pub mod version;

#[cfg(feature = "builder")]
pub mod child;
#[cfg(feature = "builder")]
pub mod compile;
#[cfg(feature = "builder")]
pub mod pack;
#[cfg(feature = "builder")]
pub mod pipeline;
#[cfg(feature = "builder")]
mod programs;
#[cfg(feature = "builder")]
pub mod progress;
#[cfg(feature = "builder")]
pub mod prune;
#[cfg(feature = "builder")]
pub mod recipe;
#[cfg(feature = "builder")]
pub mod record;
#[cfg(feature = "builder")]
pub mod source;
#[cfg(feature = "builder")]
pub mod stock;
#[cfg(feature = "builder")]
pub mod suites;
#[cfg(feature = "builder")]
pub mod template;
#[cfg(feature = "builder")]
pub mod tools;
