//! A new user namespace with its ids.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use coop_ns::idmap::{self, IdMaps};
use coop_ns::{CloneArgs, Forked, IdRange, Namespaces, Pid, clone3, exit_child, subid};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Gid, Uid, getpid};

/// Moves this process to a new user namespace: 0 is the user, the ids after that are its
/// subordinate ones.
///
/// The maps are written by a process that stays outside: `newuidmap` and `newgidmap`, which have
/// the right, must be run there, and the process in the namespace is nobody until it is done.
pub(super) fn new_namespace(uid: Uid, gid: Gid) -> Result<()> {
    let maps = maps(uid, gid)?;
    let (moved, mut tell_moved) = pipe().context("make a pipe")?;
    let (mut answer, tell_answer) = pipe().context("make a pipe")?;
    let own = getpid();
    let args = CloneArgs {
        namespaces: Namespaces::empty(),
        cgroup: None,
    };
    // SAFETY: commands of this program have a single thread.
    match unsafe { clone3(&args) }? {
        Forked::Child => {
            // Only the other process may hold it open: its end has to be seen here.
            drop(tell_moved);
            exit_child(write_maps(own, &maps, moved, tell_answer))
        }
        Forked::Parent(writer) => {
            drop((moved, tell_answer));
            coop_ns::unshare(Namespaces::USER)
                .map_err(|error| super::namespace::refused(&error))?;
            tell_moved.write_all(b"!").context("write the id maps")?;
            let mut words = String::new();
            let read = answer.read_to_string(&mut words);
            coop_ns::pidfd::wait(std::os::fd::AsFd::as_fd(&writer.pidfd))?;
            read.context("write the id maps")?;
            match words.as_str() {
                DONE => Ok(()),
                "" => bail!("write the id maps: the process that does it has ended"),
                error => bail!(
                    "give this user its subordinate ids: {error}\n  help: check /etc/subuid, \
                     /etc/subgid and that newuidmap and newgidmap are set-user-ID root"
                ),
            }
        }
    }
}

const DONE: &str = "done";

fn pipe() -> rustix::io::Result<(File, File)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    Ok((read.into(), write.into()))
}

/// The other process: waits until the first one has moved, and maps its ids.
fn write_maps(process: Pid, maps: &IdMaps, mut moved: File, mut answer: File) -> i32 {
    // The end of the file: it could not move, or was killed.
    if moved.read_exact(&mut [0]).is_err() {
        return 1;
    }
    let words = match idmap::write(process, maps) {
        Ok(_) => DONE.to_owned(),
        Err(error) => format!("{:#}", anyhow::Error::from(error)),
    };
    i32::from(answer.write_all(words.as_bytes()).is_err())
}

/// The user's own id and its ranges; without a range of both kinds, or the programs that map
/// them, only its own id.
fn maps(uid: Uid, gid: Gid) -> Result<IdMaps> {
    let (own_uid, own_gid) = (uid.as_raw(), gid.as_raw());
    let mut ranges = (Vec::new(), Vec::new());
    if ["newuidmap", "newgidmap"].into_iter().all(is_installed) {
        let name = name_of(own_uid);
        let granted = |path: &str, own| -> Result<Vec<IdRange>> {
            let ranges = subid::read(Path::new(path), &name, Some(own_uid))?;
            Ok(without(own, &ranges))
        };
        ranges = (
            granted("/etc/subuid", own_uid)?,
            granted("/etc/subgid", own_gid)?,
        );
        if ranges.0.is_empty() || ranges.1.is_empty() {
            ranges = (Vec::new(), Vec::new());
        }
    }
    Ok(IdMaps::rootless(own_uid, own_gid, &ranges.0, &ranges.1))
}

/// The ranges that can be mapped beside the user's own id: one that overlaps it or another is
/// an administrator's mistake.
fn without(own: u32, ranges: &[IdRange]) -> Vec<IdRange> {
    let mut taken = vec![IdRange {
        start: own,
        count: 1,
    }];
    for range in ranges {
        if !taken.iter().any(|other| other.overlaps(*range)) {
            taken.push(*range);
        }
    }
    taken.split_off(1)
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// The user's name, by which ranges are granted. `newuidmap` asks the system's user database
/// itself: a wrong name gets nothing.
fn name_of(uid: u32) -> String {
    let passwd = std::fs::read("/etc/passwd").unwrap_or_default();
    let passwd = String::from_utf8_lossy(&passwd);
    let listed = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    // One of a directory service.
    listed
        .or_else(|| std::env::var("USER").ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_that_overlaps_the_user_or_another_range_is_left_out() {
        let range = |start, count| IdRange { start, count };
        let granted = [
            range(100_000, 65_536),
            range(900, 200),
            range(165_000, 1000),
            range(200_000, 10),
        ];
        assert_eq!(
            without(1000, &granted),
            [range(100_000, 65_536), range(200_000, 10)]
        );
    }

    #[test]
    fn users_are_known_by_the_system_or_the_environment() {
        assert_eq!(name_of(0), "root");
    }
}
