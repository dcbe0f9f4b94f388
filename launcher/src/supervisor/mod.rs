//! The process that stays: one per stack, one thread, one event loop.
//!
//! It creates containers in a batch, starts each when its dependencies are met, writes logs,
//! runs health checks, records exits, undoes what each container had in the kernel, and ends
//! with the last of them. It does not know what the stages do: a [`Wiring`] makes pipelines.
//!
//! Everything it needs is on disk. When it is killed, the containers go on, their output waits
//! in the pipes that they hold open themselves, and the next one [adopts](Supervisor::adopt)
//! them.

mod adopted;
mod attach;
mod client;
mod clients;
mod control;
mod detach;
mod durable;
mod ending;
mod exit;
mod foreground;
mod health;
mod launch;
mod order;
mod output;
mod own_log;
mod packet;
mod probe;
mod reactor;
mod requests;
mod restart;
mod service;
mod spec;
mod stop;
mod unit;
mod wiring;

use std::time::{Duration, Instant};

pub use client::{Attachment, Client};
pub use control::{ControlError, Peer, Report, Request};
pub use detach::detach;
pub use ending::undo_run;
pub use foreground::{Foreground, OnEnd, OnSignal, Show};
pub use own_log::is_detached;
pub use restart::comes_back;
pub use service::Service;
pub use spec::{Condition, Dependency, HealthTiming, RestartPolicy, UnitSpec};
pub use wiring::Wiring;

use crate::error::{BoxError, Error, Failure, chain};
use crate::logs::LogError;
use crate::signals::SignalError;
use crate::store::{ContainerId, Lock, StackName, Status, Store, StoreError};
use crate::terminal::TerminalError;
use attach::Viewers;
use clients::Clients;
use control::Listener;
use durable::Unsynced;
use exit::End;
use reactor::{Reactor, Token};
use service::Beside;
use unit::Unit;

/// Errors that end a supervisor.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// The kernel refused something that the event loop lives on.
    #[error("supervisor: {operation}")]
    Kernel {
        /// The operation.
        operation: &'static str,
        /// The kernel's answer.
        #[source]
        source: rustix::io::Errno,
    },
    /// A supervisor could not go on in the background.
    #[error("leave the container to a supervisor in the background: {0}")]
    Detach(String),
    /// State on disk could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A log or its pipe could not be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The user's terminal or input could not be used.
    #[error(transparent)]
    Terminal(#[from] TerminalError),
    /// Signals could not be taken.
    #[error(transparent)]
    Signal(#[from] SignalError),
    /// The control socket could not be made.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The launcher failed.
    #[error(transparent)]
    Launch(#[from] Error),
}

/// After so many turns of the event loop it looks how long its own log is.
const TURNS_OF_A_LOOK: u32 = 64;

/// The furthest that anything is put off: the clock takes no more than it can count to.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

fn after(start: Instant, pause: Duration) -> Instant {
    start + pause.min(NEVER)
}

/// A saved plan that cannot be read or carried out.
fn plan_failure(error: &BoxError) -> Error {
    Failure::new("plan", &**error).into()
}

fn kernel(operation: &'static str) -> impl FnOnce(rustix::io::Errno) -> SupervisorError {
    move |source| SupervisorError::Kernel { operation, source }
}

/// How a supervisor came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the user asked for it by a signal.
    pub interrupted: bool,
    /// Whether the user has left the container, which goes on under another process.
    pub detached: bool,
}

/// The event loop and all it watches. See the module's documentation.
pub struct Supervisor<'a> {
    store: &'a Store,
    wiring: &'a dyn Wiring,
    stack: StackName,
    /// Held for the supervisor's lifetime: two never run for one stack.
    lock: Option<Lock>,
    reactor: Reactor,
    listener: Listener,
    clients: Clients,
    viewers: Viewers,
    units: Vec<Unit>,
    /// Who is to be started again by request: those of one request together, once none of
    /// them runs.
    restarting: Vec<Vec<ContainerId>>,
    /// Whether memory is to be given back that a launch, a request or a check has taken.
    release: bool,
    /// Whose files are to be written to the disk, when nothing else happens.
    unsynced: Unsynced,
    beside: Beside,
    foreground: Option<Foreground<'a>>,
    /// Something could not be undone: the stack's directory stays to tell of it.
    unfinished: bool,
}

