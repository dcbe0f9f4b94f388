//! Devices of the host, and how fast its disks may be used.

use std::path::{Path, PathBuf};

use coop_cgroup::{Access, DeviceKind, DeviceRule, IoLimit, IoWeight, Max, default_devices};
use coop_fs::{Device, DeviceNode, Mount};
use rustix::fs::{FileType, major, minor, stat};
use serde::Serialize;

use crate::plan::ContainerPlan;

/// Part of `HostConfig`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Devices<'a> {
    #[serde(rename = "Devices")]
    nodes: Vec<DeviceObject<'a>>,
    /// Those that belong to no device of the list.
    device_cgroup_rules: Vec<String>,
    blkio_weight: u64,
    blkio_device_read_bps: Vec<Rate>,
    blkio_device_write_bps: Vec<Rate>,
    #[serde(rename = "BlkioDeviceReadIOps")]
    blkio_device_read_iops: Vec<Rate>,
    #[serde(rename = "BlkioDeviceWriteIOps")]
    blkio_device_write_iops: Vec<Rate>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DeviceObject<'a> {
    path_on_host: &'a Path,
    path_in_container: &'a Path,
    cgroup_permissions: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Rate {
    path: PathBuf,
    rate: u64,
}

impl<'a> Devices<'a> {
    pub(super) fn new(plan: &'a ContainerPlan) -> Self {
        let io = &plan.limits.io_max;
        // A privileged container has all of them, by no list of its own.
        let all = plan.privileges.privileged;
        let standard = default_devices();
        let rules: Vec<&DeviceRule> = { plan.limits.devices.iter().flatten() }
            .filter(|rule| !all && !standard.contains(rule))
            .collect();
        let listed = { plan.mounts.iter() }.flat_map(|mount| match mount {
            Mount::Dev { devices, .. } if !all => devices.as_slice(),
            _ => &[],
        });
        let mut of_devices = Vec::new();
        let nodes = listed
            .filter_map(|device| object(device, &rules, &mut of_devices))
            .collect();
        Self {
            nodes,
            device_cgroup_rules: { rules.iter() }
                .filter(|rule| !of_devices.contains(*rule))
                .map(ToString::to_string)
                .collect(),
            blkio_weight: match plan.limits.io_weight {
                Some(IoWeight::Blkio(weight)) => weight,
                _ => 0,
            },
            blkio_device_read_bps: rates(io, |limit| limit.read_bps),
            blkio_device_write_bps: rates(io, |limit| limit.write_bps),
            blkio_device_read_iops: rates(io, |limit| limit.read_iops),
            blkio_device_write_iops: rates(io, |limit| limit.write_iops),
        }
    }
}

/// A device of the host, with what its rule allows; the rule goes to `of_devices`.
fn object<'a>(
    device: &'a Device,
    rules: &[&'a DeviceRule],
    of_devices: &mut Vec<&'a DeviceRule>,
) -> Option<DeviceObject<'a>> {
    let DeviceNode::Host(source) = &device.node else {
        return None;
    };
    // One that has gone since has its rule, but nobody knows which.
    let rule = stat(source).ok().and_then(|stat| {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::BlockDevice => DeviceKind::Block,
            _ => DeviceKind::Char,
        };
        let number = (Some(major(stat.st_rdev)), Some(minor(stat.st_rdev)));
        { rules.iter() }
            .find(|rule| rule.kind == kind && (rule.major, rule.minor) == number)
            .copied()
    });
    of_devices.extend(rule);
    Some(DeviceObject {
        path_on_host: source,
        path_in_container: &device.target,
        cgroup_permissions: permissions(rule.map_or(Access::all(), |rule| rule.access)),
    })
}

fn permissions(access: Access) -> String {
    let letters = [
        (Access::READ, 'r'),
        (Access::WRITE, 'w'),
        (Access::MKNOD, 'm'),
    ];
    letters
        .into_iter()
        .filter_map(|(bit, letter)| access.contains(bit).then_some(letter))
        .collect()
}

fn rates(limits: &[IoLimit], rate: impl Fn(&IoLimit) -> Option<Max>) -> Vec<Rate> {
    let one = |limit: &IoLimit| match rate(limit)? {
        Max::At(rate) => Some(Rate {
            // A number is what the limit is kept by; the link leads to its node.
            path: format!("/dev/block/{}", limit.device).into(),
            rate,
        }),
        Max::Unlimited => None,
    };
    limits.iter().filter_map(one).collect()
}
