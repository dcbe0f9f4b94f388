//! What is the launcher's own is kept from the container: the keys of who called it, and its binary.

use std::os::fd::AsFd;

use coop_launcher::{BoxError, ChildSide, Prepare, Stage};
use coop_ns::privileges::{Capability, Error, Landlock, new_session_keyring};
use coop_ns::{IdMapping, IdMaps};
use rustix::fs::{CWD, Mode, OFlags, openat, stat};
use rustix::io::Errno;

use crate::plan::ContainerPlan;

/// Before the system-call filter, which may not allow what this takes.
pub(crate) struct Guard {
    /// How the container's ids map to ours; none: they are the same.
    id_maps: Option<IdMaps>,
    /// Who may mount, or trace processes of others, can do without our binary; and under Landlock
    /// nobody could do either.
    may_do_without: bool,
    guards_binary: bool,
}

impl Guard {
    /// For a process of this container.
    pub(crate) fn new(plan: &ContainerPlan) -> Self {
        let capabilities = plan.privileges.capabilities;
        Self {
            id_maps: plan.id_maps.clone(),
            may_do_without: capabilities.contains(Capability::SYS_ADMIN)
                || capabilities.contains(Capability::SYS_PTRACE),
            guards_binary: false,
        }
    }
}

impl Stage for Guard {
    fn name(&self) -> &'static str {
        "guard"
    }

    fn prepare(&mut self, _launch: &mut Prepare<'_>) -> Result<(), BoxError> {
        self.guards_binary = !self.may_do_without && can_be_written(self.id_maps.as_ref());
        Ok(())
    }

    fn enter(&mut self, _child: &mut ChildSide<'_>) -> Result<(), BoxError> {
        new_session_keyring().map_err(with_help)?;
        if self.guards_binary {
            guard_binary()?;
        }
        Ok(())
    }
}

/// Says what to do about a user who has too many keys: without root all containers are one user's,
/// and each has a keyring.
fn with_help(error: Error) -> BoxError {
    let help = match error {
        Error::SessionKeyring(Errno::DQUOT) => {
            "  help: this user has as many keys as it may (/proc/key-users): raise the sysctl \
             kernel.keys.maxkeys"
        }
        _ => return error.into(),
    };
    anyhow::Error::from(error).context(help).into()
}

/// Whether a user of the container could write to the program that we are: with the host's ids, or
/// without root.
fn can_be_written(id_maps: Option<&IdMaps>) -> bool {
    let Some(maps) = id_maps else { return true };
    match stat("/proc/self/exe") {
        Ok(binary) => is_writable(maps, binary.st_uid, binary.st_gid, binary.st_mode),
        Err(_) => true,
    }
}

/// Whether a file of this owner, group and mode can be written with these ids.
fn is_writable(maps: &IdMaps, uid: u32, gid: u32, mode: u32) -> bool {
    /// Whom our own namespace has no id for: `/proc/sys/kernel/overflowuid`.
    const NOBODY: u32 = 65_534;
    let is_mapped = |lines: &[IdMapping], id: u32| {
        let of_range = |line: &IdMapping| {
            id.checked_sub(line.host_id)
                .is_some_and(|offset| offset < line.size)
        };
        id != NOBODY && lines.iter().any(of_range)
    };
    // An owner can give itself the right to.
    let by_group = mode & 0o020 != 0 && is_mapped(&maps.gids, gid);
    is_mapped(&maps.uids, uid) || by_group || mode & 0o002 != 0
}

/// Has nothing be executed that is not the container's: a program whose interpreter is
/// `/proc/self/exe` would be us, in the hands of the container, which could then write to our file
/// (CVE-2019-5736). By Landlock, since a container that has our ids is stopped by nothing else.
fn guard_binary() -> Result<(), BoxError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, "/", flags, Mode::empty())?;
    match Landlock::executing_below(root.as_fd()) {
        Ok(rules) => Ok(rules.restrict()?),
        // An older kernel: the host's ids were asked for by name.
        Err(Error::LandlockUnsupported { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_keys_are_told_with_what_to_do() {
        let told = |errno| coop_launcher::chain(&*with_help(Error::SessionKeyring(errno)));
        assert!(told(Errno::DQUOT).contains("kernel.keys.maxkeys"));
        assert!(!told(Errno::NOMEM).contains("help"));
    }

    #[test]
    fn whose_ids_could_write_to_the_binary() {
        let line = |host_id| IdMapping {
            container_id: 0,
            host_id,
            size: 100,
        };
        let maps = IdMaps {
            uids: vec![line(1000)],
            gids: vec![line(0), line(65_500)],
        };
        // (owner, group, mode)
        for (uid, gid, mode) in [
            (1000, 5000, 0o755),
            (1099, 5000, 0o555),
            (0, 7, 0o775),
            (0, 5000, 0o757),
        ] {
            assert!(is_writable(&maps, uid, gid, mode), "{uid} {gid} {mode:o}");
        }
        for (uid, gid, mode) in [
            (0, 7, 0o755),
            (999, 5000, 0o755),
            (1100, 5000, 0o775),
            (65_534, 65_534, 0o775),
        ] {
            assert!(!is_writable(&maps, uid, gid, mode), "{uid} {gid} {mode:o}");
        }
    }
}
