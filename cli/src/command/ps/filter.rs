//! `ps --filter`.

use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use coop_image::Reference;
use coop_launcher::store::Health;

use super::entry::{Entry, status_word};
use crate::args::{Conditions, Filter, StackArgs, label_fits, name_fits};
use crate::host::Host;
use crate::load;

const STATUSES: [&str; 7] = [
    "created",
    "restarting",
    "running",
    "removing",
    "paused",
    "exited",
    "dead",
];
const HEALTHS: [&str; 4] = ["starting", "healthy", "unhealthy", "none"];

/// Whether the conditions are about containers that `ps` shows with `-a` only: as with Docker,
/// asking for them is enough.
pub(super) fn asks_for_ended(filters: Conditions<'_>) -> bool {
    filters.has("status") || filters.has("exited")
}

/// The conditions, checked.
pub(super) struct Wanted<'a> {
    filters: Conditions<'a>,
    /// The container that `before` or `since` names, with its creation.
    created: Vec<(&'a str, SystemTime)>,
    /// The image that `ancestor` names, with its id.
    images: Vec<(&'a str, String)>,
    host: &'a Host,
}

impl<'a> Wanted<'a> {
    /// Checks that the conditions mean something.
    pub(super) fn new(host: &'a Host, stack: &StackArgs, filters: Conditions<'a>) -> Result<Self> {
        for status in filters.of("status") {
            one_of("status", status, &STATUSES)?;
        }
        for health in filters.of("health") {
            one_of("health", health, &HEALTHS)?;
        }
        for code in filters.of("exited") {
            code.parse::<i32>()
                .with_context(|| format!("--filter exited={code}: not a number"))?;
        }
        for port in filters.of("publish").chain(filters.of("expose")) {
            if Ports::parse(port).is_none() {
                bail!("--filter publish={port}: write PORT[-PORT][/PROTOCOL]");
            }
        }
        let mut created = Vec::new();
        for name in filters.of("before").chain(filters.of("since")) {
            created.push((name, load::resolve(host, stack, name)?.created));
        }
        let mut images = Vec::new();
        for name in filters.of("ancestor") {
            if let Some(image) = host.images.list()?.into_iter().find(|image| {
                name.parse::<Reference>()
                    .is_ok_and(|reference| reference == image.reference)
            }) {
                images.push((name, image.id.to_string()));
            }
        }
        Ok(Self {
            filters,
            created,
            images,
            host,
        })
    }

    /// Whether a container is asked for.
    pub(super) fn is(&self, entry: &Entry) -> bool {
        self.filters.pass(|filter| self.holds(entry, filter))
    }

    fn holds(&self, entry: &Entry, filter: &Filter) -> bool {
        let wanted = filter.value.as_str();
        let state = &entry.state;
        match filter.key.as_str() {
            "id" => state.id.as_str().starts_with(wanted),
            "name" => name_fits(wanted, state.name.as_str()),
            "label" => label_fits(wanted, |key| entry.labels.get(key).map(String::as_str)),
            "status" => status_word(entry.status) == wanted,
            "health" => match state.health {
                None => wanted == "none",
                Some(Health::Starting) => wanted == "starting",
                Some(Health::Healthy) => wanted == "healthy",
                Some(Health::Unhealthy) => wanted == "unhealthy",
            },
            "exited" => entry.has_ended() && state.exit_code == wanted.parse().ok(),
            "ancestor" => self.descends(entry, wanted),
            "volume" => entry
                .mounts
                .iter()
                .any(|mount| mount.source == wanted || mount.target == wanted),
            "network" => entry.networks.iter().any(|network| network == wanted),
            // What is published is exposed; more is not known of a container.
            "publish" | "expose" => Ports::parse(wanted).is_some_and(|wanted| {
                let published = filter.key.as_str() == "publish";
                entry.ports.iter().any(|port| {
                    let number = if published {
                        port.host_port
                    } else {
                        port.container_port
                    };
                    wanted.contain(number, &port.protocol.to_string())
                })
            }),
            "before" => self.created_of(wanted).is_some_and(|of| state.created < of),
            "since" => self.created_of(wanted).is_some_and(|of| state.created > of),
            "stack" | "project" => state.stack.as_str() == wanted,
            "service" => state.service.as_deref() == Some(wanted),
            _ => false,
        }
    }

    fn created_of(&self, name: &str) -> Option<SystemTime> {
        let found = self.created.iter().find(|(known, _)| *known == name);
        found.map(|(_, created)| *created)
    }

    /// Whether the container was made from the image: by name, with or without tag, or by the
    /// beginning of its id.
    fn descends(&self, entry: &Entry, wanted: &str) -> bool {
        let image = &entry.state.image;
        if image == wanted {
            return true;
        }
        let Ok(reference) = image.parse::<Reference>() else {
            return false;
        };
        if wanted.parse::<Reference>().is_ok_and(|it| it == reference) {
            return true;
        }
        let Ok(image) = self.host.images.get(&reference) else {
            return false;
        };
        let named = self.images.iter().find(|(name, _)| *name == wanted);
        let hex = wanted.strip_prefix("sha256:").unwrap_or(wanted);
        named.is_some_and(|(_, id)| *id == image.id.to_string())
            || (hex.len() >= 4 && image.id.hex().starts_with(hex))
    }
}

fn one_of(key: &str, value: &str, known: &[&str]) -> Result<()> {
    if known.contains(&value) {
        return Ok(());
    }
    bail!(
        "--filter {key}={value}: no such {key}\n  help: there are {}",
        known.join(", ")
    )
}

/// `80`, `80/udp`, `8000-8010`.
struct Ports<'a> {
    first: u16,
    last: u16,
    protocol: Option<&'a str>,
}

