//! The keys of a service that are about its process.

use super::super::model::{BlkioConfig, DeviceRate, IdMapLines, Isolation, SeccompKeys};
use super::super::node::Node;
use super::super::value::{
    BlkioWeight, ByteSize, CallName, CgroupMode, CompatArch, DeviceMapping, Group, IdMapLine,
    IpcMode, LANDLOCK_ACCESSES, LandlockRule, OomScoreAdj, ParseError, Permissions, PidMode,
    SeccompProfile, SecurityOpt, Swappiness, Sysctl, Ulimit, UtsMode,
};
use super::scalar::{Hostname, Labels, OneOrMany, read_by_parsing};
use super::{At, Fields, Problems, Read, keys};
use coop_cgroup::{CgroupPath, DeviceRule};
use indexmap::IndexMap;

/// Reads the keys out of the service's mapping.
pub(super) fn isolation(f: &mut Fields<'_>, out: &mut Problems) -> Isolation {
    let labels = |labels: Option<Labels>| labels.unwrap_or_default().0;
    Isolation {
        annotations: labels(f.get("annotations", out)),
        blkio_config: f.get("blkio_config", out),
        cgroup: f.get("cgroup", out),
        cgroup_parent: f.get("cgroup_parent", out),
        device_cgroup_rules: f.or_default("device_cgroup_rules", out),
        devices: f.or_default("devices", out),
        domainname: f.get("domainname", out).map(|Hostname(name)| name),
        group_add: f.or_default("group_add", out),
        id_maps: f.or_default("x-userns", out),
        init: f.get("init", out),
        ipc: f.get("ipc", out),
        label_file: f
            .get("label_file", out)
            .map(|OneOrMany(files)| files)
            .unwrap_or_default(),
        landlock: f
            .get("x-landlock", out)
            .map(|Landlock(rules)| rules)
            .unwrap_or_default(),
        mem_swappiness: f.get("mem_swappiness", out),
        oom_score_adj: f.get("oom_score_adj", out),
        pid: f.get("pid", out),
        privileged: f.or_default("privileged", out),
        security_opt: f.or_default("security_opt", out),
        shm_size: f
            .get("shm_size", out)
            .filter(|size: &ByteSize| size.bytes() > 0),
        stdin_open: f.or_default("stdin_open", out),
        sysctls: f
            .get("sysctls", out)
            .map(|Sysctls(map)| map)
            .unwrap_or_default(),
        tty: f.or_default("tty", out),
        ulimits: f
            .get("ulimits", out)
            .map(|Ulimits(list)| list)
            .unwrap_or_default(),
        uts: f.get("uts", out),
        seccomp: f.get("x-seccomp", out),
    }
}

read_by_parsing! {
    BlkioWeight: "a whole number",
    CallName: "a system call's name",
    CgroupMode: "a string",
    CompatArch: "a string",
    Group: "a group's name or number",
    IdMapLine: "a line of an id map",
    IpcMode: "a string",
    OomScoreAdj: "a whole number",
    Permissions: "a string of r, w and m",
    PidMode: "a string",
    SeccompProfile: "a string",
    SecurityOpt: "a string",
    Swappiness: "a whole number",
    UtsMode: "a string",
}

impl Read for DeviceRule {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let text = String::read(at.clone(), out)?;
        match text.parse::<Self>() {
            Ok(rule) => Some(rule),
            Err(error) => {
                let form = "write TYPE MAJOR:MINOR ACCESS, such as \"c 1:3 rwm\"";
                out.invalid(&at, &text, &ParseError::new(error.reason, form))
            }
        }
    }
}

impl Read for CgroupPath {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let text = String::read(at.clone(), out)?;
        match Self::new(text.trim_start_matches('/')) {
            Ok(path) => Some(path),
            Err(error) => {
                let form = "write a path below the root of the cgroup tree, such as /batch";
                out.invalid(&at, &text, &ParseError::new(error.to_string(), form))
            }
        }
    }
}

impl Read for DeviceMapping {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let Node::Map(_) = at.node else {
            return at.parse("a device, or a mapping with source and target", out);
        };
        let place = at.clone();
        let mut fields = Fields::open(at, "a mapping", out)?;
        let before = out.errors.len();
        let source: Option<String> = fields.get("source", out);
        let target: Option<String> = fields.get("target", out);
        let permissions = fields.get("permissions", out).unwrap_or_default();
        fields.finish(&[], out);
        let Some(source) = source else {
            if out.errors.len() == before {
                let help = "write the path of its node on the host";
                out.error(&place.path, "a device needs a source", Some(help));
            }
            return None;
        };
        match Self::new(&source, target.as_deref(), permissions) {
            Ok(device) => Some(device),
            Err(error) => out.invalid(&place, &source, &error),
        }
    }
}

impl Read for IdMapLines {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let path = at.path.clone();
        let mut fields = Fields::open(at, "a mapping of uid_map and gid_map", out)?;
        let before = out.errors.len();
        let lines = Self {
            uid_map: fields.or_default("uid_map", out),
            gid_map: fields.or_default("gid_map", out),
        };
        fields.finish(&[], out);
        if lines.is_empty() && out.errors.len() == before {
            let help = "write uid_map: ['CONTAINER:HOST:COUNT']";
            out.error(&path, "`x-userns` maps no id", Some(help));
        }
        Some(lines)
    }
}

/// `x-landlock`: uses, each with a list of paths.
struct Landlock(Vec<LandlockRule>);

