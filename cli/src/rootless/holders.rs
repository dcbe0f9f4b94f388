//! Which processes are in the user's namespace.
//!
//! A user namespace lives as long as its processes and has no name. Each command writes itself
//! into one file; supervisors are known by the locks of their stacks, containers by their
//! states. The file is locked from the look at it until the namespace is entered, so that no two
//! commands make one each.

use std::os::fd::AsFd;
use std::path::PathBuf;

use anyhow::{Context, Result};
use coop_launcher::store::{Dirs, Lock, ProcStat, Store, lock_owner};
use coop_ns::{Handle, Namespace, pidfd};
use rustix::process::{Pid, Uid, getpid};

/// The file, locked.
pub(super) struct Holders<'a> {
    dirs: &'a Dirs,
    lock: Lock,
    commands: Vec<Command>,
}

/// A command that entered the namespace, and lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Command {
    pid: Pid,
    start_time: u64,
}

impl<'a> Holders<'a> {
    /// Waits for its turn.
    pub(super) fn lock(dirs: &'a Dirs) -> Result<Self> {
        let path: PathBuf = dirs.run.join("namespace");
        let lock = Lock::file(&path)?;
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let mut commands: Vec<_> = text.lines().filter_map(Command::parse).collect();
        commands.retain(|command| command.is_alive());
        Ok(Self {
            dirs,
            lock,
            commands,
        })
    }

    /// The namespace that they are in; none when there is nobody.
    pub(super) fn namespace(&self, uid: Uid) -> Result<Option<Handle>> {
        for command in &self.commands {
            let found = namespace_of(&|| command.is_alive().then_some(command.pid), uid)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        let stacks = std::fs::read_dir(self.dirs.stacks()).into_iter().flatten();
        for stack in stacks.flatten() {
            let lock = stack.path().join("lock");
            let found = namespace_of(&|| lock_owner(&lock).ok().flatten(), uid)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        // Those whose supervisor was killed.
        for state in Store::new(self.dirs.clone()).list().unwrap_or_default() {
            let found = namespace_of(&|| state.live_init().map(super::reachable), uid)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Adds this process, which is in the namespace now.
    pub(super) fn add_self(mut self) -> Result<()> {
        let pid = getpid();
        let start_time = start_time(pid).context("find the start time of this process")?;
        self.commands.push(Command { pid, start_time });
        let lines: String = self.commands.iter().map(Command::line).collect();
        let failed = || format!("write {}", self.lock.path().display());
        // Shortened last: of one that is killed in between, old lines remain.
        rustix::io::pwrite(&self.lock, lines.as_bytes(), 0).with_context(failed)?;
        rustix::fs::ftruncate(&self.lock, lines.len() as u64).with_context(failed)
    }
}

impl Command {
    fn parse(line: &str) -> Option<Self> {
        let (pid, start_time) = line.split_once(' ')?;
        let pid = pid.parse().ok().filter(|pid| *pid > 0)?;
        Some(Self {
            pid: Pid::from_raw(pid)?,
            start_time: start_time.parse().ok()?,
        })
    }

    fn line(&self) -> String {
        format!("{} {}\n", self.pid.as_raw_nonzero(), self.start_time)
    }

    fn is_alive(self) -> bool {
        start_time(self.pid) == Some(self.start_time)
    }
}

/// When the process was started, while it lives.
fn start_time(pid: Pid) -> Option<u64> {
    let stat = ProcStat::of(pid).ok().flatten()?;
    (!stat.has_ended()).then_some(stat.start_time)
}

/// The user's namespace as seen from a process in it, or in one of a container below it; none
/// when the process has gone or is in no such namespace. `holder` looks whether it lives.
fn namespace_of(holder: &dyn Fn() -> Option<Pid>, uid: Uid) -> Result<Option<Handle>> {
    let Some(pid) = holder() else {
        return Ok(None);
    };
    let Ok(process) = pidfd::open(pid) else {
        return Ok(None);
    };
    // The number may have gone to another process before it was opened, and not after.
    if holder() != Some(pid) {
        return Ok(None);
    }
    let Ok(mut namespace) = Handle::open(pid, Namespace::User) else {
        return Ok(None);
    };
    if pidfd::pid(process.as_fd()).is_err() {
        return Ok(None);
    }
    let own = Handle::current(Namespace::User)?;
    if namespace.same_as(&own) {
        return Ok(None);
    }
    loop {
        match namespace.parent() {
            Ok(parent) if parent.same_as(&own) => break,
            Ok(parent) => namespace = parent,
            // Not below ours.
            Err(_) => return Ok(None),
        }
    }
    Ok((namespace.owner()? == uid.as_raw()).then_some(namespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dirs() -> (tempfile::TempDir, Dirs) {
        let temp = tempfile::tempdir().unwrap();
        let dirs = Dirs::below(temp.path());
        (temp, dirs)
    }

    #[test]
    fn who_has_ended_is_forgotten_and_garbage_is_nobody() {
        let (_temp, dirs) = dirs();
        let holders = Holders::lock(&dirs).unwrap();
        let path = holders.lock.path().to_owned();
        holders.add_self().unwrap();
        let own = std::fs::read_to_string(&path).unwrap();
        let more = format!("{own}1 1\n-4 1\nx\n99999999999 1\n\u{e9} 1\n{own}");
        std::fs::write(&path, more).unwrap();
        let holders = Holders::lock(&dirs).unwrap();
        let [first, second] = holders.commands[..] else {
            panic!("{:?}", holders.commands)
        };
        assert_eq!((first.pid, second), (getpid(), first));
    }

    #[test]
    fn a_process_in_no_namespace_of_its_own_is_passed_over() {
        let (_temp, dirs) = dirs();
        Holders::lock(&dirs).unwrap().add_self().unwrap();
        let found = Holders::lock(&dirs).unwrap();
        let found = found.namespace(rustix::process::geteuid()).unwrap();
        assert!(found.is_none());
    }
}
