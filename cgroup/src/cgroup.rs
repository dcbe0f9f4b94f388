//! One control group, whatever the version below.

use std::fmt::Debug;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::process::Pid;

use crate::controller::Controller;
use crate::device::DeviceRule;
use crate::dir::Dir;
use crate::entrance::Entrance;
use crate::error::Error;
use crate::hierarchy::{Hierarchy, Tree, Version};
use crate::limits::{Limit, Limits};
use crate::oom::OomWatch;
use crate::path::CgroupPath;
use crate::stats::Stats;

/// What both back ends can do.
pub(crate) trait Backend: Debug + Send {
    /// What to write for `limits`, in order. Pure: nothing is looked up.
    fn plan(&self, limits: &Limits) -> Vec<Setting>;
    /// The directory in which `controller`'s files are, joined or enabled now if need be;
    /// `None` when the system has no such controller.
    fn directory(&mut self, controller: Controller) -> Result<Option<&Dir>, Error>;
    fn set_devices(&mut self, rules: &[DeviceRule]) -> Result<(), Error>;
    fn add(&self, pid: Pid) -> Result<(), Error>;
    fn clone_into(&self) -> Option<BorrowedFd<'_>>;
    fn entrance(&self) -> Result<Entrance, Error>;
    fn pids(&self) -> Result<Vec<Pid>, Error>;
    fn stats(&self) -> Result<Stats, Error>;
    fn freeze(&self) -> Result<(), Error>;
    fn thaw(&self) -> Result<(), Error>;
    fn is_frozen(&self) -> Result<bool, Error>;
    fn kill_all(&self) -> Result<(), Error>;
    fn oom_kill_count(&self) -> Result<u64, Error>;
    fn watch_oom(&self) -> Result<OomWatch, Error>;
}

/// One limit as a file and a value; the first file that exists is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) limit: Limit,
    /// Name and value; none at all when the version has no such knob.
    pub(crate) choices: Vec<(String, String)>,
    /// What to say when no file exists.
    pub(crate) absent: &'static str,
}

impl Setting {
    pub(crate) fn new(
        limit: Limit,
        file: &str,
        value: &dyn ToString,
        absent: &'static str,
    ) -> Self {
        Self {
            limit,
            choices: vec![(file.to_owned(), value.to_string())],
            absent,
        }
    }

    #[must_use]
    pub(crate) fn or(mut self, file: &str, value: &dyn ToString) -> Self {
        self.choices.push((file.to_owned(), value.to_string()));
        self
    }

    pub(crate) const fn never(limit: Limit, absent: &'static str) -> Self {
        Self {
            limit,
            choices: Vec::new(),
            absent,
        }
    }
}

/// A limit that [`Cgroup::apply_available`] could not set.
#[derive(Debug)]
pub struct Skipped {
    /// The limit.
    pub limit: Limit,
    /// What is missing: [`Error::NoController`] or [`Error::Unsupported`]; on v2
    /// [`Error::InternalProcesses`] or [`Error::NotDelegated`] where a controller is not
    /// ours to enable, [`Error::DeviceProgram`] where BPF is out of reach.
    pub reason: Error,
}

/// Whether an error is about the system and not about the value.
fn is_unavailable(error: &Error) -> bool {
    matches!(
        error,
        Error::NoController { .. }
            | Error::Unsupported { .. }
            | Error::InternalProcesses { .. }
            | Error::NotDelegated { .. }
            | Error::DeviceProgram { .. }
    )
}

/// A control group that exists.
///
/// Holds directory descriptors and no state beside them: another process that opens the
/// same path sees and does the same. Dropping it leaves the group alone; see
/// [`Cgroup::remove`].
#[derive(Debug)]
pub struct Cgroup {
    path: CgroupPath,
    tree: Arc<Tree>,
    backend: Box<dyn Backend>,
}

impl Cgroup {
    pub(crate) fn new(path: &CgroupPath, tree: &Arc<Tree>, backend: Box<dyn Backend>) -> Self {
        Self {
            path: path.clone(),
            tree: Arc::clone(tree),
            backend,
        }
    }

    /// Its path below the hierarchy's base.
    pub fn path(&self) -> &CgroupPath {
        &self.path
    }

    /// Sets the limits that are given and leaves the others. Works on a running group.
    ///
    /// # Errors
    /// [`Error::Limit`] before anything is written; [`Error::NoController`] and
    /// [`Error::Unsupported`] for what the system cannot do (and the others that
    /// [`Skipped::reason`] lists); [`Error::Apply`] when the
    /// kernel refuses a value (`EBUSY`: memory in use is above a v1 limit). Limits set
    /// before the one that failed stay set.
    pub fn apply(&mut self, limits: &Limits) -> Result<(), Error> {
        self.set(limits, &mut |skipped| Err(skipped.reason))
    }

    /// As [`Self::apply`], but what the system cannot do is skipped and returned.
    ///
    /// # Errors
    /// As [`Self::apply`], without those that [`Skipped::reason`] lists.
    pub fn apply_available(&mut self, limits: &Limits) -> Result<Vec<Skipped>, Error> {
        let mut all = Vec::new();
        self.set(limits, &mut |skipped| {
            all.push(skipped);
            Ok(())
        })?;
        Ok(all)
    }

