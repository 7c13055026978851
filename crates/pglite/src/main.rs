//! Command line of libpglite
fn main() {}
