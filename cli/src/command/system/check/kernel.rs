//! Cgroups and networks that no running container is the reason for.

use anyhow::Result;
use coop_cgroup::CgroupPath;
use coop_launcher::store::Status;
use coop_net::Finding;

use super::files::{exists, planned};
use super::{Findings, lasting};
use crate::host::Host;
use crate::plan::ContainerPlan;

pub(super) fn check(host: &Host, findings: &mut Findings) -> Result<()> {
    cgroups(host, findings)?;
    networks(host, findings)
}

/// Cgroups of containers that do not run. Those of containers that are not known here are
/// another root's, or were in a journal that has been carried out by now.
fn cgroups(host: &Host, findings: &mut Findings) -> Result<()> {
    let hierarchy = match host.cgroups() {
        Ok(hierarchy) => hierarchy,
        // There can be none of ours.
        Err(_) if host.rootless.is_some() => return Ok(()),
        Err(error) => return Err(error),
    };
    let stale = || {
        let mut stale: Vec<(String, CgroupPath)> = Vec::new();
        for state in host.store.list()? {
            let settled = matches!(state.status, Status::Stopped | Status::Created)
                && !state.init_alive()
                && host.store.supervisor(&state.stack)?.is_none();
            if !settled {
                continue;
            }
            if let Ok(plan) = host.store.load_config::<ContainerPlan>(&state.id)
                && hierarchy.exists(&plan.cgroup)
            {
                stale.push((state.name.to_string(), plan.cgroup));
            }
        }
        Ok(stale)
    };
    for (name, path) in lasting(stale)? {
        let wrong = format!("cgroup {path} of container {name}, which does not run");
        findings.found(&wrong, "removed", || Ok(hierarchy.remove(&path)?))?;
    }
    Ok(())
}

/// Leases, bridges and rules.
fn networks(host: &Host, findings: &mut Findings) -> Result<()> {
    let look = || {
        // The closure is asked after the leases were read: what is leased is in a plan
        // before, and a container afterwards.
        let is_live =
            |id: &str| planned(host).is_ok_and(|ids| ids.contains(id)) || exists(host, id);
        let found = find(host, is_live)?;
        let mut wrong = Vec::new();
        for finding in found {
            match &finding {
                // Made with the first container that starts.
                Finding::NoBridge { network, .. } | Finding::NoRules { network }
                    if !has_running(host, network)? => {}
                _ => wrong.push(finding),
            }
        }
        Ok(wrong)
    };
    for finding in lasting(look)? {
        let done = match &finding {
            Finding::NoBridge { .. } | Finding::NoRules { .. } => "made again",
            _ => "removed",
        };
        findings.found(&finding.to_string(), done, || mend(host, &finding))?;
    }
    Ok(())
}

/// What is wrong with files is seen from anywhere, what is wrong in the kernel only there.
fn find(host: &Host, is_live: impl Fn(&str) -> bool) -> Result<Vec<Finding>> {
    let mut found = host.networks.check(is_live)?;
    if host.rootless.is_some() {
        let in_kernel =
            |it: &Finding| matches!(it, Finding::NoBridge { .. } | Finding::NoRules { .. });
        found.retain(|finding| !in_kernel(finding));
        let networks = &host.networks;
        let there = { host.place_of_networks_now()? }.run(|| networks.check(|_| true))??;
        found.extend(there.into_iter().filter(in_kernel));
    }
    Ok(found)
}

fn mend(host: &Host, finding: &Finding) -> Result<()> {
    let networks = &host.networks;
    let gone = |network: &str, container: &str| -> Result<()> {
        Ok({ host.place_of_networks_now()? }.run(|| networks.release(network, container))??)
    };
    match finding {
        // As if for a container that it does not have: with a lease in it meanwhile, it stays.
        Finding::Empty { network } => gone(network, "none"),
        Finding::Lease { network, container } => gone(network, container),
        Finding::NoBridge { network, .. } | Finding::NoRules { network } => {
            let again = || {
                networks.ensure_bridge(network)?;
                networks.apply_rules(network)?.wait()
            };
            Ok(host.place_of_networks()?.run(again)??)
        }
        other => anyhow::bail!("this version of coop cannot mend it: {other}"),
    }
}

fn has_running(host: &Host, network: &str) -> Result<bool> {
    for state in host.store.list()? {
        if !state.init_alive() {
            continue;
        }
        let plan = host.store.load_config::<ContainerPlan>(&state.id);
        if plan.is_ok_and(|plan| plan.network.attached_to(network).is_some()) {
            return Ok(true);
        }
    }
    Ok(false)
}
