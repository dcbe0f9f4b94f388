//! Which containers a stack has, without a look at those of others.
//!
//! `run/by-stack/STACK/ID` is an empty file for each container: a command that is about one stack
//! costs what that stack costs, however many containers there are beside it. The index is made
//! anew when it is not there: for containers of an earlier version, and after a reboot, which
//! takes it. It may name a container that is gone; what it does not name does not exist.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat, rename, rmdir, unlink};
use rustix::io::Errno;

use super::registry::{entries, ok_if_gone, remove_tree};
use super::{ContainerId, Lock, StackName, State, Store, StoreError, make_private_dir};

impl Store {
    /// The containers of a stack, oldest first, as [`Store::list`] gives them.
    ///
    /// # Errors
    /// [`StoreError::Io`] when a directory cannot be read.
    pub fn of_stack(&self, stack: &StackName) -> Result<Vec<State>, StoreError> {
        let index = self.dirs.by_stack();
        let mut ids = entries(&index.join(stack.as_str()))?;
        if ids.is_empty() && !index.exists() {
            // Who may not write there sees the same, only slower.
            if self
                .lock_registry()
                .is_ok_and(|lock| self.build_index(&lock).is_ok())
            {
                ids = entries(&index.join(stack.as_str()))?;
            } else {
                let mut states = self.list()?;
                states.retain(|state| state.stack == *stack);
                return Ok(states);
            }
        }
        let ids = { ids.iter() }.filter_map(|name| ContainerId::parse(name.to_str()?).ok());
        let mut states = self.load_states(ids);
        states.retain(|state| state.stack == *stack);
        Ok(states)
    }

    /// Puts a container that is about to be into the index.
    pub(super) fn index(
        &self,
        registry: &Lock,
        stack: &StackName,
        id: &ContainerId,
    ) -> Result<(), StoreError> {
        let index = self.dirs.by_stack();
        let place = place(&index, stack, id);
        loop {
            match make_file(&place) {
                Ok(()) | Err(Errno::EXIST) => return Ok(()),
                Err(Errno::NOENT) if index.exists() => {
                    make_private_dir(&index.join(stack.as_str()))?;
                }
                Err(Errno::NOENT) => self.build_index(registry)?,
                Err(errno) => return Err(StoreError::io("create", &place)(errno)),
            }
        }
    }

    /// Takes a container that is gone out of the index; all of it is looked through when nobody
    /// knows its stack.
    pub(super) fn unindex(
        &self,
        stack: Option<&StackName>,
        id: &ContainerId,
    ) -> Result<(), StoreError> {
        let index = self.dirs.by_stack();
        let stacks = match stack {
            Some(stack) => vec![stack.as_str().into()],
            None => entries(&index)?,
        };
        for stack in stacks {
            let dir = index.join(stack);
            let place = dir.join(id.as_str());
            match unlink(&place) {
                Ok(()) => {}
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(StoreError::io("remove", &place)(errno)),
            }
            match ok_if_gone(rmdir(&dir)) {
                Ok(()) | Err(Errno::NOTEMPTY) => {}
                Err(errno) => return Err(StoreError::io("remove", &dir)(errno)),
            }
        }
        Ok(())
    }

    /// Takes out what killed commands have left of containers that are gone.
    pub(super) fn prune_index(&self, _registry: &Lock) -> Result<(), StoreError> {
        let index = self.dirs.by_stack();
        for stack in entries(&index)? {
            let dir = index.join(stack);
            let ids = entries(&dir)?;
            let is_gone = |id: &&OsString| !self.dirs.containers().join(id).exists();
            let gone: Vec<_> = ids.iter().filter(is_gone).collect();
            for id in &gone {
                let place = dir.join(id);
                ok_if_gone(unlink(&place)).map_err(StoreError::io("remove", &place))?;
            }
            if gone.len() == ids.len() {
                ok_if_gone(rmdir(&dir)).map_err(StoreError::io("remove", &dir))?;
            }
        }
        Ok(())
    }

    /// Makes the index of all containers that there are. It appears as a whole.
    fn build_index(&self, _registry: &Lock) -> Result<(), StoreError> {
        let index = self.dirs.by_stack();
        let staging = index.with_extension("new");
        // A process was killed here before.
        remove_tree(&staging)?;
        make_private_dir(&staging)?;
        for state in self.list()? {
            make_private_dir(&staging.join(state.stack.as_str()))?;
            let place = place(&staging, &state.stack, &state.id);
            make_file(&place).map_err(StoreError::io("create", &place))?;
        }
        match rename(&staging, &index) {
            // Another one was as quick, before this one had the lock.
            Err(Errno::NOTEMPTY | Errno::EXIST) => remove_tree(&staging),
            result => result.map_err(StoreError::io("create", &index)),
        }
    }
}

fn place(index: &Path, stack: &StackName, id: &ContainerId) -> PathBuf {
    index.join(stack.as_str()).join(id.as_str())
}

/// An empty file, without the descriptor that opening one would take.
fn make_file(path: &Path) -> Result<(), Errno> {
    mknodat(CWD, path, FileType::RegularFile, Mode::RUSR | Mode::WUSR, 0)
}
