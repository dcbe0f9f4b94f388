//! Work beside the containers that the event loop turns, for as long as it turns.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

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
    /// When the memory that its turns have taken is given back.
    release_due: Option<Instant>,
}

/// The service's turns are many and small: what they take is given back for many of them at a
/// time.
const RELEASE: Duration = Duration::from_secs(5);

impl Default for Beside {
    fn default() -> Self {
        Self {
            is_watched: false,
            last_event: Instant::now(),
            release_due: None,
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

    pub(super) fn turn_service(&mut self) {
        if let Some(service) = self.wiring.service() {
            service.turn();
            let due = || Instant::now() + RELEASE;
            self.beside.release_due.get_or_insert_with(due);
        }
    }

    /// Does what the service has to do by the clock, and what there is to do after it.
    pub(super) fn serve_if_due(&mut self, now: Instant) {
        let service = self.wiring.service();
        let deadline = service.and_then(Service::deadline);
        if deadline.is_some_and(|due| due <= now) {
            self.turn_service();
        }
        if self.beside.release_due.is_some_and(|due| due <= now) {
            self.beside.release_due = None;
            self.release_later();
        }
    }

    /// When there is something to do for the service, or after it.
    pub(super) fn service_deadline(&self) -> Option<Instant> {
        let deadline = self.wiring.service()?.deadline();
        deadline.into_iter().chain(self.beside.release_due).min()
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
