//! Changing user and groups.

use rustix::fs::Gid;
use rustix::io::Errno;
use rustix::process::Uid;
use rustix::thread::{
    CapabilitySet, capabilities, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};
use serde::{Deserialize, Serialize};

use super::Error;

/// User and groups of a process, as ids inside its user namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    #[serde(default)]
    pub groups: Vec<u32>,
}

impl User {
    /// Becomes this user, see [`set_user`].
    ///
    /// # Errors
    /// As for [`set_user`].
    pub fn set(&self) -> Result<(), Error> {
        set_user(self.uid, self.gid, &self.groups)
    }
}

/// Sets group, supplementary groups and user (real, effective and saved) of the calling
/// thread, in this order, since the user change takes the right to the others. For a process
/// with one thread.
///
/// The group is among the supplementary ones, too, as after a login: who runs a set-group-id
/// program stays a member of it, and cannot get past a file's `group: nothing` by leaving it
/// (CVE-2022-36109).
///
/// Where `setgroups(2)` is denied for the user namespace (see
/// [`MapMethod::OwnIdsOnly`](crate::idmap::MapMethod::OwnIdsOnly)) and no further group is asked
/// for, those of the caller stay: nothing can take them away.
///
/// # Errors
/// [`Error::SetGroups`], [`Error::SetGid`], [`Error::SetUid`].
pub fn set_user(uid: u32, gid: u32, groups: &[u32]) -> Result<(), Error> {
    valid(gid)
        .map(Gid::from_raw)
        .and_then(|id| set_thread_res_gid(id, id, id))
        .map_err(|source| Error::SetGid { gid, source })?;
    set_groups(gid, groups).map_err(|source| Error::SetGroups {
        groups: groups.to_vec(),
        source,
    })?;
    valid(uid)
        .map(Uid::from_raw)
        .and_then(|id| set_thread_res_uid(id, id, id))
        .map_err(|source| Error::SetUid { uid, source })
}

fn set_groups(own: u32, groups: &[u32]) -> Result<(), Errno> {
    let further = groups.iter().filter(|gid| **gid != own);
    let ids: Vec<_> = std::iter::once(&own)
        .chain(further)
        .map(|gid| valid(*gid).map(Gid::from_raw))
        .collect::<Result<_, _>>()?;
    match set_thread_groups(&ids) {
        Err(Errno::PERM) if ids.len() == 1 && setgroups_is_denied() => Ok(()),
        result => result,
    }
}

/// Who has the right and is refused is in a user namespace that denies it. Not asked of
/// `/proc/self/setgroups`: `/proc` may be that of another pid namespace.
fn setgroups_is_denied() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SETGID))
}

/// The system calls take 4294967295 (-1) as "leave it": here it is no id.
fn valid(id: u32) -> Result<u32, Errno> {
    if id == u32::MAX {
        Err(Errno::INVAL)
    } else {
        Ok(id)
    }
}
