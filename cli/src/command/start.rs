//! `coop start`: stopped containers again, from their saved plans.

use std::collections::BTreeMap;

use anyhow::Result;
use coop_launcher::store::{ContainerId, StackName};

use super::up::Failures;
use crate::args::{StackArgs, StartArgs};
use crate::host::{Host, require_root};
use crate::load;
use crate::supervise;

/// `coop start`.
pub(crate) fn start(host: &Host, stack: &StackArgs, args: &StartArgs) -> Result<i32> {
    require_root("start containers")?;
    let mut by_stack: BTreeMap<StackName, Vec<(ContainerId, String)>> = BTreeMap::new();
    for state in load::select(host, stack, &args.names)? {
        by_stack
            .entry(state.stack)
            .or_default()
            .push((state.id, state.name.to_string()));
    }
    let mut failures = Failures::default();
    for (stack, containers) in by_stack {
        let keeper = supervise::keeper(host, &stack)?;
        let ids: Vec<_> = containers
            .iter()
            .map(|(id, _)| id.clone())
            .filter(|id| {
                host.store
                    .load_state(id)
                    .is_ok_and(|state| !state.init_alive())
            })
            .collect();
        if !ids.is_empty() {
            supervise::start_detached(host, &stack, keeper, &ids, &mut |report| {
                failures.note(report);
            })?;
        }
    }
    failures.result()?;
    super::print_names(&args.names)
}
