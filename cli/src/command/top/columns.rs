//! The columns of ps(1): their names, headings and cells.

use std::time::{Duration, SystemTime};

use anyhow::{Result, bail};
use coop_launcher::store::time;

use super::process::{Machine, Process};

/// One column of the list.
pub(super) struct Column {
    pub(super) heading: String,
    pub(super) cell: Cell,
}

type Cell = fn(&Process, &Machine) -> String;

/// Columns as `-o` lists them: names with commas or blanks between, the last of a list with a
/// heading of its own (`pid,user=WHO`).
pub(super) fn parse(list: &str) -> Result<Vec<Column>> {
    let mut columns = Vec::new();
    for word in list.split([',', ' ']).filter(|word| !word.is_empty()) {
        let (name, heading) = match word.split_once('=') {
            Some((name, heading)) => (name, Some(heading)),
            None => (word, None),
        };
        let Some((known, cell)) = column(name) else {
            bail!(
                "ps option -o: no such column: {name}\n  help: there are {}",
                KNOWN.join(", ")
            );
        };
        let heading = heading.unwrap_or(known).to_owned();
        columns.push(Column { heading, cell });
    }
    if columns.is_empty() {
        bail!(
            "ps option -o: no columns are given\n  help: write names with commas, such as pid,args"
        );
    }
    Ok(columns)
}

/// For the message; each has aliases as ps has them.
const KNOWN: &[&str] = &[
    "args", "c", "cgroup", "cmd", "comm", "egroup", "etime", "etimes", "euser", "gid", "group",
    "lstart", "ni", "nlwp", "pcpu", "pgid", "pid", "pmem", "ppid", "pri", "psr", "rgroup", "rss",
    "ruser", "s", "sid", "start", "stat", "stime", "time", "times", "tty", "ucmd", "uid", "user",
    "vsz", "wchan",
];

/// A column's heading and cells. See "STANDARD FORMAT SPECIFIERS" of ps(1).
fn column(name: &str) -> Option<(&'static str, Cell)> {
    Some(match name {
        "pid" | "tgid" => ("PID", |p, _| p.pid.to_string()),
        "ppid" => ("PPID", |p, _| p.ppid.to_string()),
        "pgid" | "pgrp" => ("PGID", |p, _| p.pgrp.to_string()),
        "sid" | "sess" | "session" => ("SID", |p, _| p.session.to_string()),
        "uid" | "euid" => ("UID", |p, _| p.uids.1.to_string()),
        "ruid" => ("RUID", |p, _| p.uids.0.to_string()),
        "gid" | "egid" => ("GID", |p, _| p.gids.1.to_string()),
        "rgid" => ("RGID", |p, _| p.gids.0.to_string()),
        "user" | "uname" => ("USER", |p, m| m.user(p.uids.1)),
        "euser" => ("EUSER", |p, m| m.user(p.uids.1)),
        "ruser" => ("RUSER", |p, m| m.user(p.uids.0)),
        "group" => ("GROUP", |p, m| m.group(p.gids.1)),
        "egroup" => ("EGROUP", |p, m| m.group(p.gids.1)),
        "rgroup" => ("RGROUP", |p, m| m.group(p.gids.0)),
        "comm" => ("COMMAND", |p, _| p.comm.clone()),
        "ucmd" => ("CMD", |p, _| p.comm.clone()),
        "ucomm" => ("COMMAND", |p, _| p.comm.clone()),
        "args" | "command" => ("COMMAND", |p, _| p.command()),
        "cmd" => ("CMD", |p, _| p.command()),
        "c" => ("C", |p, m| {
            format!("{:.0}", p.cpu_share(m).floor().min(99.0))
        }),
        "pcpu" | "%cpu" => ("%CPU", |p, m| format!("{:.1}", p.cpu_share(m))),
        "pmem" | "%mem" => ("%MEM", memory_share),
        "rss" | "rssize" | "rsz" => ("RSS", |p, m| p.resident(m).to_string()),
        "vsz" | "vsize" => ("VSZ", |p, _| p.virtual_size().to_string()),
        "s" | "state" => ("S", |p, _| p.state.to_string()),
        "stat" => ("STAT", |p, _| stat(p)),
        "tty" | "tname" => ("TTY", |p, _| p.terminal()),
        "tt" => ("TT", |p, _| p.terminal()),
        "time" | "cputime" => ("TIME", |p, m| clock(p.cpu_time(m))),
        "times" | "cputimes" => ("TIME", |p, m| p.cpu_time(m).as_secs().to_string()),
        "bsdtime" => ("TIME", |p, m| minutes(p.cpu_time(m))),
        "stime" => ("STIME", |p, m| started(p.started(m), SystemTime::now())),
        "start_time" | "bsdstart" => ("START", |p, m| started(p.started(m), SystemTime::now())),
        "start" => ("STARTED", |p, m| {
            time::format(p.started(m))[11..19].to_owned()
        }),
        "lstart" => ("STARTED", |p, m| crate::ui::timestamp(p.started(m))),
        "etime" => ("ELAPSED", |p, m| elapsed(p.elapsed(m))),
        "etimes" => ("ELAPSED", |p, m| p.elapsed(m).as_secs().to_string()),
        "ni" | "nice" => ("NI", |p, _| p.nice.to_string()),
        // As ps counts it: higher is sooner.
        "pri" => ("PRI", |p, _| (39 - p.priority).to_string()),
        "nlwp" | "thcount" => ("NLWP", |p, _| p.threads.to_string()),
        "psr" => ("PSR", |p, _| p.processor.to_string()),
        "wchan" => ("WCHAN", |p, _| p.waits_in()),
        "cgroup" => ("CGROUP", |p, _| p.cgroup()),
        _ => return None,
    })
}

