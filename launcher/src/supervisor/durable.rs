//! What shall survive a power cut gets to the disk when there is nothing else to do.
//!
//! A launch does not wait for the disk, nor does the answer to whoever asked for an end, nor
//! the next supervisor: only an event loop that would wait anyway writes, one container at a
//! time, and one that has ended, after it has given up its stack. A supervisor in the
//! foreground does not at all: its user waits for its end.
//!
//! What cannot be written, because the disk is full or read-only, is tried again: a supervisor
//! in the background stays for it after the last container has ended.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::Supervisor;
use super::unit::Unit;
use crate::error::chain;
use crate::store::{ContainerId, Store, StoreError};

/// When nothing has happened for so long, there is time for the disk. Shorter than that are the
/// gaps between the ends of containers that are stopped together, which somebody waits for.
pub(super) const QUIET: Duration = Duration::from_millis(20);

/// When to try again.
pub(super) const RETRY: Duration = Duration::from_secs(1);

impl Supervisor<'_> {
    /// Saves a container's state. That this fails is no reason to leave all others alone.
    pub(super) fn save(&mut self, index: usize) {
        let unit = &mut self.units[index];
        match self.store.save_state(&unit.state) {
            // Removed meanwhile: there is nothing to keep.
            Ok(()) | Err(StoreError::Gone { .. }) => unit.unsaved = None,
            Err(error) => {
                if unit.unsaved.is_none() {
                    log::warn!("{}: {}", unit.spec.name, chain(&error));
                }
                unit.unsaved = Some(Instant::now() + RETRY);
            }
        }
    }

    /// Whether something of an ended container is still to be written, by a supervisor for
    /// which nobody waits.
    pub(super) fn owes(&self) -> bool {
        self.foreground.is_none() && self.units.iter().any(Unit::owes)
    }

    /// Says what will never be written.
    pub(super) fn tell_of_debts(&self) {
        for unit in self.units.iter().filter(|unit| unit.owes()) {
            log::warn!(
                "{}: how it ended could not be written down, and {} bytes of its output are lost",
                unit.spec.name,
                unit.untaken()
            );
        }
    }

    /// Tries again to write what could not be written, when it is time.
    pub(super) fn pay_if_due(&mut self, index: usize, now: Instant) {
        let unit = &mut self.units[index];
        let is_removed = || !self.store.dirs().container(&unit.spec.id).exists();
        if !unit.is_kept() && unit.owes() && is_removed() {
            unit.forgive();
            return;
        }
        if unit.unsaved.is_some_and(|due| due <= now) {
            self.save(index);
        }
        self.units[index].retry_output(now, &self.reactor);
    }

    /// Takes note that what was saved of a container is only in the kernel's memory yet.
    pub(super) fn sync_later(&mut self, index: usize) {
        if self.foreground.is_none() {
            self.unsynced.ids.insert(self.units[index].spec.id.clone());
        }
    }

    /// How long to wait for something to happen, when otherwise it would be `timeout`.
    pub(super) fn until_sync(&self, timeout: Option<Duration>) -> Option<Duration> {
        match (self.unsynced.ids.is_empty(), self.unsynced.quiet) {
            (true, _) => timeout,
            (false, true) => Some(Duration::ZERO),
            (false, false) => Some(timeout.map_or(QUIET, |timeout| timeout.min(QUIET))),
        }
    }

    /// Writes one container to the disk if nothing has happened, and the next one after another
    /// look.
    pub(super) fn sync_if_quiet(&mut self, nothing_happened: bool) {
        self.unsynced.quiet = nothing_happened;
        if nothing_happened {
            self.unsynced.write_one(self.store);
        }
    }
}

/// Containers whose files are to be written to the disk.
#[derive(Debug, Default)]
pub(super) struct Unsynced {
    ids: BTreeSet<ContainerId>,
    /// Whether nothing happens at the moment.
    quiet: bool,
}

impl Unsynced {
    fn write_one(&mut self, store: &Store) {
        let Some(id) = self.ids.pop_first() else {
            return;
        };
        match store.sync_container(&id) {
            // Removed meanwhile: there is nothing to keep.
            Ok(()) | Err(StoreError::Gone { .. }) => {}
            Err(error) => log::warn!("{}: {}", id.short(), chain(&error)),
        }
        // One for all.
        if self.ids.is_empty()
            && let Err(error) = store.sync_places()
        {
            log::warn!("{}", chain(&error));
        }
    }

    /// Waits until what was last saved of all of them is on the disk.
    pub(super) fn write(mut self, store: &Store) {
        while !self.ids.is_empty() {
            self.write_one(store);
        }
    }
}
