//! Names, numbers, networks, secrets: what concerns a service's place in its stack.

use super::error;
use crate::stack::Diagnostic;
use crate::stack::model::{GrantKind, Granted, Service, Stack};
use crate::stack::path::NodePath;
use crate::stack::read::{Problems, nearest};
use crate::stack::value::NetworkMode;
use indexmap::IndexMap;
use std::collections::{HashMap, HashSet};

/// Checks one service.
pub(super) fn service(stack: &Stack, service: &Service, path: &NodePath, out: &mut Problems) {
    links(stack, service, path, out);
    networks(stack, service, path, out);
    granted(stack, service, path, out);
    let deployed = service.deploy.as_ref().and_then(|deploy| deploy.replicas);
    if let (Some(scale), Some(deployed)) = (service.instances.scale, deployed)
        && scale != deployed
    {
        let message = "`scale` and `deploy.replicas` differ";
        out.errors
            .push(error(&path.key("scale"), message).help("keep one of the two"));
    }
    replicas(service, path, out);
}

/// What there can be only one of.
fn replicas(service: &Service, path: &NodePath, out: &mut Problems) {
    let replicas = service.replicas();
    if replicas < 2 {
        return;
    }
    if let Some(name) = &service.instances.container_name {
        let message = format!(
            "can't set container_name {name:?} and {replicas} replicas: container names must be unique"
        );
        out.errors.push(
            error(&path.key("container_name"), &message)
                .help("remove container_name to scale the service"),
        );
    }
    let mut lines = service.ports.iter().enumerate();
    let fixed = lines.find_map(|(index, port)| {
        let mut mappings = port.mappings().iter();
        let fixed = mappings.find(|mapping| mapping.host_port != 0)?;
        Some((index, fixed.host_port))
    });
    if let Some((index, port)) = fixed {
        let message =
            format!("port {port} of the host cannot be published by {replicas} replicas at a time");
        out.errors.push(
            error(&path.key("ports").index(index), &message)
                .help("write the container's port only, for a free port of the host each"),
        );
    }
}

fn links(stack: &Stack, service: &Service, path: &NodePath, out: &mut Problems) {
    for (index, (to, alias)) in service.links().enumerate() {
        let path = path.key("links").index(index);
        if !stack.services.contains_key(to) {
            let message = format!("it is linked to {to:?}, and there is no such service");
            let services = stack.services.keys().map(String::as_str);
            let problem = error(&path, &message);
            out.errors.push(match nearest(to, services) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem,
            });
        }
        if let Err(wrong) = crate::stack::name::check_service_name(alias) {
            out.errors.push(error(&path, &wrong.why).help(wrong.form));
        }
    }
}

fn networks(stack: &Stack, service: &Service, path: &NodePath, out: &mut Problems) {
    let networks = &service.networking.networks;
    for name in networks.keys() {
        if name != "default" && !stack.networks.contains_key(name) {
            let message = format!("it is on the network {name:?}, which is not declared");
            let problem = error(&path.key("networks"), &message);
            let known = stack.networks.keys().map(String::as_str);
            out.errors.push(match nearest(name, known) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help(format!("declare it: networks: {{{name}: }}")),
            });
        }
    }
    let mut interfaces = HashSet::new();
    for (name, attachment) in networks {
        let Some(interface) = &attachment.interface_name else {
            continue;
        };
        if !interfaces.insert(interface) {
            let path = path.key("networks").key(name).key("interface_name");
            let message = format!("{interface} is the interface of another network already");
            out.errors
                .push(error(&path, &message).help("give each network a name of its own"));
        }
    }
    if { service.network_mode.as_ref() }.is_some_and(|mode| *mode != NetworkMode::Bridge)
        && !networks.is_empty()
    {
        let message = "`network_mode` and `networks` exclude each other";
        out.errors
            .push(error(&path.key("networks"), message).help("remove one of the two"));
    }
}

fn granted(stack: &Stack, service: &Service, path: &NodePath, out: &mut Problems) {
    let mut targets = HashSet::new();
    let kinds = [
        (GrantKind::Secret, &service.grants.secrets, &stack.secrets),
        (GrantKind::Config, &service.grants.configs, &stack.configs),
    ];
    for (kind, grants, declared) in kinds {
        for (index, grant) in grants.iter().enumerate() {
            let path = path.key(kind.key()).index(index);
            if !declared.contains_key(&grant.source) {
                out.errors
                    .push(undeclared(kind, &grant.source, declared, &path));
            }
            let target = kind.target(grant);
            if !targets.insert(target.clone()) {
                let message = format!("{} is a mount target already", target.display());
                out.errors
                    .push(error(&path, &message).help("keep one of the two"));
            }
        }
    }
}

fn undeclared(
    kind: GrantKind,
    name: &str,
    declared: &IndexMap<String, Granted>,
    path: &NodePath,
) -> Diagnostic {
    let problem = error(
        path,
        &format!("the {} {name:?} is not declared", kind.noun()),
    );
    match nearest(name, declared.keys().map(String::as_str)) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help(format!(
            "declare it: {}: {{{name}: {{file: ./{name}}}}}",
            kind.key()
        )),
    }
}

/// Two containers cannot have one name.
pub(super) fn container_names(stack: &Stack, out: &mut Problems) {
    let mut taken: HashMap<&str, &str> = HashMap::new();
    for (service, name) in stack
        .services
        .iter()
        .filter_map(|(key, service)| Some((key, service.instances.container_name.as_deref()?)))
    {
        if let Some(other) = taken.insert(name, service) {
            let message = format!("the container name {name:?} is already in use by {other}");
            let path = NodePath::service(service).key("container_name");
            out.errors
                .push(error(&path, &message).help("choose another name"));
        }
    }
}

impl Stack {
    /// What is wrong with the number of containers of a service, after it was changed.
    pub(crate) fn replicas_problem(&self, name: &str) -> Option<Diagnostic> {
        let mut out = Problems::default();
        replicas(self.services.get(name)?, &NodePath::service(name), &mut out);
        out.errors.pop()
    }
}