impl<'a> Supervisor<'a> {
    /// A supervisor of `stack`, whose lock the caller has taken.
    ///
    /// # Errors
    /// When the control socket cannot be made.
    pub fn new(
        store: &'a Store,
        wiring: &'a dyn Wiring,
        stack: &StackName,
        lock: Lock,
    ) -> Result<Self, SupervisorError> {
        crate::descriptors::raise_limit();
        let reactor = Reactor::new().map_err(kernel("epoll_create"))?;
        let listener = Listener::bind(&store.dirs().stack_run(stack))?;
        reactor
            .watch(&listener, Token::Listener)
            .map_err(kernel("watch the control socket"))?;
        Ok(Self {
            store,
            wiring,
            stack: stack.clone(),
            lock: Some(lock),
            reactor,
            listener,
            clients: Clients::default(),
            viewers: Viewers::default(),
            units: Vec::new(),
            restarting: Vec::new(),
            release: false,
            unsynced: Unsynced::default(),
            beside: Beside::default(),
            foreground: None,
            unfinished: false,
        })
    }

    /// Shows what happens to the user, takes the user's signals, and, for one container, the
    /// user's input.
    ///
    /// # Errors
    /// When signals or input cannot be watched.
    pub fn in_foreground(
        mut self,
        mut foreground: Foreground<'a>,
    ) -> Result<Self, SupervisorError> {
        foreground.watch(&self.reactor)?;
        self.foreground = Some(foreground);
        Ok(self)
    }

    /// Takes over containers that run already, their pidfds, logs, health checks and what was
    /// asked of them, and those that wait for their restart. One that
    /// cannot be taken over is left as it is, with a warning in the log.
    pub fn adopt(&mut self, ids: &[ContainerId]) {
        self.release_later();
        for id in ids {
            match self.adopt_one(id) {
                Ok(unit) => {
                    let (index, is_gone) = (unit.index, !unit.is_kept());
                    self.units.push(unit);
                    if is_gone {
                        self.on_end(index, End::UNSEEN);
                    }
                }
                Err(error) => log::warn!("cannot adopt {}: {}", id.short(), chain(&error)),
            }
        }
    }

    fn adopt_one(&self, id: &ContainerId) -> Result<Unit, SupervisorError> {
        // Nothing has begun that could fail: this is for tests that need the moment.
        let _ = crate::fault::point("adopt", "look");
        let state = self.store.load_state(id)?;
        let spec = self.wiring.spec(id).map_err(|error| plan_failure(&error))?;
        let index = self.units.len() as u32;
        let unit = Unit::adopt(index, spec, state, self.store, &self.reactor)?;
        if unit.state.status != Status::Restarting {
            self.wiring.adopted(id);
        }
        Ok(unit)
    }

    /// Runs until no container is left to look after.
    ///
    /// # Errors
    /// [`SupervisorError`]: containers that run go on, for the next supervisor. Clients are told.
    pub fn run(mut self) -> Result<Outcome, SupervisorError> {
        let result = self.turn_until_done();
        self.tell_if_broken(result)?;
        self.turn_service();
        if self.foreground.as_ref().is_some_and(Foreground::has_left) {
            return self.leave_user();
        }
        let interrupted = self
            .foreground
            .as_ref()
            .is_some_and(Foreground::was_interrupted);
        self.tell_of_debts();
        let (store, unsynced) = (self.store, std::mem::take(&mut self.unsynced));
        drop(self);
        unsynced.write(store);
        Ok(Outcome {
            interrupted,
            detached: false,
        })
    }

    /// Who waits for an answer is to know why none comes.
    fn tell_if_broken<T>(
        &mut self,
        result: Result<T, SupervisorError>,
    ) -> Result<T, SupervisorError> {
        if let Err(error) = &result {
            let error = chain(error);
            self.clients.report_to_all(&Report::Broken { error });
        }
        result
    }

