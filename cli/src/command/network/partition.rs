//! `coop network partition` and `heal`: services that do not reach each other for a while.
//!
//! What is cut off is on record with the network and not with a container, so whoever takes a
//! container's place is cut off as well: after a restart, another `up`, or in a further replica.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use coop_launcher::store::{ContainerId, Event};
use coop_net::{Network, Partition};

use crate::args::{NetworkHealArgs, NetworkPartitionArgs, StackArgs};
use crate::host::Host;
use crate::ui::print;
use crate::{load, networks, supervise};

/// One who is cut off from another.
struct Side {
    /// What its containers are called in their networks: by their service, or one by its own name.
    name: String,
    containers: BTreeSet<String>,
}

impl Side {
    fn find(host: &Host, args: &StackArgs, text: &str) -> Result<Self> {
        let states = load::resolve_all(host, args, text)?;
        let is_service = { states.iter() }.all(|it| it.service.as_deref() == Some(text));
        let own = states.first().map(|state| state.name.to_string());
        Ok(Self {
            name: own
                .filter(|_| !is_service)
                .unwrap_or_else(|| text.to_owned()),
            containers: { states.iter() }.map(|it| it.id.to_string()).collect(),
        })
    }
}

pub(super) fn partition(host: &Host, args: &NetworkPartitionArgs) -> Result<i32> {
    let one = Side::find(host, &args.stack, &args.one)?;
    let other = Side::find(host, &args.stack, &args.other)?;
    if !one.containers.is_disjoint(&other.containers) {
        bail!("{} and {} have a container in common", one.name, other.name);
    }
    let partition = Partition::new(&one.name, &other.name);
    let mut shared = Vec::new();
    for network in networks::all(host)? {
        let leases = host.networks.leases(&network.name)?;
        let is_on = |side: &Side| {
            leases
                .iter()
                .any(|it| side.containers.contains(&it.container))
        };
        if is_on(&one) && is_on(&other) {
            shared.push(network.name);
        }
    }
    if shared.is_empty() {
        bail!(
            "{} and {} are on no network together: they do not reach each other anyway",
            one.name,
            other.name
        );
    }
    for network in shared {
        host.networks.partition(&network, &partition)?;
        apply(host, &network)?;
        tell(host, &network, "partition", &partition)?;
    }
    Ok(0)
}

pub(super) fn heal(host: &Host, args: &NetworkHealArgs) -> Result<i32> {
    let asked = match (&args.one, &args.other) {
        (Some(one), Some(other)) => {
            // Of containers that are no more there are partitions still.
            let name = |text: &String| {
                let side = Side::find(host, &args.stack, text);
                side.map_or_else(|_| text.clone(), |side| side.name)
            };
            Some(Partition::new(&name(one), &name(other)))
        }
        _ => None,
    };
    let heals = |partition: &Partition| asked.as_ref().is_none_or(|asked| asked == partition);
    let mut healed = 0;
    for network in in_scope(host, &args.stack)? {
        let gone = host.networks.heal(&network.name, heals)?;
        if gone.is_empty() {
            continue;
        }
        healed += gone.len();
        apply(host, &network.name)?;
        { gone.iter() }.try_for_each(|it| tell(host, &network.name, "heal", it))?;
    }
    if let (0, Some(asked)) = (healed, asked) {
        let [one, other] = asked.names();
        bail!("{one} and {other} are not cut off from each other");
    }
    Ok(0)
}

/// The networks of the stack in scope, or all.
fn in_scope(host: &Host, args: &StackArgs) -> Result<Vec<Network>> {
    let mut all = networks::all(host)?;
    let Some(stack) = load::stack_in_scope(args) else {
        return Ok(all);
    };
    let containers = supervise::containers(host, &stack)?;
    let ids: BTreeSet<&str> = { containers.iter() }.map(|it| it.id.as_str()).collect();
    let leased = |network: &Network| {
        let leases = host.networks.leases(&network.name).unwrap_or_default();
        leases.iter().any(|it| ids.contains(it.container.as_str()))
    };
    all.retain(leased);
    Ok(all)
}

/// Brings the rules into the kernel, where there are any: they are made with the first container.
fn apply(host: &Host, network: &str) -> Result<()> {
    let leases = host.networks.leases(network)?;
    let lives = |id: &str| {
        let state = ContainerId::parse(id).and_then(|id| host.store.load_state(&id));
        state.is_ok_and(|state| state.init_alive())
    };
    if !leases.iter().any(|lease| lives(&lease.container)) {
        return Ok(());
    }
    let networks = &host.networks;
    let apply = || networks.apply_rules(network)?.wait();
    Ok(host.place_of_networks()?.run(apply)??)
}

fn tell(host: &Host, network: &str, action: &str, partition: &Partition) -> Result<()> {
    let [one, other] = partition.names();
    let event = Event::of_network(network, action);
    host.store
        .emit(&event.with("one", one).with("other", other));
    print(&format!("{network}: {partition}\n"))
}
