//! `coop info`: what Coop has and what this host can do.

mod machine;

use std::fmt::Write;

use anyhow::Result;
use coop_launcher::store::Status;
use serde_json::{Value, json};

use crate::args::InfoArgs;
use crate::host::Host;
use crate::ui::{binary_size, document, print};
pub(super) use machine::Machine;

/// `coop info`, in Docker's shape.
pub(super) fn info(host: &Host, args: &InfoArgs) -> Result<i32> {
    // Only root can put right what it finds.
    super::ps::mend_all(host)?;
    let info = gather(host)?;
    let text = match &args.format {
        Some(format) => document(format, &info)?,
        None => as_text(&info),
    };
    print(&text)?;
    Ok(0)
}

/// Everything, with Docker's keys where Docker has it.
fn gather(host: &Host) -> Result<Value> {
    let states = host.store.list()?;
    let count = |wanted: &[Status]| {
        let fitting = states
            .iter()
            .filter(|state| wanted.contains(&state.current_status()));
        fitting.count()
    };
    let machine = Machine::look();
    let mut warnings = machine.warnings();
    let cgroups = match host.cgroups() {
        Ok(hierarchy) => {
            let version = hierarchy.version();
            let controllers: Vec<_> = hierarchy
                .controllers()
                .iter()
                .map(|controller| controller.name(version).to_owned())
                .collect();
            json!({"version": version, "controllers": controllers})
        }
        Err(error) => {
            warnings.push(format!("no cgroups: {error:#}"));
            json!({"version": "none", "controllers": []})
        }
    };
    let dirs = host.store.dirs();
    Ok(json!({
        "Containers": states.len(),
        "ContainersRunning": count(&[Status::Running, Status::Restarting]),
        "ContainersPaused": count(&[Status::Paused]),
        "ContainersStopped": count(&[Status::Stopped, Status::Creating, Status::Created]),
        "Images": host.images.list()?.len(),
        "Volumes": host.volumes.list()?.len(),
        "Networks": host.networks.list()?.len(),
        "ServerVersion": env!("CARGO_PKG_VERSION"),
        "Driver": "overlay",
        "DataRootDir": dirs.data,
        "RunDir": dirs.run,
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": cgroups["version"],
        "CgroupControllers": cgroups["controllers"],
        "KernelVersion": machine.kernel,
        "OperatingSystem": machine.system,
        "OSType": "linux",
        "Architecture": std::env::consts::ARCH,
        "NCPU": machine.cpus,
        "MemTotal": machine.memory,
        "Name": crate::host::hostname(),
        "SecurityOptions": machine.security,
        "IdMappedMounts": machine.id_mapped_mounts,
        "OverlayFeatures": machine.overlay,
        "Tools": machine.tools,
        "Rootless": host.rootless.is_some(),
        "Warnings": warnings,
    }))
}

fn as_text(info: &Value) -> String {
    let mut text = String::new();
    let mut line = |depth: usize, key: &str, value: String| {
        // Into a string: cannot fail.
        let _ = writeln!(text, "{}{key}: {value}", " ".repeat(depth));
    };
    let of = |key: &str| match &info[key] {
        Value::String(text) => text.clone(),
        Value::Array(list) => words(list),
        Value::Bool(yes) => yes.to_string(),
        other => other.to_string(),
    };
    line(0, "Containers", of("Containers"));
    line(1, "Running", of("ContainersRunning"));
    line(1, "Paused", of("ContainersPaused"));
    line(1, "Stopped", of("ContainersStopped"));
    line(0, "Images", of("Images"));
    line(0, "Volumes", of("Volumes"));
    line(0, "Networks", of("Networks"));
    line(0, "Coop Version", of("ServerVersion"));
    line(0, "Storage Driver", of("Driver"));
    line(1, "Features", of("OverlayFeatures"));
    line(1, "Id-mapped mounts", of("IdMappedMounts"));
    line(0, "Cgroup Driver", of("CgroupDriver"));
    line(0, "Cgroup Version", of("CgroupVersion"));
    line(1, "Controllers", of("CgroupControllers"));
    line(
        0,
        "Security Options",
        of("SecurityOptions").replace("name=", ""),
    );
    line(0, "Tools", tools(&info["Tools"]));
    line(0, "Kernel Version", of("KernelVersion"));
    line(0, "Operating System", of("OperatingSystem"));
    line(0, "OSType", of("OSType"));
    line(0, "Architecture", of("Architecture"));
    line(0, "CPUs", of("NCPU"));
    let memory = info["MemTotal"].as_u64().unwrap_or(0);
    line(0, "Total Memory", binary_size(memory));
    line(0, "Name", of("Name"));
    line(0, "Data Directory", of("DataRootDir"));
    line(0, "Run Directory", of("RunDir"));
    line(0, "Rootless", of("Rootless"));
    for warning in info["Warnings"].as_array().into_iter().flatten() {
        line(
            0,
            "WARNING",
            warning.as_str().unwrap_or_default().to_owned(),
        );
    }
    text
}

fn words(list: &[Value]) -> String {
    let words: Vec<_> = list.iter().filter_map(Value::as_str).collect();
    words.join(" ")
}

/// Each tool with its place, or that it is missing.
fn tools(tools: &Value) -> String {
    let of = |(name, place): (&String, &Value)| match place.as_str() {
        Some(place) => format!("{name} ({place})"),
        None => format!("{name} (missing)"),
    };
    let all: Vec<_> = tools.as_object().into_iter().flatten().map(of).collect();
    all.join(", ")
}
