//! One container's plan, from its service, its image and the options of `run`.

use anyhow::{Context, Result};
use coop_cgroup::CgroupPath;
use coop_fs::{Marks, Mount, Overlay, RootSource, Sysctl};
use coop_image::Image;
use coop_launcher::store::{ContainerId, Name, StackName};
use coop_launcher::supervisor::UnitSpec;
use coop_ns::Namespace;
use coop_seccomp::Filter;

use super::connection::{connection, look_up_external, resolver};
use super::grants::{GrantedFile, Hidden, grants};
use super::ids::Ids;
use super::labels::labels;
use super::mounts::{Mounts, Places, mounts};
use super::namespaces::{IpcSharing, Peers, namespaces};
use super::privileges::{privileges, system_paths_unconfined};
use super::volumes::VolumeUse;
use super::{Connection, ContainerPlan, health, limits, process, seccomp};
use crate::host::Host;
use crate::stack::value::{IpcMode, NetworkMode, RootfsMode};
use crate::stack::{Instances, Logging, Service, Stack, Variables};

/// Compose's default grace period.
const STOP_GRACE_PERIOD: std::time::Duration = std::time::Duration::from_secs(10);

/// What `coop run` can say and the stack file cannot yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunOptions {
    /// Remove it when it ends.
    pub remove_at_exit: bool,
    /// Memory nodes.
    pub cpuset_mems: Option<String>,
}

/// Who the container is.
pub(super) struct Identity<'a> {
    pub id: ContainerId,
    pub name: Name,
    pub stack: &'a StackName,
    /// The service's name; none for `coop run`.
    pub service: Option<&'a str>,
    /// Which of the service's containers, from 1.
    pub replica: u32,
}

/// A plan that lacks only what has to be leased, and what has to be made for it.
#[derive(Debug)]
pub(crate) struct Draft {
    /// The plan, without id range and address.
    pub plan: ContainerPlan,
    /// Which ids it gets.
    pub ids: Ids,
    /// Host directories to make.
    pub host_directories: Vec<std::path::PathBuf>,
    /// Volumes to make, and to fill from the image.
    pub volumes: Vec<VolumeUse>,
    /// What is left in memory for it.
    pub texts: Vec<(std::path::PathBuf, Hidden)>,
}

