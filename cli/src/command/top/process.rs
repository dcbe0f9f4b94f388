//! One process, as /proc shows it: `proc_pid_stat(5)`, `proc_pid_status(5)`.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use coop_launcher::store::State;
use coop_ns::{Handle, Namespace};
use rustix::process::Pid;

use crate::plan::ContainerPlan;

/// The processes of a container that has no cgroup: those of its pid namespace.
///
/// # Errors
/// When it shares the namespace of others, from whom nothing tells its own.
pub(super) fn in_pid_namespace_of(state: &State, plan: &ContainerPlan) -> Result<Vec<Pid>> {
    if !plan.namespaces.contains(coop_ns::Namespaces::PID) {
        bail!(
            "{}: it has neither a cgroup nor a pid namespace of its own",
            state.name
        );
    }
    let init = state.live_init().context("it has ended")?;
    let namespace = |pid| Handle::open(pid, Namespace::Pid);
    let own = namespace(crate::rootless::reachable(init))?;
    let entries = std::fs::read_dir("/proc").context("list /proc")?.flatten();
    let mut pids: Vec<Pid> = entries
        .filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
        // Others' namespaces may not be looked at, and are others.
        .filter(|pid| namespace(*pid).is_ok_and(|it| it.same_as(&own)))
        .collect();
    pids.sort_by_key(|pid| pid.as_raw_nonzero());
    Ok(pids)
}

/// What is the same for all processes.
pub(super) struct Machine {
    /// When it was started.
    boot: SystemTime,
    /// Since then.
    uptime: Duration,
    /// Clock ticks a second.
    ticks: u64,
    pub(super) page_size: u64,
    /// Of all of it.
    pub(super) memory: u64,
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Machine {
    pub(super) fn look() -> Result<Self> {
        let uptime = std::fs::read_to_string("/proc/uptime").context("read /proc/uptime")?;
        let uptime = { uptime.split_whitespace().next() }
            .and_then(|seconds| seconds.parse().ok())
            .map(Duration::from_secs_f64)
            .context("/proc/uptime is not as expected")?;
        let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        Ok(Self {
            boot: SystemTime::now() - uptime,
            uptime,
            ticks: rustix::param::clock_ticks_per_second().max(1),
            page_size: rustix::param::page_size() as u64,
            memory: field(&memory, "MemTotal").and_then(kilobytes).unwrap_or(0),
            users: names("/etc/passwd"),
            groups: names("/etc/group"),
        })
    }

    /// The user's name on the host, or the number: a container's users mostly have none.
    pub(super) fn user(&self, id: u32) -> String {
        self.users
            .get(&id)
            .cloned()
            .unwrap_or_else(|| id.to_string())
    }

    pub(super) fn group(&self, id: u32) -> String {
        self.groups
            .get(&id)
            .cloned()
            .unwrap_or_else(|| id.to_string())
    }

    pub(super) fn span(&self, ticks: u64) -> Duration {
        Duration::from_millis(ticks.saturating_mul(1000) / self.ticks)
    }
}

/// Lines `name:password:id:...`.
fn names(path: &str) -> HashMap<u32, String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some((fields.nth(1)?.parse().ok()?, name))
    };
    // The first of several names is the one that counts.
    text.lines().rev().filter_map(entry).collect()
}

fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    { text.lines() }
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

fn kilobytes(text: &str) -> Option<u64> {
    text.strip_suffix("kB")?.trim().parse::<u64>().ok()
}

/// A field of `/proc/PID/stat` by its number, of those behind the name: the first is field 3.
fn number<T: std::str::FromStr>(fields: &[&str], number: usize) -> Option<T> {
    fields.get(number - 3)?.parse().ok()
}

/// See the module. Sizes are in kilobytes, as ps has them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Process {
    pub(super) pid: u32,
    /// The program's own name for itself, at most fifteen bytes.
    pub(super) comm: String,
    /// The command line; empty for one that has ended and not been reaped.
    pub(super) args: String,
    pub(super) state: char,
    pub(super) ppid: u32,
    pub(super) pgrp: u32,
    pub(super) session: u32,
    pub(super) tty: u32,
    pub(super) foreground_group: i32,
    pub(super) cpu_ticks: u64,
    pub(super) priority: i64,
    pub(super) nice: i64,
    pub(super) threads: u64,
    pub(super) start_ticks: u64,
    pub(super) vsize: u64,
    pub(super) rss_pages: u64,
    pub(super) processor: u64,
    /// Real and effective.
    pub(super) uids: (u32, u32),
    pub(super) gids: (u32, u32),
    /// Whether pages of it are locked into memory.
    pub(super) locked: bool,
}

impl Process {
    /// `None` when there is no such process any more.
    pub(super) fn read(pid: Pid) -> Option<Self> {
        let dir = format!("/proc/{}", pid.as_raw_nonzero());
        let read = |file: &str| std::fs::read(format!("{dir}/{file}")).ok();
        let stat = String::from_utf8_lossy(&read("stat")?).into_owned();
        let status = String::from_utf8_lossy(&read("status")?).into_owned();
        let args = read("cmdline").unwrap_or_default();
        Self::parse(&stat, &status, &args)
    }

