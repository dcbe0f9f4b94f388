//! What an image says about the process to run in it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize};

/// The `config` of an image in the words of the OCI image specification ("Image
/// Configuration"). In JSON the keys are the specification's: `Env`, `Cmd` and so on.
/// Everything is optional; an unknown key is kept out, as the specification asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageConfig {
    /// `NAME=value` for the process.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// The command, before [`cmd`](Self::cmd); empty when there is none.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// Default arguments, or the whole command when there is no entrypoint.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    /// `user`, `uid`, `user:group`, `uid:gid` and mixtures, by the image's own
    /// `/etc/passwd` and `/etc/group`.
    #[serde(
        deserialize_with = "nullable",
        skip_serializing_if = "String::is_empty"
    )]
    pub user: String,
    /// The working directory, `/` when empty.
    #[serde(
        deserialize_with = "nullable",
        skip_serializing_if = "String::is_empty"
    )]
    pub working_dir: String,
    /// `80`, `80/tcp`, `53/udp`: what the process listens on; documentation only.
    #[serde(with = "set", skip_serializing_if = "BTreeSet::is_empty")]
    pub exposed_ports: BTreeSet<String>,
    /// Paths whose data is to be kept outside of the container's own layer.
    #[serde(with = "set", skip_serializing_if = "BTreeSet::is_empty")]
    pub volumes: BTreeSet<String>,
    /// Free annotations.
    #[serde(
        deserialize_with = "nullable",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub labels: BTreeMap<String, String>,
    /// The signal that asks the process to end, `SIGTERM` by default; a name or a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// How to ask whether the container works (a Docker extension of the specification).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
}

/// A health check as Docker's image format writes it; times in nanoseconds, zero and
/// absent mean "the default".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", argument...]` or `["CMD-SHELL", command]`.
    #[serde(deserialize_with = "nullable")]
    pub test: Vec<String>,
    /// Time between two checks, ns.
    #[serde(skip_serializing_if = "is_zero")]
    pub interval: u64,
    /// Time after which a check has failed, ns.
    #[serde(skip_serializing_if = "is_zero")]
    pub timeout: u64,
    /// Time after the start during which failures do not count, ns.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_period: u64,
    /// Time between two checks during the start period, ns.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_interval: u64,
    /// Failures in a row that make the container unhealthy.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: u64,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// Builders in the wild write `null` where a list is empty.
fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The specification writes sets as objects with empty values.
mod set {
    use std::collections::{BTreeMap, BTreeSet};

    use serde::{Deserializer, Serializer};

    #[derive(serde::Serialize)]
    struct Empty {}

    pub(super) fn serialize<S: Serializer>(
        set: &BTreeSet<String>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(set.iter().map(|key| (key, Empty {})))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeSet<String>, D::Error> {
        let map: BTreeMap<String, serde_json::Value> = super::nullable(deserializer)?;
        Ok(map.into_keys().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_of_a_real_image_is_read_and_written_back() {
        let text = r#"{"Env":["PATH=/bin"],"Cmd":["nginx"],"ExposedPorts":{"80/tcp":{}},
            "Labels":null,"Volumes":null,"Entrypoint":null,"User":"","WorkingDir":"",
            "StopSignal":"SIGQUIT","ArgsEscaped":true,"OnBuild":null,
            "Healthcheck":{"Test":["CMD-SHELL","true"],"Interval":1000000000}}"#;
        let config: ImageConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.cmd, ["nginx"]);
        assert!(config.exposed_ports.contains("80/tcp"));
        assert_eq!(config.healthcheck.as_ref().unwrap().interval, 1_000_000_000);
        let written = serde_json::to_string(&config).unwrap();
        assert!(
            written.contains(r#""ExposedPorts":{"80/tcp":{}}"#),
            "{written}"
        );
        assert!(!written.contains("Entrypoint"), "{written}");
        assert_eq!(
            serde_json::from_str::<ImageConfig>(&written).unwrap(),
            config
        );
    }

    #[test]
    fn nothing_is_needed() {
        assert_eq!(
            serde_json::from_str::<ImageConfig>("{}").unwrap(),
            ImageConfig::default()
        );
        assert_eq!(
            serde_json::to_string(&ImageConfig::default()).unwrap(),
            "{}"
        );
    }
}
