//! Stopping in order: those that depend on others end first.

use std::time::{Duration, Instant};

use coop_ns::Signal;

use super::unit::{Phase, Stopping, Unit};
use super::{Supervisor, after, order};
use crate::store::ContainerId;

const NOT_STARTED: &str = "stopped before it was started";

impl Supervisor<'_> {
    /// Takes note that these containers are to end.
    pub(super) fn ask_to_stop(&mut self, ids: &[ContainerId], timeout: Option<Duration>) {
        for index in 0..self.units.len() {
            let unit = &self.units[index];
            if ids.contains(&unit.spec.id) && matches!(unit.phase, Phase::Waiting(_)) {
                self.abandon(index, NOT_STARTED);
            }
        }
        for unit in self
            .units
            .iter_mut()
            .filter(|unit| unit.is_live() && ids.contains(&unit.spec.id))
        {
            let grace = timeout.unwrap_or(unit.spec.stop_grace_period);
            // Who asks again may be less patient, not more.
            unit.stopping = Some(match unit.stopping {
                None => Stopping::Asked { grace },
                Some(Stopping::Asked { grace: before }) => Stopping::Asked {
                    grace: before.min(grace),
                },
                Some(Stopping::Signalled { deadline }) => Stopping::Signalled {
                    deadline: deadline.min(after(Instant::now(), grace)),
                },
                Some(Stopping::Killed) => Stopping::Killed,
            });
        }
    }

    /// Asks all containers to end.
    pub(super) fn ask_all_to_stop(&mut self) {
        let ids: Vec<_> = self.units.iter().map(|unit| unit.spec.id.clone()).collect();
        self.ask_to_stop(&ids, None);
    }

    /// Kills all containers at once.
    pub(super) fn kill_all(&mut self) {
        for index in 0..self.units.len() {
            let unit = &mut self.units[index];
            if unit.is_running() {
                unit.signal(Signal::KILL);
                unit.stopping = Some(Stopping::Killed);
            } else if unit.is_live() {
                self.abandon(index, NOT_STARTED);
            }
        }
    }

    /// Signals each container that is to end and on which nothing that is to end depends.
    pub(super) fn stop_what_may(&mut self) {
        for index in 0..self.units.len() {
            let Some(Stopping::Asked { grace }) = self.units[index].stopping else {
                continue;
            };
            let stopping = self
                .units
                .iter()
                .filter(|unit| unit.is_live() && unit.stopping.is_some())
                .map(|unit| &unit.spec);
            if order::may_stop(&self.units[index].spec.id, stopping) {
                signal_to_stop(&mut self.units[index], grace);
            }
        }
    }
}

fn signal_to_stop(unit: &mut Unit, grace: Duration) {
    let signal = Signal::new(unit.spec.stop_signal).unwrap_or(Signal::TERM);
    log::info!("stopping container {}", unit.spec.name);
    unit.signal(signal);
    let deadline = after(Instant::now(), grace);
    unit.stopping = Some(Stopping::Signalled { deadline });
}
