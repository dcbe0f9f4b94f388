//! Stopping in order: those that depend on others end first.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::unit::{Phase, Stopping, Unit};
use super::{Supervisor, order};
use crate::store::ContainerId;

impl Supervisor<'_> {
    /// Takes note that these containers are to end.
    pub(super) fn ask_to_stop(&mut self, ids: &[ContainerId], timeout: Option<Duration>) {
        for unit in self
            .units
            .iter_mut()
            .filter(|unit| ids.contains(&unit.spec.id))
        {
            if unit.is_live() && unit.stopping.is_none() {
                let grace = timeout.unwrap_or(unit.spec.stop_grace_period);
                unit.stopping = Some(Stopping::Asked { grace });
            }
        }
    }

    /// Asks all containers to end.
    pub(super) fn ask_all_to_stop(&mut self) {
        let ids: Vec<_> = self.units.iter().map(|unit| unit.spec.id.clone()).collect();
        self.ask_to_stop(&ids, None);
    }

    /// Kills all containers at once.
    pub(super) fn kill_all(&mut self) {
        for unit in &mut self.units {
            unit.signal(Signal::KILL);
            unit.stopping = Some(Stopping::Killed);
        }
    }

    /// Signals each container that is to end and on which nothing that is to end depends.
    pub(super) fn stop_what_may(&mut self) {
        for index in 0..self.units.len() {
            let Some(Stopping::Asked { grace }) = self.units[index].stopping else {
                continue;
            };
            if matches!(self.units[index].phase, Phase::Waiting(_)) {
                self.abandon(index, "stopped before it was started");
                continue;
            }
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
    let signal = Signal::from_named_raw(unit.spec.stop_signal).unwrap_or(Signal::TERM);
    log::info!("stopping container {}", unit.spec.name);
    unit.signal(signal);
    let now = Instant::now();
    let deadline = now.checked_add(grace).unwrap_or(now);
    unit.stopping = Some(Stopping::Signalled { deadline });
}
