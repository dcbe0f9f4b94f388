//! User and group id maps of a user namespace, see `user_namespaces(7)`.

mod helper;

use std::fmt::Write as _;

use rustix::io::Errno;
use rustix::process::{Pid, getegid, geteuid};
use serde::{Deserialize, Serialize};

pub use crate::error::MapDefect;
use crate::{Error, IdRange, procfs};

/// A run of ids inside and the ids outside that they stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdMapping {
    /// First id inside the user namespace.
    pub container_id: u32,
    /// First id outside, as seen from the parent user namespace.
    pub host_id: u32,
    /// How many ids.
    pub size: u32,
}

/// Both maps of a user namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdMaps {
    /// Map of user ids.
    pub uids: Vec<IdMapping>,
    /// Map of group ids.
    pub gids: Vec<IdMapping>,
}

/// Most lines of a map since Linux 4.15.
const MAX_LINES: usize = 340;

/// A map is written in one call, of less than one page. Pages are 4 KiB at least.
const MAX_TEXT: usize = 4095;

impl IdMaps {
    /// Ids 0 to `size` of the container are those from `host_base` of the host, for users
    /// and groups alike.
    pub fn single_range(host_base: u32, size: u32) -> Self {
        let map = vec![IdMapping {
            container_id: 0,
            host_id: host_base,
            size,
        }];
        Self {
            uids: map.clone(),
            gids: map,
        }
    }

    /// The usual map of an unprivileged user: 0 of the container is the user, and the ids
    /// after that are its subordinate ids, in their order.
    pub fn rootless(uid: u32, gid: u32, sub_uids: &[IdRange], sub_gids: &[IdRange]) -> Self {
        Self {
            uids: own_id_and_ranges(uid, sub_uids),
            gids: own_id_and_ranges(gid, sub_gids),
        }
    }

    /// Podman's `keep-id`: the user and the group `kept` of the host are `inside` in the
    /// container, whose other ids are, in their order, those of the ranges.
    pub fn keeping(
        inside: (u32, u32),
        kept: (u32, u32),
        uids: &[IdRange],
        gids: &[IdRange],
    ) -> Self {
        Self {
            uids: kept_id_and_ranges(inside.0, kept.0, uids),
            gids: kept_id_and_ranges(inside.1, kept.1, gids),
        }
    }

    /// The maps of a namespace in which all ids that the calling process has are the same
    /// ids: its processes have no further ids, only their own capabilities.
    ///
    /// # Errors
    /// [`Error::ReadMap`].
    pub fn identity() -> Result<Self, Error> {
        Ok(Self {
            uids: same_ids("uid_map")?,
            gids: same_ids("gid_map")?,
        })
    }

    /// Whether each id means the same inside and outside.
    pub fn is_identity(&self) -> bool {
        let mut lines = self.uids.iter().chain(&self.gids);
        lines.all(|line| line.container_id == line.host_id)
    }

    /// The host's user id behind a user id of the container.
    pub fn host_uid(&self, container_id: u32) -> Option<u32> {
        host_id(&self.uids, container_id)
    }

    /// The host's group id behind a group id of the container.
    pub fn host_gid(&self, container_id: u32) -> Option<u32> {
        host_id(&self.gids, container_id)
    }

    /// The first line with ids outside that are not within one line of `parent`, the maps of the
    /// namespace outside, as the kernel wants them; with its kind, `uid` or `gid`.
    pub fn outside_of(&self, parent: &Self) -> Option<(&'static str, IdMapping)> {
        let within = |line: &IdMapping, outer: &[IdMapping]| {
            outer.iter().any(|outer| {
                let (first, size) = (u64::from(line.host_id), u64::from(line.size));
                let start = u64::from(outer.container_id);
                first >= start && first + size <= start + u64::from(outer.size)
            })
        };
        [
            ("uid", &self.uids, &parent.uids),
            ("gid", &self.gids, &parent.gids),
        ]
        .into_iter()
        .find_map(|(kind, map, outer)| {
            let line = map.iter().find(|line| !within(line, outer))?;
            Some((kind, *line))
        })
    }

    /// The host's ids that are mapped, each range once.
    pub fn host_ranges(&self) -> Vec<IdRange> {
        let mut ranges: Vec<_> = { self.uids.iter().chain(&self.gids) }
            .map(|line| IdRange {
                start: line.host_id,
                count: line.size,
            })
            .collect();
        ranges.sort_unstable_by_key(|range| (range.start, range.count));
        ranges.dedup();
        ranges
    }

