//! What a container's processes may do.

use anyhow::{Context, Result, bail};
use coop_cgroup::{Access, DeviceRule, default_devices};
use coop_fs::{Device, DeviceNode};
use coop_ns::privileges::{Capability, CapabilitySet, Label, Rlimit};
use rustix::fs::{FileType, major, minor};

use super::{FileRule, PrivilegesPlan};
use crate::stack::Service;
use crate::stack::value::{DeviceMapping, SecurityOpt};

/// Capabilities, limits and groups of a service, and the labels that it has.
pub(super) fn privileges(service: &Service, labels: Vec<Label>) -> Result<PrivilegesPlan> {
    let isolation = &service.isolation;
    let rlimits = isolation
        .ulimits
        .iter()
        .map(|limit| {
            Ok(Rlimit {
                kind: limit.name.parse()?,
                soft: limit.soft,
                hard: limit.hard,
            })
        })
        .collect::<Result<_>>()?;
    let no_new_privileges = isolation.security_opt.iter().rev().find_map(|it| match it {
        SecurityOpt::NoNewPrivileges(on) => Some(*on),
        _ => None,
    });
    Ok(PrivilegesPlan {
        privileged: isolation.privileged,
        capabilities: capabilities(&service.cap_add, &service.cap_drop, isolation.privileged)?,
        no_new_privileges: no_new_privileges.unwrap_or(!isolation.privileged),
        rlimits,
        group_add: isolation
            .group_add
            .iter()
            .map(ToString::to_string)
            .collect(),
        oom_score_adj: isolation.oom_score_adj.map(|adjustment| adjustment.0),
        ambient: added_by_name(service)?,
        labels,
        landlock: isolation
            .landlock
            .iter()
            .map(|rule| FileRule {
                path: rule.path.clone().into(),
                access: rule.access,
            })
            .collect(),
    })
}

/// What a user other than root has of `cap_add`. Docker gives it nothing, which with
/// `no_new_privs` is all that there will ever be; Podman gives it what is added, and so does Coop,
/// but not by the one word ALL.
fn added_by_name(service: &Service) -> Result<CapabilitySet> {
    let names = service.cap_add.iter().filter(|name| !all(name));
    names
        .map(|name| name.parse::<Capability>().context("cap_add"))
        .collect()
}

fn all(name: &str) -> bool {
    name.eq_ignore_ascii_case("all")
}

/// The default capabilities, or all for a privileged container, with those added and dropped.
pub(crate) fn capabilities(
    add: &[String],
    drop: &[String],
    privileged: bool,
) -> Result<CapabilitySet> {
    // As Docker: dropping ALL leaves what is added, adding ALL leaves what is not dropped.
    let mut capabilities = if privileged || add.iter().any(|name| all(name)) {
        CapabilitySet::ALL
    } else if drop.iter().any(|name| all(name)) {
        CapabilitySet::EMPTY
    } else {
        CapabilitySet::DEFAULT
    };
    for name in drop.iter().filter(|name| !all(name)) {
        capabilities.remove(name.parse::<Capability>().context("cap_drop")?);
    }
    for name in add.iter().filter(|name| !all(name)) {
        capabilities.insert(name.parse::<Capability>().context("cap_add")?);
    }
    Ok(capabilities)
}

/// Whether nothing of `/proc` and `/sys` is hidden.
pub(super) fn system_paths_unconfined(service: &Service) -> bool {
    let isolation = &service.isolation;
    isolation.privileged
        || isolation
            .security_opt
            .contains(&SecurityOpt::SystemPathsUnconfined)
}

/// The rules for device nodes: the standard ones, and what the service adds.
pub(super) fn device_rules(service: &Service) -> Result<Vec<DeviceRule>> {
    let isolation = &service.isolation;
    if isolation.privileged {
        return Ok(vec![DeviceRule::ALL]);
    }
    let mut rules = default_devices();
    for mapping in &isolation.devices {
        for node in nodes(mapping)? {
            rules.push(node.rule(mapping.permissions.0)?);
        }
    }
    rules.extend(&isolation.device_cgroup_rules);
    Ok(rules)
}

