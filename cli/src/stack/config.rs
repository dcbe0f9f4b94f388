//! A stack in compose's canonical form: long syntaxes, keys in order.

use super::model::Stack;
use super::node::Node;
use super::yaml;

/// The stack as YAML that reads back as the same stack.
///
/// # Errors
/// When an extension holds what YAML cannot write.
pub(crate) fn to_yaml(stack: &Stack) -> Result<String, String> {
    yaml::to_string(&canonical(stack)?).map_err(|error| error.to_string())
}

/// The same as JSON, which is YAML too.
///
/// # Errors
/// As [`to_yaml`].
pub(crate) fn to_json(stack: &Stack) -> Result<String, String> {
    serde_json::to_string_pretty(&canonical(stack)?).map_err(|error| error.to_string())
}

fn canonical(stack: &Stack) -> Result<Node, String> {
    let mut stack = stack.clone();
    stack.services.sort_keys();
    for service in stack.services.values_mut() {
        service.environment.sort_keys();
        service.labels.sort_keys();
        service.depends_on.sort_keys();
    }
    stack.volumes.sort_keys();
    stack.networks.sort_keys();
    let names: Vec<String> = stack
        .networks
        .keys()
        .map(|key| stack.network_name(key))
        .collect();
    for (network, name) in stack.networks.values_mut().zip(names) {
        network.name = Some(name);
    }
    let names: Vec<String> = stack
        .volumes
        .keys()
        .map(|key| stack.volume_name(key))
        .collect();
    for (volume, name) in stack.volumes.values_mut().zip(names) {
        volume.name = Some(name);
    }
    let mut node = yaml::to_node(&stack).map_err(|error| error.to_string())?;
    sort_services(&mut node);
    escape(&mut node);
    Ok(node)
}

/// The keys of each service in order, wherever the model keeps them.
fn sort_services(node: &mut Node) {
    let Node::Map(stack) = node else { return };
    let Some(Node::Map(services)) = stack.get_mut("services") else {
        return;
    };
    for service in services.values_mut() {
        if let Node::Map(keys) = service {
            keys.sort_keys();
        }
    }
}

/// A dollar sign in a value is no variable any more, and must not become one again.
fn escape(node: &mut Node) {
    match node {
        Node::String(text) if text.contains('$') => *text = text.replace('$', "$$"),
        Node::List(list) => list.iter_mut().for_each(escape),
        Node::Map(map) => map.values_mut().for_each(escape),
        _ => {}
    }
}

impl Stack {
    /// The name on the host of the network with this key; `default` is there undeclared.
    pub(crate) fn network_name(&self, key: &str) -> String {
        match self.networks.get(key) {
            Some(network) if network.name.is_some() => network.name.clone().unwrap_or_default(),
            Some(network) if network.external => key.to_owned(),
            _ => format!("{}_{key}", self.name),
        }
    }

    /// The name on the host of the volume with this key.
    pub(crate) fn volume_name(&self, key: &str) -> String {
        match self.volumes.get(key) {
            Some(volume) if volume.name.is_some() => volume.name.clone().unwrap_or_default(),
            Some(volume) if volume.external => key.to_owned(),
            _ => format!("{}_{key}", self.name),
        }
    }
}
