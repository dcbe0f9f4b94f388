//! The top level of the file.

use super::super::diagnostic::Diagnostic;
use super::super::model::{GrantKind, Service, Stack, Volume};
use super::super::name::check_service_name;
use super::super::node::Node;
use super::super::path::NodePath;
use super::super::value::check_volume_name;
use super::grants::granted;
use super::network::Networks;
use super::scalar::Labels;
use super::{At, Fields, Problems, Read, keys};
use indexmap::IndexMap;

/// The `name` of the file, if it has one; another kind of value is reported when the
/// whole file is read.
pub(in super::super) fn name(root: &Node) -> Option<&str> {
    match root {
        Node::Map(map) => match map.get("name") {
            Some(Node::String(name)) => Some(name),
            _ => None,
        },
        _ => None,
    }
}

/// The whole file, its name set to `name`.
pub(in super::super) fn stack(root: At<'_>, name: &str, out: &mut Problems) -> Option<Stack> {
    let mut fields = Fields::open(root, "a mapping with services", out)?;
    if fields.at("version").is_some() {
        let note = Diagnostic::at_key(fields.path("version"), "`version` has no effect any more");
        out.warnings.push(note.help("remove it"));
    }
    // Checked here, used already: a name decides the value of variables.
    fields.get::<String>("name", out);
    let services: Option<Services> = fields.get("services", out);
    let networks: Option<Networks> = fields.get("networks", out);
    let volumes: Option<Volumes> = fields.get("volumes", out);
    let configs = granted(&mut fields, GrantKind::Config, out);
    let secrets = granted(&mut fields, GrantKind::Secret, out);
    let has_services = fields.map.contains_key("services");
    let extensions = fields.finish(keys::TOP, out);
    let services = services.map(|Services(map)| map).unwrap_or_default();
    if !has_services && out.errors.is_empty() {
        let problem = Diagnostic::new("the stack file has no services");
        out.errors
            .push(problem.help("write services: and at least one service with an image"));
    } else if services.is_empty() && out.errors.is_empty() {
        out.error(
            &NodePath::root().key("services"),
            "the stack file has no services",
            None,
        );
    }
    let volumes = volumes.map(|Volumes(map)| map).unwrap_or_default();
    Some(Stack {
        name: name.to_owned(),
        services,
        networks: networks.map(|Networks(map)| map).unwrap_or_default(),
        volumes,
        configs,
        secrets,
        extensions,
    })
}

struct Services(IndexMap<String, Service>);

impl Read for Services {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let Some(entries) = at.entries() else {
            return out.wrong_type(&at, "a mapping of services by name");
        };
        let mut map = IndexMap::new();
        for (name, at) in entries {
            // Compose takes extensions beside services too.
            if name.starts_with("x-") {
                continue;
            }
            if let Err(error) = check_service_name(name) {
                let message = format!("invalid service name {name:?}: {}", error.why);
                out.errors
                    .push(Diagnostic::at_key(at.path.clone(), message).help(error.form));
            }
            if let Some(service) = Service::read(at, out) {
                map.insert(name.to_owned(), service);
            }
        }
        Some(Self(map))
    }
}

struct Volumes(IndexMap<String, Volume>);

impl Read for Volumes {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let Some(entries) = at.entries() else {
            return out.wrong_type(&at, "a mapping of volumes by name");
        };
        let mut map = IndexMap::new();
        for (name, at) in entries {
            if let Err(error) = check_volume_name(name) {
                out.errors
                    .push(Diagnostic::at_key(at.path.clone(), &error.why).help(error.form));
            }
            let volume = match at.node {
                Node::Null => Some(Volume::default()),
                _ => Volume::read(at, out),
            };
            if let Some(volume) = volume {
                map.insert(name.to_owned(), volume);
            }
        }
        Some(Self(map))
    }
}

impl Read for Volume {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let path = at.path.clone();
        let mut fields = Fields::open(at, "a mapping or nothing", out)?;
        let name: Option<String> = fields.get("name", out);
        if let Some(Err(error)) = name.as_deref().map(check_volume_name) {
            out.error(&path.key("name"), &error.why, Some(error.form));
        }
        let driver: Option<String> = fields.get("driver", out);
        if let Some(driver) = driver.filter(|driver| driver != "local") {
            let message = format!("Coop has no volume driver {driver:?}");
            out.error(
                &path.key("driver"),
                &message,
                Some("the only driver is local"),
            );
        }
        let external = fields.or_default("external", out);
        let labels = fields
            .get("labels", out)
            .map(|Labels(map)| map)
            .unwrap_or_default();
        fields.finish(keys::VOLUME, out);
        Some(Self {
            name,
            external,
            labels,
        })
    }
}
