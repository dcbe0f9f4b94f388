//! `coop network create`.

use std::net::IpAddr;

use anyhow::{Result, bail};
use indexmap::IndexMap;

use super::Predefined;
use crate::args::NetworkCreateArgs;
use crate::host::Host;
use crate::networks;
use crate::plan::NetworkOptions;
use crate::stack::value::{DriverOpts, IpNet};
use crate::stack::{Ipam, IpamConfig, Network};
use crate::ui::print;

pub(super) fn create(host: &Host, args: &NetworkCreateArgs) -> Result<i32> {
    if args.driver != "bridge" {
        bail!(
            "network driver {} is not known\n  help: there is only bridge",
            args.driver
        );
    }
    if args.ipam_driver != "default" {
        bail!(
            "ipam driver {} is not known\n  help: there is only default",
            args.ipam_driver
        );
    }
    if Predefined::find(&args.name).is_some() || args.name == "default" {
        bail!(
            "operation is not permitted on predefined {} network",
            args.name
        );
    }
    let spec = NetworkOptions::of(&described(args)?).spec(&args.name);
    let network = networks::create(host, &spec)?;
    print(&format!("{}\n", network.name))?;
    Ok(0)
}

/// The network in the words of the stack file.
fn described(args: &NetworkCreateArgs) -> Result<Network> {
    let mut driver_opts = IndexMap::new();
    for option in &args.opt {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        if let Err((key, error)) = DriverOpts::read([(key, value)]) {
            bail!("option {key}: {}\n  help: {}", error.why, error.form);
        }
        driver_opts.insert(key.to_owned(), value.to_owned());
    }
    let mut config: Vec<IpamConfig> = Vec::new();
    for &subnet in &args.subnet {
        let of_v4 = |subnet: IpNet| matches!(subnet, IpNet::V4(_));
        if { config.iter() }.any(|other| of_v4(other.subnet) == of_v4(subnet)) {
            bail!("a network has one subnet of each family\n  help: keep one of them");
        }
        config.push(IpamConfig {
            subnet,
            gateway: None,
            ip_range: None,
            aux_addresses: IndexMap::new(),
        });
    }
    for &gateway in &args.gateway {
        place(&mut config, gateway, "gateway")?.gateway = Some(gateway);
    }
    for &range in &args.ip_range {
        let first = match range {
            IpNet::V4(range) => range.network().into(),
            IpNet::V6(range) => range.network().into(),
        };
        place(&mut config, first, "ip range")?.ip_range = Some(range);
    }
    for aux in &args.aux_address {
        let parsed = aux.split_once('=');
        let parsed = parsed.and_then(|(name, text)| Some((name, text.parse::<IpAddr>().ok()?)));
        let Some((name, address)) = parsed else {
            bail!("invalid aux address {aux}\n  help: write NAME=ADDRESS");
        };
        place(&mut config, address, "aux address")?
            .aux_addresses
            .insert(name.to_owned(), address);
    }
    let has_v6 = { config.iter() }.any(|config| matches!(config.subnet, IpNet::V6(_)));
    Ok(Network {
        internal: args.internal,
        driver_opts,
        // As Docker: a subnet of IPv6 on the command line is one.
        enable_ipv6: args.ipv6 || has_v6,
        ipam: (!config.is_empty()).then_some(Ipam { config }),
        labels: { args.label.iter() }
            .map(|label| (label.key.clone(), label.value.clone()))
            .collect(),
        ..Network::default()
    })
}

/// The subnet that the address is in.
fn place<'a>(
    config: &'a mut [IpamConfig],
    address: IpAddr,
    what: &str,
) -> Result<&'a mut IpamConfig> {
    let found = { config.iter_mut() }.find(|config| config.subnet.contains(address));
    match found {
        Some(config) => Ok(config),
        None => bail!("no matching subnet for {what} {address}\n  help: give the subnet: --subnet"),
    }
}
