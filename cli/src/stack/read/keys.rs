//! Keys that compose-spec has and Coop does not support, level by level, and what
//! to say about a key that nobody read.

use super::super::diagnostic::Diagnostic;
use super::super::path::NodePath;

/// Top level.
pub(super) const TOP: &[&str] = &["include", "models"];

/// `services.*`.
pub(super) const SERVICE: &[&str] = &[
    "build",
    "develop",
    "extends",
    "external_links",
    "models",
    "post_start",
    "pre_stop",
    "provider",
    "pull_refresh_after",
    "use_api_socket",
    "volumes_from",
];

/// `services.*.blkio_config`.
pub(super) const BLKIO: &[&str] = &["weight_device"];

/// `services.*.deploy`.
pub(super) const DEPLOY: &[&str] = &[
    "endpoint_mode",
    "labels",
    "mode",
    "placement",
    "rollback_config",
    "update_config",
];

/// `services.*.deploy.restart_policy`.
pub(super) const RESTART_POLICY: &[&str] = &["delay", "window"];

/// `services.*.deploy.resources.reservations`.
pub(super) const RESERVATIONS: &[&str] = &["cpus", "devices", "generic_resources"];

/// `services.*.env_file[*]`.
pub(super) const ENV_FILE: &[&str] = &["format"];

/// `services.*.ports[*]`.
pub(super) const PORT: &[&str] = &[];

/// `services.*.volumes[*]`.
pub(super) const MOUNT: &[&str] = &["cluster", "image"];

/// `services.*.volumes[*].bind`.
pub(super) const BIND: &[&str] = &["recursive"];

/// `services.*.volumes[*].volume`.
pub(super) const MOUNTED_VOLUME: &[&str] = &["labels", "subpath"];

/// `volumes.*`.
pub(super) const VOLUME: &[&str] = &["driver_opts"];

/// `services.*.networks.*`.
pub(super) const ATTACHMENT: &[&str] = &["driver_opts"];

/// `networks.*`.
pub(super) const NETWORK: &[&str] = &[];

/// `networks.*.ipam`.
pub(super) const IPAM: &[&str] = &["options"];

/// `networks.*.ipam.config[*]`.
pub(super) const IPAM_CONFIG: &[&str] = &[];

/// `secrets.*` and `configs.*`.
pub(super) const GRANTED: &[&str] = &["driver", "driver_opts", "labels", "name", "template_driver"];

/// Of all these, those that will not come: they are for Docker's own services, for a cluster, or
/// for a back-off that Coop does not have.
const FOREIGN: &[&str] = &[
    "delay",
    "endpoint_mode",
    "generic_resources",
    "models",
    "placement",
    "provider",
    "rollback_config",
    "update_config",
    "use_api_socket",
    "window",
];

/// What to write meanwhile, for the keys that people miss most.
fn instead(key: &str) -> Option<&'static str> {
    Some(match key {
        "build" => "build the image with another tool, then `coop image import FILE NAME`",
        "include" => "put the services into one file",
        "extends" => "write the common keys once and merge them: <<: *name",
        "volumes_from" => "name the volumes in `volumes` of both services",
        "external_links" => "use a network that both stacks are on: networks, external: true",
        "post_start" | "pre_stop" => "run it with `coop exec`, or in the service's own command",
        "develop" => "remove it: mount the sources with `volumes` to work on them",
        "provider" | "models" | "use_api_socket" => {
            "remove it: it is for Docker's own services, which Coop has none of"
        }
        "subpath" => "mount the whole volume",
        "delay" | "window" => "remove it: the time between restarts grows with their number",
        _ => return None,
    })
}

