//! Another name for a container, whole or not at all.
//!
//! The name is in three places: a symbolic link, the state, the configuration. A rename is
//! noted beside the stack's lock before the first of them changes, and the note goes after the
//! last. What is saved in the state decides: whoever has the lock after a kill carries the
//! rename out, or takes it back.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rustix::fs::unlink;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::registry::ok_if_gone;
use super::{
    ContainerId, Event, Name, StackName, State, Store, StoreError, file, make_private_dir,
};
use crate::fault;

/// What is under way.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    id: ContainerId,
    old: Name,
    new: Name,
}

impl Store {
    /// Gives the container another name. `edit` changes it in the configuration, whose shape
    /// is the caller's own. Only the stack's supervisor, or who holds the stack's lock in the
    /// place of one, may do so.
    ///
    /// Readers find the container by one of the two names, or by both, at any moment. After a
    /// kill half-way [`Store::finish_rename`] is for the next one who has the lock.
    ///
    /// # Errors
    /// [`StoreError::NameInUse`], [`StoreError::Gone`], [`StoreError::Io`],
    /// [`StoreError::Decode`]. The container has its old name then.
    pub fn rename(
        &self,
        id: &ContainerId,
        name: &Name,
        edit: impl Fn(&mut Value, &Name),
    ) -> Result<State, StoreError> {
        let registry = self.lock_registry()?;
        let mut state = self.load_state(id)?;
        let note = Note {
            id: id.clone(),
            old: std::mem::replace(&mut state.name, name.clone()),
            new: name.clone(),
        };
        let path = self.rename_note(&state.stack);
        let steps = || {
            make_private_dir(&self.dirs.stack_run(&state.stack))?;
            file::replace(&path, &file::encode(&note, &path)?)?;
            point("note")?;
            self.claim_name(&registry, name, id)?;
            point("name")?;
            self.save_state(&state)?;
            point("state")?;
            self.edit_name(&note, name, &edit)?;
            point("plan")
        };
        if let Err(error) = steps() {
            state.name.clone_from(&note.old);
            // If this fails as well, the note stays, and tells the next one.
            let _ = (self.save_state(&state)).and_then(|()| self.settle(&note, &path, &edit));
            return Err(error);
        }
        self.settle(&note, &path, &edit)?;
        let event = Event::of_container(&state, "rename").with("oldName", note.old.as_str());
        self.emit(&event);
        Ok(state)
    }

    /// Finishes the rename of one of the stack's containers that was killed half-way, if there
    /// is one: a single system call if not. The caller holds the stack's lock.
    ///
    /// # Errors
    /// [`StoreError::Io`], [`StoreError::Decode`].
    pub fn finish_rename(
        &self,
        stack: &StackName,
        edit: impl Fn(&mut Value, &Name),
    ) -> Result<(), StoreError> {
        let path = self.rename_note(stack);
        let Some(note) = file::load::<Note>(&path)? else {
            return Ok(());
        };
        let _registry = self.lock_registry()?;
        self.settle(&note, &path, &edit)
    }

    /// Brings links and configuration in line with the state, and removes the note.
    fn settle(
        &self,
        note: &Note,
        path: &Path,
        edit: &impl Fn(&mut Value, &Name),
    ) -> Result<(), StoreError> {
        let name = match self.load_state(&note.id) {
            Ok(state) => Some(state.name),
            Err(StoreError::Gone { .. }) => None,
            Err(error) => return Err(error),
        };
        if let Some(name) = &name {
            self.edit_name(note, name, edit)?;
        }
        for other in [&note.old, &note.new] {
            if name.as_ref() != Some(other) {
                self.release_name(OsStr::new(other.as_str()), &note.id)?;
            }
        }
        ok_if_gone(unlink(path)).map_err(StoreError::io("remove", path))
    }

    fn edit_name(
        &self,
        note: &Note,
        name: &Name,
        edit: &impl Fn(&mut Value, &Name),
    ) -> Result<(), StoreError> {
        let before: Value = self.load_config(&note.id)?;
        let mut config = before.clone();
        edit(&mut config, name);
        if config == before {
            return Ok(());
        }
        self.save_config(&note.id, &config)
    }

    fn rename_note(&self, stack: &StackName) -> PathBuf {
        self.dirs.stack_run(stack).join("renaming")
    }
}

/// A point at which a test can stop the rename.
fn point(step: &str) -> Result<(), StoreError> {
    fault::point("rename", step).map_err(StoreError::Injected)
}
