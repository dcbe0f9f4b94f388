//! `coop pause` and `coop unpause`: all processes of a container where they are.

use anyhow::{Result, bail};
use coop_launcher::store::{ContainerId, State, Status};
use coop_launcher::supervisor::Request;

use super::several::Several;
use crate::args::{PauseArgs, StackArgs, UnpauseArgs};
use crate::host::Host;

/// `coop pause`.
pub(super) fn pause(host: &Host, stack: &StackArgs, args: &PauseArgs) -> Result<i32> {
    ask(host, stack, &args.names, Status::Running, |ids| {
        Request::Pause { ids }
    })
}

/// `coop unpause`.
pub(super) fn unpause(host: &Host, stack: &StackArgs, args: &UnpauseArgs) -> Result<i32> {
    ask(host, stack, &args.names, Status::Paused, |ids| {
        Request::Unpause { ids }
    })
}

fn ask(
    host: &Host,
    stack: &StackArgs,
    names: &[String],
    from: Status,
    request: impl Fn(Vec<ContainerId>) -> Request,
) -> Result<i32> {
    let mut several = Several::find(host, stack, names)?;
    if several.is_whole_stack() {
        several.only(|state| state.current_status() == from);
    } else {
        several.each(|_, state| possible(state, from));
    }
    several.ask(request, |state| possible(state, from));
    several.finish()
}

/// Docker's words for what cannot be done.
fn possible(state: &State, from: Status) -> Result<()> {
    match (state.current_status(), from) {
        (status, from) if status == from => Ok(()),
        (Status::Paused, _) => bail!("container {} is already paused", state.name),
        (Status::Running, _) => bail!("container {} is not paused", state.name),
        (Status::Restarting, _) => {
            bail!("container {} is restarting, wait until it runs", state.name)
        }
        _ => bail!("container {} is not running", state.name),
    }
}
