//! What a plan cannot have without root: refused by name where it was asked for, left out with
//! one message where it is only the default.

use anyhow::Result;
use coop_cgroup::{Delegation, Limit, Limits, Max};
use coop_fs::{Marks, Mount, RootSource};
use coop_net::Protocol;

use super::Rootless;
use crate::host::Host;
use crate::plan::{Connection, ContainerPlan, DEFAULT_PIDS};
use crate::stack::Service;
use crate::stack::value::NetworkMode;

/// Adapts the plan of a service to what an ordinary user can have.
pub(crate) fn adapt(
    host: &Host,
    rootless: &Rootless,
    service: &Service,
    plan: &mut ContainerPlan,
) -> Result<()> {
    ids(rootless, plan);
    network(rootless, service, plan)?;
    devices(service, plan)?;
    limits(host, rootless, plan)
}

/// The refusal of what takes the host's root.
fn impossible(what: &str, why: &str, help: &str) -> anyhow::Error {
    anyhow::anyhow!("{what}: not possible without root: {why}\n  help: {help}")
}

fn ids(rootless: &Rootless, plan: &mut ContainerPlan) {
    if !rootless.has_ranges() {
        rootless.say_once(
            "ids",
            "only your own user id can be used: a container has no other users than root\n  \
             help: install newuidmap (package uidmap or shadow-utils), and have root give you \
             ids: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER",
        );
    }
    if let RootSource::Overlay(overlay) = &mut plan.root {
        overlay.marks = Marks::User;
    }
    // As many groups as there are may ping.
    let last = rootless.groups().min(coop_ns::subid::IDS_PER_CONTAINER) - 1;
    let all = format!("0 {}", coop_ns::subid::IDS_PER_CONTAINER - 1);
    for sysctl in &mut plan.sysctls {
        if sysctl.name == "net.ipv4.ping_group_range" && sysctl.value == all {
            sysctl.value = format!("0 {last}");
        }
    }
}

/// Networks take a program that makes a way out of the user's own namespace, and the tools that
/// root's are made by. Where something is missing there is a loopback interface, unless more was
/// asked for.
fn network(rootless: &Rootless, service: &Service, plan: &mut ContainerPlan) -> Result<()> {
    let Connection::Bridge(bridged) = &plan.network else {
        return Ok(());
    };
    if let Some(port) = { bridged.ports.iter() }.find(|port| port.protocol == Protocol::Sctp) {
        return Err(impossible(
            &format!("published port {port}"),
            "what is sent to it by SCTP cannot be passed on",
            "publish a TCP port, or use sudo",
        ));
    }
    let Err(missing) = super::network::check_tools() else {
        return Ok(());
    };
    let help = format!(
        "{}, use the host's network (--network host, network_mode: host), or sudo",
        missing.help
    );
    if !bridged.ports.is_empty() {
        return Err(impossible("published ports", &missing.what, &help));
    }
    if service.network_mode == Some(NetworkMode::Bridge) {
        return Err(impossible("network bridge", &missing.what, &help));
    }
    rootless.say(
        "network",
        &format!(
            "without root there is no network here, and containers have a loopback interface only: \
             {}\n  help: {} (--network none, network_mode: none says so and silences this)",
            missing.what, missing.help
        ),
    );
    plan.network = Connection::None;
    Ok(())
}

/// Device nodes are bind mounts of the host's, and open to whom the host lets open them: there
/// is nothing to allow by number.
fn devices(service: &Service, plan: &mut ContainerPlan) -> Result<()> {
    let help = "name the device: --device, devices:";
    if !service.isolation.device_cgroup_rules.is_empty() {
        return Err(impossible(
            "device cgroup rules",
            "only root makes device nodes",
            help,
        ));
    }
    if service
        .isolation
        .oom_score_adj
        .is_some_and(|wanted| wanted.0 < own_oom_score_adj())
    {
        return Err(impossible(
            "oom_score_adj below this user's own",
            "it takes from others",
            "leave it out, or use sudo",
        ));
    }
    plan.limits.devices = None;
    if service.isolation.privileged {
        // Those that this user cannot even see in its place.
        for mount in &mut plan.mounts {
            if let Mount::Dev { devices, .. } = mount {
                devices.retain(|device| match &device.node {
                    coop_fs::DeviceNode::Host(source) => source.exists(),
                    coop_fs::DeviceNode::Number { .. } => false,
                });
            }
        }
    }
    Ok(())
}

