//! `coop create`: a container that is started later.

use anyhow::Result;

use crate::args::RunArgs;
use crate::host::Host;
use crate::{name, plan, realize, single, supervise};

/// `coop create`: prints the id of a container that waits for `coop start`. Its ports are only
/// tried at its start, as Docker's are.
pub(super) fn create(host: &Host, args: &RunArgs) -> Result<i32> {
    let not_for_create = [
        ("--detach", args.detach),
        ("--usage", args.usage),
        ("--seccomp-record", args.isolation.seccomp_record.is_some()),
    ];
    if let Some((flag, _)) = not_for_create.iter().find(|(_, given)| *given) {
        anyhow::bail!(
            "{flag} is not for create: nothing runs yet\n  help: remove it; `coop start` starts the container in the background"
        );
    }
    let (stack, service, options) = single::from_args(args)?;
    let (name, vacancy) = name::take(host, args.name.as_deref())?;
    let variables = std::env::vars().collect();
    let name_of_stack = vacancy.stack().clone();
    let plan = plan::plan_single(
        host,
        &stack,
        &service,
        &options,
        &variables,
        name,
        &name_of_stack,
    )?;
    for made in realize::realize(host, plan)? {
        let id = &made.unit.id;
        let mut state = host.store.load_state(id)?;
        state.wait_for_start();
        host.store.save_state(&state)?;
        host.store.sync(id)?;
        crate::ui::print(&format!("{id}\n"))?;
    }
    drop(vacancy);
    // What was on record while it was made is settled: nothing of the stack runs.
    drop(supervise::keeper(host, &name_of_stack)?);
    Ok(0)
}
