//! The wiring: what happens to a container, in order.

mod wires;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use anyhow::Context;
use coop_launcher::stdio::{Pipes, Terminal};
use coop_launcher::store::OwnLock;
use coop_launcher::{Pipeline, Process};
use rustix::process::Pid;

use crate::host::Host;
use crate::joined;
use crate::plan::{Connection, ContainerPlan, ProcessPlan};
use crate::rootless;
use crate::stage::{
    Cgroup, Confining, Console, Guard, Join, Links, Namespaces, Network, NetworkNamespace,
    Overseer, Privileges, Rootfs, Seccomp, Transfer, UserNamespace,
};
pub(crate) use wires::{Wires, rename, write_name};

/// What happens to a container, in order.
pub(crate) fn pipeline(
    plan: &ContainerPlan,
    host: &Host,
    batch: &Links,
    stdin: Option<OwnedFd>,
    overseer: Option<&Overseer>,
) -> anyhow::Result<Pipeline> {
    let joined = joined::open(host, plan)?;
    let mut process = process(&plan.process)?;
    if plan.init {
        process = process.with_init();
    }
    let own_network = NetworkNamespace::default();
    let network = network(plan, host, batch, &own_network)?;
    // What is done in it before the container can do it itself.
    let is_held = { plan.network.attached().iter() }.any(|it| it.shape.is_some())
        || host.rootless.is_some() && plan.network.leases().any(|lease| lease.ipv6.is_some());
    let cgroup = Cgroup::new(host, plan)?;
    let user = UserNamespace::default();
    let rootfs = Rootfs::new(plan, &joined, &user).locked(lock_changes(plan, host)?);
    let pipeline = Pipeline::new(process)
        .stage(Namespaces::new(plan, &joined, &user).holding(is_held.then_some(&own_network)));
    let (pipeline, network) = match network {
        // The host has no part in it: done while the root is built.
        Network::Loopback => (pipeline.stage(network), Network::Shared),
        network => (pipeline, network),
    };
    let pipeline = if cgroup.is_joined_last() {
        pipeline.stage(rootfs.without_cgroups()).stage(cgroup)
    } else {
        pipeline.stage(cgroup).stage(rootfs)
    };
    let pipeline = pipeline.stage(network);
    let run_dir = host.store.dirs().container_run(&plan.unit.id);
    let pipeline = stdio(pipeline, plan, run_dir, stdin);
    Ok(confined(pipeline, plan, &plan.process, overseer))
}

/// What its processes may do, and last what they may call.
fn confined(
    pipeline: Pipeline,
    plan: &ContainerPlan,
    process: &ProcessPlan,
    overseer: Option<&Overseer>,
) -> Pipeline {
    let pipeline = pipeline.stage(Guard::new(plan));
    let privileges = Privileges::new(&plan.privileges, process);
    let confining = Confining::of(overseer, &plan.seccomp);
    if plan.privileges.no_new_privileges {
        pipeline.stage(privileges).stage(Seccomp::last(confining))
    } else {
        pipeline.stage(Seccomp::here(confining)).stage(privileges)
    }
}

/// The lock on what the container has changed of its image.
fn lock_changes(plan: &ContainerPlan, host: &Host) -> anyhow::Result<Option<OwnLock>> {
    if let coop_fs::RootSource::Bind { .. } = plan.root {
        return Ok(None);
    }
    let lock = host.store.try_lock_changes(&plan.unit.id)?;
    anyhow::ensure!(
        lock.is_some(),
        "its files are being copied\n  help: start it when `coop cp` is done"
    );
    Ok(lock)
}

