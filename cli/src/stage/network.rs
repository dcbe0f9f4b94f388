//! The container's end of its network. The host's end is made for a whole batch at once:
//! see [`wire`](crate::wire).

use std::cell::RefCell;
use std::rc::Rc;

use coop_launcher::{BoxError, ChildSide, HostSide, Stage, Waiting};
use coop_net::{Lease, LinkBatch};

/// See the module.
pub(crate) enum Network {
    /// The host's own network: nothing to do.
    Host,
    /// Only a loopback interface.
    Loopback,
    /// A link to a bridge, made with those of the batch.
    Bridge { lease: Lease, batch: Rc<RefCell<Option<LinkBatch>>> },
}

impl Stage for Network {
    fn name(&self) -> &'static str {
        "network"
    }

    fn host_side(&self) -> HostSide {
        match self {
            Self::Bridge { .. } => HostSide::Batched,
            Self::Host | Self::Loopback => HostSide::None,
        }
    }

    // No undo of its own: the link goes with the container's network namespace, the address
    // with the container.
    fn attach(&mut self, child: &mut Waiting) -> Result<(), BoxError> {
        let Self::Bridge { lease, batch } = self else { return Ok(()) };
        log::info!("connecting to network {}: {}", lease.network, lease.address);
        let mut batch = batch.borrow_mut();
        let batch = match batch.as_mut() {
            Some(batch) => batch,
            None => batch.insert(LinkBatch::spawn()?),
        };
        Ok(batch.add(lease, child.pid())?)
    }

    fn enter(&mut self, _child: &mut ChildSide<'_>) -> Result<(), BoxError> {
        match self {
            Self::Host => Ok(()),
            Self::Loopback => Ok(coop_net::loopback_up()?),
            Self::Bridge { lease, .. } => Ok(coop_net::configure(lease)?),
        }
    }
}
