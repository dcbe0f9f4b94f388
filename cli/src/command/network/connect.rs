//! `coop network connect` and `disconnect`: also of a container that runs.
//!
//! The plan is written first, with the place and without a lease: whatever becomes of this
//! command, the container's removal gives back what it asked for, and its next start completes
//! it.

use std::os::fd::AsFd;

use anyhow::{Context, Result, bail};
use coop_launcher::store::{Event, State};
use coop_launcher::supervisor::Request;
use coop_net::{Lease, LinkBatch};
use coop_ns::{Handle, Namespace};
use rustix::process::Pid;

use super::{Predefined, named, release};
use crate::args::{NetworkConnectArgs, NetworkDisconnectArgs, StackArgs};
use crate::files;
use crate::host::Host;
use crate::plan::{Attached, Bridged, Connection, ContainerPlan, NetworkOptions, Wanted};
use crate::stack::value::ShapeFlag;
use crate::stage::Links;
use crate::{load, networks, supervise};

pub(super) fn connect(host: &Host, args: &NetworkConnectArgs) -> Result<i32> {
    if let Some(address) = { args.link_local_ip.iter() }.find(|address| match address {
        std::net::IpAddr::V4(address) => !address.is_link_local(),
        std::net::IpAddr::V6(address) => !address.is_unicast_link_local(),
    }) {
        bail!(
            "{address} is not a link-local address\n  help: write one of 169.254.0.0/16 or fe80::/10"
        );
    }
    if Predefined::find(&args.network).is_some() {
        bail!(
            "container {} cannot be connected to network {}: it is not a bridge\n  \
             help: run it anew with --network {}",
            args.container,
            args.network,
            args.network
        );
    }
    let network = networks::known(host, &named(host, &args.network)?)?;
    let state = find(host, &args.container)?;
    let lock = host.store.lock(&state.id)?;
    let mut plan: ContainerPlan = host.store.load_config(&state.id)?;
    let name = state.name.as_str();
    let bridged = bridged(&mut plan.network, name)?;
    if bridged.attached.iter().any(|it| it.network == network.name) {
        bail!(
            "endpoint with name {name} already exists in network {}",
            network.name
        );
    }
    let interface = free_interface(&bridged.attached);
    let names = { plan.service.iter() }.cloned().chain([name.to_owned()]);
    bridged.attached.push(Attached {
        network: network.name.clone(),
        options: NetworkOptions {
            external: true,
            internal: network.internal,
            ..NetworkOptions::default()
        },
        names: names.chain(args.alias.iter().cloned()).collect(),
        interface,
        wanted: Wanted {
            address: args.ip,
            address6: args.ip6,
            mac: None,
            link_local: args.link_local_ip.clone(),
        },
        gw_priority: args.gw_priority,
        shape: args.x_net.map(|ShapeFlag(shape)| shape),
        lease: None,
    });
    let before: ContainerPlan = host.store.load_config(&state.id)?;
    host.store.save_config(&state.id, &plan)?;
    let done =
        fault("plan").and_then(|()| complete(host, &mut plan, &network.name, state.live_init()));
    if let Err(error) = done {
        // As it was.
        let released = release(host, &network.name, &[state.id.as_str()]);
        host.store.save_config(&state.id, &before)?;
        released?;
        return Err(error).with_context(|| format!("connect {name} to {}", network.name));
    }
    host.store.save_config(&state.id, &plan)?;
    drop(lock);
    tell(host, &state, &plan, &network.name, "connect")?;
    Ok(0)
}

