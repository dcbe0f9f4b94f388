//! The child side of a launch: from the clone to `execve`, in one straight line.

use std::convert::Infallible;
use std::os::fd::{AsFd, OwnedFd};

use rustix::process::Signal;

use crate::EXEC;
use crate::channel::{Channel, GoAhead};
use crate::error::{BoxError, Error, Failure};
use crate::pipeline::{HostSide, Stage, step};
use crate::process::Process;

/// The exit status of a child whose parent died: nobody is left to read it.
const ORPHANED: i32 = 125;

/// What a stage sees in the child.
#[derive(Debug)]
pub struct ChildSide<'a> {
    /// The program that will be executed; a stage may add what only the container knows.
    pub process: &'a mut Process,
    channel: &'a Channel,
    passed: std::vec::IntoIter<OwnedFd>,
    confinement: &'a mut Option<Confinement>,
}

/// The last thing that the child does to itself.
#[derive(Debug)]
pub struct Confinement {
    /// For the errors: the stage that it is of.
    pub stage: &'static str,
    /// In the process that executes the program, right before that. No system call follows but
    /// `execve`, and, when that fails, the report of it.
    pub program: Confine,
    /// In the [init](Process::with_init), where there is one.
    pub init: Confine,
}

/// A step of a [`Confinement`].
pub struct Confine(Box<dyn FnOnce() -> Result<(), BoxError>>);

impl Confine {
    /// The step that `work` does.
    pub fn new(work: impl FnOnce() -> Result<(), BoxError> + 'static) -> Self {
        Self(Box::new(work))
    }

    pub(crate) fn run(self) -> Result<(), BoxError> {
        (self.0)()
    }
}

impl std::fmt::Debug for Confine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Confine")
    }
}

impl ChildSide<'_> {
    /// Does something that must not be in force before everything else is done.
    pub fn confine_last(&mut self, confinement: Confinement) {
        *self.confinement = Some(confinement);
    }

    /// The next descriptor that [`Waiting::pass`](crate::Waiting::pass) sent for this stage.
    pub fn passed(&mut self) -> Option<OwnedFd> {
        self.passed.next()
    }

    /// Gives the master of a new terminal to the parent.
    ///
    /// # Errors
    /// [`Error::Channel`](crate::Error::Channel).
    pub fn give_terminal(&self, master: &OwnedFd) -> Result<(), crate::Error> {
        self.channel.terminal(master.as_fd())
    }
}

/// Runs the child side and executes the program; exits when that fails.
pub(crate) fn run(stages: Vec<Box<dyn Stage>>, process: Process, channel: &Channel) -> ! {
    let Err(failure) = set_up(stages, process, channel);
    if let Some(failure) = failure
        && channel.failed(&failure).is_err()
    {
        // A filter that is in force by now may refuse to tell: the status says what it can.
        coop_ns::exit_child(Error::from(failure).exit_code())
    }
    coop_ns::exit_child(ORPHANED)
}

/// `None` is the end of a child whose parent is gone.
fn set_up(
    stages: Vec<Box<dyn Stage>>,
    mut process: Process,
    channel: &Channel,
) -> Result<Infallible, Option<Failure>> {
    // A launch that is killed takes its child along: until the exec nothing else would.
    let at_birth = |error: BoxError| Some(Failure::new("child", &*error));
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|errno| at_birth(errno.into()))?;
    let mut confinement = None;
    for (index, mut stage) in stages.into_iter().enumerate() {
        let name = stage.name();
        let passed = match stage.host_side() {
            HostSide::None => Vec::new(),
            HostSide::Each | HostSide::Batched => wait(channel)?,
        };
        if index == 0 {
            // Until the exec this process is a copy of the host's binary: no one inside may look
            // into it or write to it through /proc (CVE-2019-5736). Not before the parent has
            // done its part of the first stage: without the host's root it could not write the
            // id maps of a new user namespace, in which the child is alone at that time.
            rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
                .map_err(|errno| at_birth(errno.into()))?;
        }
        let mut side = ChildSide {
            process: &mut process,
            channel,
            passed: passed.into_iter(),
            confinement: &mut confinement,
        };
        step(name, "enter", || stage.enter(&mut side)).map_err(Some)?;
    }

    channel
        .ready()
        .map_err(|error| Some(Failure::new(EXEC, &error)))?;
    wait(channel)?;
    let mut last = None;
    step(EXEC, "enter", || {
        crate::signals::reset_for_child()?;
        crate::descriptors::restore_limit();
        rustix::process::set_parent_process_death_signal(None)?;
        let (confine, confine_init) = match confinement.take() {
            Some(Confinement {
                stage,
                program,
                init,
            }) => (Some((stage, program)), Some(init)),
            None => (None, None),
        };
        if process.has_init() {
            crate::init::split(confine_init)?;
        }
        // Only 0, 1 and 2 go to the program (CVE-2024-21626). The channel must close by the
        // exec itself, so that its end of file tells of success.
        coop_ns::privileges::close_on_exec_from(3)?;
        last = confine;
        Ok(())
    })
    .map_err(Some)?;
    if let Some((stage, confine)) = last {
        step(stage, "confine", || confine.run()).map_err(Some)?;
    }
    step(EXEC, "exec", || match process.exec()? {}).map_err(Some)?;
    unreachable!("exec does not return")
}

fn wait(channel: &Channel) -> Result<Vec<OwnedFd>, Option<Failure>> {
    match channel.wait() {
        Ok(GoAhead::With(passed)) => Ok(passed),
        Ok(GoAhead::ParentGone) => Err(None),
        Err(error) => Err(Some(Failure::new("child", &error))),
    }
}
