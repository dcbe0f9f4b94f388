//! Work beside the containers that the event loop turns, for as long as it turns.

use std::os::fd::BorrowedFd;
use std::time::Instant;

use super::durable::QUIET;
use super::reactor::Token;
use super::{Supervisor, SupervisorError, kernel};

/// Something that the supervisor's program answers others with, such as a name server: it has a
/// descriptor of its own, mostly an `epoll(7)` of its sockets.
pub trait Service {
    /// Readable when there is something to do.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// When there is something to do without that.
    fn deadline(&self) -> Option<Instant>;

    /// Does what there is to do. It waits for nothing, and leaves for the next turn what takes
    /// long: containers come first.
    fn turn(&self);
}

/// How the event loop stands to the service.
#[derive(Debug)]
pub(super) struct Beside {
    is_watched: bool,
    /// When something else than the service happened last.
    last_event: Instant,
}

impl Default for Beside {
    fn default() -> Self {
        Self {
            is_watched: false,
            last_event: Instant::now(),
        }
    }
}

impl Supervisor<'_> {
    /// Watches the service once there is one.
    pub(super) fn watch_service(&mut self) -> Result<(), SupervisorError> {
        if !self.beside.is_watched
            && let Some(service) = self.wiring.service()
        {
            { self.reactor.watch(service.descriptor(), Token::Service) }
                .map_err(kernel("watch the service beside the containers"))?;
            self.beside.is_watched = true;
        }
        Ok(())
    }

    pub(super) fn turn_service(&self) {
        if let Some(service) = self.wiring.service() {
            service.turn();
        }
    }

    /// When the service has something to do.
    pub(super) fn service_deadline(&self) -> Option<Instant> {
        self.wiring.service()?.deadline()
    }

    /// Whether nothing has happened to a container for a while: a service may always be busy.
    pub(super) fn is_quiet(&mut self, ready: &[Token]) -> bool {
        if ready.iter().any(|token| *token != Token::Service) {
            self.beside.last_event = Instant::now();
            return false;
        }
        ready.is_empty() || self.beside.last_event.elapsed() >= QUIET
    }
}
