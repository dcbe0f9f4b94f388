//! What shall survive a power cut gets to the disk when there is nothing else to do.
//!
//! A launch does not wait for the disk, nor does the answer to whoever asked for an end, nor
//! the next supervisor: only an event loop that would wait anyway writes, one container at a
//! time, and one that has ended, after it has given up its stack. A supervisor in the
//! foreground does not at all: its user waits for its end.

use super::Supervisor;
use crate::error::chain;
use crate::store::{ContainerId, Store, StoreError};

impl Supervisor<'_> {
    /// Saves a container's state. That this fails is no reason to leave all others alone.
    pub(super) fn save(&mut self, index: usize) {
        let unit = &self.units[index];
        if let Err(error) = self.store.save_state(&unit.state) {
            log::warn!("{}: {}", unit.spec.name, chain(&error));
        }
    }

    /// Takes note that what was saved of a container is only in the kernel's memory yet.
    pub(super) fn sync_later(&mut self, index: usize) {
        let id = &self.units[index].spec.id;
        if self.foreground.is_none() && !self.unsynced.contains(id) {
            self.unsynced.push(id.clone());
        }
    }

    /// Writes one container to the disk.
    pub(super) fn sync_one(&mut self) {
        if let Some(id) = self.unsynced.pop() {
            sync(self.store, &id);
        }
    }
}

/// Waits until what was last saved of the container is on the disk.
pub(super) fn sync(store: &Store, id: &ContainerId) {
    match store.sync(id) {
        // Removed meanwhile: there is nothing to keep.
        Ok(()) | Err(StoreError::Gone { .. }) => {}
        Err(error) => log::warn!("{}: {}", id.short(), chain(&error)),
    }
}