fn own_oom_score_adj() -> i16 {
    let text = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// Checks that what is asked for can be had; [`available`] is what then applies.
fn limits(host: &Host, rootless: &Rootless, plan: &ContainerPlan) -> Result<()> {
    let delegation = host.delegation()?;
    let here = available(delegation, &plan.limits)?;
    let asked = plan
        .limits
        .pids_max
        .is_some_and(|max| max != Max::Unlimited);
    if asked && here.pids_max.is_none() {
        rootless.say_once(
            "pids",
            "no pids controller is delegated to this user: the default limit of 2048 processes \
             is not applied",
        );
    }
    Ok(())
}

/// The limits without the default ones that are out of reach.
///
/// # Errors
/// When one that was asked for is: with the controller's name, and who could delegate it.
pub(crate) fn available(delegation: &Delegation, limits: &Limits) -> Result<Limits> {
    let mut limits = limits.clone();
    if limits.pids_max == Some(Max::Unlimited) {
        limits.pids_max = None;
    }
    let missing: Vec<Limit> = match delegation {
        Delegation::To(hierarchy) => {
            let missing = hierarchy.missing(&limits);
            missing.into_iter().map(|(limit, _)| limit).collect()
        }
        Delegation::Nothing { .. } | Delegation::Legacy(_) => limits.set().collect(),
    };
    for limit in missing {
        if limit == Limit::PidsMax && limits.pids_max == Some(Max::At(DEFAULT_PIDS)) {
            limits.pids_max = None;
            continue;
        }
        return Err(refused(delegation, limit));
    }
    Ok(limits)
}

/// Refuses to start a process in a container whose cgroup this command may not enter: it was
/// launched from another session, to which another part is delegated.
pub(crate) fn check_reach(host: &Host, plan: &ContainerPlan) -> Result<()> {
    let hierarchy = host.cgroups_of(plan)?;
    let Some(base) = hierarchy.as_ref().and_then(|it| it.bases().next()) else {
        return Ok(());
    };
    anyhow::ensure!(
        coop_cgroup::may_enter(base)?,
        "{}: its limits hold in {}, where no process of this session may be moved to\n  \
         help: start this command where the container was started, or with systemd-run --user \
         --scope",
        plan.unit.name,
        base.display()
    );
    Ok(())
}

/// Why there is nothing to look at or to change.
pub(crate) fn no_cgroups(delegation: &Delegation) -> anyhow::Error {
    match delegation {
        Delegation::Legacy(_) => anyhow::anyhow!(
            "not possible without root: this system has cgroup v1, which cannot be delegated"
        ),
        _ => anyhow::anyhow!(
            "no cgroup is delegated to this user\n  \
             help: systemd-run --user --scope -p Delegate=yes coop ..."
        ),
    }
}

fn refused(delegation: &Delegation, limit: Limit) -> anyhow::Error {
    let controller = limit.controller();
    match delegation {
        Delegation::To(hierarchy) => {
            let version = hierarchy.version();
            let name = controller.name(version);
            let base = hierarchy
                .bases()
                .next()
                .unwrap_or(std::path::Path::new("/"));
            anyhow::anyhow!(
                "{limit}: the {name} controller is not delegated to this user: {}/cgroup.controllers \
                 does not list it\n  help: as root, `systemctl edit user@.service` with \
                 [Service] Delegate=cpu cpuset io memory pids, and log in again",
                base.display()
            )
        }
        Delegation::Nothing { own } => anyhow::anyhow!(
            "{limit}: the {controller} controller is not delegated to this user: it may not write \
             to {}\n  help: systemd-run --user --scope -p Delegate=yes coop ...",
            own.display()
        ),
        Delegation::Legacy(_) => anyhow::anyhow!(
            "{limit}: not possible without root: this system has cgroup v1, which cannot be \
             delegated\n  help: boot with systemd.unified_cgroup_hierarchy=1, or use sudo"
        ),
    }
}
