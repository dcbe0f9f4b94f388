//! One container of a list.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use coop_fs::{Mount, RootSource};
use coop_launcher::store::{Health, State, Status};
use coop_net::PortMapping;
use serde_json::{Value, json};

use super::ports::ports;
use crate::host::Host;
use crate::plan::{Connection, ContainerPlan};
use crate::ui::{ago, command_line, decimal_size, duration, ellipsis, timestamp};
use crate::{supervise, usage_on_disk};

/// Docker's width of a command in a list.
const COMMAND_WIDTH: usize = 20;

/// Docker's width of a volume's name or a path in a list.
const MOUNT_WIDTH: usize = 15;

/// What a list says about a container.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) state: State,
    /// As the kernel says, which is later than what was saved.
    pub(super) status: Status,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) networks: Vec<String>,
    pub(super) ports: Vec<PortMapping>,
    pub(super) mounts: Vec<Mounted>,
    /// None: nobody asked.
    pub(super) size: Option<Size>,
    now: SystemTime,
}

impl Entry {
    pub(super) fn new(host: &Host, state: State, now: SystemTime, sizes: Sizes) -> Self {
        let plan: Option<ContainerPlan> = match host.store.load_config(&state.id) {
            Ok(plan) => Some(plan),
            // Of another version, or removed just now: what the state says is still true.
            Err(error) => {
                log::debug!("{}: {error}", state.name);
                None
            }
        };
        let mut entry = Self {
            status: supervise::status_of(host, &state),
            state,
            labels: BTreeMap::new(),
            networks: Vec::new(),
            ports: Vec::new(),
            mounts: Vec::new(),
            size: None,
            now,
        };
        if let Some(plan) = plan {
            entry.networks = match &plan.network {
                Connection::Host => vec!["host".into()],
                Connection::None => vec!["none".into()],
                Connection::Container(other) => vec![format!("container:{}", other.name)],
                Connection::Bridge(_) => plan.network.networks().map(str::to_owned).collect(),
            };
            entry.ports = plan.network.published().to_vec();
            let dirs = host.store.dirs();
            let (directory, volumes) = (dirs.container(plan.names_of()), dirs.volumes());
            let mounted = |mount| Mounted::of(mount, &directory, &volumes);
            entry.mounts = plan.mounts.iter().filter_map(mounted).collect();
            if sizes == Sizes::Measured {
                entry.size = Some(Size::measure(host, &plan));
            }
            entry.labels = plan.labels;
        }
        entry
    }

    /// Whether `ps` lists it without `-a`.
    pub(super) fn is_live(&self) -> bool {
        matches!(
            self.status,
            Status::Running | Status::Paused | Status::Restarting
        )
    }

