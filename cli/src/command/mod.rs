//! The commands, one file each.

mod config;
mod down;
mod exec;
mod image;
mod inspect;
mod kill;
mod logs;
pub(crate) mod ps;
mod rm;
mod run;
mod start;
mod stats;
mod stop;
pub(crate) mod up;

use anyhow::Result;

use crate::args::{Cli, Command, Format, VersionArgs};
use crate::host::Host;

/// Runs the command and gives its exit status.
pub(crate) fn run(cli: &Cli) -> Result<i32> {
    let host = Host::new(cli.global.root.as_deref())?;
    let stack = cli.stack();
    match &cli.command {
        Command::Up(args) => up::up(&host, &stack, args),
        Command::Down(args) => down::down(&host, &stack, args),
        Command::Ps(args) => ps::ps(&host, &stack, args),
        Command::Logs(args) => logs::logs(&host, &stack, args),
        Command::Exec(args) => exec::exec(&host, &stack, args),
        Command::Stop(args) => stop::stop(&host, &stack, args),
        Command::Start(args) => start::start(&host, &stack, args),
        Command::Kill(args) => kill::kill(&host, &stack, args),
        Command::Stats(args) => stats::stats(&host, &stack, args),
        Command::Config(args) => config::config(&stack, args),
        Command::Plan(args) => config::plan(&host, &stack, args),
        Command::Run(args) => run::run(&host, args),
        Command::Rm(args) => rm::rm(&host, &stack, args),
        Command::Inspect(args) => inspect::inspect(&host, &stack, args),
        Command::Image(args) => image::image(&host, &args.command),
        Command::Images(args) => image::list(&host, args),
        Command::Rmi(args) => image::remove(&host, args),
        Command::Version(args) => version(args),
    }
}

/// Docker's exit status for "Coop failed, not the command".
pub(crate) const FAILED: i32 = 125;

/// The exit status when a command fails: only `run` ends with the status of a container, which
/// a failure must not be taken for.
pub(crate) fn failed(command: &Command) -> i32 {
    match command {
        Command::Run(_) => FAILED,
        _ => 1,
    }
}

fn version(args: &VersionArgs) -> Result<i32> {
    let version = env!("CARGO_PKG_VERSION");
    match args.format {
        Format::Table => crate::ui::print(&format!("coop version {version}\n"))?,
        Format::Json => {
            crate::ui::print(&format!("{}\n", serde_json::json!({ "Version": version })))?;
        }
    }
    Ok(0)
}

/// Docker's answer of commands that do something to named containers: their names.
fn print_names(names: &[String]) -> Result<i32> {
    for name in names {
        crate::ui::print(&format!("{name}\n"))?;
    }
    Ok(0)
}
