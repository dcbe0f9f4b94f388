//! `up` that is the stack's supervisor itself.

use std::collections::BTreeSet;

use anyhow::Result;
use coop_launcher::store::Lock;
use coop_launcher::supervisor::{Foreground, OnSignal, Supervisor};

use super::Look;
use super::attached::Attached;
use super::background::Brought;
use crate::supervise::{self, INTERRUPTED};
use crate::ui::{Progress, StackOutput};
use crate::wire::Wires;

/// Supervises the stack itself, shows its logs, and takes it down at ctrl-C.
pub(super) fn foreground(
    brought: &Brought<'_>,
    lock: Lock,
    progress: Progress,
    look: Look,
    silent: BTreeSet<String>,
    usage: bool,
) -> Result<i32> {
    let Brought { host, name, .. } = brought;
    let mut wires = Wires::new(host);
    if usage {
        wires = wires.with_usage();
    }
    let mut output = StackOutput::new(progress, look.style);
    let on_end = look.end.on_end();
    let mut shown = Attached::new(&mut output, silent, look.end);
    let foreground = Foreground::new(&mut shown, OnSignal::Stop)?.on_end(on_end);
    let mut supervisor =
        Supervisor::new(&host.store, &wires, name, lock)?.in_foreground(foreground)?;
    supervisor.start_containers(brought.ids)?;
    let outcome = supervisor.run()?;
    let code = shown.exit_code();
    let StackOutput {
        failures,
        mut progress,
        ..
    } = output;
    if usage {
        progress.close();
        crate::usage::print(&wires.usage())?;
    }
    if failures.in_set_up || outcome.interrupted {
        let all: Vec<_> = supervise::containers(host, name)?
            .into_iter()
            .map(|state| state.id)
            .collect();
        let ids = if outcome.interrupted {
            &all
        } else {
            brought.new
        };
        super::super::rm::stop_and_remove(host, name, ids, None, &mut progress)?;
    }
    drop(progress);
    failures.result()?;
    Ok(if outcome.interrupted {
        INTERRUPTED
    } else {
        code
    })
}
