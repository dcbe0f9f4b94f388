//! Work on a container's files, by a process that sees them as the container does.

use std::fs::File;
use std::os::fd::OwnedFd;

use coop_launcher::{BoxError, ChildSide, HostSide, Stage, Waiting};
use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};

/// What is done inside, with the other end of the pipe.
pub(crate) type Work = Box<dyn FnOnce(File) -> Result<(), BoxError>>;

/// The last stage of a process that executes nothing: it is done when it is ready. As part of
/// a launch it dies with the command that waits for it.
pub(crate) struct Transfer {
    parent: Pid,
    pipe: Option<OwnedFd>,
    work: Option<Work>,
}

impl Transfer {
    /// Runs `work` in the child with this end of a pipe.
    pub(crate) fn new(pipe: OwnedFd, work: Work) -> Self {
        Self {
            parent: getpid(),
            pipe: Some(pipe),
            work: Some(work),
        }
    }
}

impl Stage for Transfer {
    fn name(&self) -> &'static str {
        "transfer"
    }

    fn host_side(&self) -> HostSide {
        HostSide::Each
    }

    // The parent's copy goes with this: it has to see the end of the stream.
    fn attach(&mut self, child: &mut Waiting) -> Result<(), BoxError> {
        if let Some(pipe) = self.pipe.take() {
            child.pass(pipe);
        }
        Ok(())
    }

    fn enter(&mut self, child: &mut ChildSide<'_>) -> Result<(), BoxError> {
        // The kernel forgets this with a change of user, and the work may wait for ever for a
        // parent that was killed.
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if getppid() != Some(self.parent) {
            return Err("the command has ended".into());
        }
        // The copy that came with the clone.
        self.pipe = None;
        let (Some(pipe), Some(work)) = (child.passed(), self.work.take()) else {
            return Err("no pipe was passed".into());
        };
        work(File::from(pipe))
    }
}
