//! An image in Docker's shape.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, UNIX_EPOCH};

use coop_image::Image;
use coop_launcher::store::time;
use serde::Serialize;
use serde_json::{Map, Value};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::command) struct ImageObject<'a> {
    id: String,
    repo_tags: Vec<String>,
    repo_digests: Vec<String>,
    /// When it came into the store.
    created: String,
    architecture: &'a str,
    os: &'static str,
    size: u64,
    config: Config<'a>,
    #[serde(rename = "RootFS")]
    root_fs: RootFs,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Config<'a> {
    user: &'a str,
    exposed_ports: Map<String, Value>,
    env: &'a [String],
    cmd: &'a [String],
    volumes: Map<String, Value>,
    working_dir: &'a str,
    entrypoint: &'a [String],
    labels: &'a BTreeMap<String, String>,
    stop_signal: &'a str,
}

/// The lowest layer first.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RootFs {
    r#type: &'static str,
    layers: Vec<String>,
}

/// An image with all names of its id.
pub(in crate::command) fn image_object<'a>(image: &'a Image, all: &[Image]) -> ImageObject<'a> {
    let same = all.iter().filter(|other| other.id == image.id);
    let (digests, tags): (Vec<_>, Vec<_>) = same
        .map(|image| &image.reference)
        .partition(|reference| reference.digest().is_some());
    let words = |list: Vec<&coop_image::Reference>| list.iter().map(ToString::to_string).collect();
    let layer = |path: &std::path::PathBuf| {
        let hex = path.file_name().unwrap_or_default().to_string_lossy();
        format!("sha256:{hex}")
    };
    let config = &image.config;
    ImageObject {
        id: image.id.to_string(),
        repo_tags: words(tags),
        repo_digests: words(digests),
        created: time::format(UNIX_EPOCH + Duration::from_secs(image.created)),
        architecture: &image.architecture,
        os: std::env::consts::OS,
        size: image.size,
        config: Config {
            user: &config.user,
            exposed_ports: set(&config.exposed_ports),
            env: &config.env,
            cmd: &config.cmd,
            volumes: set(&config.volumes),
            working_dir: &config.working_dir,
            entrypoint: &config.entrypoint,
            labels: &config.labels,
            stop_signal: config.stop_signal.as_deref().unwrap_or_default(),
        },
        root_fs: RootFs {
            r#type: "layers",
            layers: image.layers.iter().rev().map(layer).collect(),
        },
    }
}

/// Go's set: each member a key of an empty object.
fn set(members: &BTreeSet<String>) -> Map<String, Value> {
    let empty = || Value::Object(Map::new());
    members.iter().map(|key| (key.clone(), empty())).collect()
}
