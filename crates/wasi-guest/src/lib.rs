#![doc = include_str!("../README.md")]
// What a host can test, it tests.
#![cfg_attr(not(target_os = "wasi"), allow(dead_code))]

mod copies;
mod pace;
mod pages;
mod paths;
mod pending;

#[cfg(target_os = "wasi")]
mod wasi;
