//! The process that stays: one per stack, one thread, one event loop.
//!
//! It creates containers in a batch, starts each when its dependencies are met, writes logs,
//! runs health checks, records exits, undoes what each container had in the kernel, and ends
//! with the last of them. It does not know what the stages do: a [`Wiring`] makes pipelines.
//!
//! Everything it needs is on disk. When it is killed, the containers go on, their output waits
//! in the pipes that they hold open themselves, and the next one [adopts](Supervisor::adopt)
//! them.

mod clients;
mod control;
mod durable;
mod exit;
mod foreground;
mod health;
mod launch;
mod order;
mod output;
mod reactor;
mod spec;
mod stop;
mod unit;

use std::time::{Duration, Instant};

use rustix::process::Pid;

pub use control::{Client, ControlError, Peer, Report, Request};
pub use foreground::{Foreground, OnSignal, Show};
pub use spec::{Condition, Dependency, HealthTiming, RestartPolicy, UnitSpec};

use crate::error::{BoxError, Error, Failure, chain};
use crate::logs::LogError;
use crate::pipeline::Pipeline;
use crate::signals::SignalError;
use crate::store::{ContainerId, Lock, StackName, Store, StoreError};
use crate::terminal::TerminalError;
use clients::Clients;
use control::Listener;
use reactor::{Reactor, Token};
use unit::Unit;

/// What the supervisor's program supplies: how containers are made of stages.
pub trait Wiring {
    /// What the supervisor has to know of a saved container.
    ///
    /// # Errors
    /// When its saved plan cannot be read.
    fn spec(&self, id: &ContainerId) -> Result<UnitSpec, BoxError>;

    /// The pipeline that makes the container, from its saved plan.
    ///
    /// # Errors
    /// When the plan cannot be carried out on this host.
    fn pipeline(&self, id: &ContainerId) -> Result<Pipeline, BoxError>;

    /// The pipeline that runs the container's health check in it.
    ///
    /// # Errors
    /// When the container is gone.
    fn health_check(&self, id: &ContainerId, init: Pid) -> Result<Pipeline, BoxError>;

    /// Does the work that the batch's [`HostSide::Batched`](crate::HostSide::Batched) stages
    /// queued.
    ///
    /// # Errors
    /// Ends the launch of the whole batch.
    fn commit_batch(&self) -> Result<(), BoxError>;

    /// The batch has failed: what is queued for it and not done yet must not be done with the
    /// next one.
    fn abandon_batch(&self) {}

    /// The container has ended, or could not be started, and nothing of it is undone yet. Says
    /// whether the kernel killed something in it for want of memory.
    fn ended(&self, id: &ContainerId) -> bool;

    /// Stops every process of a running container where it is: `freezer` of `cgroups(7)`.
    ///
    /// # Errors
    /// When the kernel cannot.
    fn freeze(&self, id: &ContainerId) -> Result<(), BoxError>;

    /// Lets a frozen container go on. One that is not frozen is fine.
    ///
    /// # Errors
    /// When the kernel cannot.
    fn thaw(&self, id: &ContainerId) -> Result<(), BoxError>;

    /// Nothing of the ended container is left in the kernel. Says whether it stays, to be
    /// started again; one that goes with its end (`--rm`) is removed here.
    fn stays(&self, _id: &ContainerId) -> bool {
        true
    }

