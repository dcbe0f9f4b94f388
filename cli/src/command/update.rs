//! `coop update`: other limits for containers that exist, running or not.
//!
//! Everything is checked before anything is changed; what the kernel then refuses leaves limits
//! and plan as they were.

mod change;

use anyhow::{Context, Result, bail};
use coop_cgroup::Limits;
use coop_launcher::store::{Event, State, Status};
use coop_launcher::supervisor::{Request, RestartPolicy};

use super::several::Several;
use crate::args::{StackArgs, UpdateArgs};
use crate::host::Host;
use crate::plan::ContainerPlan;
use crate::supervise;
use change::Change;

/// `coop update`.
pub(super) fn update(host: &Host, stack: &StackArgs, args: &UpdateArgs) -> Result<i32> {
    let change = Change::new(&args.limits, host.cgroups()?.version())?;
    let mut several = Several::find(host, stack, &args.names)?;
    several.each(|host, state| {
        update_one(host, state, &change, args).with_context(|| format!("update {}", state.name))
    });
    several.finish()
}

fn update_one(host: &Host, state: &State, change: &Change, args: &UpdateArgs) -> Result<()> {
    let lock = host.store.lock(&state.id)?;
    let state = host.store.load_state(&state.id)?;
    let mut plan: ContainerPlan = host.store.load_config(&state.id)?;
    if let Some(restart) = args.limits.restart {
        if plan.remove_at_exit && restart.0 != RestartPolicy::No {
            bail!(
                "a container that is removed when it ends (--rm) is not restarted\n  help: run it without --rm"
            );
        }
        plan.unit.restart = restart.0;
    }
    let before = plan.limits.clone();
    change.apply(&mut plan.limits);
    if let Err(error) = plan.limits.check() {
        return Err(change.explain(error));
    }
    if let Some((_, missing)) = host.cgroups()?.missing(&change.to_set(&plan.limits)).pop() {
        return Err(missing.into());
    }
    let live = Live::find(host, &state, &plan)?;
    if let Some(live) = &live {
        live.set(change, &before, &plan.limits)?;
    }
    let point = coop_launcher::fault::point("update", "plan").map_err(anyhow::Error::from_boxed);
    let saved = point.and_then(|()| Ok(host.store.save_config(&state.id, &plan)?));
    if let Err(error) = saved {
        if let Some(live) = &live {
            live.restore(change, &before);
        }
        return Err(error);
    }
    // A supervisor that is made for what follows would keep the lock as long as it lives.
    drop(lock);
    host.store.emit(&Event::of_container(&state, "update"));
    if args.limits.restart.is_some()
        && !matches!(state.current_status(), Status::Stopped | Status::Created)
    {
        let ids = vec![state.id.clone()];
        // One that has ended meanwhile is started from the new plan.
        supervise::request(host, &state.stack, &Request::Reload { ids }, &mut |_| ())?;
    }
    Ok(())
}

/// The cgroup of a container that runs.
struct Live<'a> {
    host: &'a Host,
    plan: &'a ContainerPlan,
    /// Where its first process may run: what a set that is not limited means.
    allowed: Allowed,
}

/// Processors and memory nodes, as `proc_pid_status(5)` lists them.
struct Allowed {
    cpus: Option<String>,
    mems: Option<String>,
}

impl<'a> Live<'a> {
    fn find(host: &'a Host, state: &State, plan: &'a ContainerPlan) -> Result<Option<Self>> {
        let Some(init) = state.live_init() else {
            return Ok(None);
        };
        let path = format!("/proc/{}/status", init.as_raw_nonzero());
        let status = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let field = |name: &str| {
            { status.lines() }
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(|value| value.trim().to_owned())
        };
        let allowed = Allowed {
            cpus: field("Cpus_allowed_list"),
            mems: field("Mems_allowed_list"),
        };
        Ok(Some(Self {
            host,
            plan,
            allowed,
        }))
    }

    /// Sets what is changed, or leaves everything as it was.
    fn set(&self, change: &Change, before: &Limits, after: &Limits) -> Result<()> {
        let mut cgroup = self.cgroup()?;
        if let Err(error) = cgroup.apply(&change.to_set(after)) {
            self.restore(change, before);
            return Err(error.into());
        }
        Ok(())
    }

    fn cgroup(&self) -> Result<coop_cgroup::Cgroup> {
        let cgroup = self.host.cgroup_of(self.plan)?;
        cgroup.context("it was started without a cgroup: none was delegated to its user")
    }

    /// Sets what was there before. What fails now failed for a reason that was told already.
    fn restore(&self, change: &Change, before: &Limits) {
        let before = change.to_restore(before, &self.allowed);
        let restored = self
            .cgroup()
            .and_then(|mut cgroup| Ok(cgroup.apply(&before)?));
        if let Err(error) = restored {
            log::warn!(
                "{}: not all limits are as they were: {error:#}",
                self.plan.unit.name
            );
        }
    }
}
