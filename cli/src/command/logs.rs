//! `coop logs`: what containers have written.

mod follow;
mod output;

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use anyhow::{Result, bail};
use coop_launcher::logs::{Logs, Printer, Selection, colours_wanted};
use coop_launcher::store::{ContainerId, ProcStat, State};

use crate::args::{LogsArgs, Moment, StackArgs, Tail};
use crate::host::Host;
use crate::load;
use crate::plan::ContainerPlan;
use crate::ui::{LogStyle, label};
pub(super) use follow::Companion;
use follow::Followed;
use output::Output;

/// `coop logs`. One container is shown as it wrote, each stream on its own; several, and
/// services, with their names before each line.
pub(super) fn logs(host: &Host, stack: &StackArgs, args: &LogsArgs) -> Result<i32> {
    let states = with_logs(host, load::select(host, stack, &args.names)?)?;
    let selection = Selection {
        since: args.since.map(Moment::get),
        until: args.until.map(Moment::get),
        tail: match args.tail {
            Tail::All => None,
            Tail::Lines(count) => Some(count),
        },
    };
    let mut logs = Logs::default();
    let mut output = if args.no_log_prefix || is_one_container(&args.names, &states) {
        plain(&states, args.timestamps)
    } else {
        prefixed(&states, args.timestamps, true)
    };
    for state in &states {
        logs.open(&host.store.dirs().container_log(&state.id), selection)?;
    }
    if args.follow {
        Followed::new(host, states)?.follow(&mut logs, &mut output, selection.until, &mut ())?;
    } else {
        while let Some((index, record)) = logs.next_record()? {
            output.print(index, &record)?;
        }
    }
    output.finish()?;
    Ok(0)
}

/// Shows what containers of a running stack write from now on, and those that this command has
/// started from their beginning, until they end; but nothing of the `silent` ones.
pub(super) fn follow_stack(
    host: &Host,
    ids: &[ContainerId],
    silent: &BTreeSet<String>,
    style: LogStyle,
    companion: &mut dyn Companion,
) -> Result<()> {
    let states: Vec<_> = { ids.iter() }
        .map(|id| host.store.load_state(id))
        .collect::<Result<_, _>>()?;
    let began = own_start();
    let mut output = if style.prefixes {
        prefixed(&states, false, style.colours)
    } else {
        plain(&states, false)
    };
    let mut logs = Logs::default();
    for state in &states {
        let ran_before = state.started.is_none_or(|started| started < began);
        let selection = Selection {
            // A container that was started again has the lines of its earlier runs before.
            since: Some(began),
            tail: ran_before.then_some(0),
            until: None,
        };
        logs.open(&host.store.dirs().container_log(&state.id), selection)?;
    }
    for (index, state) in states.iter().enumerate() {
        if silent.contains(state.name.as_str()) {
            output.silence(index);
        }
    }
    Followed::new(host, states)?.follow(&mut logs, &mut output, None, companion)?;
    output.finish()
}

/// The containers whose output is kept.
///
/// # Errors
/// When there are containers, but none of those.
fn with_logs(host: &Host, states: Vec<State>) -> Result<Vec<State>> {
    let (kept, others): (Vec<_>, Vec<_>) = states.into_iter().partition(|state| {
        // One whose plan is gone or damaged may still have a log.
        let plan = host.store.load_config::<ContainerPlan>(&state.id);
        plan.map_or(true, |plan| plan.unit.log.keep)
    });
    for state in &others {
        let message = format!(
            "{}: configured logging driver does not support reading\n  \
             help: its output is not kept: logging driver \"none\"",
            state.name
        );
        if kept.is_empty() {
            bail!(message);
        }
        log::warn!("{message}");
    }
    Ok(kept)
}

/// Whether the only name is a container's, not a service's.
fn is_one_container(names: &[String], states: &[State]) -> bool {
    matches!((names, states), ([name], [state]) if state.service.as_deref() != Some(name.as_str()))
}

fn plain(states: &[State], timestamps: bool) -> Output {
    Output::split([(); 2].map(|()| {
        let mut printer = dated(Printer::default(), timestamps);
        for _ in states {
            printer.add_plain();
        }
        printer
    }))
}

fn prefixed(states: &[State], timestamps: bool, colours: bool) -> Output {
    let mut printer = dated(Printer::default(), timestamps);
    if colours && colours_wanted(std::io::stdout()) {
        printer = printer.with_colours();
    }
    for state in states {
        let label = label(state.name.as_str(), state.stack.as_str());
        printer.add_prefixed(label, state.service.as_deref().unwrap_or(label));
    }
    Output::merged(printer)
}

fn dated(printer: Printer, timestamps: bool) -> Printer {
    if timestamps {
        printer.with_timestamps()
    } else {
        printer
    }
}

/// When this process was made; now, when that cannot be told.
fn own_start() -> SystemTime {
    let ticks_per_second = rustix::param::clock_ticks_per_second();
    let since_boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let age = || {
        let start = ProcStat::of(rustix::process::getpid()).ok()??.start_time;
        // Down to the tick: the start is never later than it was.
        let start =
            Duration::from_millis(start.saturating_mul(1000).checked_div(ticks_per_second)?);
        Duration::try_from(since_boot).ok()?.checked_sub(start)
    };
    let now = SystemTime::now();
    age().and_then(|age| now.checked_sub(age)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use coop_launcher::store::{Name, StackName};

    fn state(name: &str, service: Option<&str>) -> State {
        let name = Name::parse(name).unwrap();
        let stack = StackName::parse("shop").unwrap();
        let mut state = State::new(
            ContainerId::random().unwrap(),
            name,
            stack,
            "coop/host".into(),
        );
        state.service = service.map(str::to_owned);
        state
    }

    #[test]
    fn only_a_container_by_its_own_name_is_shown_bare() {
        let web = state("shop-web-1", Some("web"));
        assert!(is_one_container(
            &["shop-web-1".into()],
            std::slice::from_ref(&web)
        ));
        assert!(is_one_container(&["box".into()], &[state("box", None)]));
        assert!(!is_one_container(
            &["web".into()],
            std::slice::from_ref(&web)
        ));
        assert!(!is_one_container(&[], &[web]));
    }

    #[test]
    fn this_process_began_before_now() {
        let began = own_start();
        assert!(began <= SystemTime::now());
        assert!(began.elapsed().unwrap() < Duration::from_secs(24 * 3600));
    }
}
