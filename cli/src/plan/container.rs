//! One container's plan, from its service, its image and the options of `run`.

use anyhow::{Context, Result};
use coop_cgroup::CgroupPath;
use coop_fs::{Overlay, RootSource, Sysctl};
use coop_image::Image;
use coop_launcher::store::{ContainerId, Name, StackName};
use coop_launcher::supervisor::UnitSpec;
use coop_ns::Namespaces;
use coop_ns::privileges::{Capability, CapabilitySet, Rlimit};
use coop_seccomp::Profile;

use super::connection::{check_external, connection, resolver};
use super::grants::{GrantedFile, Hidden, grants};
use super::mounts::{Mounts, Places, mounts};
use super::volumes::VolumeUse;
use super::{Connection, ContainerPlan, PrivilegesPlan, health, limits, process};
use crate::host::Host;
use crate::stack::value::{RootfsMode, Ulimit};
use crate::stack::{Instances, Logging, Service, Stack, UsernsMode, Variables};

/// Compose's default grace period.
const STOP_GRACE_PERIOD: std::time::Duration = std::time::Duration::from_secs(10);

/// What `coop run` can say and the stack file cannot yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunOptions {
    /// Give it a terminal.
    pub terminal: bool,
    /// Keep its standard input open.
    pub stdin_open: bool,
    /// Remove it when it ends.
    pub remove_at_exit: bool,
    /// Memory nodes.
    pub cpuset_mems: Option<String>,
    /// Limits of each process.
    pub ulimits: Vec<Ulimit>,
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
    let dir = host.store.dirs().container(&id);
    let places = Places {
        container: &dir,
        volumes: &host.volumes,
        readonly_root: readonly_root(service),
    };
    let Mounts {
        in_order: mut mounts,
        host_directories,
        volumes,
    } = mounts(stack, service, &config, &places)?;
    let connection = connection(stack, stack_name, service, service_name, &name);
    if let Some(service_name) = service_name {
        check_external(&host.networks, stack, service_name, &connection)?;
    }
    let grants_directory = crate::grants::directory(host.store.dirs(), &id);
    let grants = grants(stack, service, &grants_directory, variables)?;
    let hostname = hostname(service, &id, &connection);
    let shown_hostname = hostname.clone().unwrap_or_else(crate::host::hostname);
    mounts.extend(grants.mounts);
    let process = process::process(service, options, &config, &shown_hostname, variables)?;
    let health = health::health(service, &config)?;
    let stop_signal = match (&service.stop_signal, &config.stop_signal) {
        (Some(signal), _) => signal.number(),
        (None, Some(text)) => coop_ns::parse_signal(text)
            .with_context(|| format!("the image's stop signal {text:?}"))?
            .number(),
        (None, None) => coop_ns::Signal::TERM.number(),
    };
    let plan = ContainerPlan {
        config_hash: config_hash(service, image.as_ref(), &grants.files),
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
            .iter()
            .chain(&service.labels)
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
        root: root(service, image.as_ref(), &dir),
        root_readonly: service.read_only,
        mounts,
        anonymous_volumes: volumes
            .iter()
            .filter(|used| used.anonymous)
            .map(|used| used.name.clone())
            .collect(),
        namespaces: namespaces(service, &connection),
        id_maps: None,
        sysctls: sysctls(&connection),
        hostname,
        cgroup: CgroupPath::new(format!("coop/{stack_name}/{id}")).context("name the cgroup")?,
        limits: limits::limits(service, options)?,
        network: connection,
        process,
        privileges: privileges(service, options)?,
        seccomp: Profile::default(),
        health_command: health.map(|(command, _)| command),
        remove_at_exit: options.remove_at_exit,
    };
    Ok(Draft {
        plan,
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

fn root(service: &Service, image: Option<&Image>, dir: &std::path::Path) -> RootSource {
    let overlay = |lowers| {
        RootSource::Overlay(Overlay {
            lowers,
            upper: dir.join("upper"),
            work: dir.join("work"),
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

/// A directory that is run as it is, and may not be written.
fn readonly_root(service: &Service) -> Option<&std::path::Path> {
    let rootfs = service.rootfs.as_ref()?;
    (rootfs.mode == RootfsMode::Ro).then_some(rootfs.path.as_path())
}

/// Every kind of namespace but time, less what the service shares with the host by name.
fn namespaces(service: &Service, connection: &Connection) -> Namespaces {
    let mut namespaces = Namespaces::all() - Namespaces::TIME;
    if service.userns_mode == Some(UsernsMode::Host) {
        namespaces -= Namespaces::USER;
    }
    if *connection == Connection::Host {
        namespaces -= Namespaces::NET;
    }
    namespaces
}

/// As Docker: without privileges, `ping` works and ports below 1024 can be listened on. Both
/// concern only the container's own network.
fn sysctls(connection: &Connection) -> Vec<Sysctl> {
    if *connection == Connection::Host {
        return Vec::new();
    }
    let all_groups = format!("0 {}", coop_ns::subid::IDS_PER_CONTAINER - 1);
    [
        ("net.ipv4.ping_group_range", all_groups.as_str()),
        ("net.ipv4.ip_unprivileged_port_start", "0"),
    ]
    .map(|(name, value)| Sysctl {
        name: name.to_owned(),
        value: value.to_owned(),
    })
    .into()
}

/// As Docker: the short id, unless the container shares the host's network and so its name.
fn hostname(service: &Service, id: &ContainerId, connection: &Connection) -> Option<String> {
    service
        .hostname
        .clone()
        .or_else(|| (*connection != Connection::Host).then(|| id.short().to_owned()))
}

fn privileges(service: &Service, options: &RunOptions) -> Result<PrivilegesPlan> {
    let mut capabilities = CapabilitySet::DEFAULT;
    let all = |name: &str| name.eq_ignore_ascii_case("all");
    // As Docker: dropping ALL leaves what is added, adding ALL leaves what is not dropped.
    if service.cap_drop.iter().any(|name| all(name)) {
        capabilities = CapabilitySet::EMPTY;
    }
    if service.cap_add.iter().any(|name| all(name)) {
        capabilities = CapabilitySet::ALL;
    }
    for name in service.cap_drop.iter().filter(|name| !all(name)) {
        capabilities.remove(name.parse::<Capability>().context("cap_drop")?);
    }
    for name in service.cap_add.iter().filter(|name| !all(name)) {
        capabilities.insert(name.parse::<Capability>().context("cap_add")?);
    }
    let rlimits = options
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
    Ok(PrivilegesPlan {
        capabilities,
        no_new_privileges: true,
        rlimits,
    })
}

/// A digest of all that a container is made from. How many there are of it, and when, is no
/// matter of the one.
fn config_hash(service: &Service, image: Option<&Image>, granted: &[GrantedFile]) -> String {
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
    let made_from = if granted.is_empty() {
        serde_json::to_vec(&(service, image))
    } else {
        serde_json::to_vec(&(service, image, granted))
    };
    coop_image::Digest::of(&made_from.unwrap_or_default()).to_string()
}
