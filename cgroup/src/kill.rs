//! `SIGKILL` for everything in a group, where the kernel has no `cgroup.kill`.

use std::collections::HashSet;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

use crate::dir::{Dir, is_gone};
use crate::error::Error;
use crate::wait::Backoff;

/// So many process descriptors are open at a time.
const BATCH: usize = 64;

/// Kills every process in `dir` and below until no new one shows up.
///
/// A group that is not frozen may fork while this runs; the loop ends when a round finds
/// nobody that it has not signalled, or after a bound (a fork bomb that outruns it needs
/// a pids limit or a freezer).
pub(crate) fn kill_listed(dir: &Dir) -> Result<(), Error> {
    let mut signalled = HashSet::new();
    let mut backoff = Backoff::new(Duration::from_millis(500));
    loop {
        let fresh: Vec<Pid> = match dir.pids() {
            Ok(pids) => pids
                .into_iter()
                .filter(|pid| signalled.insert(*pid))
                .collect(),
            Err(error) if is_gone(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        if fresh.is_empty() {
            return Ok(());
        }
        for batch in fresh.chunks(BATCH) {
            kill_batch(dir, batch)?;
        }
        if !backoff.pause() {
            return Ok(());
        }
    }
}

// Between reading a number and signalling it, the process may end and its number be given
// to somebody outside of the group. So: hold each process by descriptor, then read the
// list again, and signal only those whose number is still in it. Whoever the descriptor
// holds was in the group then.
fn kill_batch(dir: &Dir, batch: &[Pid]) -> Result<(), Error> {
    let failed = |pid, source| Error::Kill {
        pid,
        path: dir.path().to_owned(),
        source,
    };
    let mut held = Vec::with_capacity(batch.len());
    for &pid in batch {
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => held.push((pid, Some(fd))),
            Err(Errno::SRCH) => {}
            // Linux before 5.3 has no process descriptors; the race is accepted there.
            Err(Errno::NOSYS) => held.push((pid, None)),
            Err(source) => return Err(failed(pid, source)),
        }
    }
    let still_here: HashSet<Pid> = dir.pids()?.into_iter().collect();
    for (pid, fd) in held {
        if !still_here.contains(&pid) {
            continue;
        }
        let sent = match fd {
            Some(fd) => pidfd_send_signal(&fd, Signal::KILL),
            None => kill_process(pid, Signal::KILL),
        };
        match sent {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(source) => return Err(failed(pid, source)),
        }
    }
    Ok(())
}
