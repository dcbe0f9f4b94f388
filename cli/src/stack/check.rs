//! What only the file as a whole shows.

mod sharing;
mod stack_level;

use super::diagnostic::Diagnostic;
use super::model::{Condition, HealthTest, Service, Stack};
use super::path::NodePath;
use super::read::{Problems, nearest};
use super::value::{MountKind, SwapLimit};
use coop_net::{PortMapping, Protocol};
use coop_ns::privileges::Capability;
use std::collections::{BTreeMap, HashMap};

/// Checks a stack that could be read.
pub(super) fn check(stack: &Stack, out: &mut Problems) {
    for (name, service) in &stack.services {
        if out.enough() {
            return;
        }
        let path = NodePath::service(name);
        root(service, &path, out);
        dependencies(stack, service, &path, out);
        alone(stack, service, &path, out);
        stack_level::service(stack, service, &path, out);
    }
    if let Err(circle) = stack.start_order() {
        let path = NodePath::service(circle[0])
            .key("depends_on")
            .key(circle[1]);
        let message = format!(
            "the services depend on each other in a cycle: {}",
            circle.join(" -> ")
        );
        out.errors
            .push(Diagnostic::at(path, message).help("remove one depends_on of the cycle"));
    }
    ports(stack, out);
    stack_level::container_names(stack, out);
}

/// What is wrong with a service that is described by flags, in a stack that has nothing else.
pub(crate) fn check_alone(stack: &Stack, service: &Service) -> Vec<Diagnostic> {
    let mut out = Problems::default();
    alone(stack, service, &NodePath::root(), &mut out);
    out.errors
}

/// What a service says about itself and its volumes: the same from a file and from flags.
fn alone(stack: &Stack, service: &Service, path: &NodePath, out: &mut Problems) {
    mounts(stack, service, path, out);
    limits(service, path, out);
    capabilities(service, path, out);
    restart(service, path, out);
    sharing::network(service, path, out);
    sharing::isolation(service, path, out);
    sharing::user_ids(service, path, out);
}

pub(super) fn error(path: &NodePath, message: &str) -> Diagnostic {
    Diagnostic::at(path.clone(), format!("{}{message}", path.subject()))
}

fn root(service: &Service, path: &NodePath, out: &mut Problems) {
    match (&service.image, &service.rootfs) {
        (None, None) => out.errors.push(
            error(path, "the service has neither an image nor a rootfs")
                .help("write image: NAME, such as coop/host, or rootfs: DIRECTORY"),
        ),
        (Some(_), Some(_)) => out.errors.push(
            error(
                &path.key("rootfs"),
                "the service has both an image and a rootfs",
            )
            .help("remove one of them"),
        ),
        (Some(image), None) if image.trim().is_empty() => {
            out.errors
                .push(error(&path.key("image"), "the name of the image is empty"));
        }
        _ => {}
    }
}

fn dependencies(stack: &Stack, service: &Service, path: &NodePath, out: &mut Problems) {
    for (key, name) in service.joins() {
        if NodePath::service(name) == *path {
            let problem = error(&path.key(key), "it cannot join itself");
            out.errors.push(problem.help("name another service"));
            continue;
        }
        if !stack.services.contains_key(name) {
            let message = format!("there is no service {name:?}");
            let problem = error(&path.key(key), &message);
            let near = nearest(name, stack.services.keys().map(String::as_str));
            out.errors.push(match near {
                Some(near) => problem.help(format!("did you mean service:{near}?")),
                None => problem.help("write container:NAME for one of another stack"),
            });
        }
    }
    for (name, dependency) in &service.depends_on {
        let path = path.key("depends_on").key(name);
        let Some(target) = stack.services.get(name) else {
            let problem = error(
                &path,
                &format!("it depends on {name:?}, and there is no such service"),
            );
            let near = nearest(name, stack.services.keys().map(String::as_str));
            let problem = match near {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem,
            };
            if dependency.required {
                out.errors.push(problem);
            } else {
                out.warnings.push(problem);
            }
            continue;
        };
        let never = target
            .healthcheck
            .as_ref()
            .is_some_and(|check| check.disable || check.test == Some(HealthTest::None));
        if dependency.condition == Condition::ServiceHealthy && never {
            let message =
                format!("it waits until {name} is healthy, and {name} has no health check");
            out.errors.push(error(&path, &message).help(format!(
                "enable the healthcheck of {name}, or wait for service_started"
            )));
        }
    }
}

