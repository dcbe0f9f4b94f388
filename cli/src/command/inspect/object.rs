//! What a name means, and how it is shown.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use coop_image::Image;
use coop_launcher::store::{ContainerId, State, Status, StoreError, time};
use coop_net::{Lease, Network};
use serde::Serialize;
use serde_json::{Value, json};

use super::image::ImageObject;
use super::{Container, Files, image_object};
use crate::args::{InspectArgs, ObjectKind, StackArgs};
use crate::command::image;
use crate::command::ps::{self, Size};
use crate::host::Host;
use crate::plan::ContainerPlan;
use crate::supervise;
use crate::{load, networks};

/// Something that can be inspected, with all that is shown of it.
pub(super) enum Object {
    Container(Box<Inspected>),
    Image(Box<Image>, Vec<Image>),
    Other(Value),
}

pub(super) struct Inspected {
    state: State,
    status: Status,
    plan: ContainerPlan,
    size: Option<Size>,
    names: PathBuf,
    log: PathBuf,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Shown<'a> {
    Container(Box<Container<'a>>),
    Image(Box<ImageObject<'a>>),
    Other(&'a Value),
}

impl Object {
    /// What a name means: what `--type` says, or the first that there is.
    pub(super) fn find(
        host: &Host,
        stack: &StackArgs,
        args: &InspectArgs,
        name: &str,
    ) -> Result<Self> {
        match args.kind {
            Some(ObjectKind::Container) => container(host, stack, args, name),
            Some(ObjectKind::Image) => image(host, name),
            Some(ObjectKind::Volume) => match volume(host, name)? {
                Some(volume) => Ok(volume),
                None => bail!("no such volume: {name}"),
            },
            Some(ObjectKind::Network) => match network(host, name)? {
                Some(network) => Ok(network),
                None => bail!("no such network: {name}"),
            },
            None => {
                let error = match container(host, stack, args, name) {
                    Err(error) if is_unknown(&error) => error,
                    found => return found,
                };
                if let Ok(image) = image(host, name) {
                    return Ok(image);
                }
                // A text that is no name of a volume or a network is none of the two.
                let network = network(host, name).unwrap_or_default();
                let other = || volume(host, name).unwrap_or_default();
                network.or_else(other).ok_or(error)
            }
        }
    }

    pub(super) fn shown<'a>(&'a self, volumes: &'a Path) -> Shown<'a> {
        match self {
            Self::Container(inspected) => {
                let Inspected {
                    state,
                    status,
                    plan,
                    size,
                    names,
                    log,
                } = inspected.as_ref();
                let files = Files {
                    names,
                    log,
                    volumes,
                };
                let container = Container::new(state, *status, plan, *size, &files);
                Shown::Container(Box::new(container))
            }
            Self::Image(image, all) => Shown::Image(Box::new(image_object(image, all))),
            Self::Other(value) => Shown::Other(value),
        }
    }
}

fn is_unknown(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref(),
        Some(StoreError::NotFound { .. } | StoreError::InvalidName { .. })
    )
}

fn container(host: &Host, stack: &StackArgs, args: &InspectArgs, name: &str) -> Result<Object> {
    let state = load::resolve(host, stack, name)?;
    ps::mend_if_needed(host, &state.stack)?;
    let state = host.store.load_state(&state.id)?;
    let plan = host.store.load_config(&state.id)?;
    let dirs = host.store.dirs();
    Ok(Object::Container(Box::new(Inspected {
        status: supervise::status_of(host, &state),
        size: args.size.then(|| Size::measure(host, &plan)),
        names: dirs.container(plan.names_of()),
        log: dirs.container_log(&state.id),
        state,
        plan,
    })))
}

fn image(host: &Host, name: &str) -> Result<Object> {
    let reference = image::find(host, name)?;
    let image = host.images.get(&reference)?;
    Ok(Object::Image(Box::new(image), host.images.list()?))
}

fn volume(host: &Host, name: &str) -> Result<Option<Object>> {
    let found = host.volumes.get(name)?;
    Ok(found.map(|volume| {
        Object::Other(json!({
            "CreatedAt": time::format(volume.created),
            "Driver": "local",
            "Labels": volume.labels,
            "Mountpoint": volume.path,
            "Name": volume.name,
            "Options": {},
            "Scope": "local",
        }))
    }))
}

fn network(host: &Host, name: &str) -> Result<Option<Object>> {
    Ok(network_object(host, name)?.map(Object::Other))
}

/// All that is known of a network, by Docker's keys.
pub(crate) fn network_object(host: &Host, name: &str) -> Result<Option<Value>> {
    let Some(network) = networks::find(host, name)? else {
        return Ok(None);
    };
    let mut leases = host.networks.leases(name)?;
    // A container that has ended keeps its address, but is not connected.
    leases.retain(|lease| {
        let state = ContainerId::parse(&lease.container).and_then(|id| host.store.load_state(&id));
        state.is_ok_and(|state| state.init_alive())
    });
    Ok(Some(described(&network, &leases)))
}

fn described(network: &Network, leases: &[Lease]) -> Value {
    let container = |lease: &Lease| {
        let v6 = lease
            .ipv6
            .map(|ipv6| format!("{}/{}", ipv6.address, ipv6.prefix_len));
        let place = json!({
            "Name": lease.names.get(1).or(lease.names.first()),
            "EndpointID": lease.host_interface,
            "MacAddress": lease.mac,
            "IPv4Address": format!("{}/{}", lease.address, lease.prefix_len),
            "IPv6Address": v6.unwrap_or_default(),
        });
        (lease.container.clone(), place)
    };
    let mut reserved = [serde_json::Map::new(), serde_json::Map::new()];
    for (name, address) in &network.reserved {
        let family = usize::from(address.is_ipv6());
        reserved[family].insert(name.clone(), address.to_string().into());
    }
    let [reserved4, reserved6] = reserved;
    let mut config = vec![json!({
        "Subnet": network.subnet.to_string(),
        "Gateway": network.gateway,
        "IPRange": network.range.map(|range| range.to_string()).unwrap_or_default(),
        "AuxiliaryAddresses": reserved4,
    })];
    if let Some(ipv6) = network.ipv6 {
        config.push(json!({
            "Subnet": ipv6.subnet.to_string(),
            "Gateway": ipv6.gateway,
            "IPRange": ipv6.range.map(|range| range.to_string()).unwrap_or_default(),
            "AuxiliaryAddresses": reserved6,
        }));
    }
    json!({
        "Name": network.name,
        "Id": network.bridge,
        "Scope": "local",
        "Driver": "bridge",
        "EnableIPv4": true,
        "EnableIPv6": network.ipv6.is_some(),
        "IPAM": {"Driver": "default", "Options": {}, "Config": config},
        "Internal": network.internal,
        "Attachable": true,
        "Containers": leases.iter().map(container).collect::<serde_json::Map<_, _>>(),
        "Partitions": network.partitions,
        "Options": {
            "com.docker.network.bridge.name": network.bridge,
            "com.docker.network.bridge.enable_icc": (!network.apart).to_string(),
            "com.docker.network.bridge.enable_ip_masquerade": (!network.routed).to_string(),
            "com.docker.network.driver.mtu": network.mtu.to_string(),
        },
        "Labels": network.labels,
    })
}

/// Gives what Docker leaves out of its JSON, when there is none, the value of nothing:
/// `{{if .State.Health}}` is how scripts ask for it.
pub(super) fn name_what_is_absent(value: &mut Value) {
    let optional: [(&str, &[&str]); 3] = [
        ("/State", &["Health"]),
        ("/Config", &["Healthcheck"]),
        ("", &["SizeRw", "SizeRootFs"]),
    ];
    // Only of containers.
    if value.pointer("/HostConfig").is_none() {
        return;
    }
    for (parent, keys) in optional {
        if let Some(Value::Object(parent)) = value.pointer_mut(parent) {
            for key in keys {
                parent.entry(*key).or_insert(Value::Null);
            }
        }
    }
}