    /// Carries out one record of a container's journal.
    ///
    /// # Errors
    /// When what the record names may still exist.
    fn undo(&self, stage: &str, record: &str) -> Result<(), BoxError>;
}

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
    units: Vec<Unit>,
    /// Whose files are to be written to the disk.
    unsynced: Vec<ContainerId>,
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
            units: Vec::new(),
            unsynced: Vec::new(),
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

    /// Takes over containers that run already: their pidfds, logs and health checks. One that
    /// cannot be taken over is left as it is, with a warning in the log.
    pub fn adopt(&mut self, ids: &[ContainerId]) {
        for id in ids {
            match self.adopt_one(id) {
                Ok(adopted) => self.units.extend(adopted),
                Err(error) => log::warn!("cannot adopt {}: {}", id.short(), chain(&error)),
            }
        }
    }

    fn adopt_one(&self, id: &ContainerId) -> Result<Option<Unit>, SupervisorError> {
        let state = self.store.load_state(id)?;
        let spec = self.wiring.spec(id).map_err(|error| plan_failure(&error))?;
        Unit::adopt(
            self.units.len() as u32,
            spec,
            state,
            self.store,
            &self.reactor,
        )
    }

    /// Runs until no container is left to look after.
    ///
    /// # Errors
    /// [`SupervisorError`]: containers that run go on, for the next supervisor.
    pub fn run(mut self) -> Result<Outcome, SupervisorError> {
        loop {
            // Before the wait: a request that came with the process may be done already.
            self.start_what_may()?;
            self.stop_what_may();
            self.answer_clients();
            let needed = self.units.iter().any(Unit::is_live) || self.clients.are_waiting();
            let timeout = if needed && self.unsynced.is_empty() {
                self.timeout()
            } else {
                Some(Duration::ZERO)
            };
            let ready = self.reactor.wait(timeout).map_err(kernel("epoll_wait"))?;
            // Someone who has just connected is still served.
            let asked = ready.iter().any(|token| token.is_of_client());
            if !needed && !asked {
                break;
            }
            if ready.is_empty() {
                self.sync_one();
            }
            for token in ready {
                self.dispatch(token)?;
            }
            self.on_time()?;
        }
        let interrupted = self
            .foreground
            .as_ref()
            .is_some_and(Foreground::was_interrupted);
        let (store, unsynced) = (self.store, std::mem::take(&mut self.unsynced));
        drop(self);
        for id in &unsynced {
            durable::sync(store, id);
        }
        Ok(Outcome { interrupted })
    }

    fn dispatch(&mut self, token: Token) -> Result<(), SupervisorError> {
        match token {
            Token::Listener => {
                if let Some(peer) = self.listener.accept() {
                    self.clients.add(peer, &self.reactor);
                }
            }
            Token::Client(index) => {
                if let Some(request) = self.clients.ready(index, &self.reactor) {
                    self.serve(index, request)?;
                }
            }
            Token::Exit(index) => self.on_exit(index),
            Token::Stdout(index) | Token::Stderr(index) => self.on_output(index, token),
            Token::Check(index) => self.on_check_end(index),
            Token::Signal => self.on_signal(),
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
        let next = self.units.iter().filter_map(Unit::deadline).min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    fn on_time(&mut self) -> Result<(), SupervisorError> {
        let now = Instant::now();
        for index in 0..self.units.len() {
            self.units[index].kill_if_overdue(now);
            self.check_if_due(index, now)?;
        }
        Ok(())
    }

    fn on_output(&mut self, index: u32, token: Token) {
        let Some(unit) = self.units.get_mut(index as usize) else {
            return;
        };
        let foreground = &mut self.foreground;
        unit.read_output(token, &self.reactor, |spec, stream, bytes| {
            if let Some(foreground) = foreground {
                foreground.output(spec, stream, bytes);
            }
        });
    }

    fn on_exit(&mut self, index: u32) {
        let Some(unit) = self.units.get_mut(index as usize) else {
            return;
        };
        let Some(end) = unit.reap(&self.reactor) else {
            return;
        };
        let foreground = &mut self.foreground;
        unit.drain_output(&self.reactor, |spec, stream, bytes| {
            if let Some(foreground) = foreground {
                foreground.output(spec, stream, bytes);
            }
        });
        unit.end_check(&self.reactor);
        let oom_killed = self.wiring.ended(&unit.spec.id);
        unit.record_exit(end, oom_killed);
        let report = Report::Exited(Box::new(unit.state.clone()));
        let index = index as usize;
        let undone = self.undo(index);
        if !undone || self.wiring.stays(&self.units[index].spec.id) {
            self.save(index);
            self.sync_later(index);
        }
        self.tell(&report);
    }

    /// Carries out the container's journal. Says whether nothing of this run is left in the
    /// kernel; what is left stays in the journal, for the next command that looks.
    fn undo(&mut self, index: usize) -> bool {
        let unit = &self.units[index];
        let Err(error) = undo_run(self.store, self.wiring, &unit.spec.id) else {
            return true;
        };
        log::warn!("{}: {}", unit.spec.name, crate::error::chain(&error));
        self.unfinished = true;
        false
    }

    fn tell(&mut self, report: &Report) {
        if let Some(foreground) = &mut self.foreground {
            foreground.report(report);
        }
        self.clients.report(report, &self.reactor);
    }
}

impl Drop for Supervisor<'_> {
    fn drop(&mut self) {
        // With containers that run, the directory is what the next supervisor goes by.
        if !self.unfinished
            && !self.units.iter().any(Unit::is_live)
            && let Some(lock) = self.lock.take()
            && let Err(error) = self.store.remove_stack(&self.stack, lock)
        {
            log::warn!("{}", chain(&error));
        }
    }
}

/// Undoes what one run of a container made outside its process. Nothing to undo is fine.
///
/// # Errors
/// The first record that failed; the journal stays for the next try.
pub fn undo_run(store: &Store, wiring: &dyn Wiring, id: &ContainerId) -> Result<(), Error> {
    let dir = store.dirs().container_run(id);
    crate::journal::unwind(&dir.join(crate::JOURNAL), |stage, record| {
        wiring.undo(stage, record)
    })?;
    let _ = std::fs::remove_dir_all(&dir);
    Ok(())
}

/// Forks a supervisor that outlives this command: in a session of its own, with no terminal.
///
/// `body` runs in the new process and gets the other end of the returned connection.
///
/// # Errors
/// When the process cannot be made.
pub fn detach(
    body: impl FnOnce(Peer) -> Result<Outcome, SupervisorError>,
) -> Result<Client, SupervisorError> {
    let (client, peer) = Client::pair()?;
    let args = coop_ns::CloneArgs {
        namespaces: coop_ns::Namespaces::empty(),
        cgroup: None,
    };
    // SAFETY: commands of this program have a single thread (see the crate's documentation).
    match unsafe { coop_ns::clone3(&args) }.map_err(Error::Clone)? {
        coop_ns::Forked::Parent(_) => Ok(client),
        coop_ns::Forked::Child => {
            drop(client);
            let code = match leave_terminal().and_then(|()| body(peer)) {
                Ok(_) => 0,
                Err(error) => {
                    log::error!("{}", chain(&error));
                    1
                }
            };
            coop_ns::exit_child(code)
        }
    }
}

fn leave_terminal() -> Result<(), SupervisorError> {
    use rustix::fs::{Mode, OFlags};

    rustix::process::setsid().map_err(kernel("setsid"))?;
    // Not to keep a filesystem busy that the user wants to unmount.
    rustix::process::chdir("/").map_err(kernel("chdir /"))?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(kernel("open /dev/null"))?;
    rustix::stdio::dup2_stdin(&null).map_err(kernel("redirect standard input"))?;
    rustix::stdio::dup2_stdout(&null).map_err(kernel("redirect standard output"))?;
    rustix::stdio::dup2_stderr(&null).map_err(kernel("redirect standard error"))?;
    // Whoever started us with more than these may wait for their end just as well.
    crate::sys::redirect_inherited(&null).map_err(kernel("redirect an inherited descriptor"))
}
