//! The end of a container: it is reaped, undone, written down, and told.

use std::time::Duration;

use super::exit::End;
use super::unit::Phase;
use super::{Report, Supervisor, Wiring, restart};
use crate::error::{Error, chain};
use crate::store::{ContainerId, Event, Status, Store};

impl Supervisor<'_> {
    pub(super) fn on_exit(&mut self, index: u32) {
        let Some(unit) = self.units.get_mut(index as usize) else {
            return;
        };
        if let Some(end) = unit.reap(&self.reactor) {
            self.on_end(index, end);
        }
    }

    /// A container's first process is gone.
    pub(super) fn on_end(&mut self, index: u32, end: End) {
        let Some(unit) = self.units.get_mut(index as usize) else {
            return;
        };
        let (foreground, viewers) = (&mut self.foreground, &mut self.viewers);
        unit.drain_output(&self.reactor, |spec, stream, bytes| {
            if let Some(foreground) = foreground {
                foreground.output(spec, stream, bytes);
            }
            viewers.show(index, stream, bytes, &self.reactor);
        });
        viewers.leave(index, &self.reactor);
        unit.end_check(&self.reactor);
        let oom_killed = self.wiring.ended(&unit.spec.id);
        let stopped = unit.stopping.is_some();
        unit.record_exit(end, oom_killed);
        let index = index as usize;
        let undone = self.undo(index);
        self.tell_of_end(index, stopped);
        let by_request = self.is_to_restart(&self.units[index].spec.id);
        let unit = &mut self.units[index];
        let comes_back = if by_request {
            unit.state.status = Status::Restarting;
            unit.state.restart_pause = Duration::ZERO;
            true
        } else {
            let comes_back = restart::comes_back(unit.spec.restart, &mut unit.state);
            if comes_back {
                unit.phase = Phase::Resting(restart::due(&unit.state));
            }
            comes_back
        };
        let state = unit.told();
        let exit_code = unit.state.exit_code;
        let report = if comes_back {
            Report::Restarting(state)
        } else {
            Report::Exited(state)
        };
        if comes_back || !undone || self.wiring.stays(&self.units[index].spec.id) {
            self.save(index);
            self.sync_later(index);
        }
        self.tell(&report);
        if !comes_back {
            self.abort_after(exit_code);
        }
    }

    fn tell_of_end(&self, index: usize, stopped: bool) {
        let state = &self.units[index].state;
        if state.oom_killed {
            self.store.emit(&Event::of_container(state, "oom"));
        }
        let code = state
            .exit_code
            .map_or_else(String::new, |code| code.to_string());
        let died = Event::of_container(state, "die").with("exitCode", code);
        self.store.emit(&died);
        if stopped {
            self.store.emit(&Event::of_container(state, "stop"));
        }
    }

    /// Carries out the container's journal. Says whether nothing of this run is left in the
    /// kernel; what is left stays in the journal, for the next command that looks.
    pub(super) fn undo(&mut self, index: usize) -> bool {
        let unit = &self.units[index];
        let Err(error) = undo_run(self.store, self.wiring, &unit.spec.id) else {
            return true;
        };
        log::warn!("{}: {}", unit.spec.name, chain(&error));
        self.unfinished = true;
        false
    }

    pub(super) fn tell(&mut self, report: &Report) {
        if let Some(foreground) = &mut self.foreground {
            foreground.report(report);
        }
        self.clients.report(report, &self.reactor);
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
