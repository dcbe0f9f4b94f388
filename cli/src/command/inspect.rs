//! `coop inspect`: all that is known of containers, images, volumes and networks, in Docker's
//! shapes.

mod config;
mod devices;
mod health;
mod host_config;
mod image;
mod mounts;
mod network;
mod object;
mod sharing;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};
use coop_launcher::store::{State, Status, time};
use serde::Serialize;

use super::ps::{Size, status_word};
use crate::args::{Format, InspectArgs, StackArgs};
use crate::host::Host;
use crate::plan::ContainerPlan;
use crate::ui;
use config::Config;
use health::Health;
use host_config::HostConfig;
use mounts::MountPoint;
use network::NetworkSettings;
use object::Object;
pub(super) use object::network_object;

pub(super) use image::image_object;

/// `coop inspect`.
pub(super) fn inspect(host: &Host, stack: &StackArgs, args: &InspectArgs) -> Result<i32> {
    let mut found = Vec::new();
    let mut errors = Vec::new();
    for name in &args.names {
        match Object::find(host, stack, args, name) {
            Ok(object) => found.push(object),
            Err(error) => errors.push(error),
        }
    }
    let volumes = host.store.dirs().volumes();
    let shown: Vec<_> = found.iter().map(|object| object.shown(&volumes)).collect();
    print_documents(&args.format, &shown)?;
    errors.iter().for_each(ui::error);
    Ok(i32::from(!errors.is_empty()))
}

/// Prints what was found, also when something was not: as Docker, `[]` for nothing at all; by
/// a template each for itself.
pub(super) fn print_documents<T: Serialize>(format: &Format, found: &[T]) -> Result<()> {
    const WRITE: &str = "write as JSON";
    let text = match format {
        Format::Table => serde_json::to_string_pretty(found).context(WRITE)? + "\n",
        Format::Json => serde_json::to_string(found).context(WRITE)? + "\n",
        Format::Template(_) | Format::TableTemplate(_) => {
            let mut text = String::new();
            for document in found {
                let mut value = serde_json::to_value(document).context(WRITE)?;
                object::name_what_is_absent(&mut value);
                text += &ui::document(format, &value)?;
            }
            text
        }
    };
    ui::print(&text)
}

/// Where a container's files are.
struct Files<'a> {
    /// Of the container whose names it has: its own, or that of the one whose network it is in.
    names: &'a Path,
    log: &'a Path,
    /// The directory of named volumes.
    volumes: &'a Path,
}

/// A container. The keys are Docker's, but for the last one.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Container<'a> {
    id: &'a str,
    created: String,
    path: &'a str,
    args: &'a [String],
    state: StateObject<'a>,
    image: &'a str,
    resolv_conf_path: PathBuf,
    hostname_path: PathBuf,
    hosts_path: PathBuf,
    log_path: &'a Path,
    /// With the slash that Docker puts before it.
    name: String,
    restart_count: u32,
    driver: &'static str,
    platform: &'static str,
    host_config: HostConfig<'a>,
    mounts: Vec<MountPoint<'a>>,
    config: Config<'a>,
    network_settings: NetworkSettings<'a>,
    /// Bytes that it has written; when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    size_rw: Option<u64>,
    /// The same and its image.
    #[serde(skip_serializing_if = "Option::is_none")]
    size_root_fs: Option<u64>,
    /// The whole plan, as it was saved.
    plan: &'a ContainerPlan,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StateObject<'a> {
    status: &'static str,
    running: bool,
    paused: bool,
    restarting: bool,
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
    dead: bool,
    pid: i32,
    /// None: it ended and nobody saw how.
    exit_code: Option<i32>,
    error: &'a str,
    started_at: String,
    finished_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<Health<'a>>,
}

impl<'a> Container<'a> {
    fn new(
        state: &'a State,
        status: Status,
        plan: &'a ContainerPlan,
        size: Option<Size>,
        files: &Files<'a>,
    ) -> Self {
        let argv = plan.process.argv.split_first();
        Self {
            id: state.id.as_str(),
            created: time::format(state.created),
            path: argv.map_or("", |(path, _)| path),
            args: argv.map_or(&[], |(_, args)| args),
            network_settings: NetworkSettings::new(plan, live_pid(state, status)),
            state: StateObject::new(state, status),
            image: &plan.image,
            resolv_conf_path: files.names.join("resolv.conf"),
            hostname_path: files.names.join("hostname"),
            hosts_path: files.names.join("hosts"),
            log_path: files.log,
            name: format!("/{}", state.name),
            restart_count: state.restarts,
            driver: match plan.root {
                coop_fs::RootSource::Overlay(_) => "overlay2",
                coop_fs::RootSource::Bind { .. } => "bind",
            },
            platform: "linux",
            host_config: HostConfig::new(plan, files),
            mounts: mounts::mount_points(plan, files),
            config: Config::new(plan),
            size_rw: size.map(|size| size.written),
            size_root_fs: size.map(|size| size.written.saturating_add(size.image)),
            plan,
        }
    }
}

impl<'a> StateObject<'a> {
    fn new(state: &'a State, status: Status) -> Self {
        let lives = matches!(status, Status::Running | Status::Paused);
        let ended = matches!(status, Status::Stopped | Status::Restarting);
        Self {
            status: status_word(status),
            running: lives,
            paused: status == Status::Paused,
            restarting: status == Status::Restarting,
            oom_killed: state.oom_killed,
            dead: false,
            pid: live_pid(state, status),
            exit_code: if ended { state.exit_code } else { Some(0) },
            error: state.error.as_deref().unwrap_or_default(),
            started_at: or_never(state.started),
            finished_at: or_never(state.finished),
            health: Health::new(state),
        }
    }
}

/// Its first process; 0 for none, as Docker has it.
fn live_pid(state: &State, status: Status) -> i32 {
    match status {
        Status::Running | Status::Paused => state.pid.map_or(0, u32::cast_signed),
        _ => 0,
    }
}

/// Go's zero time, which Docker prints for what has not happened.
fn or_never(at: Option<SystemTime>) -> String {
    at.map_or_else(|| "0001-01-01T00:00:00Z".into(), time::format)
}

#[cfg(test)]
mod tests;
