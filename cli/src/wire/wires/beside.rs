//! What a supervisor does beside its containers: it answers for names, and sees to it that the
//! networks of an ordinary user are kept.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use anyhow::{Context, Result};
use coop_launcher::store::ContainerId;
use coop_launcher::supervisor::Service;
use rustix::event::epoll;

use super::Wires;
use crate::names::NameService;
use crate::rootless::Rootless;

/// The name server, and the descriptor by which it is told that there is something to do.
pub(super) struct Beside<'a> {
    pub(super) names: NameService<'a>,
    /// Of the name server, and of the connection to the keeper of the user's networks.
    epoll: OwnedFd,
}

impl<'a> Beside<'a> {
    pub(super) fn new(names: NameService<'a>) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).context("epoll_create")?;
        let data = epoll::EventData::new_u64(0);
        epoll::add(&epoll, names.descriptor(), data, epoll::EventFlags::IN).context("epoll_ctl")?;
        Ok(Self { names, epoll })
    }

    /// Hears of the keeper's end from now on.
    pub(super) fn watch_keeper(&self, rootless: &Rootless) {
        rootless.with_keeper(|keeper| {
            let flags = epoll::EventFlags::IN | epoll::EventFlags::RDHUP;
            let data = epoll::EventData::new_u64(1);
            match epoll::add(&self.epoll, keeper, data, flags) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(errno) => log::warn!("watch the keeper of this user's networks: {errno}"),
            }
        });
    }
}

impl Service for Wires<'_> {
    fn descriptor(&self) -> BorrowedFd<'_> {
        match self.beside.get() {
            Some(beside) => beside.epoll.as_fd(),
            // Nobody asks before there is one.
            None => rustix::stdio::stdin(),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.beside.get()?.names.deadline()
    }

    fn turn(&self) {
        let Some(beside) = self.beside.get() else {
            return;
        };
        beside.names.turn();
        if let Some(rootless) = &self.host.rootless
            && rootless.has_lost_keeper()
        {
            if let Err(error) = self.keep_again(rootless) {
                log::warn!("the keeper of this user's networks was killed: {error:#}");
            }
            beside.watch_keeper(rootless);
        }
    }
}

impl Wires<'_> {
    /// Has another keeper go on: the namespace is there still, for it is open here, but the way
    /// out and the ports have gone with the one that was killed.
    fn keep_again(&self, rootless: &Rootless) -> Result<()> {
        rootless.networks()?;
        let holders = self.ports.borrow();
        let containers: BTreeSet<ContainerId> = holders.iter().map(|(id, _)| id.clone()).collect();
        drop(holders);
        for id in containers {
            let plan = self.plan(&id)?;
            rootless.adopt(&plan.network.leases().collect::<Vec<_>>())?;
        }
        Ok(())
    }
}
