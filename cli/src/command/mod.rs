//! The commands, one file each.

mod attach;
mod by_name;
mod check;
mod completion;
mod config;
mod cp;
mod create;
mod diff;
mod down;
mod events;
mod exec;
mod image;
mod info;
mod inspect;
mod kill;
mod logs;
mod ls;
mod man;
mod network;
mod pause;
mod port;
mod prune;
pub(crate) mod ps;
mod rename;
mod restart;
mod rm;
mod run;
mod seccomp;
mod several;
mod start;
mod stats;
mod stop;
mod system;
pub(crate) mod top;
mod ui;
pub(crate) mod up;
mod update;
mod version;
mod volume;
mod wait;

use anyhow::Result;

use crate::args::{Cli, Command, SeccompCommand};
use crate::host::Host;

/// Runs the command and gives its exit status.
pub(crate) fn run(cli: &Cli) -> Result<i32> {
    let stack = cli.stack();
    // Not for all: what looks at nothing on this host works for every user.
    let host = || Host::enter(cli.global.root.as_deref());
    match &cli.command {
        Command::Up(args) => up::up(&host()?, &stack, args),
        Command::Down(args) => down::down(&host()?, &stack, args),
        Command::Ps(args) => ps::ps(&host()?, &stack, args),
        Command::Logs(args) => logs::logs(&host()?, &stack, args),
        Command::Exec(args) => exec::exec(&host()?, &stack, args),
        Command::Stop(args) => stop::stop(&host()?, &stack, args),
        Command::Start(args) => start::start(&host()?, &stack, args),
        Command::Kill(args) => kill::kill(&host()?, &stack, args),
        Command::Stats(args) => stats::stats(&host()?, &stack, args),
        Command::Config(args) => config::config(&stack, args),
        Command::Plan(args) => config::plan(&host()?, &stack, args),
        Command::Run(args) => run::run(&host()?, args),
        Command::Rm(args) => rm::rm(&host()?, &stack, args),
        Command::Inspect(args) => inspect::inspect(&host()?, &stack, args),
        Command::Image(args) => image::image(&host()?, &args.command),
        Command::Images(args) => image::list(&host()?, args),
        Command::Rmi(args) => image::remove(&host()?, args),
        Command::Create(args) => create::create(&host()?, args),
        Command::Restart(args) => restart::restart(&host()?, &stack, args),
        Command::Wait(args) => wait::wait(&host()?, &stack, args),
        Command::Pause(args) => pause::pause(&host()?, &stack, args),
        Command::Unpause(args) => pause::unpause(&host()?, &stack, args),
        Command::Rename(args) => rename::rename(&host()?, &stack, args),
        Command::Update(args) => update::update(&host()?, &stack, args),
        Command::Attach(args) => attach::attach(&host()?, &stack, args),
        Command::Top(args) => top::top(&host()?, &stack, args),
        Command::Port(args) => port::port(&host()?, &stack, args),
        Command::Cp(args) => cp::cp(&host()?, &stack, args),
        Command::Diff(args) => diff::diff(&host()?, &stack, args),
        Command::Events(args) => events::events(&host()?, args),
        Command::Ls(args) => ls::ls(&host()?, args),
        Command::Volume(args) => volume::volume(&host()?, &args.command),
        Command::Network(args) => network::network(&host()?, &args.command),
        Command::Seccomp(args) => seccomp::seccomp(&args.command),
        Command::System(args) => system::system(&host()?, &args.command),
        Command::Prune(args) => prune::prune(&host()?, args),
        Command::Info(args) => info::info(&host()?, args),
        Command::Check(args) => match args.inside {
            Some(part) => check::inside(part),
            None => check::check(&host()?, args),
        },
        Command::Ui(args) => ui::ui(&host()?, args),
        Command::Completion(args) => completion::completion(args),
        Command::Man(args) => man::man(args),
        Command::Version(args) => version::version(args),
    }
}

/// Docker's exit status for "Coop failed, not the command".
pub(crate) const FAILED: i32 = 125;

/// The exit status when a command fails: only `run` ends with the status of a container, which
/// a failure must not be taken for.
pub(crate) fn failed(command: &Command) -> i32 {
    match command {
        Command::Run(_) | Command::Create(_) => FAILED,
        Command::Seccomp(args) => match args.command {
            SeccompCommand::Record(_) => FAILED,
            // As diff(1): 1 is its answer.
            SeccompCommand::Diff(_) => 2,
            _ => 1,
        },
        _ => 1,
    }
}