/// The nodes in the container's `/dev`, besides the standard ones.
pub(super) fn devices(service: &Service) -> Result<Vec<Device>> {
    let isolation = &service.isolation;
    let mut devices = Vec::new();
    if isolation.privileged {
        devices.extend(all_devices()?);
    }
    for mapping in &isolation.devices {
        devices.extend(nodes(mapping)?.into_iter().map(|node| Device {
            target: node.target,
            node: DeviceNode::Host(node.source),
        }));
    }
    Ok(devices)
}

/// Every device of the host, where it is there, for a privileged container. What a container
/// has of its own is left out: terminals, and its standard nodes.
fn all_devices() -> Result<Vec<Device>> {
    const OWN: [&str; 11] = [
        "console", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "tty", "urandom",
        "zero",
    ];
    let mut devices = Vec::new();
    let mut open = vec![std::path::PathBuf::from("/dev")];
    while let Some(dir) = open.pop() {
        let failed = || format!("list {}", dir.display());
        for entry in std::fs::read_dir(&dir).with_context(failed)? {
            let entry = entry.with_context(failed)?;
            let own = dir.as_os_str() == "/dev" && OWN.iter().any(|own| entry.file_name() == *own);
            // One that has gone meanwhile is no device any more.
            let Ok(stat) = rustix::fs::lstat(entry.path()) else {
                continue;
            };
            match FileType::from_raw_mode(stat.st_mode) {
                _ if own => {}
                FileType::Directory => open.push(entry.path()),
                FileType::CharacterDevice | FileType::BlockDevice => devices.push(Device {
                    target: entry.path(),
                    node: DeviceNode::Host(entry.path()),
                }),
                _ => {}
            }
        }
    }
    devices.sort_by(|a, b| a.target.cmp(&b.target));
    Ok(devices)
}

/// A node of the host, and where it is to be.
struct Node {
    source: std::path::PathBuf,
    target: std::path::PathBuf,
}

impl Node {
    fn rule(&self, access: Access) -> Result<DeviceRule> {
        let stat = rustix::fs::stat(&self.source)
            .with_context(|| format!("device {}", self.source.display()))?;
        let (major, minor) = (major(stat.st_rdev), minor(stat.st_rdev));
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::BlockDevice => DeviceRule::block(major, minor, access),
            _ => DeviceRule::char(major, minor, access),
        })
    }
}

/// What a device means: itself, or as with Docker all devices below a directory.
fn nodes(mapping: &DeviceMapping) -> Result<Vec<Node>> {
    let source = &mapping.source;
    let failed = || format!("device {}", source.display());
    let stat = rustix::fs::stat(source).with_context(failed)?;
    let is_device = |mode| {
        matches!(
            FileType::from_raw_mode(mode),
            FileType::CharacterDevice | FileType::BlockDevice
        )
    };
    if is_device(stat.st_mode) {
        return Ok(vec![Node {
            source: source.clone(),
            target: mapping.target.clone(),
        }]);
    }
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        bail!("{}: not a device\n  help: mount it: volumes:", failed());
    }
    let mut found = Vec::new();
    let entries = std::fs::read_dir(source).with_context(failed)?;
    for entry in entries {
        let entry = entry.with_context(failed)?;
        let path = entry.path();
        // One level, and no links: those lead to what is listed anyway.
        let stat = rustix::fs::lstat(&path).with_context(failed)?;
        if is_device(stat.st_mode) {
            found.push(Node {
                target: mapping.target.join(entry.file_name()),
                source: path,
            });
        }
    }
    if found.is_empty() {
        bail!("{}: no device in this directory", failed());
    }
    found.sort_by(|a, b| a.source.cmp(&b.source));
    Ok(found)
}