/// Leases the place that is new, and makes the link of a container that runs.
fn complete(host: &Host, plan: &mut ContainerPlan, network: &str, init: Option<Pid>) -> Result<()> {
    let lease = crate::realize::lease_one(host, plan, network)?;
    fault("lease")?;
    let Some(init) = init else {
        return Ok(());
    };
    let init = host.namespaces_of(init);
    // Saved with the lease before there is a link: the next supervisor knows of it.
    host.store.save_config(&plan.unit.id, plan)?;
    let leases: Vec<Lease> = plan.network.leases().cloned().collect();
    let networks = &host.networks;
    let place = host.place_of_networks()?;
    place.run(|| -> Result<()> {
        networks.ensure_bridge(network)?;
        let rules = networks.apply_rules(network)?;
        let mut links = LinkBatch::spawn()?;
        links.add(&lease, init)?;
        links.commit()?;
        Ok(rules.wait()?)
    })??;
    fault("link")?;
    // Before it is used.
    if let Some(shape) = plan.network.attached_to(network).and_then(|it| it.shape) {
        let own = Handle::open_path(format!("/proc/{init}/ns/net"), Namespace::Net)?;
        let links = Links::default();
        links.add_worse(
            &place,
            own.as_fd().try_clone_to_owned()?,
            &[(&lease, shape)],
        );
        links.commit()?;
    }
    Ok(place.run(|| coop_net::connect(init, &lease, &leases))??)
}

pub(super) fn disconnect(host: &Host, args: &NetworkDisconnectArgs) -> Result<i32> {
    let network = match named(host, &args.network) {
        Ok(name) => name,
        // The plan may still name one that is gone.
        Err(_) if args.force => args.network.clone(),
        Err(error) => return Err(error),
    };
    let state = find(host, &args.container)?;
    let lock = host.store.lock(&state.id)?;
    let mut plan: ContainerPlan = host.store.load_config(&state.id)?;
    let name = state.name.as_str();
    let bridged = bridged(&mut plan.network, name)?;
    let Some(place) = { bridged.attached.iter() }.position(|it| it.network == network) else {
        if args.force {
            return Ok(0);
        }
        bail!("container {name} is not connected to network {network}");
    };
    let gone = bridged.attached.remove(place);
    if gone.lease.is_some_and(|lease| !lease.ports.is_empty()) {
        // They go with the place, and the next start publishes them where the way out is then.
        for attached in &mut bridged.attached {
            if let Some(lease) = &mut attached.lease {
                lease.ports.clear();
            }
        }
    }
    // Until the plan is saved, the next start connects it again.
    release(host, &network, &[state.id.as_str()])?;
    fault("release")?;
    host.store.save_config(&state.id, &plan)?;
    if let Some(init) = state.live_init().map(|init| host.namespaces_of(init)) {
        let leases: Vec<Lease> = plan.network.leases().cloned().collect();
        host.place_of_networks()?
            .run(|| coop_net::reroute(init, &leases))??;
    }
    drop(lock);
    tell(host, &state, &plan, &network, "disconnect")?;
    Ok(0)
}

fn find(host: &Host, name: &str) -> Result<State> {
    let state = load::resolve(host, &StackArgs::default(), name)?;
    // What its supervisor was killed over is mended first.
    drop(supervise::keeper(host, &state.stack)?);
    Ok(host.store.load_state(&state.id)?)
}

/// The networks of a container that has some, or could have.
fn bridged<'a>(connection: &'a mut Connection, name: &str) -> Result<&'a mut Bridged> {
    match connection {
        Connection::Bridge(bridged) => Ok(bridged),
        Connection::Host | Connection::Container(_) => bail!(
            "container {name} shares the network of the host or of another container: it cannot \
             be connected to any other network"
        ),
        Connection::None => bail!(
            "container {name} has no network (none): it cannot be connected to one\n  \
             help: run it anew with --network NAME"
        ),
    }
}

fn free_interface(attached: &[Attached]) -> String {
    let is_free = |name: &String| !attached.iter().any(|other| other.interface == *name);
    let mut names = (0..).map(|number| format!("eth{number}"));
    names.find(is_free).unwrap_or_default()
}

fn tell(
    host: &Host,
    state: &State,
    plan: &ContainerPlan,
    network: &str,
    action: &str,
) -> Result<()> {
    files::write(host, plan)?;
    if state.init_alive() {
        // It answers for the names of the new network, too.
        let ids = vec![state.id.clone()];
        supervise::request(host, &state.stack, &Request::Reload { ids }, &mut |_| ())?;
    }
    let event = Event::of_network(network, action).with("container", state.id.as_str());
    host.store.emit(&event);
    Ok(())
}

/// A point at which a test can stop the command.
fn fault(step: &str) -> Result<()> {
    coop_launcher::fault::point("connect", step).map_err(anyhow::Error::from_boxed)
}
