//! `coop wait`: until containers have ended.

use std::ops::ControlFlow;

use anyhow::{Result, bail};
use coop_launcher::store::{State, Status};
use coop_launcher::supervisor::Report;

use crate::args::{StackArgs, WaitArgs};
use crate::host::Host;
use crate::{load, supervise};

/// `coop wait`: prints the exit status of each container in turn, a line each. An end is one
/// also when the restart policy starts the container again; one that has ended, or never run,
/// is not waited for.
pub(super) fn wait(host: &Host, stack: &StackArgs, args: &WaitArgs) -> Result<i32> {
    let mut exit_code = 0;
    for name in &args.names {
        let ended = load::resolve_all(host, stack, name).and_then(|states| {
            { states.iter() }
                .map(|state| end_of(host, state))
                .collect::<Result<Vec<_>>>()
        });
        match ended {
            Ok(codes) => codes
                .iter()
                .try_for_each(|code| crate::ui::print(&format!("{code}\n")))?,
            Err(error) => {
                crate::ui::error(&error);
                exit_code = 1;
            }
        }
    }
    Ok(exit_code)
}

fn end_of(host: &Host, state: &State) -> Result<i32> {
    let ids = std::slice::from_ref(&state.id);
    let mut code = None;
    supervise::watch(host, &state.stack, ids, &mut |report| match report {
        Report::Exited(ended) | Report::Restarting(ended) => {
            code = Some(ended.exit_code);
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    })?;
    let code = if let Some(code) = code {
        code
    } else {
        // It had ended before; or has just been removed.
        let state = host.store.load_state(&state.id)?;
        match state.current_status() {
            Status::Creating | Status::Created => Some(0),
            _ => state.exit_code,
        }
    };
    match code {
        Some(code) => Ok(code),
        None => bail!(
            "container {}: nobody saw how it ended\n  help: its supervisor was killed before",
            state.name
        ),
    }
}