    /// The largest group id of the container that is mapped, of those up to `most`.
    pub fn last_gid_up_to(&self, most: u32) -> Option<u32> {
        { self.gids.iter() }
            .filter(|line| line.container_id <= most && line.size > 0)
            .map(|line| line.container_id.saturating_add(line.size - 1).min(most))
            .max()
    }

    /// Checks what the kernel would refuse.
    ///
    /// # Errors
    /// [`Error::InvalidMap`].
    pub fn validate(&self) -> Result<(), Error> {
        for (kind, map) in [("uid", &self.uids), ("gid", &self.gids)] {
            check(map).map_err(|reason| Error::InvalidMap { kind, reason })?;
        }
        Ok(())
    }
}

fn own_id_and_ranges(id: u32, ranges: &[IdRange]) -> Vec<IdMapping> {
    let mut map = vec![IdMapping {
        container_id: 0,
        host_id: id,
        size: 1,
    }];
    let mut next = 1_u32;
    for range in ranges {
        map.push(IdMapping {
            container_id: next,
            host_id: range.start,
            size: range.count,
        });
        // A sum beyond the last id is found by `validate`.
        next = next.saturating_add(range.count);
    }
    map
}

fn kept_id_and_ranges(inside: u32, kept: u32, ranges: &[IdRange]) -> Vec<IdMapping> {
    let mut map = Vec::new();
    let mut next = 0_u32;
    for range in ranges {
        let (mut host_id, mut left) = (range.start, range.count);
        while left > 0 {
            if next == inside {
                next = next.saturating_add(1);
            }
            // As many as there are before the place of the kept one.
            let room = match inside.checked_sub(next) {
                Some(room) => room,
                None => u32::MAX - next,
            };
            let size = left.min(room);
            if size == 0 {
                break;
            }
            map.push(IdMapping {
                container_id: next,
                host_id,
                size,
            });
            // A sum beyond the last id is found by `validate`.
            (next, host_id) = (next.saturating_add(size), host_id.saturating_add(size));
            left -= size;
        }
    }
    map.push(IdMapping {
        container_id: inside,
        host_id: kept,
        size: 1,
    });
    map.sort_unstable_by_key(|line| line.container_id);
    map
}

/// The ids of one of our own maps. The kernel wants each line to lie within one line of the
/// parent's.
fn same_ids(file: &'static str) -> Result<Vec<IdMapping>, Error> {
    let failed = |source| Error::ReadMap { file, source };
    let text = procfs::read_file(&format!("/proc/self/{file}")).map_err(failed)?;
    let text = String::from_utf8_lossy(&text);
    let line = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let container_id = fields.next()?.parse().ok()?;
        Some(IdMapping {
            container_id,
            host_id: container_id,
            size: fields.nth(1)?.parse().ok()?,
        })
    };
    { text.lines() }
        .map(line)
        .collect::<Option<_>>()
        .ok_or(failed(Errno::INVAL))
}

fn host_id(map: &[IdMapping], id: u32) -> Option<u32> {
    map.iter().find_map(|line| {
        let offset = id.checked_sub(line.container_id)?;
        (offset < line.size)
            .then(|| line.host_id.checked_add(offset))
            .flatten()
    })
}

fn check(map: &[IdMapping]) -> Result<(), MapDefect> {
    if map.is_empty() {
        return Err(MapDefect::Empty);
    }
    if map.len() > MAX_LINES || render(map).len() > MAX_TEXT {
        return Err(MapDefect::TooLong);
    }
    for (index, line) in map.iter().enumerate() {
        let line_number = index + 1;
        if line.size == 0 {
            return Err(MapDefect::ZeroSize { line: line_number });
        }
        let fits = |first: u32| first.checked_add(line.size).is_some();
        if !fits(line.container_id) || !fits(line.host_id) {
            return Err(MapDefect::Overflow { line: line_number });
        }
        let overlapping = map.iter().take(index).position(|other| {
            overlap(line.container_id, line.size, other.container_id, other.size)
                || overlap(line.host_id, line.size, other.host_id, other.size)
        });
        if let Some(other) = overlapping {
            return Err(MapDefect::Overlap {
                first: other + 1,
                second: line_number,
            });
        }
    }
    Ok(())
}

/// For lines that are known to end within the 32-bit ids.
fn overlap(a: u32, a_size: u32, b: u32, b_size: u32) -> bool {
    a < b + b_size && b < a + a_size
}

fn render(map: &[IdMapping]) -> String {
    map.iter().fold(String::new(), |mut text, line| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} {} {}", line.container_id, line.host_id, line.size);
        text
    })
}

