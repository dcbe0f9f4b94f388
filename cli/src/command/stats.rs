//! `coop stats`: what containers use.

mod pressure;
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
use crate::ui::listing;
use row::Row;
pub(super) use row::Usage;
pub(super) use sample::Sampler;

/// Between two looks; over it the use of the processor is counted.
const INTERVAL: Duration = Duration::from_secs(1);

/// Before the first answer: long enough for a share of the processor, short enough to wait for.
const FIRST_INTERVAL: Duration = Duration::from_millis(250);

/// Docker's columns.
const COLUMNS: [(&str, &str); 8] = [
    ("CONTAINER ID", "ID"),
    ("NAME", "Name"),
    ("CPU %", "CPUPerc"),
    ("MEM USAGE / LIMIT", "MemUsage"),
    ("MEM %", "MemPerc"),
    ("NET I/O", "NetIO"),
    ("BLOCK I/O", "BlockIO"),
    ("PIDS", "PIDs"),
];

/// `coop stats`.
pub(super) fn stats(host: &Host, stack: &StackArgs, args: &StatsArgs) -> Result<i32> {
    let wanted = Wanted { host, stack, args };
    let mut sampler = Sampler::new(host)?;
    sampler.sample(&wanted.states()?);
    sleep(FIRST_INTERVAL);
    let redraw = !args.no_stream
        && matches!(args.format, Format::Table | Format::TableTemplate(_))
        && rustix::termios::isatty(std::io::stdout());
    if redraw {
        crate::ui::print("\x1b[2J")?;
    }
    loop {
        let states = wanted.states()?;
        let rows = sampler.sample(&states);
        let shown = render(&rows, &args.format, args.no_trunc)?;
        crate::ui::print(&if redraw { in_place(&shown) } else { shown })?;
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

/// In the place of the last answer, by one write and without a moment of an empty screen: each
/// line is cleared behind its text, and the screen below the last one. Nothing has to be put
/// right when a signal ends us: the cursor stands below, as after any other list.
fn in_place(shown: &str) -> String {
    let home = "\x1b[H";
    let cleared = shown.replace('\n', "\x1b[K\n");
    format!("{home}{cleared}\x1b[J")
}

fn render(rows: &[Row], format: &Format, no_trunc: bool) -> Result<String> {
    let rows: Vec<_> = rows.iter().map(|row| row.json(no_trunc)).collect();
    listing(format, &COLUMNS, &rows)
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
        )
        .unwrap();
        let shown: Vec<_> = shown.lines().map(str::trim_end).collect();
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn json_has_dockers_keys() {
        let rows = [running("shop-web-1"), ended("shop-job-1")];
        insta::assert_snapshot!(render(&rows, &Format::Json, false).unwrap());
    }

    #[test]
    fn templates_have_dockers_keys_and_headings() {
        let format = "table {{.Container}}\\t{{.CPUPerc}}\\t{{.PIDs}}"
            .parse()
            .unwrap();
        let shown = render(&[running("shop-web-1")], &format, false).unwrap();
        assert_eq!(
            shown,
            "CONTAINER      CPU %     PIDS\naaaaaaaaaaaa   12.35%    2\n"
        );
    }

    #[test]
    fn an_answer_takes_the_place_of_the_last_one() {
        assert_eq!(in_place("A\nb\n"), "\x1b[HA\x1b[K\nb\x1b[K\n\x1b[J");
    }
}
