//! Developer tasks of Coop: `cargo xtask --help`.

mod bench;
mod build;
mod cargo;
mod debian;
mod dist;
mod escape;
mod failure;
mod fuzz;
mod install;
mod lint;
mod packages;
mod rootfs;
mod soak;
mod test;
mod vm;

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
    /// The integration tests in a virtual machine, on other kernels and with cgroup v2
    VmTest(vm::TestOptions),
    /// A shell in the virtual machine of `vm-test`
    VmShell(vm::ShellOptions),
    /// The hostile-container suite: attacks from inside of containers, and the table of what
    /// stops each
    ///
    /// Needs root. Each row is run by default, with each of its guards alone, and with all of
    /// them off.
    Escape(escape::Options),
    /// Root filesystems of distributions
    #[command(subcommand)]
    Rootfs(rootfs::Task),
    /// Measures coop beside its peers, and beside the floor that the kernel sets
    Bench(bench::Options),
    /// Attacks the parsers of untrusted input
    Fuzz(fuzz::Options),
    /// Static binary, completions, man pages, Debian package, checksums
    Dist,
    /// Installs coop on this machine
    Install(install::Options),
    /// Removes what `install` put in place
    Uninstall(install::Options),
    /// Format check and lints, with every feature set that has to compile
    Check,
    /// Builds the release binary and prints its path
    Build,
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Test(options) => test::run(&options),
        Task::Soak(options) => soak::run(&options),
        Task::VmTest(options) => vm::test(&options),
        Task::VmShell(options) => vm::shell(&options),
        Task::Escape(options) => escape::run(&options),
        Task::Rootfs(task) => rootfs::run(&task),
        Task::Bench(options) => bench::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Dist => dist::run(),
        Task::Install(options) => install::install(&options),
        Task::Uninstall(options) => install::uninstall(&options),
        Task::Check => lint::run(),
        Task::Build => build::release(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {}", failure::sentence(&error));
            ExitCode::FAILURE
        }
    }
}
