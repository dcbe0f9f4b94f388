//! What shall survive a power cut gets to the disk when there is nothing else to do.
//!
//! A launch does not wait for the disk, nor does the answer to whoever asked for an end: only
//! an event loop that would wait anyway writes, one container at a time. A supervisor in the
//! foreground does not at all: its user waits for its end.

use super::Supervisor;
use crate::error::chain;
use crate::store::StoreError;

/// What is in the kernel's memory only, of the container with this index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsynced {
    /// Its saved plan and its place in the store.
    Configuration(usize),
    /// How it ended.
    End(usize),
}

impl Supervisor<'_> {
    /// Saves a container's state. That this fails is no reason to leave all others alone.
    pub(super) fn save(&mut self, index: usize) {
        let unit = &self.units[index];
        if let Err(error) = self.store.save_state(&unit.state) {
            log::warn!("{}: {}", unit.spec.name, chain(&error));
        }
    }

    /// Takes note of what is to be written to the disk.
    pub(super) fn sync_later(&mut self, what: Unsynced) {
        if self.foreground.is_none() && !self.unsynced.contains(&what) {
            self.unsynced.push(what);
        }
    }

    /// Writes one container to the disk.
    pub(super) fn sync_one(&mut self) {
        let Some(what) = self.unsynced.pop() else {
            return;
        };
        let (index, result) = match what {
            Unsynced::Configuration(index) => {
                (index, self.store.sync_config(&self.units[index].spec.id))
            }
            Unsynced::End(index) => {
                let state = &self.units[index].state;
                (index, self.store.save_state_durable(state))
            }
        };
        match result {
            // Removed meanwhile: there is nothing to keep.
            Ok(()) | Err(StoreError::Gone { .. }) => {}
            Err(error) => log::warn!("{}: {}", self.units[index].spec.name, chain(&error)),
        }
    }
}
