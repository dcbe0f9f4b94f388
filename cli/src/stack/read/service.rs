//! `services.*`.

use super::super::model::{
    Condition, Dependency, EnvFile, HealthTest, Healthcheck, Rootfs, Service,
};
use super::super::node::Node;
use super::super::value::{ByteSize, SwapLimit};
use super::grants::grants;
use super::instances::instances;
use super::isolation::isolation;
use super::networking::networking;
use super::scalar::{CpuSet, Environment, Hostname, Labels, OneOrMany, Words};
use super::{At, Fields, Problems, Read, keys};
use indexmap::IndexMap;

impl Read for Service {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let mut f = Fields::open(at, "a mapping", out)?;
        let words = |w: Option<Words>| w.map(|Words(words)| words);
        let mut service = Self {
            cap_add: f.or_default("cap_add", out),
            cap_drop: f.or_default("cap_drop", out),
            command: words(f.get("command", out)),
            cpu_period: f.get("cpu_period", out),
            cpu_quota: f.get("cpu_quota", out),
            cpu_shares: f.get("cpu_shares", out),
            cpus: f.get("cpus", out),
            cpuset: f.get("cpuset", out).map(|CpuSet(list)| list),
            depends_on: f
                .get("depends_on", out)
                .map(|DependsOn(map)| map)
                .unwrap_or_default(),
            deploy: f.get("deploy", out),
            entrypoint: words(f.get("entrypoint", out)),
            env_file: f
                .get("env_file", out)
                .map(|OneOrMany(list)| list)
                .unwrap_or_default(),
            environment: f
                .get("environment", out)
                .map(|Environment(map)| map)
                .unwrap_or_default(),
            healthcheck: f.get("healthcheck", out),
            hostname: f.get("hostname", out).map(|Hostname(name)| name),
            image: f.get("image", out),
            labels: f
                .get("labels", out)
                .map(|Labels(map)| map)
                .unwrap_or_default(),
            links: f.or_default("links", out),
            logging: f.get("logging", out),
            mem_limit: f.get("mem_limit", out).filter(some),
            mem_reservation: f.get("mem_reservation", out).filter(some),
            memswap_limit: f
                .get("memswap_limit", out)
                .filter(|limit| !matches!(limit, SwapLimit::Bytes(size) if !some(size))),
            network_mode: f.get("network_mode", out),
            pids_limit: f.get("pids_limit", out),
            ports: f.or_default("ports", out),
            read_only: f.or_default("read_only", out),
            restart: f.get("restart", out),
            rootfs: f.get("rootfs", out),
            stop_grace_period: f.get("stop_grace_period", out),
            stop_signal: f.get("stop_signal", out),
            tmpfs: f
                .get("tmpfs", out)
                .map(|OneOrMany(list)| list)
                .unwrap_or_default(),
            user: f.get("user", out),
            userns_mode: f.get("userns_mode", out),
            volumes: f.or_default("volumes", out),
            working_dir: f.get("working_dir", out),
            grants: grants(&mut f, out),
            instances: instances(&mut f, out),
            networking: networking(&mut f, out),
            isolation: isolation(&mut f, out),
            extensions: IndexMap::new(),
        };
        service.extensions = f.finish(keys::SERVICE, out);
        Some(service)
    }
}

/// A size of 0 sets no limit, as with Docker.
#[allow(clippy::trivially_copy_pass_by_ref)] // as `Option::filter` calls it
pub(super) fn some(size: &ByteSize) -> bool {
    size.bytes() > 0
}

impl Read for Rootfs {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        match at.node {
            Node::Map(_) => {
                let path = at.path.clone();
                let mut fields = Fields::open(at, "a mapping", out)?;
                let before = out.errors.len();
                let (directory, mode) = (fields.get("path", out), fields.get("mode", out));
                fields.finish(&[], out);
                if directory.is_none() && out.errors.len() == before {
                    out.error(
                        &path,
                        "a rootfs needs a path",
                        Some("write the directory to run"),
                    );
                }
                Some(Self {
                    path: directory?,
                    mode: mode.unwrap_or_default(),
                })
            }
            Node::String(_) => {
                let path = Read::read(at, out)?;
                Some(Self {
                    path,
                    mode: super::super::value::RootfsMode::default(),
                })
            }
            _ => out.wrong_type(&at, "a directory, or a mapping with path and mode"),
        }
    }
}