/// Plans one container. Nothing is made or leased.
pub(super) fn draft(
    host: &Host,
    stack: &Stack,
    service: &Service,
    options: &RunOptions,
    variables: &Variables,
    identity: Identity<'_>,
    peers: &Peers<'_>,
) -> Result<Draft> {
    let image = image_of(host, service)?;
    let config = image
        .as_ref()
        .map(|image| image.config.clone())
        .unwrap_or_default();
    let Identity {
        id,
        name,
        stack: stack_name,
        service: service_name,
        replica,
    } = identity;
    let shared = namespaces(service, peers)?;
    let joined_network = shared.joined.get(&Namespace::Net);
    let mut connection = connection(
        stack,
        stack_name,
        service,
        service_name,
        &name,
        joined_network,
    );
    let dir = host.store.dirs().container(&id);
    let names_of = joined_network.map_or(&id, |other| &other.id);
    let places = Places {
        names: &host.store.dirs().container(names_of),
        volumes: &host.volumes,
        readonly_root: readonly_root(service),
    };
    let Mounts {
        in_order: mut mounts,
        host_directories,
        volumes,
    } = mounts(stack, service, &config, &places)?;
    look_up_external(host, stack, service_name, &mut connection)?;
    let grants_directory = crate::grants::directory(host.store.dirs(), &id);
    let grants = grants(stack, service, &grants_directory, variables)?;
    let (hostname, domainname) = names(service, &id, peers)?;
    let shown_hostname = hostname.clone().unwrap_or_else(crate::host::hostname);
    mounts.extend(grants.mounts);
    let labels = labels(service, &id)?;
    if let Some(context) = &labels.files {
        label_memory(&mut mounts, context);
    }
    let ids = Ids::new(host, service)?;
    let mut process = process::process(service, &config, &shown_hostname, variables)?;
    if service.user.is_none()
        && let Some(user) = Ids::default_user(service, host)?
    {
        process.user = user;
    }
    let health = health::health(service, &config)?;
    let stop_signal = match (&service.stop_signal, &config.stop_signal) {
        (Some(signal), _) => signal.number(),
        (None, Some(text)) => coop_ns::parse_signal(text)
            .with_context(|| format!("the image's stop signal {text:?}"))?
            .number(),
        (None, None) => coop_ns::Signal::TERM.number(),
    };
    let mut plan = ContainerPlan {
        config_hash: config_hash(
            service,
            image.as_ref(),
            &grants.files,
            &[
                peers.digest(&shared.joined),
                seccomp::file_digest(&service.isolation)?,
            ]
            .concat(),
        ),
        unit: UnitSpec {
            id: id.clone(),
            name: name.to_string(),
            depends_on: Vec::new(),
            stop_signal,
            stop_grace_period: service
                .stop_grace_period
                .map_or(STOP_GRACE_PERIOD, Into::into),
            health: health.as_ref().map(|(_, timing)| timing.clone()),
            terminal: process.terminal,
            stdin_open: process.stdin_open,
            restart: service.restart_policy(),
            log: service
                .logging
                .as_ref()
                .map(Logging::options)
                .unwrap_or_default(),
        },
        stack: stack_name.clone(),
        service: service_name.map(str::to_owned),
        replica,
        attach: service.instances.attach.unwrap_or(true),
        resolver: resolver(service),
        granted: grants.files,
        image: match (&image, &service.rootfs) {
            (Some(image), _) => image.reference.to_string(),
            (None, Some(rootfs)) => rootfs.path.display().to_string(),
            (None, None) => String::new(),
        },
        labels: config
            .labels
            .clone()
            .into_iter()
            .chain(service.labels()?)
            .collect(),
        annotations: service.isolation.annotations.clone().into_iter().collect(),
        root: root(service, image.as_ref(), &dir, labels.files.as_deref()),
        root_readonly: service.read_only,
        mounts,
        anonymous_volumes: volumes
            .iter()
            .filter(|used| used.anonymous)
            .map(|used| used.name.clone())
            .collect(),
        namespaces: shared.new,
        joined: shared.joined,
        ipc_sharing: match service.isolation.ipc {
            Some(IpcMode::Private | IpcMode::None) => IpcSharing::Private,
            _ => IpcSharing::Shareable,
        },
        id_maps: None,
        sysctls: sysctls(service, &connection),
        hostname,
        domainname,
        cgroup: cgroup(service, stack_name, &id)?,
        cgroup_parent: service.isolation.cgroup_parent.clone(),
        system_paths_unconfined: system_paths_unconfined(service),
        init: service.isolation.init.unwrap_or(false),
        limits: limits::limits(service, options)?,
        network: connection,
        process,
        privileges: privileges(service, labels.process)?,
        seccomp: Filter::default(),
        health_command: health.map(|(command, _)| command),
        remove_at_exit: options.remove_at_exit,
        stack_file: None,
    };
    if let Some(rootless) = &host.rootless {
        crate::rootless::plan::adapt(host, rootless, service, &mut plan)?;
    }
    ids.adapt(&mut plan);
    plan.seccomp = seccomp::filter(&service.isolation, &plan.privileges)?;
    Ok(Draft {
        plan,
        ids,
        host_directories,
        volumes,
        texts: grants.texts,
    })
}

fn image_of(host: &Host, service: &Service) -> Result<Option<Image>> {
    match (&service.image, &service.rootfs) {
        (Some(reference), _) => host.image(reference).map(Some),
        (None, Some(rootfs)) => {
            let meta = std::fs::metadata(&rootfs.path)
                .with_context(|| format!("rootfs {}", rootfs.path.display()))?;
            anyhow::ensure!(
                meta.is_dir(),
                "rootfs {}: not a directory",
                rootfs.path.display()
            );
            Ok(None)
        }
        (None, None) => anyhow::bail!("neither an image nor a rootfs is given"),
    }
}

fn root(
    service: &Service,
    image: Option<&Image>,
    dir: &std::path::Path,
    context: Option<&str>,
) -> RootSource {
    let overlay = |lowers| {
        RootSource::Overlay(Overlay {
            lowers,
            upper: dir.join("upper"),
            work: dir.join("work"),
            marks: Marks::Trusted,
            context: context.map(str::to_owned),
        })
    };
    match (image, &service.rootfs) {
        (Some(image), _) => overlay(image.layers.clone()),
        (None, Some(rootfs)) => match rootfs.mode {
            RootfsMode::Overlay => overlay(vec![rootfs.path.clone()]),
            RootfsMode::Ro => RootSource::Bind {
                dir: rootfs.path.clone(),
                readonly: true,
            },
            RootfsMode::Rw => RootSource::Bind {
                dir: rootfs.path.clone(),
                readonly: false,
            },
        },
        (None, None) => overlay(Vec::new()),
    }
}

