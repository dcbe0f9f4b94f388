//! Stopping in order: those that depend on others end first.

use std::time::{Duration, Instant, SystemTime};

use coop_ns::Signal;

use super::unit::{Phase, Stopping};
use super::{Report, Supervisor, after, order};
use crate::store::{ContainerId, Event, Status, Stop};

/// How containers are asked to end, where that is not each one's own way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Way {
    /// From the signal to `SIGKILL`.
    pub(super) timeout: Option<Duration>,
    /// A number of `signal(7)`.
    pub(super) signal: Option<i32>,
}

const NOT_STARTED: &str = "stopped before it was started";

impl Supervisor<'_> {
    /// Takes note that these containers are to end, and to stay so.
    pub(super) fn ask_to_stop(&mut self, ids: &[ContainerId], way: Way) {
        self.forget_restarts(ids);
        for index in 0..self.units.len() {
            if ids.contains(&self.units[index].spec.id) {
                self.give_up_start(index);
            }
        }
        self.end_in_order(ids, way);
    }

    /// A container that waits for its first start or its next one waits in vain.
    fn give_up_start(&mut self, index: usize) {
        let unit = &mut self.units[index];
        match unit.phase {
            Phase::Waiting(_) => {
                unit.state.stop_requested = true;
                self.abandon(index, NOT_STARTED);
            }
            Phase::Resting(_) => self.cancel_restart(index),
            // One that ended to be started again with others that still run.
            Phase::Ended if unit.state.status == Status::Restarting => self.cancel_restart(index),
            Phase::Running(_) | Phase::Ended => {}
        }
    }

    /// A container that has ended and waits for its restart stays down.
    pub(super) fn cancel_restart(&mut self, index: usize) {
        let unit = &mut self.units[index];
        unit.phase = Phase::Ended;
        unit.state.status = Status::Stopped;
        unit.state.stop_requested = true;
        let report = Report::Exited(unit.told());
        self.save(index);
        self.sync_later(index);
        self.tell(&report);
    }

    /// Takes note that those of these containers that run are to end.
    pub(super) fn end_in_order(&mut self, ids: &[ContainerId], way: Way) {
        for index in 0..self.units.len() {
            let unit = &mut self.units[index];
            if !unit.is_running() || !ids.contains(&unit.spec.id) {
                continue;
            }
            let grace = way.timeout.unwrap_or(unit.spec.stop_grace_period);
            // Who asks again may be less patient, not more.
            unit.stopping = Some(match unit.stopping {
                None => Stopping::Asked {
                    grace,
                    signal: way.signal,
                },
                Some(Stopping::Asked {
                    grace: before,
                    signal,
                }) => Stopping::Asked {
                    grace: before.min(grace),
                    signal: way.signal.or(signal),
                },
                Some(Stopping::Signalled { deadline }) => Stopping::Signalled {
                    deadline: deadline.min(after(Instant::now(), grace)),
                },
                Some(Stopping::Killed) => Stopping::Killed,
            });
            // Before the signal: should this supervisor be killed, the next one must not take
            // the end for one that a restart policy holds for.
            self.save_stop(index);
        }
    }

    fn save_stop(&mut self, index: usize) {
        let unit = &mut self.units[index];
        unit.state.stop_requested = true;
        unit.state.stop = match unit.stopping {
            Some(Stopping::Asked { grace, signal }) => Some(Stop::Asked { grace, signal }),
            Some(Stopping::Signalled { deadline }) => {
                let rest = deadline.saturating_duration_since(Instant::now());
                SystemTime::now()
                    .checked_add(rest)
                    .map(|until| Stop::Signalled { until })
            }
            Some(Stopping::Killed) | None => None,
        };
        self.save(index);
    }

    /// Asks all containers to end.
    pub(super) fn ask_all_to_stop(&mut self) {
        let ids: Vec<_> = self.units.iter().map(|unit| unit.spec.id.clone()).collect();
        self.ask_to_stop(&ids, Way::default());
    }

    /// Kills all containers at once.
    pub(super) fn kill_all(&mut self) {
        self.restarting.clear();
        for index in 0..self.units.len() {
            if self.units[index].is_running() {
                self.kill(index);
            } else {
                self.give_up_start(index);
            }
        }
    }

    /// Kills a container that runs, for good.
    fn kill(&mut self, index: usize) {
        self.units[index].stopping = Some(Stopping::Killed);
        self.save_stop(index);
        self.signal_for_good(index, Signal::KILL);
    }

    /// Sends a signal that ends the container, or should. One that is frozen hears it only
    /// when it goes on.
    pub(super) fn signal_for_good(&mut self, index: usize, signal: Signal) {
        let unit = &self.units[index];
        unit.signal(signal);
        let event = Event::of_container(&unit.state, "kill");
        self.store
            .emit(&event.with("signal", signal.number().to_string()));
        if self.units[index].is_paused() {
            self.thaw(index);
        }
    }

    /// Signals each container that is to end and on which nothing that is to end depends.
    pub(super) fn stop_what_may(&mut self) {
        for index in 0..self.units.len() {
            let Some(Stopping::Asked { grace, signal }) = self.units[index].stopping else {
                continue;
            };
            let stopping = self
                .units
                .iter()
                .filter(|unit| unit.is_live() && unit.stopping.is_some())
                .map(|unit| &unit.spec);
            if order::may_stop(&self.units[index].spec.id, stopping) {
                self.signal_to_stop(index, grace, signal);
            }
        }
    }

    fn signal_to_stop(&mut self, index: usize, grace: Duration, signal: Option<i32>) {
        let unit = &mut self.units[index];
        let signal = signal.unwrap_or(unit.spec.stop_signal);
        let signal = Signal::new(signal).unwrap_or(Signal::TERM);
        log::info!("stopping container {}", unit.spec.name);
        let deadline = after(Instant::now(), grace);
        unit.stopping = Some(Stopping::Signalled { deadline });
        self.signal_for_good(index, signal);
        self.save_stop(index);
    }

    /// Kills a container whose grace period is over.
    pub(super) fn kill_if_overdue(&mut self, index: usize, now: Instant) {
        let stopping = self.units[index].stopping;
        if matches!(stopping, Some(Stopping::Signalled { deadline }) if deadline <= now) {
            self.kill(index);
        }
    }
}
