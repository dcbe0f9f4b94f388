//! The container's end of its network. The host's end is made for a whole batch at once:
//! see [`wire`](crate::wire).

use std::os::fd::AsFd;
use std::rc::Rc;

use coop_launcher::{BoxError, ChildSide, HostSide, Prepare, Stage, Waiting};
use coop_net::{HostSocket, Lease, Shape};

use super::links::Links;
use super::namespaces::NetworkNamespace;
use crate::rootless::network::Place;

/// See the module.
pub(crate) enum Network {
    /// The host's own network, or that of another container: nothing to do.
    Shared,
    /// Only a loopback interface.
    Loopback,
    /// A link to the bridge of each network, made with those of the batch.
    Bridge {
        leases: Vec<Lease>,
        worse: Vec<(usize, Shape)>,
        own: NetworkNamespace,
        batch: Links,
        place: Place,
        host: Option<HostSocket>,
    },
}

impl Network {
    /// Links with these places in their networks, made worse where a shape says how.
    pub(crate) fn bridge(
        links: impl IntoIterator<Item = (Lease, Option<Shape>)>,
        batch: &Links,
        place: Place,
        own: &NetworkNamespace,
    ) -> Self {
        let (leases, shapes): (Vec<_>, Vec<_>) = links.into_iter().unzip();
        let shapes = shapes.into_iter().enumerate();
        Self::Bridge {
            leases,
            worse: shapes
                .filter_map(|(at, shape)| Some((at, shape?)))
                .collect(),
            own: Rc::clone(own),
            batch: batch.clone(),
            place,
            host: None,
        }
    }
}

impl Stage for Network {
    fn name(&self) -> &'static str {
        "network"
    }

    fn host_side(&self) -> HostSide {
        match self {
            Self::Bridge { .. } => HostSide::Batched,
            Self::Shared | Self::Loopback => HostSide::None,
        }
    }

    // No undo of its own: the link goes with the container's network namespace, the address
    // with the container.
    fn prepare(&mut self, _launch: &mut Prepare<'_>) -> Result<(), BoxError> {
        if let Self::Bridge {
            batch, place, host, ..
        } = self
        {
            *host = Some(batch.prepare(place)?);
        }
        Ok(())
    }

    fn attach(&mut self, child: &mut Waiting) -> Result<(), BoxError> {
        let Self::Bridge {
            leases,
            worse,
            own,
            batch,
            place,
            ..
        } = self
        else {
            return Ok(());
        };
        for lease in leases.iter() {
            log::info!("connecting to network {}: {}", lease.network, lease.address);
            batch.add(lease, child.pid(), own.get())?;
        }
        // Only where there is something to do is the namespace held.
        if let Some(own) = own.get() {
            let worse: Vec<_> = { worse.iter() }
                .map(|(at, shape)| (&leases[*at], *shape))
                .collect();
            batch.add_worse(place, own.as_fd().try_clone_to_owned()?, &worse);
        }
        Ok(())
    }

    fn enter(&mut self, _child: &mut ChildSide<'_>) -> Result<(), BoxError> {
        match self {
            Self::Shared => Ok(()),
            Self::Loopback => Ok(coop_net::loopback_up()?),
            Self::Bridge {
                leases,
                host: Some(host),
                ..
            } => Ok(coop_net::configure(leases, host)?),
            Self::Bridge { .. } => Err("the link was not prepared".into()),
        }
    }
}
