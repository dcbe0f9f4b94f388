//! One container as the supervisor holds it: its process, its output, its state.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use coop_ns::Signal;
use rustix::process::Pid;

use super::exit::{self, End};
use super::health::Checks;
use super::launch::Cause;
use super::output::Outputs;
use super::reactor::{Reactor, Token};
use super::spec::UnitSpec;
use super::{SupervisorError, adopted, after, kernel, restart};
use crate::error::chain;
use crate::logs::LogWriter;
use crate::pipeline::Created;
use crate::store::{Health, State, Status, Stop, Store};

/// Where a container is in its life.
#[derive(Debug)]
pub(super) enum Phase {
    /// Set up; started when its dependencies are met.
    Waiting(Created),
    /// The program runs.
    Running(Rc<OwnedFd>),
    /// The program ended and is started again at this time, by its policy.
    Resting(Instant),
    /// Over, or never begun.
    Ended,
}

/// A request to stop, and how far it has come.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stopping {
    /// Containers that depend on this one still run.
    Asked {
        grace: Duration,
        /// Instead of its own stop signal.
        signal: Option<i32>,
    },
    /// The stop signal was sent: killed at the deadline.
    Signalled { deadline: Instant },
    /// SIGKILL was sent.
    Killed,
}

impl Stopping {
    /// Goes on with what was asked of an earlier supervisor.
    fn resume(stop: Stop) -> Self {
        match stop {
            Stop::Asked { grace, signal } => Self::Asked { grace, signal },
            Stop::Signalled { until } => Self::Signalled {
                deadline: after(
                    Instant::now(),
                    until.duration_since(SystemTime::now()).unwrap_or_default(),
                ),
            },
        }
    }
}

/// A container with all that belongs to it in this process.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) index: u32,
    pub(super) spec: UnitSpec,
    pub(super) state: State,
    pub(super) phase: Phase,
    pub(super) stopping: Option<Stopping>,
    pub(super) checks: Option<Checks>,
    pub(super) log: LogWriter,
    pub(super) outputs: Outputs,
    /// The state could not be saved: when to try again.
    pub(super) unsaved: Option<Instant>,
    /// Why this run was begun.
    pub(super) cause: Cause,
}

impl Unit {
    pub(super) fn new(
        index: u32,
        spec: UnitSpec,
        state: State,
        store: &Store,
    ) -> Result<Self, SupervisorError> {
        let log = LogWriter::open(&store.dirs().container_log(&spec.id), spec.log.clone())?;
        Ok(Self {
            index,
            checks: spec.health.as_ref().map(Checks::new),
            spec,
            state,
            phase: Phase::Ended,
            stopping: None,
            log,
            outputs: Outputs::default(),
            unsaved: None,
            cause: Cause::Request,
        })
    }

    /// Takes over a container that ran or waited for its restart a moment ago. One whose process
    /// is gone meanwhile has ended, and nothing is written down of that yet.
    pub(super) fn adopt(
        index: u32,
        spec: UnitSpec,
        state: State,
        store: &Store,
        reactor: &Reactor,
    ) -> Result<Self, SupervisorError> {
        let mut unit = Self::new(index, spec, state, store)?;
        if unit.state.status == Status::Restarting {
            unit.phase = Phase::Resting(restart::due(&unit.state));
            return Ok(unit);
        }
        let pidfd = adopted::hold(&unit.state)?;
        // Its end is still worth knowing when its output cannot be had.
        if let Err(error) = unit.open_pipes(store, reactor) {
            log::warn!("{}: {}", unit.spec.name, chain(&error));
        }
        if let Some(checks) = &mut unit.checks {
            checks.resume(&unit.state);
        }
        unit.stopping = unit.state.stop.map(Stopping::resume);
        if let Some(pidfd) = pidfd {
            unit.run(Rc::new(pidfd), reactor)?;
        }
        log::info!("adopted container {}", unit.spec.name);
        Ok(unit)
    }

