//! `cargo xtask soak`: the long tests, as a release is tested.

use anyhow::{Result, bail};
use clap::Args;

use crate::build::{self, Profile};
use crate::test::INTEGRATION;
use crate::{cargo, packages};

/// The test programs whose length `COOP_SOAK` says, and the one that measures the supervisor.
const PROGRAMS: [&str; 5] = [
    "supervision",
    "soak_adoption",
    "soak_kill",
    "soak_run",
    "soak_scale",
];

#[derive(Args)]
pub(crate) struct Options {
    /// Run only the tests whose name contains this
    filter: Option<String>,
}

/// Builds the release binary and runs the long tests one after the other.
///
/// # Errors
/// When a step fails, or without root.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("the long tests need root: sudo env PATH=\"$PATH\" cargo xtask soak");
    }
    packages::ensure_packages()?;
    let coop = build::coop(Profile::Release)?;
    let mut tests = cargo::cargo(["test", "--package", INTEGRATION, "--no-fail-fast"]);
    for program in PROGRAMS {
        tests.args(["--test", program]);
    }
    tests
        .args(&options.filter)
        .args(["--", "--nocapture", "--test-threads", "1"])
        .env("COOP_BIN", coop)
        .env("COOP_SOAK", "full");
    cargo::run("long tests", &mut tests)
}
