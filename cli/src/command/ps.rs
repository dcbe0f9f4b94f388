//! `coop ps`: which containers there are.

mod entry;

use std::time::SystemTime;

use anyhow::Result;
use coop_launcher::store::{StackName, State, Status};

use crate::args::{Format, PsArgs, StackArgs};
use crate::host::Host;
use crate::load;
use crate::supervise;
use crate::ui::{Table, lines};
use entry::Entry;

pub(super) use entry::{published, status_word};

/// `coop ps`: in Docker's shape, or, for a stack that was asked for by name or file, in
/// compose's.
pub(super) fn ps(host: &Host, stack: &StackArgs, args: &PsArgs) -> Result<i32> {
    let of_a_stack = stack.file.is_some() || stack.project.is_some();
    if of_a_stack {
        mend_if_needed(host, &load::stack_name(stack)?)?;
    } else {
        mend_all(host)?;
    }
    let mut states = if of_a_stack || !args.names.is_empty() {
        load::select(host, stack, &args.names)?
    } else {
        // As Docker: the newest first.
        let mut all = host.store.list()?;
        all.reverse();
        all
    };
    if of_a_stack {
        states.sort_by(|a, b| a.name.cmp(&b.name));
    }
    let now = SystemTime::now();
    let entries: Vec<_> = states
        .into_iter()
        .map(|state| Entry::new(host, state, now))
        .filter(|entry| args.all || entry.is_live())
        .collect();
    let shape = match (&args.format, args.quiet) {
        (_, true) => Shape::Ids,
        (Format::Json | Format::Template(_) | Format::TableTemplate(_), false) => Shape::Json,
        (Format::Table, false) if of_a_stack => Shape::Compose,
        (Format::Table, false) => Shape::Docker,
    };
    // Compose never cuts ids.
    let no_trunc = args.no_trunc || (shape == Shape::Ids && of_a_stack);
    crate::ui::print(&render(&entries, shape, no_trunc))?;
    Ok(0)
}

/// How containers are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Docker,
    Compose,
    Ids,
    /// One object a line.
    Json,
}

fn render(entries: &[Entry], shape: Shape, no_trunc: bool) -> String {
    match shape {
        Shape::Ids => lines(entries.iter().map(|entry| entry.id(no_trunc))),
        Shape::Json => lines(entries.iter().map(Entry::json)),
        Shape::Docker => {
            let heading = [
                "CONTAINER ID",
                "IMAGE",
                "COMMAND",
                "CREATED",
                "STATUS",
                "PORTS",
                "NAMES",
            ];
            let mut table = Table::new(&heading);
            for entry in entries {
                table.row(&[
                    entry.id(no_trunc),
                    &entry.state.image,
                    &entry.command(no_trunc),
                    &entry.running_for(),
                    &entry.status(),
                    &entry.ports(),
                    entry.state.name.as_str(),
                ]);
            }
            table.to_string()
        }
        Shape::Compose => {
            let heading = [
                "NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS",
            ];
            let mut table = Table::new(&heading);
            for entry in entries {
                table.row(&[
                    entry.state.name.as_str(),
                    &entry.state.image,
                    &entry.command(no_trunc),
                    entry.state.service.as_deref().unwrap_or_default(),
                    &entry.running_for(),
                    &entry.status(),
                    &entry.ports(),
                ]);
            }
            table.to_string()
        }
    }
}

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

    fn shown(shape: Shape) -> String {
        lines(render(&entries(), shape, false).lines().map(str::trim_end))
    }

    #[test]
    fn containers_are_listed_in_dockers_columns() {
        insta::assert_snapshot!(shown(Shape::Docker));
    }

    #[test]
    fn a_stack_is_listed_in_composes_columns() {
        insta::assert_snapshot!(shown(Shape::Compose));
    }

    #[test]
    fn json_has_dockers_keys() {
        insta::assert_snapshot!(shown(Shape::Json));
    }

    #[test]
    fn ids_are_short_unless_they_must_not_be() {
        insta::assert_snapshot!(shown(Shape::Ids), @r"
        aaaaaaaaaaaa
        bbbbbbbbbbbb
        cccccccccccc
        ");
        assert_eq!(
            render(&entries(), Shape::Ids, true)
                .lines()
                .next()
                .map(str::len),
            Some(64)
        );
    }
}
