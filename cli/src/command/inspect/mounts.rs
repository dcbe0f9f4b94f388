//! What was mounted for the user: volumes, paths of the host, memory.

use std::path::Path;

use coop_fs::{Mount, MountOptions};
use serde::Serialize;

use super::Files;
use crate::plan::ContainerPlan;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MountPoint<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    source: &'a Path,
    destination: &'a Path,
    /// The options.
    mode: String,
    #[serde(rename = "RW")]
    writable: bool,
    propagation: coop_fs::Propagation,
}

pub(super) fn mount_points<'a>(plan: &'a ContainerPlan, files: &Files<'_>) -> Vec<MountPoint<'a>> {
    plan.mounts
        .iter()
        .filter_map(|mount| mount_point(mount, files))
        .collect()
}

fn mount_point<'a>(mount: &'a Mount, files: &Files<'_>) -> Option<MountPoint<'a>> {
    let point = |r#type, name, source, options: &MountOptions| MountPoint {
        r#type,
        name,
        source,
        destination: mount.target(),
        mode: options.to_string(),
        writable: !options.is_readonly(),
        propagation: options.propagation,
    };
    match mount {
        Mount::Tmpfs { options, .. } => Some(point("tmpfs", None, Path::new(""), options)),
        Mount::Bind { source, .. } if source.starts_with(files.names) => None,
        Mount::Bind {
            source, options, ..
        } => match volume(source, files) {
            Some(name) => Some(point("volume", Some(name), source, options)),
            None => Some(point("bind", None, source, options)),
        },
        _ => None,
    }
}

/// The name of the volume whose files are at this path.
fn volume<'a>(source: &'a Path, files: &Files<'_>) -> Option<&'a str> {
    source
        .strip_prefix(files.volumes)
        .ok()?
        .iter()
        .next()?
        .to_str()
}

/// As `-v` takes them: `SOURCE:TARGET:OPTIONS`.
pub(super) fn binds(plan: &ContainerPlan, files: &Files<'_>) -> Vec<String> {
    let written = |point: MountPoint<'_>| {
        let source = point
            .name
            .map_or_else(|| point.source.display().to_string(), str::to_owned);
        format!("{source}:{}:{}", point.destination.display(), point.mode)
    };
    mount_points(plan, files)
        .into_iter()
        .filter(|point| point.r#type != "tmpfs")
        .map(written)
        .collect()
}
