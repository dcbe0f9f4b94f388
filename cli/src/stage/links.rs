//! The links of the containers that are being created: made for a whole batch by one `ip`, and
//! where it was asked for made worse by `tc`.

use std::cell::RefCell;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context, Result};
use coop_net::{HostSocket, Lease, LinkBatch, Shape, Shaped};
use coop_ns::Handle;
use rustix::process::Pid;

use crate::rootless::network::Place;

/// See the module. A clone is the same batch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Links(Rc<Batch>);

#[derive(Debug, Default)]
struct Batch {
    ip: RefCell<Option<LinkBatch>>,
    worse: RefCell<Vec<Worse>>,
}

/// Links of a container that are made worse.
#[derive(Debug)]
struct Worse {
    /// Where the host's ends are.
    place: Place,
    hosts: Vec<Shaped>,
    /// The container's network namespace.
    own_place: Place,
    own: Vec<Shaped>,
}

impl Links {
    /// Starts `ip`, which loads while the processes are cloned, and gives a socket of its place.
    pub(super) fn prepare(&self, place: &Place) -> Result<HostSocket> {
        let mut ip = self.0.ip.borrow_mut();
        let is_first = ip.is_none();
        let (socket, started) = place.run(|| {
            let started = is_first.then(LinkBatch::spawn).transpose();
            (HostSocket::open(), started)
        })?;
        if let Some(started) = started? {
            *ip = Some(started);
        }
        Ok(socket?)
    }

    /// Queues a container's link. `own` is its network namespace, where that is held: then this
    /// thread does not go there, from where an ordinary user could not come back.
    pub(super) fn add(&self, lease: &Lease, pid: Pid, own: Option<&Handle>) -> Result<()> {
        let mut ip = self.0.ip.borrow_mut();
        let ip = ip
            .as_mut()
            .context("the batch of links is closed already")?;
        let Some(own) = own else {
            return Ok(ip.add(lease, pid)?);
        };
        if lease.ipv6.is_some() {
            let there = Place::There(Arc::new(own.as_fd().try_clone_to_owned()?));
            there.run(coop_net::trust_all_addresses)??;
        }
        Ok(ip.add_prepared(lease, pid)?)
    }

    /// Has links of a container made worse, each end for what it sends. `own` is the container's
    /// network namespace.
    pub(crate) fn add_worse(&self, place: &Place, own: OwnedFd, links: &[(&Lease, Shape)]) {
        let Some((first, _)) = links.first() else {
            return;
        };
        let shaped = |interface: &str, shape: Shape| Shaped {
            interface: interface.to_owned(),
            container: first.container.clone(),
            shape,
        };
        let worse = Worse {
            place: place.clone(),
            hosts: { links.iter() }
                .map(|(lease, shape)| shaped(&lease.host_interface, *shape))
                .collect(),
            own_place: Place::There(Arc::new(own)),
            own: { links.iter() }
                .map(|(lease, shape)| shaped(&lease.interface, *shape))
                .collect(),
        };
        self.0.worse.borrow_mut().push(worse);
    }

    /// Waits until what is queued is there.
    pub(crate) fn sync(&self) -> Result<()> {
        if let Some(ip) = &mut *self.0.ip.borrow_mut() {
            ip.sync()?;
        }
        self.make_worse()
    }

    /// As [`sync`](Self::sync), of the last part.
    pub(crate) fn commit(&self) -> Result<()> {
        if let Some(ip) = self.0.ip.take() {
            ip.commit()?;
        }
        self.make_worse()
    }

    /// Gives up what is queued.
    pub(crate) fn forget(&self) {
        self.0.ip.take();
        self.0.worse.take();
    }

    /// One `tc` for the host's ends, and one in each container, as its end is there.
    fn make_worse(&self) -> Result<()> {
        let worse = self.0.worse.take();
        let Some(first) = worse.first() else {
            return Ok(());
        };
        let hosts: Vec<Shaped> = { worse.iter() }.flat_map(|it| it.hosts.clone()).collect();
        first.place.run(|| coop_net::shape(&hosts))??;
        for it in &worse {
            it.own_place.run(|| coop_net::shape(&it.own))??;
        }
        Ok(())
    }
}
