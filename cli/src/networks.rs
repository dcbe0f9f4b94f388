//! Networks that somebody made by name: they are there without a container, and after a reboot.
//!
//! A network itself is recorded beside what is in the kernel, in a directory that a reboot
//! empties. What was asked for by `coop network create` is kept with the data, and put on record
//! again when somebody asks.

use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use coop_launcher::store::Event;
use coop_net::{Network, NetworkSpec, Partition};

use crate::host::Host;

/// More than a network ever takes.
const MOST: u64 = 1 << 20;

/// Makes a network, and keeps what it is.
pub(crate) fn create(host: &Host, spec: &NetworkSpec) -> Result<Network> {
    restore(host, &spec.name)?;
    let network = host.networks.create_network(spec)?;
    let directory = directory(host);
    let path = path(host, &spec.name);
    let written = serde_json::to_vec_pretty(&NetworkSpec::from(&network))
        .map_err(anyhow::Error::from)
        .and_then(|text| {
            std::fs::create_dir_all(&directory)?;
            let new = path.with_extension("new");
            std::fs::write(&new, text)?;
            Ok(std::fs::rename(&new, &path)?)
        })
        .with_context(|| format!("write {}", path.display()));
    if let Err(error) = written {
        host.networks.remove(&spec.name)?;
        return Err(error);
    }
    host.store.emit(&Event::of_network(&spec.name, "create"));
    Ok(network)
}

/// Removes a network that no container is on.
pub(crate) fn remove(host: &Host, name: &str) -> Result<()> {
    // First what would bring it back.
    let path = path(host, name);
    let spec = std::fs::read(&path);
    let forgotten = std::fs::remove_file(&path);
    if let Err(error) = forgotten
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error).with_context(|| format!("remove {}", path.display()));
    }
    let networks = &host.networks;
    if let Err(error) = { host.place_of_networks_now()? }.run(|| networks.remove(name))? {
        if let Ok(spec) = spec {
            let _ = std::fs::write(&path, spec);
        }
        return Err(error.into());
    }
    host.store.emit(&Event::of_network(name, "destroy"));
    Ok(())
}

/// A network as it is; one that a reboot took the record of is put on record again.
pub(crate) fn find(host: &Host, name: &str) -> Result<Option<Network>> {
    restore(host, name)?;
    Ok(host.networks.get(name)?)
}

/// As [`find`], but it has to be there.
pub(crate) fn known(host: &Host, name: &str) -> Result<Network> {
    match find(host, name)? {
        Some(network) => Ok(network),
        None => bail!("network {name} not found\n  help: `coop network ls` shows what there is"),
    }
}

/// Who is cut off from whom, in each network. It goes with the network, and that with its last
/// container: a stack whose containers are all made anew takes it along by this.
pub(crate) struct Partitions(Vec<(String, Vec<Partition>)>);

impl Partitions {
    /// As they are.
    pub(crate) fn find(host: &Host) -> Result<Self> {
        let networks = all(host)?.into_iter();
        let cut = networks.filter(|network| !network.partitions.is_empty());
        Ok(Self(cut.map(|it| (it.name, it.partitions)).collect()))
    }

    /// Has them as they were in those networks that are there again, for the next rules.
    pub(crate) fn restore(&self, host: &Host) -> Result<()> {
        for (network, partitions) in &self.0 {
            if host.networks.get(network)?.is_some() {
                for partition in partitions {
                    host.networks.partition(network, partition)?;
                }
            }
        }
        Ok(())
    }
}

/// All networks, by name.
pub(crate) fn all(host: &Host) -> Result<Vec<Network>> {
    if let Ok(entries) = std::fs::read_dir(directory(host)) {
        for entry in entries.flatten() {
            let name = entry.file_name();
            if let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".json")) {
                restore(host, name)?;
            }
        }
    }
    Ok(host.networks.list()?)
}

/// Puts a network on record again, when it is not there and was made to stay.
pub(crate) fn restore(host: &Host, name: &str) -> Result<()> {
    let path = path(host, name);
    let size = match std::fs::metadata(&path) {
        Ok(file) => file.len(),
        Err(_) => return Ok(()),
    };
    if host.networks.get(name)?.is_some() {
        return Ok(());
    }
    anyhow::ensure!(size <= MOST, "{} is too large", path.display());
    let text = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    let spec: NetworkSpec =
        serde_json::from_slice(&text).with_context(|| format!("read {}", path.display()))?;
    match host.networks.create_network(&spec) {
        // Another command was faster.
        Ok(_) | Err(coop_net::Error::Exists { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn directory(host: &Host) -> PathBuf {
    host.store.dirs().data.join("networks")
}

/// Where it is kept what the network is. A name that is none leads nowhere: the store of networks
/// refuses it.
fn path(host: &Host, name: &str) -> PathBuf {
    let name = name.replace(['/', '\0'], "_");
    directory(host).join(format!("{name}.json"))
}