impl Read for EnvFile {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        match at.node {
            Node::Map(_) => {
                let path = at.path.clone();
                let mut fields = Fields::open(at, "a mapping", out)?;
                let before = out.errors.len();
                let file = fields.get("path", out);
                let required = fields.get("required", out).unwrap_or(true);
                fields.finish(keys::ENV_FILE, out);
                if file.is_none() && out.errors.len() == before {
                    out.error(&path, "an env_file needs a path", None);
                }
                Some(Self {
                    path: file?,
                    required,
                })
            }
            Node::String(_) => Some(Self {
                path: Read::read(at, out)?,
                required: true,
            }),
            _ => out.wrong_type(&at, "a file, or a mapping with path and required"),
        }
    }
}

/// `depends_on`: a list of services, or a mapping with conditions.
struct DependsOn(IndexMap<String, Dependency>);

impl Read for DependsOn {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let mut map = IndexMap::new();
        if let Some(entries) = at.entries() {
            for (name, at) in entries {
                if let Some(dependency) = Dependency::read(at, out) {
                    map.insert(name.to_owned(), dependency);
                }
            }
        } else if at.items().is_some() {
            for name in Vec::<String>::read(at, out)? {
                let dependency = Dependency {
                    condition: Condition::default(),
                    required: true,
                    restart: false,
                };
                map.insert(name, dependency);
            }
        } else {
            return out.wrong_type(&at, "a list of services or a mapping");
        }
        Some(Self(map))
    }
}

impl Read for Dependency {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let path = at.path.clone();
        let mut fields = Fields::open(at, "a mapping with a condition", out)?;
        let before = out.errors.len();
        let condition = fields.get("condition", out);
        let required = fields.get("required", out).unwrap_or(true);
        let restart = fields.or_default("restart", out);
        fields.finish(&[], out);
        if condition.is_none() && out.errors.len() == before {
            let message = format!("`{}` needs a condition", path.within());
            out.error(&path, &message, Some(CONDITIONS));
        }
        Some(Self {
            condition: condition?,
            required,
            restart,
        })
    }
}

const CONDITIONS: &str = "the conditions are service_started, service_healthy and \
                          service_completed_successfully";

impl Read for Condition {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let path = at.path.clone();
        match String::read(at, out)?.as_str() {
            "service_started" => Some(Self::ServiceStarted),
            "service_healthy" => Some(Self::ServiceHealthy),
            "service_completed_successfully" => Some(Self::ServiceCompletedSuccessfully),
            other => {
                out.error(
                    &path,
                    &format!("{other:?} is not a condition"),
                    Some(CONDITIONS),
                );
                None
            }
        }
    }
}

impl Read for Healthcheck {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let mut f = Fields::open(at, "a mapping", out)?;
        let check = Self {
            disable: f.or_default("disable", out),
            interval: f.get("interval", out),
            retries: f.get("retries", out),
            start_interval: f.get("start_interval", out),
            start_period: f.get("start_period", out),
            test: f.get("test", out),
            timeout: f.get("timeout", out),
        };
        f.finish(&[], out);
        Some(check)
    }
}

impl Read for HealthTest {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        const FORM: &str =
            "write a line for the shell, [CMD, program, argument...], [CMD-SHELL, line] or [NONE]";
        let path = at.path.clone();
        match at.node {
            Node::String(line) => Some(Self::Shell(line.clone())),
            Node::List(_) => {
                let mut words = Vec::<String>::read(at, out)?;
                let kind = if words.is_empty() {
                    String::new()
                } else {
                    words.remove(0)
                };
                match (kind.as_str(), words.as_slice()) {
                    ("NONE", []) => Some(Self::None),
                    ("CMD", [_, ..]) => Some(Self::Exec(words)),
                    ("CMD-SHELL", [line]) => Some(Self::Shell(line.clone())),
                    ("NONE" | "CMD" | "CMD-SHELL", _) => {
                        let message =
                            format!("wrong number of words after {kind} in `healthcheck.test`");
                        out.error(&path, &message, Some(FORM));
                        None
                    }
                    _ => {
                        out.error(
                            &path,
                            "`healthcheck.test` starts with NONE, CMD or CMD-SHELL",
                            Some(FORM),
                        );
                        None
                    }
                }
            }
            _ => out.wrong_type(&at, "a string or a list of strings"),
        }
    }
}
