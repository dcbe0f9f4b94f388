//! `cargo xtask test`: everything that has to hold before a change goes in.

use anyhow::{Result, bail};
use clap::Args;

use crate::build::{self, Profile};
use crate::{cargo, lint, packages};

/// The package of the integration tests. They need root and a `coop` to run.
pub(crate) const INTEGRATION: &str = "coop-tests";

#[derive(Args)]
pub(crate) struct Options {
    /// Run only the tests whose name contains this, and no format check or lints
    filter: Option<String>,
    /// Let the integration tests run the release build of coop
    #[arg(long)]
    release: bool,
}

/// Runs the checks from the quickest to the slowest, up to the first that fails.
///
/// # Errors
/// When a step fails, or when the integration tests cannot run.
pub(crate) fn run(options: &Options) -> Result<()> {
    packages::ensure_packages()?;
    if options.filter.is_none() {
        lint::run()?;
    }
    unit_and_doc_tests(options)?;
    integration_tests(options)
}

fn unit_and_doc_tests(options: &Options) -> Result<()> {
    let mut tests = cargo::cargo([
        "test",
        "--workspace",
        "--exclude",
        INTEGRATION,
        "--no-fail-fast",
    ]);
    cargo::run("unit and doc tests", tests.args(&options.filter))
}

fn integration_tests(options: &Options) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!(
            "the integration tests start containers with every feature and need root: \
             sudo env PATH=\"$PATH\" cargo xtask test"
        );
    }
    let profile = if options.release {
        Profile::Release
    } else {
        Profile::Debug
    };
    let coop = build::coop(profile)?;
    let coop_with_faults = build::coop_with_faults()?;
    let mut tests = cargo::cargo(["test", "--package", INTEGRATION, "--no-fail-fast"]);
    tests
        .args(&options.filter)
        .env("COOP_BIN", coop)
        .env("COOP_BIN_FAULT", coop_with_faults)
        .env("XTASK_BIN", std::env::current_exe()?);
    cargo::run("integration tests", &mut tests)
}