fn memory_share(process: &Process, machine: &Machine) -> String {
    let share = match machine.memory {
        0 => 0.0,
        all => process.resident(machine) as f64 * 100.0 / all as f64,
    };
    format!("{share:.1}")
}

/// The state with its marks: see "PROCESS STATE CODES" of ps(1).
fn stat(process: &Process) -> String {
    let marks = [
        (process.nice < 0, '<'),
        (process.nice > 0, 'N'),
        (process.locked, 'L'),
        (process.session == process.pid, 's'),
        (process.threads > 1, 'l'),
        (
            i64::from(process.foreground_group) == i64::from(process.pgrp),
            '+',
        ),
    ];
    let marks = marks
        .into_iter()
        .filter_map(|(set, mark)| set.then_some(mark));
    std::iter::once(process.state).chain(marks).collect()
}

/// `[DD-]HH:MM:SS`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let rest = format!("{hours:02}:{:02}:{:02}", seconds / 60 % 60, seconds % 60);
    if days > 0 {
        format!("{days:02}-{rest}")
    } else {
        rest
    }
}

/// `[[DD-]HH:]MM:SS`.
fn elapsed(time: Duration) -> String {
    let clock = clock(time);
    match clock.strip_prefix("00:") {
        Some(short) if time.as_secs() < 3600 => short.to_owned(),
        _ => clock,
    }
}

/// `M:SS`.
fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// The time of today, else the day, else the year; in UTC, as everywhere here.
fn started(at: SystemTime, now: SystemTime) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    // YYYY-MM-DDTHH:MM...
    let (at, now) = (time::format(at), time::format(now));
    if at[..10] == now[..10] {
        return at[11..16].to_owned();
    }
    if at[..4] != now[..4] {
        return at[..4].to_owned();
    }
    let month = at[5..7].parse::<usize>().unwrap_or(1);
    format!("{}{}", MONTHS[(month - 1) % 12], &at[8..10])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_that_is_named_in_the_message_is_there() {
        for name in KNOWN {
            assert!(column(name).is_some(), "{name}");
        }
    }

    #[test]
    fn times_are_written_as_ps_does() {
        let seconds = |s| Duration::from_secs(s);
        assert_eq!(clock(seconds(59)), "00:00:59");
        assert_eq!(clock(seconds(90_061)), "01-01:01:01");
        assert_eq!(elapsed(seconds(61)), "01:01");
        assert_eq!(elapsed(seconds(3_661)), "01:01:01");
        assert_eq!(elapsed(seconds(86_400)), "01-00:00:00");
        assert_eq!(minutes(seconds(754)), "12:34");
        let now = time::parse("2024-05-02T12:00:00Z").unwrap();
        let at = |text: &str| started(time::parse(text).unwrap(), now);
        assert_eq!(at("2024-05-02T08:09:10Z"), "08:09");
        assert_eq!(at("2024-05-01T23:59:59Z"), "May01");
        assert_eq!(at("2023-12-31T23:59:59Z"), "2023");
    }

    #[test]
    fn a_state_has_its_marks() {
        let process = Process {
            pid: 7,
            pgrp: 7,
            session: 7,
            foreground_group: 7,
            state: 'S',
            nice: -1,
            threads: 2,
            ..Process::default()
        };
        assert_eq!(stat(&process), "S<sl+");
    }
}
