//! `coop`.
fn main() {}
