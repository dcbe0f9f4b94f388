//! `volumes` and `ports` of a service, short and long.

use super::super::node::Node;
use super::super::value::{
    BindOptions, Mount, MountKind, Port, Selinux, TmpfsOptions, VolumeOptions, check_target,
    check_volume_name, octal,
};
use super::{At, Fields, Problems, Read, keys};

const MOUNT_FORM: &str = "write an absolute path of the container, such as /srv/www";

impl Read for Mount {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        match at.node {
            Node::Map(_) => long_mount(at, out),
            _ => at.parse("a string or a mapping", out),
        }
    }
}

fn long_mount(at: At<'_>, out: &mut Problems) -> Option<Mount> {
    let path = at.path.clone();
    let mut fields = Fields::open(at, "a mapping", out)?;
    let before = out.errors.len();
    let kind: Option<String> = fields.get("type", out);
    let source: Option<String> = fields.get("source", out);
    let target: Option<String> = fields.get("target", out);
    let read_only = fields.or_default("read_only", out);
    if let Some(at) = fields.at("consistency") {
        // It only means something where the host is no Linux.
        String::read(at, out);
    }
    let bind: Option<BindOptions> = fields.get("bind", out);
    let volume: Option<VolumeOptions> = fields.get("volume", out);
    let tmpfs: Option<TmpfsOptions> = fields.get("tmpfs", out);
    let (has_bind, has_volume, has_tmpfs) = (bind.is_some(), volume.is_some(), tmpfs.is_some());
    fields.finish(keys::MOUNT, out);

    match &target {
        Some(text) => {
            if let Err(error) = check_target(text, MOUNT_FORM) {
                let at = At {
                    node: &Node::Null,
                    path: path.key("target"),
                };
                out.invalid::<()>(&at, text, &error);
            }
        }
        None if out.errors.len() == before => {
            out.error(&path, "a mount needs a target", Some(MOUNT_FORM));
        }
        None => {}
    }
    let mut only = |present: bool, key: &str, kind: &str| {
        if present {
            let message = format!("`{key}` does not belong to a mount of type {kind}");
            out.error(&path.key(key), &message, None);
        }
    };
    let kind = match kind.as_deref() {
        Some("bind") => {
            only(has_volume, "volume", "bind");
            only(has_tmpfs, "tmpfs", "bind");
            let Some(source) = source.filter(|source| !source.is_empty()) else {
                out.error(
                    &path,
                    "a mount of type bind needs a source",
                    Some("write a path of the host"),
                );
                return None;
            };
            MountKind::Bind {
                source: source.into(),
                bind: bind.unwrap_or_default(),
            }
        }
        Some("volume") => {
            only(has_bind, "bind", "volume");
            only(has_tmpfs, "tmpfs", "volume");
            if let Some(Err(error)) = source.as_deref().map(check_volume_name) {
                out.error(&path.key("source"), &error.why, Some(error.form));
            }
            MountKind::Volume {
                source,
                volume: volume.unwrap_or_default(),
            }
        }
        Some("tmpfs") => {
            only(has_bind, "bind", "tmpfs");
            only(has_volume, "volume", "tmpfs");
            only(source.is_some(), "source", "tmpfs");
            MountKind::Tmpfs {
                tmpfs: tmpfs.unwrap_or_default(),
            }
        }
        Some(kind @ ("image" | "cluster" | "npipe")) => {
            let message = format!("Coop does not support mounts of type {kind} yet");
            out.error(
                &path.key("type"),
                &message,
                Some("the types are bind, volume and tmpfs"),
            );
            return None;
        }
        Some(kind) => {
            let message = format!("{kind:?} is not a type of mount");
            out.error(
                &path.key("type"),
                &message,
                Some("the types are bind, volume and tmpfs"),
            );
            return None;
        }
        None => {
            if out.errors.len() == before {
                out.error(
                    &path,
                    "a mount needs a type",
                    Some("the types are bind, volume and tmpfs"),
                );
            }
            return None;
        }
    };
    Some(Mount {
        kind,
        target: target?,
        read_only,
    })
}

impl Read for BindOptions {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let mut fields = Fields::open(at, "a mapping", out)?;
        let options = Self {
            propagation: fields.parse("propagation", "a string", out),
            create_host_path: fields.or_default("create_host_path", out),
            selinux: fields.get("selinux", out),
        };
        fields.finish(keys::BIND, out);
        Some(options)
    }
}

