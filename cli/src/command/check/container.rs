//! What is in force for a default container, beside what Coop promises.

use coop_fs::{DEFAULT_MASKED_PATHS, DEFAULT_READONLY_PATHS};
use coop_ns::privileges::CapabilitySet;

use super::attempts::ATTEMPTS;
use super::finding::{Finding, Part};
use super::probe::Seen;

pub(super) fn judge(seen: &Seen) -> Vec<Finding> {
    vec![
        namespaces(seen),
        ids(seen),
        capabilities(seen),
        no_new_privileges(seen),
        seccomp(seen),
        masks(seen),
        read_only_paths(seen),
        read_only_sys(seen),
        devices(seen),
        descriptors(seen),
        pids(seen),
        attempts(seen),
        warnings(seen),
    ]
}

fn found(what: &str, found: impl Into<String>) -> Finding {
    Finding::new(Part::Container, what, found)
}

fn namespaces(seen: &Seen) -> Finding {
    let (own, shared): (Vec<_>, Vec<_>) =
        seen.outside.namespaces.iter().partition(|(_, own)| **own);
    let names = |list: Vec<(&&str, &bool)>| {
        let names: Vec<_> = list.into_iter().map(|(kind, _)| *kind).collect();
        names.join(" ")
    };
    let finding = found("namespaces of its own", names(own));
    match names(shared) {
        none if none.is_empty() => finding,
        shared => finding.broken(format!("it shares the host's {shared}")),
    }
}

fn ids(seen: &Seen) -> Finding {
    const WHAT: &str = "root in it";
    if seen.rootless {
        // All ids that there are, are this user's.
        return found(WHAT, "your own user, in a namespace below yours");
    }
    match seen.outside.uid_map[..] {
        [[0, 0, _], ..] | [] => found(WHAT, "root of the host").broken(
            "only capabilities and the filter keep it from the host: allow user namespaces",
        ),
        [[0, first, count], ..] => found(WHAT, format!("user {first} of the host, of {count} ids")),
        _ => found(WHAT, "no user of the host"),
    }
}

fn status<'s>(seen: &'s Seen, field: &str) -> &'s str {
    seen.inside.status.get(field).map_or("", String::as_str)
}

fn capabilities(seen: &Seen) -> Finding {
    const WHAT: &str = "capabilities";
    let mut beyond = CapabilitySet::EMPTY;
    let mut effective = CapabilitySet::EMPTY;
    for field in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        let Ok(bits) = u64::from_str_radix(status(seen, field), 16) else {
            return found(WHAT, "unknown").broken(format!("no {field} in its status"));
        };
        let set = CapabilitySet::from_bits_truncate(bits);
        beyond = beyond.union(set.difference(CapabilitySet::DEFAULT));
        if field == "CapEff" {
            effective = set;
        }
    }
    let shown = effective.to_string().replace("CAP_", "");
    if beyond.is_empty() {
        found(WHAT, shown)
    } else {
        found(WHAT, shown).broken(format!("too many: {beyond}"))
    }
}

fn no_new_privileges(seen: &Seen) -> Finding {
    const WHAT: &str = "gains by set-user-ID programs";
    match status(seen, "NoNewPrivs") {
        "1" => found(WHAT, "none: no_new_privs"),
        _ => found(WHAT, "possible").broken("no_new_privs is not set"),
    }
}

fn seccomp(seen: &Seen) -> Finding {
    const WHAT: &str = "system calls";
    match (status(seen, "Seccomp"), status(seen, "Seccomp_filters")) {
        ("2", "") => found(WHAT, "filtered"),
        ("2", number) => found(WHAT, format!("filtered: {number} in force")),
        _ => found(WHAT, "not filtered").broken("no seccomp filter is in force"),
    }
}

/// The mount point and the options of each mount.
fn mounts(seen: &Seen) -> impl Iterator<Item = (&str, &str)> {
    seen.inside.mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(4);
        Some((fields.next()?, fields.next()?))
    })
}