    /// Whether it has an exit status.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.status, Status::Stopped | Status::Restarting)
    }

    pub(super) fn id(&self, no_trunc: bool) -> &str {
        if no_trunc {
            self.state.id.as_str()
        } else {
            self.state.id.short()
        }
    }

    pub(super) fn command(&self, no_trunc: bool) -> String {
        let command = command_line(&self.state.command);
        format!(
            "{:?}",
            if no_trunc {
                command
            } else {
                ellipsis(&command, COMMAND_WIDTH)
            }
        )
    }

    pub(super) fn running_for(&self) -> String {
        ago(self.state.created, self.now)
    }

    /// Docker's sentence: `Up 3 minutes (healthy)`.
    pub(super) fn status(&self) -> String {
        let up = || {
            let started = self.state.started.unwrap_or(self.state.created);
            format!(
                "Up {}",
                duration(self.now.duration_since(started).unwrap_or_default())
            )
        };
        match self.status {
            Status::Creating | Status::Created => "Created".into(),
            Status::Running => match self.state.health {
                None => up(),
                Some(Health::Starting) => up() + " (health: starting)",
                Some(health) => format!("{} ({health})", up()),
            },
            Status::Paused => up() + " (Paused)",
            Status::Restarting => format!("Restarting ({}){}", self.exit_code(), self.since_end()),
            Status::Stopped => format!("Exited ({}){}", self.exit_code(), self.since_end()),
            Status::Removing => "Removal In Progress".into(),
        }
    }

    /// Nobody saw how it ended when its supervisor was killed before it.
    fn exit_code(&self) -> String {
        self.state
            .exit_code
            .map_or("?".into(), |code| code.to_string())
    }

    fn since_end(&self) -> String {
        self.state.finished.map_or(String::new(), |finished| {
            format!(" {}", ago(finished, self.now))
        })
    }

    /// `127.0.0.1:8080->80/tcp`, while they are published.
    pub(super) fn ports(&self) -> String {
        if self.is_live() {
            ports(&self.ports)
        } else {
            String::new()
        }
    }

    /// Docker's keys, and compose's.
    pub(super) fn row(&self, no_trunc: bool) -> Value {
        let state = &self.state;
        let labels: Vec<_> = self
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let shown: &[PortMapping] = if self.is_live() { &self.ports } else { &[] };
        let exit_code = if self.has_ended() {
            state.exit_code
        } else {
            Some(0)
        };
        let publishers: Vec<_> = shown
            .iter()
            .map(|port| {
                json!({
                    "URL": port.address(),
                    "TargetPort": port.container_port,
                    "PublishedPort": port.host_port,
                    "Protocol": port.protocol,
                })
            })
            .collect();
        let local_volumes = self.mounts.iter().filter(|mount| mount.is_volume).count();
        json!({
            "ID": self.id(no_trunc),
            "Image": state.image,
            "Command": self.command(no_trunc),
            "CreatedAt": timestamp(state.created),
            "RunningFor": self.running_for(),
            "State": status_word(self.status),
            "Status": self.status(),
            "Health": state.health.map_or(String::new(), |health| health.to_string()),
            "ExitCode": exit_code,
            "Ports": self.ports(),
            "Publishers": publishers,
            "Names": state.name,
            "Labels": labels.join(","),
            // Not printed, but for templates to ask.
            "Label": self.labels,
            "Networks": self.networks.join(","),
            "Mounts": self.mount_names(no_trunc),
            "LocalVolumes": local_volumes.to_string(),
            "Size": self.size.map_or("0B".into(), Size::shown),
            "Project": state.stack,
            "Service": state.service.as_deref().unwrap_or_default(),
        })
    }

    /// Names of volumes and paths of the host; Docker cuts them.
    fn mount_names(&self, no_trunc: bool) -> String {
        let shown = |mount: &Mounted| {
            if no_trunc {
                mount.source.clone()
            } else {
                ellipsis(&mount.source, MOUNT_WIDTH)
            }
        };
        self.mounts.iter().map(shown).collect::<Vec<_>>().join(",")
    }
}

/// Whether to look how much a container has written, which takes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sizes {
    Measured,
    Unknown,
}

/// How much there is in a container's files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Bytes that the container has written.
    pub(crate) written: u64,
    /// Bytes of its image.
    pub(crate) image: u64,
}

impl Size {
    /// Looks at the disk.
    pub(crate) fn measure(host: &Host, plan: &ContainerPlan) -> Self {
        let written = match &plan.root {
            RootSource::Overlay(overlay) => usage_on_disk::size(&overlay.upper),
            RootSource::Bind { .. } => 0,
        };
        let image = plan.image.parse().ok();
        let image = image.and_then(|image| host.images.get(&image).ok());
        Self {
            written,
            image: image.map_or(0, |image| image.size),
        }
    }

    /// As Docker's column: `0B (virtual 2.35MB)`.
    fn shown(self) -> String {
        format!(
            "{} (virtual {})",
            decimal_size(self.written),
            decimal_size(self.image.saturating_add(self.written))
        )
    }
}

/// A volume or a directory of the host in a container.
#[derive(Debug)]
pub(super) struct Mounted {
    /// The volume's name, or the path on the host.
    pub(super) source: String,
    pub(super) target: String,
    pub(super) is_volume: bool,
}