/// Keys of a service that Coop will not have: why, and what to do.
fn never(key: &str) -> Option<(&'static str, &'static str)> {
    const WINDOWS: (&str, &str) = ("it is for Windows containers", "remove it");
    const REALTIME: (&str, &str) = (
        "kernels of distributions have no real-time group scheduling",
        "remove it; cpus and cpu_shares divide the processor",
    );
    Some(match key {
        "cpu_count" | "cpu_percent" => (WINDOWS.0, "write cpus: instead"),
        "credential_spec" | "isolation" => WINDOWS,
        "cpu_rt_period" | "cpu_rt_runtime" => REALTIME,
        "gpus" => (
            "it knows no GPU drivers",
            "name the nodes: devices: [/dev/dri], and mount the driver's libraries",
        ),
        "oom_kill_disable" => (
            "cgroup v2 has nothing like it, and a container without memory would hang",
            "remove it; oom_score_adj says who is killed first",
        ),
        "runtime" => ("Coop is the runtime itself", "remove it"),
        "storage_opt" => (
            "container layers have no size of their own",
            "remove it; mount a tmpfs or a volume with a size for what grows",
        ),
        _ => return None,
    })
}

/// The problem of a `key` in the mapping at `path` that no one read.
pub(super) fn unread(
    path: &NodePath,
    key: &str,
    read: &[&'static str],
    later: &[&'static str],
) -> Diagnostic {
    let (subject, within) = (path.subject(), path.within());
    let place = if within.is_empty() {
        String::new()
    } else {
        format!(" in `{within}`")
    };
    if let Some((why, help)) = never(key).filter(|_| path.is_service()) {
        let message = format!("{subject}Coop does not support the compose key `{key}`: {why}");
        return Diagnostic::at_key(path.key(key), message).help(help);
    }
    if later.contains(&key) {
        let yet = if FOREIGN.contains(&key) { "" } else { " yet" };
        let message = format!("{subject}Coop does not support the compose key `{key}`{place}{yet}");
        let diagnostic = Diagnostic::at_key(path.key(key), message);
        let help = instead(key).unwrap_or("remove it to run the stack without it");
        return diagnostic.help(help);
    }
    let diagnostic = Diagnostic::at_key(
        path.key(key),
        format!("{subject}unknown key `{key}`{place}"),
    );
    let known = read.iter().chain(later).copied();
    if let Some(nearest) = nearest(key, known) {
        return diagnostic.help(format!("did you mean `{nearest}`?"));
    }
    let mut names: Vec<&str> = read.to_vec();
    names.sort_unstable();
    // A service has too many keys to be of help.
    if names.len() <= 12 {
        return diagnostic.help(format!("the keys here are {}", names.join(", ")));
    }
    diagnostic.help("a key that starts with x- may hold anything")
}

/// The name that `wanted` is most likely meant to be, if any comes near.
pub(in super::super) fn nearest<'k>(
    wanted: &str,
    names: impl Iterator<Item = &'k str>,
) -> Option<&'k str> {
    let wanted = wanted.to_lowercase().replace('-', "_");
    // A typo in three letters, but not a name that shares nothing.
    let most = (wanted.chars().count() / 3).clamp(1, 3);
    names
        .map(|name| {
            let distance =
                strsim::damerau_levenshtein(&wanted, &name.to_lowercase().replace('-', "_"));
            // `volume` for `volumes`, `env` for `environment`.
            let start = wanted.len() >= 3 && name.starts_with(&wanted);
            (if start { distance.min(1) } else { distance }, name)
        })
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_name_is_near() {
        let names = [
            "image",
            "volumes",
            "environment",
            "read_only",
            "cap_add",
            "cap_drop",
        ];
        let near = |wanted| nearest(wanted, names.into_iter());
        assert_eq!(near("imgae"), Some("image"));
        assert_eq!(near("volume"), Some("volumes"));
        assert_eq!(near("env"), Some("environment"));
        assert_eq!(near("readonly"), Some("read_only"));
        assert_eq!(near("Image"), Some("image"));
        assert_eq!(near("cap-add"), Some("cap_add"));
        assert_eq!(near("zzz"), None);
        assert_eq!(near(""), None);
    }
}