fn masks(seen: &Seen) -> Finding {
    const WHAT: &str = "masked paths";
    let there = DEFAULT_MASKED_PATHS
        .iter()
        .filter(|path| std::path::Path::new(path).exists());
    let (hidden, seen): (Vec<&str>, Vec<&str>) =
        there.partition(|path| mounts(seen).any(|(point, _)| point == **path));
    let finding = found(WHAT, hidden.join(" "));
    if seen.is_empty() {
        finding
    } else {
        finding.broken(format!("not masked: {}", seen.join(" ")))
    }
}

fn read_only_paths(seen: &Seen) -> Finding {
    const WHAT: &str = "read-only paths";
    let there = DEFAULT_READONLY_PATHS
        .iter()
        .filter(|path| std::path::Path::new(path).exists());
    let (closed, open): (Vec<&str>, Vec<&str>) = there.partition(|path| is_read_only(seen, path));
    let finding = found(WHAT, closed.join(" "));
    if open.is_empty() {
        finding
    } else {
        finding.broken(format!("writable: {}", open.join(" ")))
    }
}

/// Of several mounts on one point the last one counts.
fn is_read_only(seen: &Seen, path: &str) -> bool {
    let last = mounts(seen).filter(|(point, _)| *point == path).last();
    last.is_some_and(|(_, options)| options.split(',').any(|option| option == "ro"))
}

fn read_only_sys(seen: &Seen) -> Finding {
    const WHAT: &str = "/sys";
    let below = mounts(seen)
        .map(|(point, _)| point)
        .filter(|point| *point == "/sys" || point.starts_with("/sys/fs/cgroup"));
    // Of a bunch of hierarchies the directory is one of the container's own.
    let open: Vec<_> = below.filter(|point| !is_read_only(seen, point)).collect();
    if open.is_empty() {
        found(WHAT, "read-only")
    } else {
        found(WHAT, "writable").broken(format!("not read-only: {}", open.join(" ")))
    }
}

/// What a container's `/dev` has: `config-linux.md` of the OCI runtime specification.
const DEVICES: [&str; 17] = [
    "console", "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr",
    "stdin", "stdout", "tty", "urandom", "zero", "",
];

fn devices(seen: &Seen) -> Finding {
    const WHAT: &str = "devices";
    let more: Vec<_> = seen
        .inside
        .devices
        .iter()
        .filter(|name| !DEVICES.contains(&name.as_str()))
        .map(String::as_str)
        .collect();
    if more.is_empty() {
        found(WHAT, "the standard ones")
    } else {
        found(WHAT, format!("also {}", more.join(" "))).broken("the host's devices are in its /dev")
    }
}

fn descriptors(seen: &Seen) -> Finding {
    const WHAT: &str = "open files of the host";
    let leaked = &seen.inside.descriptors;
    if leaked.is_empty() {
        found(WHAT, "none")
    } else {
        found(WHAT, format!("{leaked:?}")).broken("descriptors have leaked into it")
    }
}

fn pids(seen: &Seen) -> Finding {
    const WHAT: &str = "processes";
    match seen.inside.pids_max.as_deref() {
        Some(most) if most != "max" => found(WHAT, format!("at most {most}")),
        _ if seen.rootless => found(WHAT, "as many as you may have")
            .weak("a fork bomb takes yours along: have systemd delegate a cgroup to you"),
        _ => found(WHAT, "as many as the host has")
            .broken("a fork bomb takes the host along: there is no pids controller"),
    }
}

/// What Coop itself says when it starts one.
fn warnings(seen: &Seen) -> Finding {
    const WHAT: &str = "warnings at its start";
    match seen.warnings.join("; ") {
        none if none.is_empty() => found(WHAT, "none"),
        warnings => found(WHAT, seen.warnings.len().to_string()).weak(warnings),
    }
}

fn attempts(seen: &Seen) -> Finding {
    const WHAT: &str = "forbidden things tried";
    let done = &seen.inside.done;
    let (all, denied) = (ATTEMPTS.len(), ATTEMPTS.len() - done.len());
    let finding = found(WHAT, format!("{denied} of {all} denied"));
    if done.is_empty() {
        return finding;
    }
    let done: Vec<_> = done
        .iter()
        .map(|(what, how)| format!("{what}: {how}"))
        .collect();
    finding.broken(done.join("; "))
}