impl Read for Selinux {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        match at.node.scalar().as_deref() {
            Some("z") => Some(Self::Shared),
            Some("Z") => Some(Self::Private),
            _ => out.wrong_type(&at, "z or Z"),
        }
    }
}

impl Read for VolumeOptions {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let mut fields = Fields::open(at, "a mapping", out)?;
        let options = Self {
            nocopy: fields.or_default("nocopy", out),
        };
        fields.finish(keys::MOUNTED_VOLUME, out);
        Some(options)
    }
}

impl Read for TmpfsOptions {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let mut fields = Fields::open(at, "a mapping", out)?;
        let options = Self {
            size: fields.get("size", out),
            mode: fields.get("mode", out).map(|FileMode(mode)| mode),
            ..Self::default()
        };
        fields.finish(&[], out);
        Some(options)
    }
}

/// Permission bits: a number as it is, text in octal.
pub(super) struct FileMode(pub(super) u32);

impl Read for FileMode {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let mode = match at.node {
            Node::Integer(mode) => u32::try_from(*mode).ok().filter(|mode| *mode <= 0o7777),
            Node::String(text) => octal(text),
            _ => None,
        };
        match mode {
            Some(mode) => Some(Self(mode)),
            None => out.wrong_type(&at, "permission bits in octal such as \"1777\""),
        }
    }
}

/// The most ports that a stack publishes: as many as one address of the host has.
const MAX_PORTS: usize = 65_535;

impl Read for Port {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        if out.ports > MAX_PORTS {
            return None;
        }
        let path = at.path.clone();
        let port = match at.node {
            Node::Map(_) => long_port(at, out),
            _ => at.parse("a string, a number or a mapping", out),
        }?;
        out.ports += port.mappings().len();
        if out.ports > MAX_PORTS {
            out.error(
                &path,
                "the stack publishes more ports than the host has",
                None,
            );
            return None;
        }
        Some(port)
    }
}

fn long_port(at: At<'_>, out: &mut Problems) -> Option<Port> {
    let place = at.clone();
    let mut fields = Fields::open(at, "a mapping", out)?;
    let before = out.errors.len();
    let target: Option<PortText> = fields.get("target", out);
    let published: Option<PortText> = fields.get("published", out);
    let host_ip: Option<String> = fields.get("host_ip", out);
    let protocol: Option<String> = fields.get("protocol", out);
    let mode: Option<String> = fields.get("mode", out);
    // For the reader, and for platforms that route by them.
    for key in ["name", "app_protocol"] {
        if let Some(at) = fields.at(key) {
            String::read(at, out);
        }
    }
    fields.finish(keys::PORT, out);
    if let Some(mode) = mode.filter(|mode| mode != "ingress" && mode != "host") {
        let message = format!("{mode:?} is not a mode of a port");
        out.error(
            &place.path.key("mode"),
            &message,
            Some("write host or ingress; on one machine both are the same"),
        );
    }
    let Some(PortText(target)) = target else {
        if out.errors.len() == before {
            out.error(
                &place.path,
                "a port needs a target",
                Some("write target: and the container's port"),
            );
        }
        return None;
    };
    let published = published.map(|PortText(text)| text).unwrap_or_default();
    let mut short = match (host_ip, published.as_str()) {
        (Some(ip), published) if ip.contains(':') && !ip.starts_with('[') => {
            format!("[{ip}]:{published}:{target}")
        }
        (Some(ip), published) => format!("{ip}:{published}:{target}"),
        (None, "") => target,
        (None, published) => format!("{published}:{target}"),
    };
    if let Some(protocol) = protocol {
        short = format!("{short}/{protocol}");
    }
    match short.parse() {
        Ok(port) => Some(port),
        Err(error) => out.invalid(&place, &short, &error),
    }
}

/// A port or a range, as text.
struct PortText(String);

impl Read for PortText {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let text = at.node.scalar();
        let digits = |c: char| c.is_ascii_digit() || c == '-';
        match text.filter(|text| text.chars().all(digits)) {
            Some(text) => Some(Self(text)),
            None => out.wrong_type(&at, "a port"),
        }
    }
}