fn mounts(stack: &Stack, service: &Service, path: &NodePath, out: &mut Problems) {
    let mut targets: BTreeMap<String, NodePath> = BTreeMap::new();
    let mut claim = |target: &str, path: NodePath, out: &mut Problems| {
        let parts: Vec<&str> = target
            .split('/')
            .filter(|p| !p.is_empty() && *p != ".")
            .collect();
        if targets.insert(parts.join("/"), path.clone()).is_some() {
            let problem = error(&path, &format!("{target} is a mount target already"));
            out.errors.push(problem.help("keep one of the two"));
        }
    };
    for (index, mount) in service.volumes.iter().enumerate() {
        let path = path.key("volumes").index(index);
        claim(&mount.target, path.clone(), out);
        let MountKind::Volume {
            source: Some(name), ..
        } = &mount.kind
        else {
            continue;
        };
        if stack.volumes.contains_key(name) {
            continue;
        }
        let near = nearest(name, stack.volumes.keys().map(String::as_str));
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!(
                "add it to the volumes: at the top level, or write ./{name} for a directory"
            ),
        };
        out.errors
            .push(error(&path, &format!("the volume {name:?} is not declared")).help(help));
    }
    for (index, mount) in service.tmpfs.iter().enumerate() {
        claim(&mount.target, path.key("tmpfs").index(index), out);
    }
}

fn ports(stack: &Stack, out: &mut Problems) {
    // By number and protocol: few ports share both.
    let mut published: HashMap<(u16, Protocol), Vec<(PortMapping, &str)>> = HashMap::new();
    for (name, service) in &stack.services {
        for (index, port) in service.ports.iter().enumerate() {
            let mut clash = None;
            for mapping in port
                .mappings()
                .iter()
                .filter(|mapping| mapping.host_port != 0)
            {
                let key = (mapping.host_port, mapping.protocol);
                let taken = published.entry(key).or_default();
                let by = taken.iter().find(|(other, _)| other.conflicts(mapping));
                clash = clash.or(by.map(|(_, by)| (mapping.host_port, *by)));
                taken.push((*mapping, name));
            }
            if let Some((number, by)) = clash {
                let path = NodePath::service(name).key("ports").index(index);
                let message = if by == name {
                    format!("port {number} is published twice")
                } else {
                    format!("port {number} is published by {by} already")
                };
                out.errors
                    .push(error(&path, &message).help("publish another port of the host"));
            }
        }
    }
}

fn capabilities(service: &Service, path: &NodePath, out: &mut Problems) {
    for (key, names) in [
        ("cap_add", &service.cap_add),
        ("cap_drop", &service.cap_drop),
    ] {
        for (index, name) in names.iter().enumerate() {
            if name.eq_ignore_ascii_case("all") || name.parse::<Capability>().is_ok() {
                continue;
            }
            let known: Vec<String> = Capability::all().map(|known| known.to_string()).collect();
            let wanted = name.to_uppercase();
            let wanted = wanted.strip_prefix("CAP_").unwrap_or(&wanted);
            let short = known.iter().filter_map(|known| known.strip_prefix("CAP_"));
            let problem = error(
                &path.key(key).index(index),
                &format!("{name:?} is not a capability"),
            );
            out.errors.push(match nearest(wanted, short) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help("write a name of capabilities(7), such as NET_ADMIN, or ALL"),
            });
        }
    }
}

