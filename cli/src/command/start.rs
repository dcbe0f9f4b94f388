//! `coop start`: stopped and created containers, from their saved plans.

use anyhow::{Result, bail};
use coop_launcher::store::{State, Status};

use super::attach::{self, Wanted};
use super::run::{self, Part};
use super::several::Several;
use crate::args::{StackArgs, StartArgs};
use crate::host::Host;
use crate::plan::ContainerPlan;
use crate::supervise::{self, Keeper};

/// `coop start`.
pub(crate) fn start(host: &Host, stack: &StackArgs, args: &StartArgs) -> Result<i32> {
    let mut several = Several::find(host, stack, &args.names)?;
    if args.attach || args.interactive {
        return match several.containers().as_slice() {
            [one] => start_attached(host, one, args),
            [] => several.finish(),
            _ => bail!("you cannot start and attach multiple containers at once"),
        };
    }
    for stack in several.by_stack().keys() {
        drop(supervise::keeper(host, stack)?);
    }
    several.each(may_start);
    for (stack, mut ids) in several.by_stack() {
        ids.retain(|id| !{ host.store.load_state(id) }.is_ok_and(|state| state.init_alive()));
        if ids.is_empty() {
            continue;
        }
        let result = supervise::keeper(host, &stack).and_then(|keeper| {
            supervise::start_detached(host, &stack, keeper, &ids, &mut |report| {
                several.note(report);
            })
        });
        if let Err(error) = result {
            several.fail_all(&ids, &error);
        }
    }
    several.finish()
}

fn may_start(host: &Host, state: &State) -> Result<()> {
    // What was mended may be gone now.
    let state = host.store.load_state(&state.id)?;
    if state.current_status() == Status::Paused {
        bail!(
            "container {} is paused: it cannot be started\n  help: let it go on with `coop unpause {}`",
            state.name,
            state.name
        );
    }
    Ok(())
}

/// `start -a` of a container that nobody looks after does so itself, as `run` does; otherwise,
/// and with input, which can be left by keys, the supervisor is another process.
fn start_attached(host: &Host, state: &State, args: &StartArgs) -> Result<i32> {
    let keeper = supervise::keeper(host, &state.stack)?;
    may_start(host, state)?;
    let state = host.store.load_state(&state.id)?;
    let plan: ContainerPlan = host.store.load_config(&state.id)?;
    match keeper {
        Keeper::Nobody(vacancy) if !args.interactive => {
            let part = Part {
                input: false,
                usage: false,
                detach_keys: &args.detach_keys,
                overseer: None,
            };
            Ok(run::finish(&run::watch(host, &plan, vacancy, part)?))
        }
        keeper => {
            if !state.init_alive() {
                let mut failures = super::up::Failures::default();
                let ids = [state.id.clone()];
                supervise::start_detached(host, &state.stack, keeper, &ids, &mut |report| {
                    failures.note(report);
                })?;
                failures.result()?;
            }
            let wanted = Wanted {
                input: args.interactive,
                signals: true,
                detach_keys: &args.detach_keys,
            };
            // Docker says nothing when it is left by keys.
            Ok(attach::connect(host, &state, &wanted)?.unwrap_or(0))
        }
    }
}