    pub(crate) fn parse(stat: &str, status: &str, args: &[u8]) -> Option<Self> {
        // The name is in brackets, and the program chooses it: the last bracket ends it.
        let (pid, rest) = stat.split_once(" (")?;
        let (comm, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<_> = rest.split_whitespace().collect();
        let ids = |name: &str| -> Option<(u32, u32)> {
            let mut ids = field(status, name)?.split_whitespace();
            Some((ids.next()?.parse().ok()?, ids.next()?.parse().ok()?))
        };
        let args: Vec<_> = { args.split(|&byte| byte == 0) }
            .map(String::from_utf8_lossy)
            .collect();
        Some(Self {
            pid: pid.parse().ok()?,
            comm: comm.to_owned(),
            args: args.join(" ").trim_end().to_owned(),
            state: fields.first()?.chars().next()?,
            ppid: number(&fields, 4)?,
            pgrp: number(&fields, 5)?,
            session: number(&fields, 6)?,
            tty: number::<i32>(&fields, 7)? as u32,
            foreground_group: number(&fields, 8)?,
            cpu_ticks: number::<u64>(&fields, 14)?.saturating_add(number(&fields, 15)?),
            priority: number(&fields, 18)?,
            nice: number(&fields, 19)?,
            threads: number(&fields, 20)?,
            start_ticks: number(&fields, 22)?,
            vsize: number(&fields, 23)?,
            rss_pages: number(&fields, 24)?,
            processor: number(&fields, 39)?,
            uids: ids("Uid")?,
            gids: ids("Gid")?,
            locked: field(status, "VmLck")
                .and_then(kilobytes)
                .is_some_and(|size| size > 0),
        })
    }

    /// As its arguments, or what ps shows of a process without any.
    pub(super) fn command(&self) -> String {
        match (self.args.is_empty(), self.state) {
            (false, _) => self.args.clone(),
            (true, 'Z') => format!("[{}] <defunct>", self.comm),
            (true, _) => format!("[{}]", self.comm),
        }
    }

    /// Its terminal, named as by devices.txt of the kernel; a container's is not the host's of
    /// that number.
    pub(super) fn terminal(&self) -> String {
        let major = (self.tty >> 8) & 0xfff;
        let minor = (self.tty & 0xff) | ((self.tty >> 12) & 0xfff00);
        match major {
            _ if self.tty == 0 => "?".to_owned(),
            136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
            4 if minor < 64 => format!("tty{minor}"),
            4 => format!("ttyS{}", minor - 64),
            5 if minor == 1 => "console".to_owned(),
            _ => format!("{major},{minor}"),
        }
    }

    pub(super) fn cpu_time(&self, machine: &Machine) -> Duration {
        machine.span(self.cpu_ticks)
    }

    pub(super) fn started(&self, machine: &Machine) -> SystemTime {
        machine.boot + machine.span(self.start_ticks)
    }

    pub(super) fn elapsed(&self, machine: &Machine) -> Duration {
        machine
            .uptime
            .saturating_sub(machine.span(self.start_ticks))
    }

    /// Share of one processor over its whole life, in percent.
    pub(super) fn cpu_share(&self, machine: &Machine) -> f64 {
        let elapsed = self.elapsed(machine).as_secs_f64();
        if elapsed > 0.0 {
            self.cpu_time(machine).as_secs_f64() * 100.0 / elapsed
        } else {
            0.0
        }
    }

    /// The kernel's function in which it waits, when that may be known.
    pub(super) fn waits_in(&self) -> String {
        match std::fs::read_to_string(format!("/proc/{}/wchan", self.pid)) {
            Ok(name) if !name.is_empty() && name != "0" => name,
            _ => "-".to_owned(),
        }
    }

    /// Its cgroups, as ps joins the lines of `cgroups(7)`.
    pub(super) fn cgroup(&self) -> String {
        let text = std::fs::read_to_string(format!("/proc/{}/cgroup", self.pid));
        text.unwrap_or_default()
            .lines()
            .collect::<Vec<_>>()
            .join(",")
    }

    pub(super) fn resident(&self, machine: &Machine) -> u64 {
        self.rss_pages * machine.page_size / 1024
    }

    pub(super) fn virtual_size(&self) -> u64 {
        self.vsize / 1024
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "42 (a) Z 1 (b)) S 1 40 39 34817 42 4194560 1 2 3 4 150 50 7 8 20 -5 3 0 4242 8192000 250 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0";
    const STATUS: &str = "Name:\ta\nUid:\t1000\t0\t0\t0\nGid:\t5\t6\t6\t6\nVmLck:\t       4 kB\n";

    #[test]
    fn a_process_that_names_itself_like_a_stat_line_fools_nobody() {
        let process = Process::parse(STAT, STATUS, b"sh\0-c\0sleep 1\0").unwrap();
        assert_eq!((process.pid, process.comm.as_str()), (42, "a) Z 1 (b)"));
        assert_eq!((process.state, process.ppid, process.nice), ('S', 1, -5));
        assert_eq!(process.command(), "sh -c sleep 1");
        assert_eq!(process.terminal(), "pts/1");
        assert_eq!((process.uids, process.gids), ((1000, 0), (5, 6)));
        assert!(process.locked);
        for torn in ["", "42 (a", "42 (a) S 1", "x (a) S"] {
            assert!(Process::parse(torn, STATUS, b"").is_none(), "{torn}");
        }
    }

    #[test]
    fn a_zombie_is_called_defunct() {
        let stat = STAT.replace("(b)) S", "(b)) Z");
        let process = Process::parse(&stat, STATUS, b"").unwrap();
        assert_eq!(process.command(), "[a) Z 1 (b)] <defunct>");
    }
}
