//! `coop stats`: what containers use.

mod row;
mod sample;

use std::time::Duration;

use anyhow::Result;
use coop_launcher::store::State;
use rustix::time::Timespec;

use super::ps;
use crate::args::{Format, StackArgs, StatsArgs};
use crate::host::Host;
use crate::load;
use crate::ui::{Table, lines};
use row::Row;
pub(super) use row::Usage;
pub(super) use sample::Sampler;

/// Between two looks; over it the use of the processor is counted.
const INTERVAL: Duration = Duration::from_secs(1);

/// Before the first answer: long enough for a share of the processor, short enough to wait for.
const FIRST_INTERVAL: Duration = Duration::from_millis(250);

/// Home, and nothing below the cursor: what follows takes the last answer's place.
const REDRAW: &str = "\x1b[H\x1b[J";

/// `coop stats`.
pub(super) fn stats(host: &Host, stack: &StackArgs, args: &StatsArgs) -> Result<i32> {
    let wanted = Wanted { host, stack, args };
    let mut sampler = Sampler::new(host)?;
    sampler.sample(&wanted.states()?);
    sleep(FIRST_INTERVAL);
    let redraw = !args.no_stream
        && args.format == Format::Table
        && rustix::termios::isatty(std::io::stdout());
    if redraw {
        crate::ui::print("\x1b[2J")?;
    }
    loop {
        let states = wanted.states()?;
        let rows = sampler.sample(&states);
        let shown = render(&rows, &args.format, args.no_trunc);
        crate::ui::print(&if redraw {
            format!("{REDRAW}{shown}")
        } else {
            shown
        })?;
        let nothing_to_come = !args.names.is_empty() && rows.iter().all(|row| !row.runs());
        if args.no_stream || nothing_to_come {
            return Ok(0);
        }
        sleep(INTERVAL);
    }
}

/// Which containers are asked for. Others may come while we look.
struct Wanted<'a> {
    host: &'a Host,
    stack: &'a StackArgs,
    args: &'a StatsArgs,
}

impl Wanted<'_> {
    fn states(&self) -> Result<Vec<State>> {
        let Self { host, stack, args } = self;
        let of_a_stack = stack.file.is_some() || stack.project.is_some();
        if !args.names.is_empty() {
            return load::select(host, stack, &args.names);
        }
        let mut states = if of_a_stack {
            load::select(host, stack, &[])?
        } else {
            ps::mend_all(host)?;
            host.store.list()?
        };
        states.retain(|state| args.all || state.init_alive());
        Ok(states)
    }
}

fn sleep(time: Duration) {
    let request = Timespec {
        tv_sec: time.as_secs().cast_signed(),
        tv_nsec: time.subsec_nanos().into(),
    };
    // Woken early by a signal that did not end us: the answer comes sooner.
    let _ = rustix::thread::nanosleep(&request);
}

fn render(rows: &[Row], format: &Format, no_trunc: bool) -> String {
    if *format == Format::Json {
        return lines(rows.iter().map(Row::json));
    }
    let mut table = Table::new(&[
        "CONTAINER ID",
        "NAME",
        "CPU %",
        "MEM USAGE / LIMIT",
        "MEM %",
        "NET I/O",
        "BLOCK I/O",
        "PIDS",
    ]);
    for row in rows {
        table.row(&row.cells(no_trunc));
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::row::tests::{ended, running};
    use super::*;

    #[test]
    fn use_and_limits_are_shown_in_dockers_columns() {
        let shown = render(
            &[running("shop-web-1"), ended("shop-job-1")],
            &Format::Table,
            false,
        );
        let shown: Vec<_> = shown.lines().map(str::trim_end).collect();
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn json_has_dockers_keys() {
        insta::assert_snapshot!(render(
            &[running("shop-web-1"), ended("shop-job-1")],
            &Format::Json,
            false
        ));
    }
}