/// How [`write()`] got the maps into the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapMethod {
    /// Both files written by this process. `setgroups(2)` stays allowed inside.
    Direct,
    /// By `newuidmap` or `newgidmap`. `setgroups(2)` stays allowed inside.
    Helpers,
    /// Only the caller's own user and group are mapped, to the container id that was asked
    /// for them or else 0. `setgroups(2)` is denied inside.
    OwnIdsOnly,
}

/// Writes the maps of the user namespace that process `pid`, cloned with
/// [`USER`](crate::Namespaces::USER) and waiting, lives in.
///
/// With `CAP_SETUID`, `CAP_SETGID` and `CAP_SETFCAP` directly; otherwise through `newuidmap`
/// and `newgidmap`, which grant what `/etc/subuid` and `/etc/subgid` grant. Where those are
/// not installed, only the caller's own ids are mapped, which an unprivileged process may do:
/// the answer says so, and whether that is good enough is the caller's decision.
///
/// # Errors
/// [`Error::InvalidMap`], [`Error::WriteMap`], [`Error::RunMapHelper`],
/// [`Error::MapHelperRefused`].
pub fn write(pid: Pid, maps: &IdMaps) -> Result<MapMethod, Error> {
    maps.validate()?;
    if is_only(&maps.uids, geteuid().as_raw()) && is_only(&maps.gids, getegid().as_raw()) {
        return write_own_ids(pid, maps);
    }
    let uid_method = match write_or_help(pid, File::Uid, &maps.uids) {
        Err(Error::RunMapHelper {
            source: Errno::NOENT,
            ..
        }) => return write_own_ids(pid, maps),
        result => result?,
    };
    let gid_method = write_or_help(pid, File::Gid, &maps.gids)?;
    match (uid_method, gid_method) {
        (MapMethod::Direct, MapMethod::Direct) => Ok(MapMethod::Direct),
        _ => Ok(MapMethod::Helpers),
    }
}

/// The files in `/proc/PID` that make up the maps.
#[derive(Debug, Clone, Copy)]
enum File {
    Uid,
    Gid,
    Setgroups,
}

impl File {
    fn name(self) -> &'static str {
        match self {
            Self::Uid => "uid_map",
            Self::Gid => "gid_map",
            Self::Setgroups => "setgroups",
        }
    }
}

fn write_or_help(pid: Pid, file: File, map: &[IdMapping]) -> Result<MapMethod, Error> {
    match write_file(pid, file, &render(map)) {
        Err(Error::WriteMap {
            // `EACCES`: the file of a process that is not ours to write.
            source: Errno::PERM | Errno::ACCESS,
            ..
        }) => {
            let program = match file {
                File::Gid => "newgidmap",
                File::Uid | File::Setgroups => "newuidmap",
            };
            helper::run(program, pid, map)?;
            Ok(MapMethod::Helpers)
        }
        result => result.map(|()| MapMethod::Direct),
    }
}

fn write_own_ids(pid: Pid, maps: &IdMaps) -> Result<MapMethod, Error> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let line = |map: &[IdMapping], id| format!("{} {id} 1\n", container_id(map, id).unwrap_or(0));
    write_file(pid, File::Uid, &line(&maps.uids, uid))?;
    let gids = line(&maps.gids, gid);
    match write_file(pid, File::Gid, &gids) {
        Err(Error::WriteMap {
            source: Errno::PERM,
            ..
        }) => {
            // Without CAP_SETGID the kernel takes a group map only when dropping groups has
            // been made impossible: a group may stand for fewer rights, not for more.
            write_file(pid, File::Setgroups, "deny")?;
            write_file(pid, File::Gid, &gids)?;
            Ok(MapMethod::OwnIdsOnly)
        }
        result => result.map(|()| MapMethod::Direct),
    }
}

fn write_file(pid: Pid, file: File, text: &str) -> Result<(), Error> {
    let path = format!("/proc/{}/{}", pid.as_raw_nonzero(), file.name());
    procfs::write_file(&path, text.as_bytes()).map_err(|source| Error::WriteMap {
        file: file.name(),
        pid,
        source,
    })
}

fn is_only(map: &[IdMapping], id: u32) -> bool {
    matches!(map, [line] if line.size == 1 && line.host_id == id)
}

fn container_id(map: &[IdMapping], host_id: u32) -> Option<u32> {
    map.iter().find_map(|line| {
        let offset = host_id.checked_sub(line.host_id)?;
        (offset < line.size)
            .then(|| line.container_id.checked_add(offset))
            .flatten()
    })
}

#[cfg(test)]
mod tests;
