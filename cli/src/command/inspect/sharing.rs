//! Whose namespaces the container is in, in Docker's words.

use std::borrow::Cow;
use std::path::Path;

use coop_ns::{Namespace, Namespaces};
use serde::Serialize;

use crate::plan::{ContainerPlan, IpcSharing};

/// Part of `HostConfig`.
#[derive(Serialize)]
pub(super) struct Modes {
    /// Empty: its own.
    #[serde(rename = "PidMode")]
    pid: Cow<'static, str>,
    #[serde(rename = "IpcMode")]
    ipc: Cow<'static, str>,
    /// Empty: its own.
    #[serde(rename = "UTSMode")]
    uts: Cow<'static, str>,
    #[serde(rename = "CgroupnsMode")]
    cgroup: Cow<'static, str>,
    /// Empty: its own. Docker has no word for that of another container.
    #[serde(rename = "UsernsMode")]
    user: Cow<'static, str>,
}

impl Modes {
    pub(super) fn new(plan: &ContainerPlan) -> Self {
        let mode = |kind, own| mode(plan, kind, own);
        Self {
            pid: mode(Namespace::Pid, ""),
            ipc: mode(Namespace::Ipc, own_ipc(plan)),
            uts: mode(Namespace::Uts, ""),
            cgroup: mode(Namespace::Cgroup, "private"),
            user: mode(Namespace::User, ""),
        }
    }
}

/// `own` where it has one for itself.
fn mode(plan: &ContainerPlan, kind: Namespace, own: &'static str) -> Cow<'static, str> {
    match plan.joined.get(&kind) {
        Some(other) => format!("container:{}", other.id).into(),
        None if plan.namespaces.contains(Namespaces::from(kind)) => own.into(),
        None => "host".into(),
    }
}

fn own_ipc(plan: &ContainerPlan) -> &'static str {
    let has_memory = { plan.mounts.iter() }.any(|mount| mount.target() == Path::new("/dev/shm"));
    match plan.ipc_sharing {
        _ if !has_memory => "none",
        IpcSharing::Private => "private",
        IpcSharing::Shareable => "shareable",
    }
}
