//! Who may be killed: the processes of a round, by what they are.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use coop_tests::{Chance, Host};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// What a process is to Coop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The command itself.
    Command,
    /// Who looks after a stack in the background.
    Supervisor,
    /// A copy of Coop in namespaces of its own: a container before its program, an init, the
    /// container's side of a copy.
    Child,
    /// `ip` or `nft`.
    Tool,
    /// A program in a container.
    Program,
}

pub(crate) const KINDS: &[Kind] = &[
    Kind::Command,
    Kind::Supervisor,
    Kind::Child,
    Kind::Tool,
    Kind::Program,
];

/// What runs on the host while a command does.
pub(crate) struct Prey<'h> {
    host: &'h Host,
    command: u32,
    mounts: PathBuf,
}

impl<'h> Prey<'h> {
    pub(crate) fn new(host: &'h Host, command: u32) -> Self {
        let mounts = fs::read_link("/proc/thread-self/ns/mnt").expect("this thread's mounts");
        Self {
            host,
            command,
            mounts,
        }
    }

    /// Looks until there is one of a kind, or the time is over.
    pub(crate) fn wait_for(&self, kind: Kind, limit: Duration) {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline && !self.all().iter().any(|(_, other)| *other == kind) {}
    }

    /// Kills one: of the wanted kind, or else of that there is of what has died least.
    pub(crate) fn kill(
        &mut self,
        wanted: Kind,
        chance: &Chance,
        deaths: &BTreeMap<Kind, usize>,
    ) -> Option<(Kind, String)> {
        let all = self.all();
        let rank = |kind: Kind| {
            (
                kind != wanted,
                deaths.get(&kind).copied().unwrap_or_default(),
            )
        };
        let kind = { all.iter() }
            .map(|(_, kind)| *kind)
            .min_by_key(|kind| rank(*kind))?;
        let of_kind: Vec<_> = all.iter().filter(|(_, other)| *other == kind).collect();
        let (pid, _) = **chance.one_of(&of_kind)?;
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let pidfd = pidfd_open(Pid::from_raw(pid.cast_signed())?, PidfdFlags::empty()).ok()?;
        // The number may have become somebody else's before it was opened.
        if !self.host.pids().contains(&pid) {
            return None;
        }
        pidfd_send_signal(pidfd, Signal::KILL).ok()?;
        Some((kind, line.trim_end().to_owned()))
    }

    fn all(&self) -> Vec<(u32, Kind)> {
        { self.host.pids().into_iter() }
            .filter_map(|pid| Some((pid, self.kind(pid)?)))
            .collect()
    }

    /// None when it is dead already.
    fn kind(&self, pid: u32) -> Option<Kind> {
        let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        let is_coop = program.file_name().is_some_and(|name| name == "coop");
        let mounts = fs::read_link(format!("/proc/{pid}/ns/mnt")).ok()?;
        Some(match (is_coop, mounts == self.mounts) {
            (true, true) if pid == self.command => Kind::Command,
            (true, true) => Kind::Supervisor,
            (true, false) => Kind::Child,
            (false, true) => Kind::Tool,
            (false, false) => Kind::Program,
        })
    }
}
