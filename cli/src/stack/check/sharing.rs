//! What a container that shares a namespace can no longer say about it.

use super::error;
use crate::stack::model::Service;
use crate::stack::path::NodePath;
use crate::stack::read::Problems;
use crate::stack::value::{IpcMode, NetworkMode, PidMode, SeccompProfile, SecurityOpt, UsernsMode};

/// What does not go with the way in which it is connected.
pub(super) fn network(service: &Service, path: &NodePath, out: &mut Problems) {
    let mode = match &service.network_mode {
        Some(NetworkMode::Host) => "host",
        Some(NetworkMode::None) => "none",
        Some(NetworkMode::Of(_)) => return network_of_another(service, path, out),
        Some(NetworkMode::Bridge) | None => return hardware_address(service, path, out),
    };
    if service.networking.mac_address.is_some() {
        let message = format!("there is no hardware address to choose with network_mode: {mode}");
        let help = "remove one of the two";
        { &mut out.errors }.push(error(&path.key("mac_address"), &message).help(help));
    }
    if !service.ports.is_empty() {
        let message = format!("ports cannot be published with network_mode: {mode}");
        out.errors
            .push(error(&path.key("ports"), &message).help("remove one of the two"));
    }
}

/// The service and its first network may both say it, if they say the same.
fn hardware_address(service: &Service, path: &NodePath, out: &mut Problems) {
    let networking = &service.networking;
    let Some((network, first)) = networking.first_network() else {
        return;
    };
    if let (Some(own), Some(there)) = (networking.mac_address, first.mac_address)
        && own != there
    {
        let message = format!("network {network} says another one: {there}");
        let help = "write it for the network alone";
        { &mut out.errors }.push(error(&path.key("mac_address"), &message).help(help));
    }
}

/// Addresses, ports and names come with the network, from the one who made it. The words are
/// Docker's.
fn network_of_another(service: &Service, path: &NodePath, out: &mut Problems) {
    let (networking, isolation) = (&service.networking, &service.isolation);
    let port = "port publishing and the container type network mode";
    let expose = "port exposing and the container type network mode";
    let links = "container type network can't be used with links";
    let (dns, hosts) = (
        "dns and the network mode",
        "custom host-to-IP mapping and the network mode",
    );
    let mac = "mac-address and the network mode";
    for (key, given, words) in [
        ("ports", !service.ports.is_empty(), port),
        ("expose", !networking.expose.is_empty(), expose),
        ("links", !service.links.is_empty(), links),
        (
            "hostname",
            service.hostname.is_some(),
            "hostname and the network mode",
        ),
        (
            "domainname",
            isolation.domainname.is_some(),
            "domainname and the network mode",
        ),
        ("dns", !networking.dns.is_empty(), dns),
        ("dns_search", !networking.dns_search.is_empty(), dns),
        ("dns_opt", !networking.dns_opt.is_empty(), dns),
        ("extra_hosts", !networking.extra_hosts.is_empty(), hosts),
        ("mac_address", networking.mac_address.is_some(), mac),
    ] {
        if given {
            let message = format!("conflicting options: {words}");
            out.errors.push(
                error(&path.key(key), &message)
                    .help("write it for the one whose network it is, and remove it here"),
            );
        }
    }
}

/// Which user ids it has can be said in one way only.
pub(super) fn user_ids(service: &Service, path: &NodePath, out: &mut Problems) {
    let isolation = &service.isolation;
    let maps = !isolation.id_maps.is_empty();
    let (key, what) = match service.userns_mode {
        _ if maps => ("x-userns", "maps of its own"),
        Some(UsernsMode::KeepId { .. }) => ("userns_mode", "keep-id"),
        Some(UsernsMode::Host) | None => return,
    };
    let mut refuse = |why: &str| {
        let message = format!("{what} cannot be had {why}");
        let problem = error(&path.key(key), &message).help("remove one of the two");
        out.errors.push(problem);
    };
    if maps && service.userns_mode.is_some() {
        refuse("with userns_mode");
    }
    if isolation.privileged {
        refuse("by a privileged container, which has the host's user ids");
    }
    let joins = matches!(service.network_mode, Some(NetworkMode::Of(_)))
        || matches!(isolation.ipc, Some(IpcMode::Of(_)))
        || matches!(isolation.pid, Some(PidMode::Of(_)));
    if joins {
        refuse("by one that joins another container, whose user ids it has");
    }
}

/// What cannot be asked for together.
pub(super) fn isolation(service: &Service, path: &NodePath, out: &mut Problems) {
    let isolation = &service.isolation;
    let mut refuse = |key: &str, message: &str, help: &str| {
        out.errors
            .push(error(&path.key(key), message).help(help.to_owned()));
    };
    if isolation.uts.is_some() {
        for (key, given) in [
            ("hostname", service.hostname.is_some()),
            ("domainname", isolation.domainname.is_some()),
        ] {
            if given {
                let message = format!("`{key}` would rename the host with uts: host");
                refuse(key, &message, "remove one of the two");
            }
        }
    }
    let of_host = service.network_mode == Some(NetworkMode::Host);
    let of_other = matches!(service.network_mode, Some(NetworkMode::Of(_)));
    let ipc_elsewhere = matches!(isolation.ipc, Some(IpcMode::Host | IpcMode::Of(_)));
    for name in isolation.sysctls.keys() {
        if name.starts_with("net") && of_host {
            let message = format!("{name} would be set for the whole host with network_mode: host");
            refuse("sysctls", &message, "set it on the host");
        }
        if name.starts_with("net") && of_other {
            let message = format!("{name} belongs to a network that is not its own");
            refuse("sysctls", &message, "set it where the network is made");
        }
        if !name.starts_with("net") && ipc_elsewhere {
            let message = format!("{name} belongs to an IPC namespace that is not its own");
            refuse("sysctls", &message, "set it where the namespace is made");
        }
    }
    if isolation.shm_size.is_some() && (ipc_elsewhere || isolation.ipc == Some(IpcMode::None)) {
        let message = "`shm_size` has no meaning: /dev/shm is not the container's own";
        refuse("shm_size", message, "remove it, or ipc:");
    }
    let asked = isolation.security_opt.iter().rev().find_map(|it| match it {
        SecurityOpt::Seccomp(profile) => Some(profile),
        _ => None,
    });
    let filters = |profile: &SeccompProfile| *profile != SeccompProfile::Unconfined;
    if isolation.privileged {
        let message = "a privileged container has no system-call filter";
        if asked.is_some_and(filters) {
            refuse("security_opt", message, "remove seccomp= or privileged");
        }
        if isolation.seccomp.is_some() {
            refuse("x-seccomp", message, "remove x-seccomp or privileged");
        }
    } else if asked.is_some() && isolation.seccomp.is_some() {
        let message = "the system-call filter is named twice, by security_opt and x-seccomp";
        refuse("x-seccomp", message, "name the profile there: base:");
    }
}
