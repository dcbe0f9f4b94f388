//! `coop ps`: which containers there are.

mod entry;
mod filter;
mod ports;

use std::collections::BTreeSet;
use std::time::SystemTime;

use anyhow::Result;
use coop_launcher::store::{StackName, State, Status};

use crate::args::{Conditions, PsArgs, StackArgs};
use crate::host::Host;
use crate::load;
use crate::supervise;
use crate::ui::{lines, listing};
use entry::{Entry, Sizes};
use filter::Wanted;

pub(super) use entry::{Size, status_word};

/// `coop ps`: in Docker's shape, or, for a stack that was asked for by name or file, in
/// compose's.
pub(super) fn ps(host: &Host, stack: &StackArgs, args: &PsArgs) -> Result<i32> {
    // The names of services are asked of the stack that is here.
    let of_a_stack = stack.file.is_some() || stack.project.is_some() || args.services;
    if of_a_stack {
        mend_if_needed(host, &load::stack_name(stack)?)?;
    } else {
        mend_all(host)?;
    }
    let mut states = if of_a_stack || !args.names.is_empty() {
        load::select(host, stack, &args.names)?
    } else {
        host.store.list()?
    };
    // As Docker: the newest first.
    states.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.name.cmp(&b.name)));
    let last = match args.last {
        _ if args.latest => Some(1),
        number => usize::try_from(number).ok().filter(|number| *number > 0),
    };
    let filters = Conditions(&args.filters);
    let all = args.all || last.is_some() || filter::asks_for_ended(filters);
    let wanted = Wanted::new(host, stack, filters)?;
    let sizes = if args.size {
        Sizes::Measured
    } else {
        Sizes::Unknown
    };
    let now = SystemTime::now();
    let mut entries: Vec<_> = states
        .into_iter()
        .map(|state| Entry::new(host, state, now, sizes))
        .filter(|entry| (all || entry.is_live()) && wanted.is(entry))
        .take(last.unwrap_or(usize::MAX))
        .collect();
    if of_a_stack {
        entries.sort_by(|a, b| a.state.name.cmp(&b.state.name));
    }
    let shown = if args.services {
        let services = entries.iter().filter_map(|e| e.state.service.as_deref());
        lines(services.collect::<BTreeSet<_>>())
    } else if args.quiet {
        // Compose never cuts ids.
        let no_trunc = args.no_trunc || of_a_stack;
        lines(entries.iter().map(|entry| entry.id(no_trunc)))
    } else {
        let rows: Vec<_> = entries.iter().map(|e| e.row(args.no_trunc)).collect();
        let mut columns = if of_a_stack { COMPOSE } else { DOCKER }.to_vec();
        if args.size {
            columns.push(("SIZE", "Size"));
        }
        listing(&args.format, &columns, &rows)?
    };
    crate::ui::print(&shown)?;
    Ok(0)
}

const DOCKER: &[(&str, &str)] = &[
    ("CONTAINER ID", "ID"),
    ("IMAGE", "Image"),
    ("COMMAND", "Command"),
    ("CREATED", "RunningFor"),
    ("STATUS", "Status"),
    ("PORTS", "Ports"),
    ("NAMES", "Names"),
];

const COMPOSE: &[(&str, &str)] = &[
    ("NAME", "Names"),
    ("IMAGE", "Image"),
    ("COMMAND", "Command"),
    ("SERVICE", "Service"),
    ("CREATED", "RunningFor"),
    ("STATUS", "Status"),
    ("PORTS", "Ports"),
];

/// Puts right what killed supervisors and commands left: containers that run get a supervisor,
/// what ended is written down as ended, half-made things go.
pub(crate) fn mend_all(host: &Host) -> Result<()> {
    for stack in host.store.stacks()? {
        // One stack in trouble hides no other.
        if let Err(error) = mend_if_needed(host, &stack) {
            log::warn!("stack {stack}: {error:#}");
        }
    }
    let dirs = host.store.dirs();
    if dirs.containers().exists() || dirs.run.join("containers").exists() {
        supervise::orphaned_journals(host)?;
        for path in host.store.sweep()?.removed {
            log::info!("removed {}, which a killed process left", path.display());
        }
    }
    Ok(())
}

/// The same for one stack, which costs two looks at small files when nothing is wrong.
pub(super) fn mend_if_needed(host: &Host, stack: &StackName) -> Result<()> {
    if !rustix::process::geteuid().is_root() || host.store.supervisor(stack)?.is_some() {
        return Ok(());
    }
    let unfinished = |state: &State| state.status != Status::Stopped;
    if !host.store.dirs().stack_run(stack).exists()
        && !supervise::containers(host, stack)?.iter().any(unfinished)
    {
        return Ok(());
    }
    drop(supervise::keeper(host, stack)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::entry::tests::{entry, now};
    use super::*;
    use coop_launcher::store::Health;
    use std::time::Duration;

    fn entries() -> Vec<Entry> {
        let mut web = entry("shop-web-1", 'a', Status::Running);
        web.state.started = Some(now() - Duration::from_secs(200));
        web.state.health = Some(Health::Healthy);
        let mut job = entry("shop-job-1", 'b', Status::Stopped);
        job.state.command = vec!["sh".into(), "-c".into(), "echo a long line of words".into()];
        job.state.exit_code = Some(0);
        job.state.finished = Some(now() - Duration::from_secs(7300));
        vec![web, job, entry("shop-db-1", 'c', Status::Created)]
    }

    fn shown(format: &str, columns: &[(&str, &str)]) -> String {
        let rows: Vec<_> = entries().iter().map(|entry| entry.row(false)).collect();
        let text = listing(&format.parse().unwrap(), columns, &rows).unwrap();
        lines(text.lines().map(str::trim_end))
    }

    #[test]
    fn containers_are_listed_in_dockers_columns() {
        insta::assert_snapshot!(shown("table", DOCKER));
    }

    #[test]
    fn a_stack_is_listed_in_composes_columns() {
        insta::assert_snapshot!(shown("table", COMPOSE));
    }

    #[test]
    fn json_has_dockers_keys() {
        insta::assert_snapshot!(shown("json", DOCKER));
    }

    #[test]
    fn templates_have_dockers_keys_and_headings() {
        let format = "table {{.ID}}\\t{{.CreatedAt}}\\t{{.State}}\\t{{.Mounts}}\\t{{.LocalVolumes}}\\t{{.Label \"a\"}}\\t{{.Size}}";
        insta::assert_snapshot!(shown(format, DOCKER));
    }

    #[test]
    fn ids_are_short_unless_they_must_not_be() {
        let ids = |no_trunc| {
            entries()
                .iter()
                .map(|e| e.id(no_trunc).len())
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(false), [12, 12, 12]);
        assert_eq!(ids(true), [64, 64, 64]);
    }
}
