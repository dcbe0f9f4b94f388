//! What the container gets of the host.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use coop_cgroup::{CpuQuota, CpuWeight, IndexList, Limits, Max};
use coop_fs::Mount;
use coop_launcher::logs::LogOptions;
use coop_launcher::supervisor::RestartPolicy;
use coop_ns::privileges::{CapabilitySet, Label, Rlimit};
use serde::Serialize;

use super::devices::Devices;
use super::network::{Binding, bindings, mode};
use super::sharing::Modes;
use super::{Files, mounts};
use crate::plan::ContainerPlan;

/// A limit that is not set is 0, as Docker has it; -1 is none by name.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HostConfig<'a> {
    binds: Vec<String>,
    network_mode: Cow<'a, str>,
    port_bindings: BTreeMap<String, Vec<Binding>>,
    restart_policy: RestartPolicyObject,
    log_config: LogConfig,
    auto_remove: bool,
    privileged: bool,
    init: bool,
    group_add: &'a [String],
    oom_score_adj: i16,
    annotations: &'a BTreeMap<String, String>,
    cap_add: Vec<String>,
    cap_drop: Vec<String>,
    readonly_rootfs: bool,
    security_opt: Vec<String>,
    publish_all_ports: bool,
    /// What it runs with.
    runtime: &'static str,
    #[serde(flatten)]
    modes: Modes,
    #[serde(flatten)]
    devices: Devices<'a>,
    dns: &'a [IpAddr],
    dns_options: &'a [String],
    dns_search: &'a [String],
    extra_hosts: Vec<String>,
    shm_size: u64,
    sysctls: BTreeMap<&'a str, &'a str>,
    cpu_shares: u64,
    memory: i64,
    nano_cpus: u64,
    cpu_period: u64,
    cpu_quota: i64,
    cpuset_cpus: &'a str,
    cpuset_mems: &'a str,
    memory_reservation: i64,
    memory_swap: i64,
    pids_limit: i64,
    ulimits: Vec<Ulimit>,
    /// None: as the cgroups above have it.
    memory_swappiness: Option<u8>,
    /// Empty: where Coop has all containers.
    cgroup_parent: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Ulimit {
    name: &'static str,
    hard: i64,
    soft: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RestartPolicyObject {
    name: &'static str,
    /// 0: without an end.
    maximum_retry_count: u32,
}

impl RestartPolicyObject {
    fn new(policy: RestartPolicy) -> Self {
        let (name, retries) = match policy {
            RestartPolicy::No => ("no", None),
            RestartPolicy::Always => ("always", None),
            RestartPolicy::UnlessStopped => ("unless-stopped", None),
            RestartPolicy::OnFailure { max_retries } => ("on-failure", max_retries),
        };
        Self {
            name,
            maximum_retry_count: retries.unwrap_or(0),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct LogConfig {
    r#type: &'static str,
    config: BTreeMap<&'static str, String>,
}

impl LogConfig {
    fn new(options: &LogOptions) -> Self {
        let mut config = BTreeMap::new();
        if let Some(size) = options.max_size {
            config.insert("max-size", size.to_string());
            config.insert("max-file", options.max_file.to_string());
        }
        Self {
            r#type: if options.keep { "json-file" } else { "none" },
            config,
        }
    }
}

impl<'a> HostConfig<'a> {
    pub(super) fn new(plan: &'a ContainerPlan, files: &Files<'_>) -> Self {
        let capabilities = plan.privileges.capabilities;
        let limits = &plan.limits;
        let text = |list: &'a Option<IndexList>| list.as_ref().map_or("", IndexList::as_str);
        Self {
            binds: mounts::binds(plan, files),
            network_mode: mode(&plan.network),
            port_bindings: bindings(&plan.network),
            restart_policy: RestartPolicyObject::new(plan.unit.restart),
            log_config: LogConfig::new(&plan.unit.log),
            auto_remove: plan.remove_at_exit,
            privileged: plan.privileges.privileged,
            init: plan.init,
            group_add: &plan.privileges.group_add,
            oom_score_adj: plan.privileges.oom_score_adj.unwrap_or(0),
            annotations: &plan.annotations,
            cap_add: names(capabilities.difference(CapabilitySet::DEFAULT)),
            cap_drop: names(CapabilitySet::DEFAULT.difference(capabilities)),
            readonly_rootfs: plan.root_readonly,
            security_opt: security_opt(plan),
            publish_all_ports: false,
            runtime: "coop",
            modes: Modes::new(plan),
            devices: Devices::new(plan),
            dns: &plan.resolver.servers,
            dns_options: &plan.resolver.options,
            dns_search: &plan.resolver.search,
            extra_hosts: plan
                .resolver
                .hosts
                .iter()
                .map(|(name, address)| format!("{name}:{address}"))
                .collect(),
            shm_size: shm_size(&plan.mounts),
            sysctls: plan
                .sysctls
                .iter()
                .map(|sysctl| (sysctl.name.as_str(), sysctl.value.as_str()))
                .collect(),
            cpu_shares: limits.cpu_weight.map_or(0, CpuWeight::shares),
            memory: number(limits.memory_max),
            nano_cpus: nano_cpus(limits),
            cpu_period: limits.cpu_quota.map_or(0, |quota| quota.period_us),
            cpu_quota: number(limits.cpu_quota.map(|quota| quota.quota_us)),
            cpuset_cpus: text(&limits.cpuset_cpus),
            cpuset_mems: text(&limits.cpuset_mems),
            memory_reservation: number(limits.memory_low),
            memory_swap: number(limits.memory_swap),
            pids_limit: number(limits.pids_max),
            ulimits: plan.privileges.rlimits.iter().map(Ulimit::new).collect(),
            memory_swappiness: limits.memory_swappiness,
            cgroup_parent: { plan.cgroup_parent.as_ref() }
                .map(|parent| format!("/{parent}"))
                .unwrap_or_default(),
        }
    }
}

/// What differs from the most that is kept from it.
fn security_opt(plan: &ContainerPlan) -> Vec<String> {
    let options = [
        (plan.privileges.no_new_privileges, "no-new-privileges"),
        (plan.system_paths_unconfined, "systempaths=unconfined"),
    ];
    let labels = plan.privileges.labels.iter().map(|label| match label {
        Label::AppArmor(profile) => format!("apparmor={profile}"),
        Label::SeLinux(context) => format!("label={context}"),
    });
    let filter = match plan.seccomp.profile() {
        "default" => None,
        profile => Some(format!("seccomp={profile}")),
    };
    let told = options.into_iter();
    told.filter(|(on, _)| *on)
        .map(|(_, option)| option.to_owned())
        .chain(filter)
        .chain(labels)
        .collect()
}

impl Ulimit {
    fn new(limit: &Rlimit) -> Self {
        let value =
            |limit: Option<u64>| limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        Self {
            name: limit.kind.name(),
            hard: value(limit.hard),
            soft: value(limit.soft),
        }
    }
}

fn names(capabilities: CapabilitySet) -> Vec<String> {
    capabilities
        .iter()
        .map(|capability| capability.to_string())
        .collect()
}

fn number(limit: Option<Max>) -> i64 {
    match limit {
        None => 0,
        Some(Max::Unlimited) => -1,
        Some(Max::At(value)) => i64::try_from(value).unwrap_or(i64::MAX),
    }
}

fn nano_cpus(limits: &Limits) -> u64 {
    let cpus = limits.cpu_quota.and_then(CpuQuota::as_cpus).unwrap_or(0.0);
    (cpus * 1e9).round() as u64
}

fn shm_size(mounts: &[Mount]) -> u64 {
    let size = |mount: &Mount| match mount {
        Mount::Shm { size, .. } => Some(*size),
        _ => None,
    };
    mounts.iter().find_map(size).unwrap_or(0)
}
