//! One container of a list.

use std::time::SystemTime;

use coop_launcher::store::{Health, State, Status};
use coop_net::PortMapping;
use serde_json::{Value, json};

use crate::host::Host;
use crate::plan::{Connection, ContainerPlan};
use crate::ui::{ago, duration, ellipsis, timestamp};

/// Docker's width of a command in a list.
const COMMAND_WIDTH: usize = 20;

/// What a list says about a container.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) state: State,
    /// As the kernel says, which is later than what was saved.
    status: Status,
    labels: Vec<(String, String)>,
    networks: Vec<String>,
    ports: Vec<PortMapping>,
    now: SystemTime,
}

impl Entry {
    pub(super) fn new(host: &Host, state: State, now: SystemTime) -> Self {
        let plan: Option<ContainerPlan> = match host.store.load_config(&state.id) {
            Ok(plan) => Some(plan),
            // Of another version, or removed just now: what the state says is still true.
            Err(error) => {
                log::debug!("{}: {error}", state.name);
                None
            }
        };
        let mut entry = Self {
            status: state.current_status(),
            state,
            labels: Vec::new(),
            networks: Vec::new(),
            ports: Vec::new(),
            now,
        };
        if let Some(plan) = plan {
            entry.networks.push(match &plan.network {
                Connection::Host => "host".into(),
                Connection::None => "none".into(),
                Connection::Bridge { network, .. } => network.clone(),
            });
            entry.ports = published(&plan.network).to_vec();
            entry.labels = plan.labels.into_iter().collect();
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

    pub(super) fn id(&self, no_trunc: bool) -> &str {
        if no_trunc {
            self.state.id.as_str()
        } else {
            self.state.id.short()
        }
    }

    pub(super) fn command(&self, no_trunc: bool) -> String {
        let command = self.state.command.join(" ");
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

    pub(super) fn json(&self) -> Value {
        let state = &self.state;
        let labels: Vec<_> = self
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let shown: &[PortMapping] = if self.is_live() { &self.ports } else { &[] };
        let has_ended = matches!(self.status, Status::Stopped | Status::Restarting);
        let exit_code = if has_ended { state.exit_code } else { Some(0) };
        let publishers: Vec<_> = shown
            .iter()
            .map(|port| {
                json!({
                    "URL": port.host_ip,
                    "TargetPort": port.container_port,
                    "PublishedPort": port.host_port,
                    "Protocol": port.protocol,
                })
            })
            .collect();
        json!({
            "ID": state.id.short(),
            "Image": state.image,
            "Command": self.command(false),
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
            "Networks": self.networks.join(","),
            "Project": state.stack,
            "Service": state.service.as_deref().unwrap_or_default(),
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

/// The ports of a connection; with the host's number once it is leased.
pub(crate) fn published(connection: &Connection) -> &[PortMapping] {
    match connection {
        Connection::Bridge {
            lease: Some(lease), ..
        } => &lease.ports,
        Connection::Bridge { ports, .. } => ports,
        Connection::Host | Connection::None => &[],
    }
}

/// Docker's list, consecutive ports as a range: `0.0.0.0:8000-8002->80-82/tcp`.
fn ports(mappings: &[PortMapping]) -> String {
    let mut sorted = mappings.to_vec();
    sorted.sort_by_key(|port| {
        (
            port.protocol,
            port.host_ip,
            port.container_port,
            port.host_port,
        )
    });
    let mut ranges: Vec<(PortMapping, u16)> = Vec::new();
    for port in sorted {
        match ranges.last_mut() {
            Some((first, length)) if continues(first, *length, &port) => *length += 1,
            _ => ranges.push((port, 0)),
        }
    }
    let shown: Vec<_> = ranges
        .iter()
        .map(|(first, length)| port_range(first, *length))
        .collect();
    shown.join(", ")
}

fn continues(first: &PortMapping, length: u16, next: &PortMapping) -> bool {
    let follows = |first: u16, next: u16| first.checked_add(length + 1) == Some(next);
    (first.protocol, first.host_ip) == (next.protocol, next.host_ip)
        && follows(first.container_port, next.container_port)
        && follows(first.host_port, next.host_port)
}

fn port_range(first: &PortMapping, length: u16) -> String {
    let range = |from: u16| match length {
        0 => from.to_string(),
        length => format!("{from}-{}", from.saturating_add(length)),
    };
    format!(
        "{}:{}->{}/{}",
        first.host_ip,
        range(first.host_port),
        range(first.container_port),
        first.protocol
    )
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
            labels: vec![("a".into(), "b".into()), ("c".into(), String::new())],
            networks: vec!["shop_default".into()],
            ports: PortMapping::parse("127.0.0.1:8080:80").unwrap(),
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
    fn consecutive_ports_are_a_range() {
        let parse = |text: &str| PortMapping::parse(text).unwrap();
        let all = [
            parse("8000-8002:80-82"),
            parse("9000:83"),
            parse("127.0.0.1:53:53/udp"),
        ]
        .concat();
        assert_eq!(
            ports(&all),
            "0.0.0.0:8000-8002->80-82/tcp, 0.0.0.0:9000->83/tcp, 127.0.0.1:53->53/udp"
        );
        assert_eq!(
            ports(&parse("65534-65535:65534-65535")),
            "0.0.0.0:65534-65535->65534-65535/tcp"
        );
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
        assert_eq!(web.command(false), r#""sh -c echo \"a\"; sle…""#);
        assert_eq!(web.command(true), r#""sh -c echo \"a\"; sleep 1000""#);
    }
}