impl Mounted {
    fn of(mount: &Mount, directory: &Path, volumes: &Path) -> Option<Self> {
        let Mount::Bind { source, .. } = mount else {
            return None;
        };
        // The container's own files: hosts, resolv.conf.
        if source.starts_with(directory) {
            return None;
        }
        let volume = source.strip_prefix(volumes).ok();
        let name = volume.and_then(|path| path.iter().next());
        Some(Self {
            source: match name {
                Some(name) => name.to_string_lossy().into_owned(),
                None => source.display().to_string(),
            },
            target: mount.target().display().to_string(),
            is_volume: name.is_some(),
        })
    }
}

/// Docker's word for where a container is in its life.
pub(crate) fn status_word(status: Status) -> &'static str {
    match status {
        Status::Creating | Status::Created => "created",
        Status::Running => "running",
        Status::Paused => "paused",
        Status::Restarting => "restarting",
        Status::Stopped => "exited",
        Status::Removing => "removing",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use coop_launcher::store::{ContainerId, Name, StackName};

    use super::*;

    pub(in super::super) fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_714_564_800)
    }

    pub(in super::super) fn entry(name: &str, digit: char, status: Status) -> Entry {
        let id = ContainerId::parse(&digit.to_string().repeat(ContainerId::LEN)).unwrap();
        let name = Name::parse(name).unwrap();
        let mut state = State::new(
            id,
            name,
            StackName::parse("shop").unwrap(),
            "coop/host:latest".into(),
        );
        state.created = now() - Duration::from_secs(3600);
        state.status = status;
        state.service = state.name.as_str().split('-').nth(1).map(str::to_owned);
        state.command = vec!["sleep".into(), "1000".into()];
        Entry {
            state,
            status,
            labels: BTreeMap::from([("a".into(), "b".into()), ("c".into(), String::new())]),
            networks: vec!["shop_default".into()],
            ports: PortMapping::parse("127.0.0.1:8080:80").unwrap(),
            mounts: vec![Mounted {
                source: "shop_data-of-many-years".into(),
                target: "/data".into(),
                is_volume: true,
            }],
            size: None,
            now: now(),
        }
    }

    #[test]
    fn a_status_is_a_sentence_of_dockers() {
        let at = |seconds| Some(now() - Duration::from_secs(seconds));
        let mut web = entry("shop-web-1", 'a', Status::Running);
        web.state.started = at(65);
        assert_eq!(web.status(), "Up About a minute");
        web.state.health = Some(Health::Starting);
        assert_eq!(web.status(), "Up About a minute (health: starting)");
        web.state.health = Some(Health::Unhealthy);
        assert_eq!(web.status(), "Up About a minute (unhealthy)");
        web.status = Status::Paused;
        assert_eq!(web.status(), "Up About a minute (Paused)");
        web.status = Status::Stopped;
        assert_eq!(web.status(), "Exited (?)");
        web.state.exit_code = Some(137);
        web.state.finished = at(0);
        assert_eq!(web.status(), "Exited (137) Less than a second ago");
        web.status = Status::Restarting;
        assert_eq!(web.status(), "Restarting (137) Less than a second ago");
    }

    #[test]
    fn ports_are_published_only_while_it_runs() {
        assert_eq!(
            entry("shop-web-1", 'a', Status::Running).ports(),
            "127.0.0.1:8080->80/tcp"
        );
        assert_eq!(entry("shop-web-1", 'a', Status::Stopped).ports(), "");
    }

    #[test]
    fn a_command_is_quoted_and_cut() {
        let mut web = entry("shop-web-1", 'a', Status::Running);
        web.state.command = vec!["sh".into(), "-c".into(), "echo \"a\"; sleep 1000".into()];
        assert_eq!(web.command(false), r#""sh -c 'echo \"a\"; sl…""#);
        assert_eq!(web.command(true), r#""sh -c 'echo \"a\"; sleep 1000'""#);
    }
}