/// Gives what is in memory the container's `SELinux` label, too.
fn label_memory(mounts: &mut [Mount], context: &str) {
    for mount in mounts {
        match mount {
            Mount::Tmpfs { options, .. } => {
                // Quoted: its categories are separated as options are.
                options.data.push(format!("context=\"{context}\""));
            }
            Mount::Dev { context: own, .. } | Mount::Shm { context: own, .. } => {
                *own = Some(context.to_owned());
            }
            _ => {}
        }
    }
}

/// A directory that is run as it is, and may not be written.
fn readonly_root(service: &Service) -> Option<&std::path::Path> {
    let rootfs = service.rootfs.as_ref()?;
    (rootfs.mode == RootfsMode::Ro).then_some(rootfs.path.as_path())
}

/// As Docker: without privileges, `ping` works and ports below 1024 can be listened on. Both
/// concern only the container's own network.
fn sysctls(service: &Service, connection: &Connection) -> Vec<Sysctl> {
    let own = &service.isolation.sysctls;
    let named = own.iter().map(|(name, value)| Sysctl {
        name: name.clone(),
        value: value.clone(),
    });
    // Who made another's network has set it up.
    if matches!(connection, Connection::Host | Connection::Container(_)) {
        return named.collect();
    }
    let all_groups = format!("0 {}", coop_ns::subid::IDS_PER_CONTAINER - 1);
    [
        ("net.ipv4.ping_group_range", all_groups.as_str()),
        ("net.ipv4.ip_unprivileged_port_start", "0"),
    ]
    .into_iter()
    .filter(|(name, _)| !own.contains_key(*name))
    .map(|(name, value)| Sysctl {
        name: name.to_owned(),
        value: value.to_owned(),
    })
    .chain(named)
    .collect()
}

/// Its host name and its domain name. As Docker: the short id, unless the container shares the
/// host's network and so its name; who shares another's network has its names.
fn names(
    service: &Service,
    id: &ContainerId,
    peers: &Peers<'_>,
) -> Result<(Option<String>, Option<String>)> {
    let domain = service.isolation.domainname.clone();
    if service.isolation.uts.is_some() {
        return Ok((service.hostname.clone(), domain));
    }
    Ok(match &service.network_mode {
        Some(NetworkMode::Of(peer)) => {
            let other = peers.find(peer)?;
            (other.hostname.clone(), other.domainname.clone())
        }
        Some(NetworkMode::Host) => (service.hostname.clone(), domain),
        Some(NetworkMode::Bridge | NetworkMode::None) | None => {
            let name = service.hostname.clone();
            (name.or_else(|| Some(id.short().to_owned())), domain)
        }
    })
}

/// Below the parent that is asked for, or else beside the stack's others.
fn cgroup(service: &Service, stack: &StackName, id: &ContainerId) -> Result<CgroupPath> {
    match &service.isolation.cgroup_parent {
        Some(parent) => parent.join(&format!("coop-{id}")),
        None => CgroupPath::new(format!("coop/{stack}/{id}")),
    }
    .context("name the cgroup")
}

/// A digest of all that a container is made from. How many there are of it, and when, is no
/// matter of the one.
fn config_hash(
    service: &Service,
    image: Option<&Image>,
    granted: &[GrantedFile],
    others: &[String],
) -> String {
    let mut service = service.clone();
    service.instances = Instances {
        container_name: service.instances.container_name.take(),
        ..Instances::default()
    };
    if let Some(deploy) = &mut service.deploy {
        deploy.replicas = None;
    }
    let image = image.map(|image| &image.id);
    let granted: Vec<_> = granted.iter().map(|file| &file.source).collect();
    let made_from = if !others.is_empty() {
        serde_json::to_vec(&(service, image, granted, others))
    } else if granted.is_empty() {
        serde_json::to_vec(&(service, image))
    } else {
        serde_json::to_vec(&(service, image, granted))
    };
    coop_image::Digest::of(&made_from.unwrap_or_default()).to_string()
}
