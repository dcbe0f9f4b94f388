//! `coop stop`.

use std::collections::BTreeMap;

use anyhow::Result;
use coop_launcher::store::{ContainerId, StackName};

use crate::args::{StackArgs, StopArgs};
use crate::host::{Host, require_root};
use crate::load;
use crate::supervise;
use crate::ui::Progress;

/// `coop stop`.
pub(crate) fn stop(host: &Host, stack: &StackArgs, args: &StopArgs) -> Result<i32> {
    require_root("stop containers")?;
    let mut by_stack: BTreeMap<StackName, Vec<ContainerId>> = BTreeMap::new();
    let states = load::select(host, stack, &args.names)?;
    let mut progress = Progress::new();
    if args.names.is_empty() {
        let running = states.iter().filter(|state| state.init_alive());
        progress.stopping(running.map(|state| state.name.as_str()));
    }
    for state in states {
        by_stack.entry(state.stack).or_default().push(state.id);
    }
    for (stack, ids) in by_stack {
        supervise::stop(
            host,
            &stack,
            &ids,
            args.timeout.map(Into::into),
            &mut |report| {
                // Names are the answer, as Docker gives it; without names, compose's lines are.
                if args.names.is_empty() {
                    progress.report(report);
                }
            },
        )?;
    }
    super::print_names(&args.names)
}
