//! `coop up`: from the stack file to running containers.

mod attached;
mod background;
mod change;
mod end;
mod follow;
mod foreground;
mod resources;
mod wait;

use anyhow::{Result, bail};
use coop_launcher::store::{ContainerId, StackName, State};
use coop_launcher::supervisor::{Report, UnitSpec};

use self::background::Brought;
use self::change::{Change, Todo};
use self::resources::Missing;
use crate::args::{StackArgs, UpArgs};
use crate::host::Host;
use crate::load::Loaded;
use crate::networks::Partitions;
use crate::plan::ContainerPlan;
use crate::supervise::{self, INTERRUPTED, Interrupts, Keeper};
use crate::ui::{LogStyle, Progress};
use crate::{ports, realize};

/// `coop up`.
pub(crate) fn up(host: &Host, stack: &StackArgs, args: &UpArgs) -> Result<i32> {
    let mut loaded = Loaded::read(stack)?;
    loaded.scale(&args.scale)?;
    if let Some(service) = &args.exit_code_from
        && !loaded.stack.services.contains_key(service)
    {
        bail!("no such service: {service}\n  help: `coop config --services` lists them");
    }
    let order = if args.no_deps {
        loaded.order_alone(&args.services)?
    } else {
        loaded.order(&args.services)?
    };
    let name = loaded.name()?;
    let mut progress = Progress::new();
    if args.no_color {
        progress = progress.without_colours();
    }

    drop(supervise::keeper(host, &name)?);
    let mut existing = supervise::containers(host, &name)?;
    orphans(host, &loaded, &name, &mut existing, args, &mut progress)?;
    let change = Change {
        host,
        loaded: &loaded,
        order: &order,
        args,
    };
    let partitions = Partitions::find(host)?;
    change.remove_surplus(&mut existing, &mut progress)?;
    let replaced = change.remove_outdated(&mut existing, &mut progress)?;

    let keeper = supervise::keeper(host, &name)?;
    let Todo { plan, to_start } = change.todo(&existing, &replaced)?;
    if !args.no_start {
        loaded.explain(ports::check(host, &loaded.stack, &plan))?;
    }
    let missing = Missing::find(host, &plan)?;
    let made = realize::realize(host, plan)?;
    partitions.restore(host)?;
    missing.tell(&mut progress);
    let new: Vec<_> = made.iter().map(|plan| plan.unit.id.clone()).collect();
    let brought = Brought {
        host,
        name: &name,
        new: &new,
        ids: &to_start,
    };
    if args.no_start {
        brought.leave_waiting(keeper, &mut progress)?;
        return Ok(0);
    }
    let units = units(host, &to_start)?;
    progress.starting(&units);
    let look = Look {
        style: LogStyle {
            colours: !args.no_color,
            prefixes: !args.no_log_prefix,
        },
        end: end::ExitCode::of(args.on_end(), args.exit_code_from.clone()),
    };
    match keeper {
        Keeper::Nobody(vacancy) if !args.in_background() => {
            let silent = attached::silent(host, &units, args);
            foreground::foreground(
                &brought,
                vacancy.take()?,
                progress,
                look,
                silent,
                args.usage,
            )
        }
        keeper => {
            let interrupts = Interrupts::new()?;
            if let Some(code) = brought.in_background(keeper, &mut progress, &interrupts)? {
                return Ok(code);
            }
            let all = of_order(host, &name, &order)?;
            if args.wait && !wait::wait(host, &all, args.wait_timeout(), &interrupts)? {
                return Ok(INTERRUPTED);
            }
            if args.in_background() {
                return Ok(0);
            }
            progress.close();
            let silent = attached::silent(host, &self::units(host, &all)?, args);
            follow::follow(host, &name, &all, &silent, look, interrupts)
        }
    }
}

/// What the user wants to see, and to be told at the end.
struct Look {
    style: LogStyle,
    end: end::ExitCode,
}

/// The containers of these services.
fn of_order(host: &Host, stack: &StackName, order: &[String]) -> Result<Vec<ContainerId>> {
    let states = supervise::containers(host, stack)?.into_iter();
    Ok(states
        .filter(|state| { state.service.as_ref() }.is_some_and(|name| order.contains(name)))
        .map(|state| state.id)
        .collect())
}

/// What a supervisor has to know of these containers.
fn units(host: &Host, ids: &[ContainerId]) -> Result<Vec<UnitSpec>> {
    ids.iter()
        .map(|id| Ok(host.store.load_config::<ContainerPlan>(id)?.unit))
        .collect()
}

/// Containers of services that the file no longer has.
fn orphans(
    host: &Host,
    loaded: &Loaded,
    name: &StackName,
    existing: &mut Vec<State>,
    args: &UpArgs,
    progress: &mut Progress,
) -> Result<()> {
    let is_orphan = |state: &State| {
        state
            .service
            .as_ref()
            .is_some_and(|service| !loaded.stack.services.contains_key(service))
    };
    let orphans: Vec<_> = existing
        .iter()
        .filter(|state| is_orphan(state))
        .cloned()
        .collect();
    if orphans.is_empty() {
        return Ok(());
    }
    if args.remove_orphans {
        let ids: Vec<_> = orphans.iter().map(|state| state.id.clone()).collect();
        super::rm::stop_and_remove(host, name, &ids, args.timeout(), progress)?;
        existing.retain(|state| !is_orphan(state));
    } else {
        let names: Vec<_> = orphans.iter().map(|state| state.name.as_str()).collect();
        log::warn!(
            "found orphan containers ({}) of this stack: remove them with --remove-orphans",
            names.join(", ")
        );
    }
    Ok(())
}

/// What could not be started.
#[derive(Default)]
pub(crate) struct Failures {
    messages: Vec<String>,
    /// The exit status of the first one.
    pub(crate) exit_code: Option<i32>,
    /// Whether one could not even be set up, as opposed to waiting for another in vain.
    pub(crate) in_set_up: bool,
}

impl Failures {
    pub(crate) fn note(&mut self, report: &Report) {
        if let Report::Failed {
            name,
            error,
            exit_code,
            ..
        } = report
        {
            self.messages.push(format!("{name}: {error}"));
            self.exit_code.get_or_insert(*exit_code);
            self.in_set_up |= *exit_code >= 125;
        }
    }

    pub(crate) fn result(&self) -> Result<()> {
        if self.messages.is_empty() {
            return Ok(());
        }
        bail!("{}", self.messages.join("\n"))
    }
}
