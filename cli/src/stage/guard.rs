//! What is the launcher's own is kept from the container: the keys of who called it, and its binary.

use std::os::fd::AsFd;

use coop_launcher::{BoxError, ChildSide, Prepare, Stage};
use coop_ns::privileges::{Capability, Error, Landlock, new_session_keyring};
use coop_ns::{IdMapping, IdMaps};
use rustix::fs::{CWD, Mode, OFlags, openat, stat};

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
        self.guards_binary = !self.may_do_without && owns_our_binary(self.id_maps.as_ref());
        Ok(())
    }

    fn enter(&mut self, _child: &mut ChildSide<'_>) -> Result<(), BoxError> {
        new_session_keyring()?;
        if self.guards_binary {
            guard_binary()?;
        }
        Ok(())
    }
}

/// Whether a user of the container is the owner of the program that we are, and so could write to
/// it: with the host's ids, or without root.
fn owns_our_binary(id_maps: Option<&IdMaps>) -> bool {
    /// An owner that our own namespace has no id for: `/proc/sys/kernel/overflowuid`.
    const NOBODY: u32 = 65_534;
    let Ok(binary) = stat("/proc/self/exe") else {
        return true;
    };
    let Some(maps) = id_maps else { return true };
    let is_mapped = |id: u32| {
        let of_range = |line: &IdMapping| {
            id.checked_sub(line.host_id)
                .is_some_and(|offset| offset < line.size)
        };
        maps.uids.iter().any(of_range)
    };
    binary.st_uid != NOBODY && is_mapped(binary.st_uid)
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