    fn set(
        &mut self,
        limits: &Limits,
        skip: &mut dyn FnMut(Skipped) -> Result<(), Error>,
    ) -> Result<(), Error> {
        limits.check()?;
        // Some pairs depend on one another: memory must not exceed memory and swap, nor the
        // quota its parent's share. Which of two must go first depends on the old values; one
        // that is refused gets a second try after the others.
        let mut again = Vec::new();
        for setting in self.backend.plan(limits) {
            match self.write(&setting) {
                Err(Error::Apply {
                    source: Errno::INVAL,
                    ..
                }) => again.push(setting),
                Err(reason) if is_unavailable(&reason) => {
                    skip(Skipped {
                        limit: setting.limit,
                        reason,
                    })?;
                }
                result => result?,
            }
        }
        for setting in again {
            self.write(&setting)?;
        }
        if let Some(rules) = &limits.devices {
            match self.backend.set_devices(rules) {
                Err(reason) if is_unavailable(&reason) => {
                    skip(Skipped {
                        limit: Limit::Devices,
                        reason,
                    })?;
                }
                result => result?,
            }
        }
        Ok(())
    }

    fn write(&mut self, setting: &Setting) -> Result<(), Error> {
        let limit = setting.limit;
        let controller = limit.controller();
        let unsupported = Error::Unsupported {
            controller,
            limit,
            reason: setting.absent,
        };
        if setting.choices.is_empty() {
            return Err(unsupported);
        }
        let Some(dir) = self.backend.directory(controller)? else {
            return Err(self.tree.no_controller(limit));
        };
        for (file, value) in &setting.choices {
            match dir.put(file, value) {
                Ok(()) => return Ok(()),
                // The file is missing, or (I/O weights) its policy is not active.
                Err(Errno::NOENT | Errno::OPNOTSUPP) => {}
                Err(source) => {
                    let path = dir.path().join(file);
                    return Err(Error::Apply {
                        limit,
                        path,
                        value: value.clone(),
                        source,
                    });
                }
            }
        }
        Err(unsupported)
    }

    /// Moves a process with all its threads into the group.
    ///
    /// This may wait for an RCU grace period, which is several times what starting a
    /// container costs otherwise: for a new process use [`Self::clone_into`] or
    /// [`Self::entrance`].
    ///
    /// # Errors
    /// [`Error::Add`].
    pub fn add(&self, pid: Pid) -> Result<(), Error> {
        self.backend.add(pid)
    }

    /// The descriptor for `CLONE_INTO_CGROUP` (Linux 5.7): the child starts in the group.
    /// v2 only; `None` on v1, where [`Self::entrance`] takes its place.
    pub fn clone_into(&self) -> Option<BorrowedFd<'_>> {
        self.backend.clone_into()
    }

    /// Opens what a new process needs to move itself in. See [`Entrance`].
    ///
    /// # Errors
    /// [`Error::Enter`] when a file cannot be opened.
    pub fn entrance(&self) -> Result<Entrance, Error> {
        self.backend.entrance()
    }

    /// The processes in the group and below it, by their numbers in our pid namespace.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn pids(&self) -> Result<Vec<Pid>, Error> {
        self.backend.pids()
    }

    /// What the group has used until now.
    ///
    /// # Errors
    /// [`Error::Read`] or [`Error::Parse`]. Files that this kernel does not have are no error.
    pub fn stats(&self) -> Result<Stats, Error> {
        self.backend.stats()
    }

    /// Stops every process in the group until [`Self::thaw`] and waits for it to take
    /// effect. Freezing a frozen group is fine.
    ///
    /// # Errors
    /// [`Error::Freeze`] when a process does not stop in time: the group then runs again.
    pub fn freeze(&self) -> Result<(), Error> {
        self.backend.freeze()
    }

    /// Lets a frozen group run on.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn thaw(&self) -> Result<(), Error> {
        self.backend.thaw()
    }

    /// Whether the group is frozen.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn is_frozen(&self) -> Result<bool, Error> {
        self.backend.is_frozen()
    }

    /// Sends `SIGKILL` to every process in the group and below it, frozen or not, and to
    /// those that they fork meanwhile. Does not wait for them to end.
    ///
    /// # Errors
    /// [`Error::Kill`] or [`Error::Write`].
    pub fn kill_all(&self) -> Result<(), Error> {
        self.backend.kill_all()
    }

    /// How many processes of the group were killed for want of memory; 0 without the
    /// memory controller.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn oom_kill_count(&self) -> Result<u64, Error> {
        self.backend.oom_kill_count()
    }

    /// A descriptor that becomes readable when the group runs out of memory.
    ///
    /// # Errors
    /// [`Error::NoController`] without the memory controller, [`Error::Watch`].
    pub fn watch_oom(&self) -> Result<OomWatch, Error> {
        self.backend.watch_oom()
    }

    /// Kills what is inside and removes the group, with parents that are left empty: the
    /// same as [`Hierarchy::remove`].
    ///
    /// # Errors
    /// [`Error::Remove`] or [`Error::Kill`].
    pub fn remove(self) -> Result<(), Error> {
        Hierarchy::from_tree(Arc::clone(&self.tree)).remove(&self.path)
    }

    /// Which version it is of.
    pub fn version(&self) -> Version {
        self.tree.version()
    }
}