    /// Its state as others are told of it: the results of its checks are read from the disk.
    pub(super) fn told(&self) -> Box<State> {
        let mut state = self.state.clone();
        state.health_log.clear();
        Box::new(state)
    }

    /// Whether there is a process to look after.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Waiting(_) | Phase::Running(_))
    }

    /// Whether it lives or waits for its restart.
    pub(super) fn is_kept(&self) -> bool {
        !matches!(self.phase, Phase::Ended)
    }

    /// Whether something of it is still to be written when it has ended.
    pub(super) fn owes(&self) -> bool {
        self.unsaved.is_some() || self.outputs.deadline().is_some()
    }

    /// What is still to be written need not be written any more.
    pub(super) fn forgive(&mut self) {
        self.unsaved = None;
        self.outputs = Outputs::default();
    }

    pub(super) fn is_paused(&self) -> bool {
        self.is_running() && self.state.status == Status::Paused
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running(_))
    }

    /// Whether its process has ended, be it known here yet or not.
    pub(super) fn has_ended(&self) -> bool {
        match &self.phase {
            Phase::Running(pidfd) => exit::has_ended(pidfd.as_fd()),
            _ => true,
        }
    }

    pub(super) fn pid(&self) -> Option<Pid> {
        self.state.pid.and_then(|pid| Pid::from_raw(pid as i32))
    }

    /// The program runs: watch for its end.
    pub(super) fn run(
        &mut self,
        pidfd: Rc<OwnedFd>,
        reactor: &Reactor,
    ) -> Result<(), SupervisorError> {
        reactor
            .watch(&pidfd, Token::Exit(self.index))
            .map_err(kernel("watch a container's process"))?;
        self.phase = Phase::Running(pidfd);
        Ok(())
    }

    /// How the container ended; `None` when it has not.
    pub(super) fn reap(&mut self, reactor: &Reactor) -> Option<End> {
        let Phase::Running(pidfd) = &self.phase else {
            return None;
        };
        let end = exit::of(pidfd.as_fd())?;
        reactor.forget(pidfd);
        self.phase = Phase::Ended;
        Some(end)
    }

    /// Writes down how the container ended.
    pub(super) fn record_exit(&mut self, end: End, oom_killed: bool) {
        log::info!("container exited: {end}");
        self.state.set_stopped(end.code());
        self.state.oom_killed = oom_killed;
        self.state.health = None;
        self.state.failing_streak = 0;
        self.state.stop = None;
        self.stopping = None;
    }

    /// Writes down why the container was not started.
    pub(super) fn record_failure(&mut self, error: &str, exit_code: i32) {
        self.state.set_stopped(Some(exit_code));
        self.state.error = Some(error.to_owned());
        self.state.stop = None;
        self.stopping = None;
    }

    /// Sends a signal to the container's first process; one that has ended is fine.
    pub(super) fn signal(&self, signal: Signal) {
        if let Phase::Running(pidfd) = &self.phase {
            let _ = coop_ns::pidfd::send_signal(pidfd.as_fd(), signal);
        }
    }

    /// When something has to be done by the clock.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let kill = match self.stopping {
            Some(Stopping::Signalled { deadline }) => Some(deadline),
            _ => None,
        };
        let check = if self.may_be_checked() {
            self.checks.as_ref().map(Checks::deadline)
        } else {
            None
        };
        let restart = match self.phase {
            Phase::Resting(due) => Some(due),
            _ => None,
        };
        let retry = self.outputs.deadline();
        kill.into_iter()
            .chain(check)
            .chain(restart)
            .chain(retry)
            .chain(self.unsaved)
            .min()
    }

    /// Whether a health check makes sense: in a frozen container it would never end, and one
    /// that is to end is not checked any more.
    pub(super) fn may_be_checked(&self) -> bool {
        self.is_running() && self.stopping.is_none() && !self.is_paused()
    }

    /// The program was started just now.
    pub(super) fn record_start(&mut self) {
        self.state.set_running();
        if let Some(checks) = &mut self.checks {
            checks.begin(Instant::now());
            self.state.health = Some(Health::Starting);
        }
    }
}