    fn turn_until_done(&mut self) -> Result<(), SupervisorError> {
        let own_log = own_log::path(&self.store.dirs().stack_run(&self.stack));
        let mut turns = 0_u32;
        loop {
            // Before the wait: a request that came with the process may be done already.
            self.abort_if_wanted();
            self.stop_what_may();
            self.restart_what_may();
            self.start_what_may()?;
            self.answer_clients();
            self.watch_service()?;
            let needed = self.units.iter().any(Unit::is_kept)
                || self.owes()
                || self.clients.are_waiting()
                || self.viewers.linger();
            let timeout = if needed {
                self.until_sync(self.timeout())
            } else {
                Some(Duration::ZERO)
            };
            let ready = self.reactor.wait(timeout).map_err(kernel("epoll_wait"))?;
            // Someone who has just connected is still served.
            let asked = ready.iter().any(|token| token.is_of_client());
            if !needed && !asked {
                return Ok(());
            }
            let is_quiet = self.is_quiet(&ready);
            self.sync_if_quiet(is_quiet);
            for token in ready {
                self.dispatch(token)?;
            }
            self.on_time();
            if self.foreground.as_ref().is_some_and(Foreground::has_left) {
                return Ok(());
            }
            if std::mem::take(&mut self.release) {
                crate::sys::release_memory();
            }
            turns = turns.wrapping_add(1);
            if turns.is_multiple_of(TURNS_OF_A_LOOK) {
                own_log::bound(&own_log);
            }
        }
    }

    fn dispatch(&mut self, token: Token) -> Result<(), SupervisorError> {
        match token {
            Token::Listener => {
                if let Some(peer) = self.listener.accept(&self.reactor)
                    && let Err((_, errno)) = self.clients.add(peer, &self.reactor)
                {
                    log::warn!("watch a client: {errno}");
                }
            }
            Token::Client(index) => {
                if let Some((request, fds)) = self.clients.ready(index, &self.reactor) {
                    self.serve(index, request, fds)?;
                }
            }
            Token::Exit(index) => self.on_exit(index),
            Token::Stdout(index) | Token::Stderr(index) => self.on_output(index, token),
            Token::Check(index) => self.on_check_end(index),
            Token::CheckOutput(index) => self.on_check_output(index),
            Token::Viewer(number) => self.viewers.ready(number, &self.reactor),
            Token::Signal => self.on_signal(),
            Token::Service => self.turn_service(),
            Token::Input => {
                if let Some(foreground) = &mut self.foreground {
                    foreground.pump(&self.reactor)?;
                }
            }
        }
        Ok(())
    }

    /// How long nothing has to be done by the clock.
    fn timeout(&self) -> Option<Duration> {
        let units = self.units.iter().filter_map(Unit::deadline);
        let clients = self.viewers.deadline().into_iter();
        let clients = clients.chain(self.listener.deadline());
        let service = self.service_deadline();
        let next = units.chain(clients).chain(service).min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    fn on_time(&mut self) {
        let now = Instant::now();
        self.viewers.leave_overdue(now, &self.reactor);
        self.listener.listen_again(now, &self.reactor);
        self.serve_if_due(now);
        for index in 0..self.units.len() {
            self.kill_if_overdue(index, now);
            self.restart_if_due(index, now);
            self.pay_if_due(index, now);
            self.check_if_due(index, now);
        }
    }

    /// Something large is done now. One in the foreground belongs to a command that is used.
    fn release_later(&mut self) {
        if self.foreground.is_none() {
            self.release = true;
        }
    }

    fn on_output(&mut self, index: u32, token: Token) {
        let Some(unit) = self.units.get_mut(index as usize) else {
            return;
        };
        let (foreground, viewers) = (&mut self.foreground, &mut self.viewers);
        unit.read_output(token, &self.reactor, |spec, stream, bytes| {
            if let Some(foreground) = foreground {
                foreground.output(spec, stream, bytes);
            }
            viewers.show(index, stream, bytes, &self.reactor);
        });
    }
}

impl Drop for Supervisor<'_> {
    fn drop(&mut self) {
        // With containers that run or wait for their restart, the directory is what the next supervisor goes by.
        if !self.unfinished
            && !self.units.iter().any(Unit::is_kept)
            && let Some(lock) = self.lock.take()
            && let Err(error) = self.store.remove_stack(&self.stack, lock)
        {
            log::warn!("{}", chain(&error));
        }
    }
}