fn restart(service: &Service, path: &NodePath, out: &mut Problems) {
    let deployed = service
        .deploy
        .as_ref()
        .and_then(|deploy| deploy.restart_policy);
    if let (Some(own), Some(deployed)) = (service.restart, deployed)
        && own != deployed.restart()
    {
        let message = "`restart` and `deploy.restart_policy` differ";
        out.errors
            .push(error(&path.key("restart"), message).help("keep one of the two"));
    }
}

fn limits(service: &Service, path: &NodePath, out: &mut Problems) {
    let resources = service.deploy.as_ref().map(|deploy| &deploy.resources);
    let limits = resources.and_then(|r| r.limits.as_ref());
    let reserved = resources.and_then(|r| r.reservations.as_ref());
    let mut twice = |key: &str, other: &str, differ: bool| {
        if differ {
            let message = format!("`{key}` and `deploy.resources.{other}` differ");
            out.errors
                .push(error(&path.key(key), &message).help("keep one of the two"));
        }
    };
    let differ =
        limits.is_some_and(|l| service.mem_limit.zip(l.memory).is_some_and(|(a, b)| a != b));
    twice("mem_limit", "limits.memory", differ);
    let differ = limits.is_some_and(|l| service.cpus.zip(l.cpus).is_some_and(|(a, b)| a != b));
    twice("cpus", "limits.cpus", differ);
    let differ =
        limits.is_some_and(|l| service.pids_limit.zip(l.pids).is_some_and(|(a, b)| a != b));
    twice("pids_limit", "limits.pids", differ);
    let differ = reserved.is_some_and(|r| {
        service
            .mem_reservation
            .zip(r.memory)
            .is_some_and(|(a, b)| a != b)
    });
    twice("mem_reservation", "reservations.memory", differ);

    let held = service.limits();
    let has_cpus = service.cpus.is_some() || limits.is_some_and(|l| l.cpus.is_some());
    if has_cpus && (service.cpu_quota.is_some() || service.cpu_period.is_some()) {
        let key = if service.cpu_quota.is_some() {
            "cpu_quota"
        } else {
            "cpu_period"
        };
        let message = format!("`cpus` and `{key}` say the same thing twice");
        out.errors
            .push(error(&path.key(key), &message).help("keep one of the two"));
    }
    let mut range = |key: &str, bad: bool, form: &str| {
        if bad {
            let problem = error(&path.key(key), &format!("`{key}` is out of range"));
            out.errors.push(problem.help(form));
        }
    };
    let quota = service
        .cpu_quota
        .is_some_and(|quota| quota != -1 && quota < 1000);
    range(
        "cpu_quota",
        quota,
        "the kernel takes 1000 microseconds or more, or -1 for no limit",
    );
    let period = service
        .cpu_period
        .is_some_and(|period| !(1_000..=1_000_000).contains(&period));
    range(
        "cpu_period",
        period,
        "the kernel takes 1000 to 1000000 microseconds",
    );
    let shares = service
        .cpu_shares
        .is_some_and(|shares| !(2..=262_144).contains(&shares));
    range("cpu_shares", shares, "the kernel takes 2 to 262144");

    match (held.swap, held.memory) {
        (Some(SwapLimit::Bytes(_)), None) => out.errors.push(
            error(
                &path.key("memswap_limit"),
                "`memswap_limit` needs a `mem_limit`",
            )
            .help("memswap_limit is memory and swap together"),
        ),
        (Some(SwapLimit::Bytes(swap)), Some(memory)) if swap < memory => out.errors.push(
            error(
                &path.key("memswap_limit"),
                "`memswap_limit` is below the memory limit",
            )
            .help("memswap_limit is memory and swap together"),
        ),
        _ => {}
    }
    if let (Some(reservation), Some(memory)) = (held.memory_reservation, held.memory)
        && reservation > memory
    {
        let key = if service.mem_reservation.is_some() {
            "mem_reservation"
        } else {
            "deploy"
        };
        out.errors.push(error(
            &path.key(key),
            "more memory is reserved than the limit allows",
        ));
    }
}
