//! Downloads from a server on the loopback, and what must be left of those that fail.

mod archives;
mod downloads;

use std::fs;
use std::path::Path;

/// Names of what lies in a directory, sorted; the lock aside.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.retain(|name| name != "lock");
    names.sort();
    names
}

/// The error as the user sees it.
#[track_caller]
fn said<T: std::fmt::Debug>(result: anyhow::Result<T>) -> String {
    format!("{:#}", result.expect_err("it did not fail"))
}
