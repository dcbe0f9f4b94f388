//! Building `coop`.

use std::ffi::OsStr;
use std::path::PathBuf;

use anyhow::Result;

use crate::cargo::{build_binary, target_directory};

const PACKAGE: &str = "cli";
const BINARY: &str = "coop";

/// How `coop` is compiled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quick to build.
    Debug,
    /// What users run.
    Release,
}

/// `cargo xtask build`: the release binary; its path goes to standard output.
///
/// # Errors
/// When the build fails.
pub(crate) fn release() -> Result<()> {
    println!("{}", coop(Profile::Release)?.display());
    Ok(())
}

/// Builds `coop` as users get it.
///
/// # Errors
/// When the build fails.
pub(crate) fn coop(profile: Profile) -> Result<PathBuf> {
    match profile {
        Profile::Debug => build_binary(PACKAGE, BINARY, &[]),
        Profile::Release => build_binary(PACKAGE, BINARY, &[OsStr::new("--release")]),
    }
}

/// Builds `coop` with fault injection, in a target directory of its own: neither build
/// makes the other one recompile, and nobody runs this one by mistake.
///
/// # Errors
/// When the build fails.
pub(crate) fn coop_with_faults() -> Result<PathBuf> {
    let directory = target_directory()?.join("fault");
    let options = ["--features", "fault", "--target-dir"].map(OsStr::new);
    build_binary(
        PACKAGE,
        BINARY,
        &[&options[..], &[directory.as_os_str()]].concat(),
    )
}
