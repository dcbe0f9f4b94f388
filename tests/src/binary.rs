//! Finding the binaries under test.

use std::path::{Path, PathBuf};

/// `coop` as users get it: `COOP_BIN`, else the one built last next to this test.
///
/// # Panics
/// When there is none.
pub(crate) fn coop() -> PathBuf {
    if let Some(named) = std::env::var_os("COOP_BIN") {
        return existing(PathBuf::from(named), "COOP_BIN");
    }
    // target/<triple>/debug/deps/<test> -> target/<triple>/debug/coop
    let test = std::env::current_exe().expect("the path of this test");
    let coop = test
        .ancestors()
        .nth(2)
        .expect("a target directory")
        .join("coop");
    assert!(
        coop.is_file(),
        "no coop at {}: build it (`cargo build -p cli`), or run `cargo xtask test`",
        coop.display()
    );
    coop
}

/// `coop` built with `--features fault`: `COOP_BIN_FAULT`, if set.
///
/// # Panics
/// When the variable names no file.
pub(crate) fn coop_with_faults() -> Option<PathBuf> {
    let named = std::env::var_os("COOP_BIN_FAULT")?;
    Some(existing(PathBuf::from(named), "COOP_BIN_FAULT"))
}

/// `xtask`, for tests of its tasks: `XTASK_BIN`, if set.
///
/// # Panics
/// When the variable names no file.
pub(crate) fn xtask() -> Option<PathBuf> {
    let named = std::env::var_os("XTASK_BIN")?;
    Some(existing(PathBuf::from(named), "XTASK_BIN"))
}

fn existing(path: PathBuf, variable: &str) -> PathBuf {
    assert!(
        Path::new(&path).is_file(),
        "{variable} names {}: no such file",
        path.display()
    );
    path
}
