//! The containers whose namespaces another one joins, at its launch.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use anyhow::{Context, Result, bail};
use coop_launcher::store::ContainerId;
use coop_ns::Namespaces;

use crate::host::Host;
use crate::plan::{ContainerPlan, NamespaceOf};

/// Namespaces of one process.
#[derive(Debug, Clone)]
pub(crate) struct Joined {
    /// The process.
    pub of: Rc<OwnedFd>,
    /// Which of its namespaces.
    pub namespaces: Namespaces,
}

/// Opens the processes whose namespaces the plan joins: they have to be there.
pub(crate) fn open(host: &Host, plan: &ContainerPlan) -> Result<Vec<Joined>> {
    let mut others: BTreeMap<&ContainerId, (&NamespaceOf, Namespaces)> = BTreeMap::new();
    for (kind, other) in &plan.joined {
        let (_, namespaces) = others
            .entry(&other.id)
            .or_insert((other, Namespaces::empty()));
        *namespaces |= (*kind).into();
    }
    let mut joined: Vec<_> = others
        .into_values()
        .map(|(other, namespaces)| {
            let of = process(host, plan, other, namespaces)
                .with_context(|| format!("join {} ({namespaces})", other.name))?;
            Ok(Joined {
                of: Rc::new(of),
                namespaces,
            })
        })
        .collect::<Result<_>>()?;
    // Rights over the others come with the user namespace.
    joined.sort_by_key(|it| !it.namespaces.contains(Namespaces::USER));
    Ok(joined)
}

/// The first process of the other container.
fn process(
    host: &Host,
    plan: &ContainerPlan,
    other: &NamespaceOf,
    namespaces: Namespaces,
) -> Result<OwnedFd> {
    let Ok(state) = host.store.load_state(&other.id) else {
        bail!("it does not exist any more\n  help: make this container anew, too");
    };
    let running = || {
        let name = &state.name;
        format!("it is not running\n  help: start it first: coop start {name}")
    };
    let pid = state.live_init().with_context(running)?;
    let pidfd = coop_ns::pidfd::open(host.namespaces_of(pid)).with_context(running)?;
    // The number may have gone to another process meanwhile.
    if state.live_init() != Some(pid) {
        bail!(running());
    }
    if namespaces.contains(Namespaces::USER) {
        let theirs: ContainerPlan = host.store.load_config(&other.id)?;
        if theirs.id_maps != plan.id_maps {
            bail!(
                "it was made anew since, with other user ids\n  help: make this container anew, too"
            );
        }
    }
    Ok(pidfd)
}