/// What happens to a further process in a running container, in order.
pub(crate) fn exec_pipeline(
    plan: &ContainerPlan,
    process_plan: &ProcessPlan,
    host: &Host,
    init: Pid,
    streams: Pipes,
    overseer: Option<&Overseer>,
) -> anyhow::Result<Pipeline> {
    let cgroup = host.cgroup_of(plan)?;
    if host.rootless.is_some() && cgroup.is_some() {
        rootless::plan::check_reach(host, plan)?;
    }
    let init = host.namespaces_of(init);
    let pidfd = rustix::process::pidfd_open(init, rustix::process::PidfdFlags::empty())
        .context("the container has ended")?;
    let pipeline = Pipeline::new(process(process_plan)?).stage(Join::new(
        pidfd,
        plan.own_namespaces(),
        cgroup,
    ));
    let pipeline = if process_plan.terminal {
        pipeline.stage(Terminal::new())
    } else {
        pipeline.stage(streams)
    };
    Ok(confined(pipeline, plan, process_plan, overseer))
}

/// What happens to a process that works on a container's files as the container sees them, in
/// order: in the namespaces of a running container's `init`, or else in the root of a stopped
/// one, built as for its start, with its volumes and bind mounts.
pub(crate) fn files_pipeline(
    plan: &ContainerPlan,
    init: Option<OwnedFd>,
    transfer: Transfer,
) -> anyhow::Result<Pipeline> {
    let pipeline = Pipeline::new(process(&plan.process)?);
    let pipeline = if let Some(init) = init {
        pipeline.stage(Join::files(init, plan.own_namespaces()))
    } else {
        let files = only_files(plan);
        let user = UserNamespace::default();
        pipeline
            .stage(Namespaces::new(&files, &[], &user))
            .stage(Rootfs::new(&files, &[], &user))
    };
    Ok(pipeline.stage(transfer))
}

/// The plan of a container that has files and nothing else.
fn only_files(plan: &ContainerPlan) -> ContainerPlan {
    let is_bind = |mount: &&coop_fs::Mount| match mount {
        // The names of another container may have gone with it.
        coop_fs::Mount::Bind { source, .. } if *plan.names_of() != plan.unit.id => source.exists(),
        coop_fs::Mount::Bind { .. } => true,
        _ => false,
    };
    ContainerPlan {
        // One that it joined while it ran is made anew, with the same ids.
        namespaces: plan.own_namespaces()
            & (coop_ns::Namespaces::MOUNT | coop_ns::Namespaces::USER),
        joined: BTreeMap::new(),
        mounts: plan.mounts.iter().filter(is_bind).cloned().collect(),
        hostname: None,
        domainname: None,
        sysctls: Vec::new(),
        ..plan.clone()
    }
}

fn process(plan: &ProcessPlan) -> anyhow::Result<Process> {
    Ok(Process::new(
        plan.argv.iter().map(String::as_str),
        plan.env.iter().map(String::as_str),
    )?)
}

fn network(
    plan: &ContainerPlan,
    host: &Host,
    batch: &Links,
    own: &NetworkNamespace,
) -> anyhow::Result<Network> {
    Ok(match &plan.network {
        Connection::Host | Connection::Container(_) => Network::Shared,
        Connection::None => Network::Loopback,
        Connection::Bridge(bridged) if bridged.attached.is_empty() => Network::Loopback,
        Connection::Bridge(bridged) => {
            let leases = { bridged.attached.iter() }.map(|attached| {
                let lease = attached.lease.clone();
                let lease =
                    lease.with_context(|| format!("no address of network {}", attached.network))?;
                Ok((lease, attached.shape))
            });
            let links: Vec<_> = leases.collect::<anyhow::Result<_>>()?;
            Network::bridge(links, batch, host.place_of_networks()?, own)
        }
    })
}

fn stdio(
    pipeline: Pipeline,
    plan: &ContainerPlan,
    run_dir: std::path::PathBuf,
    stdin: Option<OwnedFd>,
) -> Pipeline {
    if plan.process.terminal {
        return pipeline.stage(Terminal::new()).stage(Console);
    }
    let owner = crate::realize::mapped_root(plan);
    let pipes = Pipes::for_container(run_dir, owner, stdin);
    pipeline.stage(if plan.process.stdin_open {
        pipes.with_open_input()
    } else {
        pipes
    })
}
