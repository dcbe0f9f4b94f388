//! `coop up`: from the stack file to running containers.

mod attached;
mod change;
mod wait;

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use coop_launcher::store::{ContainerId, Lock, StackName, State};
use coop_launcher::supervisor::{Foreground, OnSignal, Report, Supervisor, UnitSpec};

use self::attached::Attached;
use self::change::{Change, Todo};
use crate::args::{StackArgs, UpArgs};
use crate::host::{Host, require_root};
use crate::load::Loaded;
use crate::plan::ContainerPlan;
use crate::supervise::{self, Keeper};
use crate::ui::{LogStyle, Progress, StackOutput};
use crate::wire::Wires;
use crate::{ports, realize};

/// `coop up`.
pub(crate) fn up(host: &Host, stack: &StackArgs, args: &UpArgs) -> Result<i32> {
    require_root("bring a stack up")?;
    let mut loaded = Loaded::read(stack)?;
    loaded.scale(&args.scale)?;
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
    change.remove_surplus(&mut existing, &mut progress)?;
    let replaced = change.remove_outdated(&mut existing, &mut progress)?;

    let keeper = supervise::keeper(host, &name)?;
    let Todo {
        plan,
        kept,
        to_start,
    } = change.todo(&existing, &replaced)?;
    loaded.explain(ports::check(host, &loaded.stack, &plan))?;
    let made = realize::realize(host, plan, &kept)?;
    let new: Vec<_> = made.iter().map(|plan| plan.unit.id.clone()).collect();
    let started = Brought {
        host,
        name: &name,
        new: &new,
    };
    let style = LogStyle {
        colours: !args.no_color,
        prefixes: !args.no_log_prefix,
    };
    let units = units(host, &to_start)?;
    progress.starting(&units);
    match keeper {
        Keeper::Nobody(vacancy) if !args.in_background() => {
            let output = StackOutput::new(progress, style);
            let silent = attached::silent(host, &units, args);
            foreground(
                &started,
                vacancy.take()?,
                &to_start,
                output,
                silent,
                args.usage,
            )
        }
        keeper => {
            started.in_background(keeper, &to_start, &mut progress)?;
            if args.wait {
                wait::wait(host, &of_order(host, &name, &order)?, args.wait_timeout())?;
            }
            if args.in_background() {
                Ok(0)
            } else {
                progress.close();
                super::logs::follow_stack(host, &name, style)
            }
        }
    }
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

/// What this command has made, to be taken back when it fails.
struct Brought<'a> {
    host: &'a Host,
    name: &'a StackName,
    new: &'a [ContainerId],
}

impl Brought<'_> {
    fn in_background(
        &self,
        keeper: Keeper<'_>,
        ids: &[ContainerId],
        progress: &mut Progress,
    ) -> Result<()> {
        let mut failures = Failures::default();
        if !ids.is_empty() {
            supervise::start_detached(self.host, self.name, keeper, ids, &mut |report| {
                progress.report(report);
                failures.note(report);
            })?;
        }
        if failures.in_set_up {
            self.take_back(progress);
        }
        failures.result()
    }

    fn take_back(&self, progress: &mut Progress) {
        if let Err(error) =
            super::rm::stop_and_remove(self.host, self.name, self.new, None, progress)
        {
            log::warn!("take down what was brought up: {error:#}");
        }
    }
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

/// Supervises the stack itself, shows its logs, and takes it down at ctrl-C.
fn foreground(
    brought: &Brought<'_>,
    lock: Lock,
    ids: &[ContainerId],
    mut output: StackOutput,
    silent: BTreeSet<String>,
    usage: bool,
) -> Result<i32> {
    let Brought { host, name, .. } = brought;
    let mut wires = Wires::new(host);
    if usage {
        wires = wires.with_usage();
    }
    let mut shown = Attached::new(&mut output, silent);
    let foreground = Foreground::new(&mut shown, OnSignal::Stop)?;
    let mut supervisor =
        Supervisor::new(&host.store, &wires, name, lock)?.in_foreground(foreground)?;
    supervisor.start_containers(ids)?;
    let outcome = supervisor.run()?;
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
        super::rm::stop_and_remove(host, name, ids, None, &mut progress)?;
    }
    drop(progress);
    failures.result()?;
    Ok(if outcome.interrupted { 130 } else { 0 })
}
