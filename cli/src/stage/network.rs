//! The container's end of its network. The host's end is made for a whole batch at once:
//! see [`wire`](crate::wire).

use std::cell::RefCell;
use std::rc::Rc;

use coop_launcher::{BoxError, ChildSide, HostSide, Prepare, Stage, Waiting};
use coop_net::{HostSocket, Lease, LinkBatch};

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
        batch: Links,
        place: Place,
        host: Option<HostSocket>,
    },
}

/// The links of the containers that are being created, made by one `ip`.
pub(crate) type Links = Rc<RefCell<Option<LinkBatch>>>;

impl Network {
    /// Links with these places in their networks.
    pub(crate) fn bridge(leases: Vec<Lease>, batch: &Links, place: Place) -> Self {
        Self::Bridge {
            leases,
            batch: Rc::clone(batch),
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
            let mut batch = batch.borrow_mut();
            let is_first = batch.is_none();
            // `ip` starts up while the processes are cloned.
            let (socket, ip) = place.run(|| {
                let ip = is_first.then(LinkBatch::spawn).transpose();
                (HostSocket::open(), ip)
            })?;
            *host = Some(socket?);
            if let Some(ip) = ip? {
                *batch = Some(ip);
            }
        }
        Ok(())
    }

    fn attach(&mut self, child: &mut Waiting) -> Result<(), BoxError> {
        let Self::Bridge { leases, batch, .. } = self else {
            return Ok(());
        };
        let mut batch = batch.borrow_mut();
        let batch = batch
            .as_mut()
            .ok_or("the batch of links is closed already")?;
        for lease in leases {
            log::info!("connecting to network {}: {}", lease.network, lease.address);
            batch.add(lease, child.pid())?;
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