impl Read for Landlock {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let path = at.path.clone();
        let mut fields = Fields::open(at, "a mapping of read, write and execute", out)?;
        let before = out.errors.len();
        let mut rules = Vec::new();
        for (name, access) in LANDLOCK_ACCESSES {
            let items = fields.at(name).map(|at| (at.items(), at));
            match items {
                None => {}
                Some((None, at)) => {
                    out.wrong_type::<()>(&at, "a list of paths");
                }
                Some((Some(items), _)) => {
                    for item in items {
                        let Some(text) = String::read(item.clone(), out) else {
                            continue;
                        };
                        match LandlockRule::new(access, &text) {
                            Ok(rule) => rules.push(rule),
                            Err(error) => {
                                out.invalid::<()>(&item, &text, &error);
                            }
                        }
                    }
                }
            }
        }
        fields.finish(&[], out);
        if rules.is_empty() && out.errors.len() == before {
            let help = "write execute: [/] and what else it needs, or remove it";
            out.error(&path, "`x-landlock` allows nothing", Some(help));
        }
        Some(Self(rules))
    }
}

/// `sysctls`: a mapping, or a list of `NAME=VALUE`.
struct Sysctls(IndexMap<String, String>);

impl Read for Sysctls {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let mut map = IndexMap::new();
        let mut add = |sysctl: Sysctl| map.insert(sysctl.name, sysctl.value);
        if let Some(entries) = at.entries() {
            for (name, at) in entries {
                let Some(value) = at.node.scalar() else {
                    out.wrong_type::<()>(&at, "a string or a number");
                    continue;
                };
                match Sysctl::new(name, &value) {
                    Ok(sysctl) => {
                        add(sysctl);
                    }
                    Err(error) => {
                        out.invalid::<()>(&at, name, &error);
                    }
                }
            }
        } else if let Some(items) = at.items() {
            for item in items {
                if let Some(sysctl) = item.parse("NAME=VALUE", out) {
                    add(sysctl);
                }
            }
        } else {
            return out.wrong_type(&at, "a mapping or a list of NAME=VALUE");
        }
        Some(Self(map))
    }
}

/// `ulimits`: a mapping of names to numbers, or to mappings with `soft` and `hard`.
struct Ulimits(Vec<Ulimit>);

impl Read for Ulimits {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let Some(entries) = at.entries() else {
            return out.wrong_type(&at, "a mapping");
        };
        let limits = entries
            .into_iter()
            .filter_map(|(name, at)| ulimit(name, &at, out));
        Some(Self(limits.collect()))
    }
}

fn ulimit(name: &str, at: &At<'_>, out: &mut Problems) -> Option<Ulimit> {
    let text = match at.node {
        Node::Map(_) => {
            let place = at.path.clone();
            let mut fields = Fields::open(at.clone(), "a mapping", out)?;
            let before = out.errors.len();
            let soft: Option<Number> = fields.get("soft", out);
            let hard: Option<Number> = fields.get("hard", out);
            fields.finish(&[], out);
            let (Some(soft), Some(hard)) = (soft, hard) else {
                if out.errors.len() == before {
                    let message = format!("the limit {name} needs soft and hard");
                    out.error(&place, &message, Some("write both, or one number for both"));
                }
                return None;
            };
            format!("{name}={}:{}", soft.0, hard.0)
        }
        _ => format!("{name}={}", Number::read(at.clone(), out)?.0),
    };
    match text.parse() {
        Ok(limit) => Some(limit),
        Err(ParseError { why, .. }) => {
            let form = "write a number, -1 for no limit, or soft: and hard:";
            out.invalid(at, &text, &ParseError::new(why, form))
        }
    }
}

/// The text of a number, also out of a variable.
struct Number(String);

impl Read for Number {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        match at.node {
            Node::Map(_) | Node::List(_) => out.wrong_type(&at, "a number"),
            node => node
                .scalar()
                .map(Self)
                .or_else(|| out.wrong_type(&at, "a number")),
        }
    }
}

impl Read for BlkioConfig {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let mut f = Fields::open(at, "a mapping", out)?;
        let config = Self {
            weight: f.get("weight", out),
            device_read_bps: f.or_default("device_read_bps", out),
            device_read_iops: f.or_default("device_read_iops", out),
            device_write_bps: f.or_default("device_write_bps", out),
            device_write_iops: f.or_default("device_write_iops", out),
        };
        f.finish(keys::BLKIO, out);
        Some(config)
    }
}

impl Read for SeccompKeys {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let place = at.path.clone();
        let mut f = Fields::open(at, "a mapping with base, allow and deny", out)?;
        let keys = Self {
            base: f.or_default("base", out),
            architectures: f.or_default("architectures", out),
            allow: f.or_default("allow", out),
            deny: f.or_default("deny", out),
        };
        f.finish(&[], out);
        if let Some(both) = keys.allow.iter().find(|call| keys.deny.contains(call)) {
            let message = format!("{both} is both allowed and denied");
            out.error(&place.key("deny"), &message, Some("keep one of the two"));
        }
        Some(keys)
    }
}

impl<T: Read> Read for DeviceRate<T> {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let place = at.path.clone();
        let mut fields = Fields::open(at, "a mapping with path and rate", out)?;
        let before = out.errors.len();
        let (path, rate) = (fields.get("path", out), fields.get("rate", out));
        fields.finish(&[], out);
        if (path.is_none() || rate.is_none()) && out.errors.len() == before {
            let message = format!("`{}` needs a path and a rate", place.within());
            out.error(
                &place,
                &message,
                Some("such as {path: /dev/sda, rate: 10mb}"),
            );
        }
        Some(Self {
            path: path?,
            rate: rate?,
        })
    }
}
