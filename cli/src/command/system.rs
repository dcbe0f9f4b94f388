//! `coop system`: what is on disk and in the kernel.

mod check;
mod df;
mod prune;

use anyhow::Result;

use crate::args::SystemCommand;
use crate::host::Host;

/// `coop system`.
pub(super) fn system(host: &Host, command: &SystemCommand) -> Result<i32> {
    match command {
        SystemCommand::Df(args) => df::df(host, args),
        SystemCommand::Check(args) => check::check(host, args),
        SystemCommand::Prune(args) => prune::prune(host, args),
        SystemCommand::Info(args) => super::info::info(host, args),
    }
}

pub(super) use check::planned;
pub(super) use prune::prune_containers;