impl<'a> Ports<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (range, protocol) = match text.split_once('/') {
            Some((range, protocol)) => (range, Some(protocol)),
            None => (text, None),
        };
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last).then_some(Self {
            first,
            last,
            protocol,
        })
    }

    fn contain(&self, port: u16, protocol: &str) -> bool {
        (self.first..=self.last).contains(&port)
            && self.protocol.is_none_or(|wanted| wanted == protocol)
    }
}

#[cfg(test)]
mod tests {
    use coop_launcher::store::Status;

    use super::super::entry::tests::entry;
    use super::*;
    use crate::plan::tests::Fixture;

    fn holds(filters: &[&str]) -> Result<bool> {
        use clap::Parser;
        let line = filters.iter().flat_map(|filter| ["--filter", filter]);
        let cli = crate::args::Cli::try_parse_from(["coop", "ps"].into_iter().chain(line))?;
        let crate::args::Command::Ps(args) = cli.command else {
            bail!("not ps")
        };
        let fixture = Fixture::new();
        let wanted = Wanted::new(
            &fixture.host,
            &StackArgs::default(),
            Conditions(&args.filters),
        )?;
        let mut web = entry("shop-web-1", 'a', Status::Running);
        web.state.health = Some(Health::Healthy);
        Ok(wanted.is(&web))
    }

    #[test]
    fn conditions_are_dockers() {
        for (filters, expected) in [
            (&["name=web"][..], true),
            (&["name=^web"], false),
            (&["name=db", "name=web"], true),
            (&["name=web", "status=exited"], false),
            (&["id=aaaa"], true),
            (&["id=b"], false),
            (&["label=a"], true),
            (&["label=a=b", "label=c"], true),
            (&["label=a=b", "label=x"], false),
            (&["label=a=x"], false),
            (&["status=running"], true),
            (&["status=exited", "status=running"], true),
            (&["health=healthy"], true),
            (&["health=none"], false),
            (&["exited=0"], false),
            (&["ancestor=coop/host"], true),
            (&["ancestor=coop/host:latest"], true),
            (&["ancestor=alpine"], false),
            (&["volume=/data"], true),
            (&["volume=shop_data-of-many-years"], true),
            (&["volume=other"], false),
            (&["network=shop_default"], true),
            (&["network=other"], false),
            (&["publish=8080"], true),
            (&["publish=8000-8100/tcp"], true),
            (&["publish=80"], false),
            (&["expose=80/tcp"], true),
            (&["expose=80/udp"], false),
            (&["stack=shop", "service=web"], true),
            (&["project=other"], false),
        ] {
            assert_eq!(holds(filters).unwrap(), expected, "{filters:?}");
        }
    }

    #[test]
    fn a_condition_that_cannot_hold_is_an_error() {
        for (filter, words) in [
            ("status=up", "there are created, restarting"),
            ("health=ill", "there are starting"),
            ("exited=x", "not a number"),
            ("publish=x", "PORT"),
            ("before=nobody", "no such container"),
            ("colour=red", "no such filter"),
        ] {
            let error = format!("{:#}", holds(&[filter]).unwrap_err());
            assert!(error.contains(words), "{error}");
        }
    }
}
