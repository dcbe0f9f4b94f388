//! Which stacks there are, and whether one has a supervisor.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rustix::fs::{rmdir, unlink};
use rustix::io::Errno;
use rustix::process::Pid;

use super::registry::{entries, ok_if_gone};
use super::{Lock, StackName, Store, StoreError, lock_owner};

/// In a stack's live directory: what a command is about to lease and to make for it.
pub const PLANNING: &str = "planning";

impl Store {
    /// Takes the lock that a stack's supervisor holds as long as it lives, and writes the
    /// calling process into it; `None` when there is a supervisor.
    ///
    /// A process that forks the supervisor takes the lock before the fork; the supervisor
    /// then calls [`Lock::record_owner`], and the parent drops its copy.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn stack_lock(&self, stack: &StackName) -> Result<Option<Lock>, StoreError> {
        let path = self.stack_lock_path(stack);
        let lock = Lock::try_file(&path).inspect_err(|_| self.forget_empty_stack(stack))?;
        if let Some(lock) = &lock
            && let Err(error) = lock.record_owner()
        {
            // Nobody can have it while we hold it; without descriptors or room on the disk this
            // still works.
            let _ = unlink(&path);
            self.forget_empty_stack(stack);
            return Err(error);
        }
        Ok(lock)
    }

    fn forget_empty_stack(&self, stack: &StackName) {
        let _ = rmdir(self.dirs.stack_run(stack));
    }

    /// The stack's living supervisor. Takes no lock, so that looking never keeps a
    /// supervisor from starting; to act on the absence of one, take [`Store::stack_lock`].
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn supervisor(&self, stack: &StackName) -> Result<Option<Pid>, StoreError> {
        lock_owner(&self.stack_lock_path(stack))
    }

    /// Removes the live directory of a stack that is gone, lock file and all. Who waited
    /// for the lock finds that it was removed, and makes a new one. [`PLANNING`] stays, and
    /// the directory with it: who writes it may hold no lock of the stack.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn remove_stack(&self, stack: &StackName, held: Lock) -> Result<(), StoreError> {
        let dir = self.dirs.stack_run(stack);
        let lock = self.stack_lock_path(stack);
        for name in entries(&dir)? {
            let path = dir.join(&name);
            if name != PLANNING && path != lock {
                ok_if_gone(unlink(&path)).map_err(StoreError::io("remove", &path))?;
            }
        }
        // Last: from here on all that is in there is somebody else's.
        ok_if_gone(unlink(&lock)).map_err(StoreError::io("remove", &lock))?;
        drop(held);
        match rmdir(&dir) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY) => Ok(()),
            Err(errno) => Err(StoreError::io("remove", &dir)(errno)),
        }
    }

    /// Every stack that has a container or a live directory, in alphabetical order.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn stacks(&self) -> Result<Vec<StackName>, StoreError> {
        let mut stacks: BTreeSet<_> = self.list()?.into_iter().map(|state| state.stack).collect();
        let live = entries(&self.dirs.stacks())?;
        stacks.extend(
            live.iter()
                .filter_map(|name| StackName::parse(name.to_str()?).ok()),
        );
        Ok(stacks.into_iter().collect())
    }

    fn stack_lock_path(&self, stack: &StackName) -> PathBuf {
        self.dirs.stack_run(stack).join("lock")
    }
}
