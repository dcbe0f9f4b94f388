//! Developer tasks of Coop: `cargo xtask --help`.

mod build;
mod cargo;
mod lint;
mod packages;
mod soak;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developer tasks of Coop")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Format check, lints, unit, doc and integration tests; installs what they need on Debian
    ///
    /// The integration tests start real containers and need root.
    Test(test::Options),
    /// The long tests with the release build: ten thousand containers, hundreds of kills
    Soak(soak::Options),
    /// Format check and lints, with every feature set that has to compile
    Check,
    /// Builds the release binary and prints its path
    Build,
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Test(options) => test::run(&options),
        Task::Soak(options) => soak::run(&options),
        Task::Check => lint::run(),
        Task::Build => build::release(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
