//! Which of the host's user and group ids a container gets.

use anyhow::{Context, Result, bail};
use coop_ns::subid::IDS_PER_CONTAINER;
use coop_ns::{IdMapping, IdMaps, IdRange};

use super::ContainerPlan;
use crate::host::Host;
use crate::rootless::Rootless;
use crate::stack::Service;
use crate::stack::value::{IdMapLine, UsernsMode};

/// What is asked for, before any range is leased.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Ids {
    /// A range that nobody else has; without root, the user's own ids as they are.
    #[default]
    Own,
    /// The same, but for the ids of the user that runs Coop, who keeps them.
    Keep(Kept),
    /// These.
    Named(IdMaps),
}

/// Ids of the user that runs Coop: user and group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Those of the host.
    host: (u32, u32),
    /// Those in the container.
    pub inside: (u32, u32),
}

impl Ids {
    /// What the service asks for.
    pub(super) fn new(host: &Host, service: &Service) -> Result<Self> {
        let lines = &service.isolation.id_maps;
        if !lines.is_empty() {
            let map = |own: &[IdMapLine], other: &[IdMapLine]| -> Vec<IdMapping> {
                let lines = if own.is_empty() { other } else { own };
                lines.iter().map(|line| line.0).collect()
            };
            let maps = IdMaps {
                uids: map(&lines.uid_map, &lines.gid_map),
                gids: map(&lines.gid_map, &lines.uid_map),
            };
            check(host, &maps)?;
            return Ok(Self::Named(maps));
        }
        let Some(UsernsMode::KeepId { uid, gid }) = service.userns_mode else {
            return Ok(Self::Own);
        };
        let user = who(host)?;
        let inside = (uid.unwrap_or(user.0), gid.unwrap_or(user.1));
        Ok(match &host.rootless {
            // Nothing has to be leased for them.
            Some(rootless) => Self::Named(keeping_of(rootless, inside)),
            None => Self::Keep(Kept { host: user, inside }),
        })
    }

    /// The user that the process is unless another one is named: as with Podman, who keeps its
    /// ids runs as itself.
    pub(super) fn default_user(service: &Service, host: &Host) -> Result<Option<String>> {
        let Some(UsernsMode::KeepId { uid, gid }) = service.userns_mode else {
            return Ok(None);
        };
        let user = who(host)?;
        let (uid, gid) = (uid.unwrap_or(user.0), gid.unwrap_or(user.1));
        Ok(Some(format!("{uid}:{gid}")))
    }

    /// The maps, with the range that was leased for root's container.
    pub(crate) fn with_range(&self, range: IdRange) -> IdMaps {
        match self {
            Self::Own => IdMaps::single_range(range.start, range.count),
            Self::Named(maps) => maps.clone(),
            Self::Keep(kept) => {
                // The lower half of an id of the range stays what it is inside.
                let without = |inside: u32| -> Vec<IdRange> {
                    let first = inside.min(range.count);
                    let rest = range.count.saturating_sub(first.saturating_add(1));
                    let parts = [
                        (range.start, first),
                        (range.start.saturating_add(first).saturating_add(1), rest),
                    ];
                    let parts = parts.into_iter().filter(|(_, count)| *count > 0);
                    parts
                        .map(|(start, count)| IdRange { start, count })
                        .collect()
                };
                let (uids, gids) = (without(kept.inside.0), without(kept.inside.1));
                IdMaps::keeping(kept.inside, kept.host, &uids, &gids)
            }
        }
    }

    /// Has the plan not name more groups than there are.
    pub(super) fn adapt(&self, plan: &mut ContainerPlan) {
        let Self::Named(maps) = self else { return };
        let most = IDS_PER_CONTAINER - 1;
        let last = maps.last_gid_up_to(most).unwrap_or(0);
        for sysctl in &mut plan.sysctls {
            if sysctl.name == "net.ipv4.ping_group_range" && sysctl.value == format!("0 {most}") {
                sysctl.value = format!("0 {last}");
            }
        }
    }
}

/// What the kernel would refuse, in the words of who wrote it.
fn check(host: &Host, maps: &IdMaps) -> Result<()> {
    maps.validate().context("id maps")?;
    for (kind, root) in [("uid", maps.host_uid(0)), ("gid", maps.host_gid(0))] {
        if root.is_none() {
            bail!(
                "the {kind} map has no id 0 of the container, as which it is set up\n  \
                 help: map it, too: 0:HOST:COUNT"
            );
        }
    }
    let Some(rootless) = &host.rootless else {
        return Ok(());
    };
    let own = rootless.id_maps();
    if let Some((kind, line)) = maps.outside_of(&own) {
        let have: u32 = if kind == "uid" { &own.uids } else { &own.gids }
            .iter()
            .map(|line| line.size)
            .sum();
        bail!(
            "the {kind} map {}:{}:{} has ids that are not this user's\n  help: without root, HOST \
             counts your own ids: 0 is yourself, and 1 to {} are your subordinate ids; one line \
             cannot have both",
            line.container_id,
            line.host_id,
            line.size,
            have.saturating_sub(1)
        );
    }
    Ok(())
}

/// The user on whose behalf Coop runs.
fn who(host: &Host) -> Result<(u32, u32)> {
    if let Some(rootless) = &host.rootless {
        return Ok((rootless.uid.as_raw(), rootless.gid()));
    }
    let id = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    match (id("SUDO_UID"), id("SUDO_GID")) {
        (Some(uid), Some(gid)) if uid != 0 && uid != u32::MAX && gid != u32::MAX => Ok((uid, gid)),
        _ => bail!(
            "keep-id: there is no user whose ids could be kept: root's would make root of the \
             container root of the host\n  help: run coop as an ordinary user, with sudo, or name \
             the ids: --uidmap, x-userns"
        ),
    }
}

/// Without root: the user's own id is 0 out here, and its subordinate ones come after it.
fn keeping_of(rootless: &Rootless, inside: (u32, u32)) -> IdMaps {
    let own = rootless.id_maps();
    let others = |lines: &[IdMapping]| -> Vec<IdRange> {
        let lines = lines.iter().filter(|line| line.container_id != 0);
        lines
            .map(|line| IdRange {
                start: line.container_id,
                count: line.size,
            })
            .collect()
    };
    IdMaps::keeping(inside, (0, 0), &others(&own.uids), &others(&own.gids))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(container_id: u32, host_id: u32, size: u32) -> IdMapping {
        IdMapping {
            container_id,
            host_id,
            size,
        }
    }

    #[test]
    fn a_kept_id_leaves_a_hole_in_the_range() {
        let range = IdRange {
            start: 0x4000_0000,
            count: IDS_PER_CONTAINER,
        };
        let keep = |inside| {
            let host = (1000, 100);
            Ids::Keep(Kept { host, inside }).with_range(range)
        };
        let maps = keep((1000, 70_000));
        maps.validate().unwrap();
        assert_eq!(
            maps.uids,
            [
                line(0, 0x4000_0000, 1000),
                line(1000, 1000, 1),
                line(1001, 0x4000_0000 + 1001, 64_535)
            ]
        );
        assert_eq!(
            maps.gids,
            [line(0, 0x4000_0000, 65_536), line(70_000, 100, 1)]
        );
        // Its root, and its last id.
        for id in [0, 65_535] {
            keep((id, id)).validate().unwrap();
        }
    }
}
