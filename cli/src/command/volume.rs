//! `coop volume`: named volumes.

mod prune;

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use coop_fs::Volume;
use coop_launcher::store::{ContainerId, time};
use serde_json::{Value, json};

use super::by_name::{find_each, remove_each};
use super::inspect::print_documents;
use crate::args::{
    Filter, VolumeCommand, VolumeCreateArgs, VolumeInspectArgs, VolumeLsArgs, VolumeRmArgs,
};
use crate::host::Host;
use crate::ui::{lines, listing, print};
use crate::users::VolumeUsers;
use crate::volumes;
pub(super) use prune::{Which, print_removed, prune_volumes};

/// `coop volume`.
pub(super) fn volume(host: &Host, command: &VolumeCommand) -> Result<i32> {
    match command {
        VolumeCommand::Create(args) => create(host, args),
        VolumeCommand::Ls(args) => list(host, args),
        VolumeCommand::Inspect(args) => inspect(host, args),
        VolumeCommand::Rm(args) => remove(host, args),
        VolumeCommand::Prune(args) => prune::prune(host, args),
    }
}

fn create(host: &Host, args: &VolumeCreateArgs) -> Result<i32> {
    if args.driver != "local" {
        bail!(
            "volume driver {} is not known\n  help: there is only local",
            args.driver
        );
    }
    if let Some(option) = args.opt.first() {
        bail!(
            "volume option {option} is not known: the driver local has none\n  \
             help: mount it on a directory of the host, and use that as a bind mount"
        );
    }
    let mut labels = BTreeMap::new();
    for label in &args.label {
        let (key, value) = label.split_once('=').unwrap_or((label, ""));
        if key.is_empty() {
            bail!("label {label:?} has no name\n  help: write KEY=VALUE");
        }
        labels.insert(key.to_owned(), value.to_owned());
    }
    let name = match &args.name {
        Some(name) => name.clone(),
        None => ContainerId::random()?.to_string(),
    };
    if !volumes::make_labelled(host, &name, &labels)?
        && !labels.is_empty()
        && host
            .volumes
            .get(&name)?
            .is_some_and(|volume| volume.labels != labels)
    {
        bail!(
            "volume {name} exists already, with other labels\n  \
             help: remove it first, or choose another name"
        );
    }
    print(&format!("{name}\n"))?;
    Ok(0)
}

/// All volumes, by name.
fn all(host: &Host) -> Result<Vec<Volume>> {
    let mut volumes = Vec::new();
    for name in host.volumes.list()? {
        // One that is removed at this moment is none.
        volumes.extend(host.volumes.get(&name)?);
    }
    Ok(volumes)
}

/// A volume's name that nobody chose.
fn is_anonymous(volume: &Volume) -> bool {
    ContainerId::parse(&volume.name).is_ok()
}

fn list(host: &Host, args: &VolumeLsArgs) -> Result<i32> {
    Filter::check(&args.filter, &["dangling", "driver", "label", "name"])?;
    let users = VolumeUsers::find(host)?;
    let dangling = |volume: &Volume, wanted: &str| {
        crate::args::boolean(wanted).is_ok_and(|wanted| users.is_free(&volume.name) == wanted)
    };
    let mut volumes = all(host)?;
    volumes.retain(|volume| {
        Filter::labels(&args.filter, &volume.labels)
            && Filter::any(&args.filter, "name", |part| volume.name.contains(part))
            && Filter::any(&args.filter, "driver", |driver| driver == "local")
            && Filter::any(&args.filter, "dangling", |wanted| dangling(volume, wanted))
    });
    if args.quiet {
        print(&lines(volumes.iter().map(|volume| &volume.name)))?;
        return Ok(0);
    }
    let rows: Vec<_> = volumes.iter().map(row).collect();
    let columns = [("DRIVER", "Driver"), ("VOLUME NAME", "Name")];
    print(&listing(&args.format, &columns, &rows)?)?;
    Ok(0)
}

/// A volume in the words of Docker's list.
fn row(volume: &Volume) -> Value {
    let labels: Vec<_> = volume
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    json!({
        "Availability": "N/A",
        "Driver": "local",
        "Group": "N/A",
        "Label": volume.labels,
        "Labels": labels.join(","),
        "Links": "N/A",
        "Mountpoint": volume.path,
        "Name": volume.name,
        "Scope": "local",
        "Size": "N/A",
        "Status": "N/A",
    })
}

fn inspect(host: &Host, args: &VolumeInspectArgs) -> Result<i32> {
    let (found, exit_code) = find_each(&args.names, |name| {
        let volume = known(host, name)?;
        Ok(json!({
            "CreatedAt": seconds(volume.created),
            "Driver": "local",
            "Labels": volume.labels,
            "Mountpoint": volume.path,
            "Name": volume.name,
            "Options": {},
            "Scope": "local",
        }))
    });
    print_documents(&args.format.clone().unwrap_or_default(), &found)?;
    Ok(exit_code)
}

/// RFC 3339 without fractions.
fn seconds(time: std::time::SystemTime) -> String {
    let text = time::format(time);
    format!("{}Z", text.get(..19).unwrap_or(&text))
}

fn known(host: &Host, name: &str) -> Result<Volume> {
    match host.volumes.get(name)? {
        Some(volume) => Ok(volume),
        None => bail!("no such volume: {name}\n  help: `coop volume ls` shows what there is"),
    }
}

fn remove(host: &Host, args: &VolumeRmArgs) -> Result<i32> {
    remove_each(&args.names, |name| match known(host, name) {
        Err(_) if args.force && host.volumes.path(name).is_ok() => Ok(()),
        Err(error) => Err(error),
        Ok(volume) => remove_one(host, &volume),
    })
}

fn remove_one(host: &Host, volume: &Volume) -> Result<()> {
    let _lock = volumes::lock(host)?;
    let users = VolumeUsers::find(host)?;
    if let [user, ..] = users.of(&volume.name) {
        bail!(
            "remove {}: volume is in use by container {} ({})\n  \
             help: remove the container first, with `coop rm {}`",
            volume.name,
            user.name,
            user.id.short(),
            user.name
        );
    }
    volumes::remove(host, &volume.name)
}
