//! The pipeline: stages around one new process, and the one `clone3` in the middle.
//!
//! ```text
//! prepare (each stage)  →  clone3  →  attach (each stage)  →  ready  →  start
//!                             └────→  enter (each stage)  ────────────→ execve
//! ```
//!
//! The child runs a stage's [`enter`](Stage::enter) as soon as the stage's host side is done:
//! one go-ahead for each stage that has one. Creating and starting are two steps, so that the
//! containers of a whole stack are made together and started in the order of their
//! dependencies by one byte each.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use coop_ns::{CloneArgs, Forked, Joined, Namespaces};
use rustix::process::{Pid, Signal};

use crate::EXEC;
use crate::channel::{Channel, Delivery, News};
use crate::child::ChildSide;
use crate::error::{BoxError, Error, Failure};
use crate::fault;
use crate::journal::Journal;
use crate::process::Process;

/// Whether a stage does something on the host between the clone and its child side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostSide {
    /// No: the child does not wait.
    None,
    /// Yes: [`Stage::attach`] does it for this one child.
    Each,
    /// Yes, and for all children of a batch at once: [`Stage::attach`] only queues the work,
    /// the caller does it between [`Cloned::attach`] and [`Cloned::finish`].
    Batched,
}

/// One step of the pipeline, with its four moments. All but the name have defaults: a stage
/// says only what it has.
///
/// The undo is no method: it is the data given to [`Prepare::record`], because another process
/// may have to carry it out.
pub trait Stage {
    /// The stage's name in the journal and in errors, for example `rootfs`.
    fn name(&self) -> &'static str;

    /// Whether the child has to wait for [`attach`](Self::attach).
    fn host_side(&self) -> HostSide {
        HostSide::None
    }

    /// On the host, before the clone: everything that does not need the child's pid.
    ///
    /// # Errors
    /// Ends the launch.
    fn prepare(&mut self, _launch: &mut Prepare<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    /// On the host, while the child waits.
    ///
    /// # Errors
    /// Ends the launch.
    fn attach(&mut self, _child: &mut Waiting) -> Result<(), BoxError> {
        Ok(())
    }

    /// In the child, in its new namespaces.
    ///
    /// # Errors
    /// Ends the launch; the error is told by the parent.
    fn enter(&mut self, _child: &mut ChildSide<'_>) -> Result<(), BoxError> {
        Ok(())
    }
}

/// What a stage may shape before the clone.
#[derive(Debug)]
pub struct Prepare<'a> {
    stage: &'static str,
    journal: Option<&'a mut Journal>,
    namespaces: Namespaces,
    cgroup: Option<Rc<OwnedFd>>,
    pid_namespace_of: Option<Rc<OwnedFd>>,
    joined: Vec<(Rc<OwnedFd>, Namespaces)>,
}

impl Prepare<'_> {
    /// Writes down how to undo what this stage is about to make outside the process.
    ///
    /// # Errors
    /// [`Error::Journal`]: the step must then not be taken.
    pub fn record(&mut self, undo: &impl serde::Serialize) -> Result<(), Error> {
        match self.journal.as_deref_mut() {
            Some(journal) => journal.record(self.stage, undo),
            None => Ok(()),
        }
    }

    /// Asks for new namespaces at the clone.
    pub fn new_namespaces(&mut self, namespaces: Namespaces) {
        self.namespaces |= namespaces;
    }

    /// Asks for the child to be born in this cgroup (`CLONE_INTO_CGROUP`, cgroup v2).
    pub fn born_in(&mut self, cgroup: Rc<OwnedFd>) {
        self.cgroup = Some(cgroup);
    }

    /// Asks for the child to be born in the pid namespace of the process behind this pidfd.
    pub fn in_pid_namespace_of(&mut self, pidfd: Rc<OwnedFd>) {
        self.pid_namespace_of = Some(pidfd);
    }

    /// Asks for the child to be born in these namespaces of the process behind this pidfd.
    /// Those that are made at the clone belong to the user namespace that is joined.
    pub fn joins(&mut self, pidfd: Rc<OwnedFd>, namespaces: Namespaces) {
        self.joined.push((pidfd, namespaces));
    }
}

/// The child, seen from the host, between the clone and the start.
#[derive(Debug)]
pub struct Waiting {
    pid: Pid,
    leash: Leash,
    channel: Channel,
    passed: Vec<OwnedFd>,
}

impl Waiting {
    /// The child's pid in the host's pid namespace.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The child's pidfd.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.leash.pidfd.as_fd()
    }

    /// Sends a descriptor along with this stage's go-ahead: [`ChildSide::passed`] has it. At
    /// most [`MAX_PASSED`](crate::MAX_PASSED) for one stage.
    pub fn pass(&mut self, fd: OwnedFd) {
        self.passed.push(fd);
    }
}

/// Stages in order, and the program they end in.
pub struct Pipeline {
    stages: Vec<Box<dyn Stage>>,
    process: Process,
    patience: Option<Duration>,
}

impl Pipeline {
    /// A pipeline that ends in `process`, with no stage yet.
    pub fn new(process: Process) -> Self {
        Self {
            stages: Vec::new(),
            process,
            patience: None,
        }
    }

    /// Gives up ([`Error::ChildSilent`]) when the child says nothing for so long: one that is
    /// born in a container that runs can be stopped by what is in there.
    #[must_use]
    pub fn with_patience(self, most: Duration) -> Self {
        Self {
            patience: Some(most),
            ..self
        }
    }

    /// Appends a stage.
    pub fn stage(mut self, stage: impl Stage + 'static) -> Self {
        self.stages.push(Box::new(stage));
        self
    }

    /// Runs every stage's host side before the clone, and clones the process.
    ///
    /// The calling process must have one thread only: its copy goes on in Rust.
    ///
    /// # Errors
    /// What the first failing stage says. What was made is in the journal, for
    /// [`unwind`](crate::journal::unwind).
    pub fn clone_child(mut self, journal: Option<&mut Journal>) -> Result<Cloned, Error> {
        let mut launch = Prepare {
            stage: "",
            journal,
            namespaces: Namespaces::empty(),
            cgroup: None,
            pid_namespace_of: None,
            joined: Vec::new(),
        };
        for stage in &mut self.stages {
            let name = stage.name();
            launch.stage = name;
            step(name, "prepare", || stage.prepare(&mut launch))?;
        }
        let Prepare {
            namespaces,
            cgroup,
            pid_namespace_of,
            joined,
            ..
        } = launch;
        step("clone", "before", || Ok(()))?;
        let (parent_end, child_end) = Channel::pair()?;
        if let Some(most) = self.patience {
            parent_end.limit_wait(most)?;
        }
        let args = CloneArgs {
            namespaces,
            cgroup: cgroup.as_ref().map(|fd| fd.as_fd()),
        };
        let joined: Vec<_> = joined
            .iter()
            .map(|(of, namespaces)| Joined {
                of: of.as_fd(),
                namespaces: *namespaces,
            })
            .collect();
        let forked = match &pid_namespace_of {
            // SAFETY: the launch happens in a process with a single thread (see the crate's
            // documentation), so the copy finds no lock held and may allocate.
            None if !joined.is_empty() => unsafe { coop_ns::clone3_joining(&joined, &args) },
            // SAFETY: the same.
            None => unsafe { coop_ns::clone3(&args) },
            // SAFETY: the same.
            Some(target) => unsafe { coop_ns::clone3_in_pid_namespace_of(target.as_fd(), &args) },
        };
        match forked.map_err(Error::Clone)? {
            Forked::Child => {
                drop(parent_end);
                crate::child::run(self.stages, self.process, &child_end)
            }
            Forked::Parent(child) => {
                drop(child_end);
                let cloned = Cloned {
                    stages: self.stages,
                    attached: 0,
                    child: Waiting {
                        pid: child.pid,
                        leash: Leash {
                            pidfd: Rc::new(child.pidfd),
                            armed: true,
                        },
                        channel: parent_end,
                        passed: Vec::new(),
                    },
                };
                step("clone", "after", || Ok(()))?;
                Ok(cloned)
            }
        }
    }
}

/// Runs one moment of one stage between its two fault points.
pub(crate) fn step(
    stage: &str,
    moment: &str,
    work: impl FnOnce() -> Result<(), BoxError>,
) -> Result<(), Failure> {
    fault::point(stage, moment)
        .and_then(|()| work())
        .map_err(|error| Failure::new(stage, &*error))
}

/// A process that exists and is being set up. Dropping it kills the process.
pub struct Cloned {
    stages: Vec<Box<dyn Stage>>,
    attached: usize,
    child: Waiting,
}

impl Cloned {
    /// The child's pid in the host's pid namespace.
    pub fn pid(&self) -> Pid {
        self.child.pid
    }

    /// Runs the host side of each stage and lets the child go on after each, up to the first
    /// [`HostSide::Batched`] stage, whose work this queues.
    ///
    /// # Errors
    /// What the failing stage says, or what the child said when it failed first.
    pub fn attach(&mut self) -> Result<(), Error> {
        while let Some(stage) = self.stages.get_mut(self.attached) {
            let host_side = stage.host_side();
            if host_side != HostSide::None {
                let name = stage.name();
                let result = step(name, "attach", || stage.attach(&mut self.child));
                if let Err(failure) = result {
                    return Err(self.child.why(failure.into()));
                }
                if host_side == HostSide::Batched {
                    return Ok(());
                }
                self.child.go_ahead()?;
            }
            self.attached += 1;
        }
        Ok(())
    }

    /// Lets the child go on after the batched work, and runs what is left on the host. The
    /// child need not be ready yet: those of a batch get ready side by side.
    ///
    /// # Errors
    /// As for [`attach`](Self::attach).
    pub fn resume(&mut self) -> Result<(), Error> {
        while self.attached < self.stages.len() {
            self.child.go_ahead()?;
            self.attached += 1;
            self.attach()?;
        }
        Ok(())
    }

    /// [Resumes](Self::resume) where that was not done, and waits until the child is ready to
    /// be started.
    ///
    /// # Errors
    /// What the failing stage says, on either side.
    pub fn finish(mut self) -> Result<Created, Error> {
        self.resume()?;
        // What they hold open is closed while the child works, and not between its last word
        // and its start.
        self.stages.clear();
        step("ready", "wait", || Ok(()))?;
        let mut terminal = None;
        loop {
            match self.child.channel.news()? {
                News::Ready => break,
                News::Terminal(master) => terminal = Some(master),
                News::Failed(failure) => return Err(failure.into()),
                News::Closed => return Err(self.child.leash.died("its set-up")),
            }
        }
        let Waiting {
            pid,
            leash,
            channel,
            ..
        } = self.child;
        Ok(Created {
            pid,
            leash,
            channel,
            terminal,
        })
    }
}

impl Cloned {
    /// Why the child ended before its set-up was complete, when it has. For when work for it
    /// has failed: its words are there before its namespaces go.
    pub fn failure(&self) -> Option<Error> {
        if !self.child.channel.has_news() {
            return None;
        }
        match self.child.channel.news() {
            Ok(News::Failed(failure)) => Some(failure.into()),
            Ok(News::Closed) => Some(self.child.leash.died("its set-up")),
            _ => None,
        }
    }
}

impl Waiting {
    /// Lets the child enter the stage, with what was passed for it.
    fn go_ahead(&mut self) -> Result<(), Error> {
        let passed = std::mem::take(&mut self.passed);
        let passed: Vec<_> = passed.iter().map(AsFd::as_fd).collect();
        self.channel.go_ahead(&passed).map(drop)
    }

    /// A host-side step that fails because the child died is better told by the child.
    fn why(&self, error: Error) -> Error {
        let dead = coop_ns::pidfd::try_wait(self.pidfd()).is_ok_and(|status| status.is_some());
        match dead.then(|| self.channel.news()) {
            Some(Ok(News::Failed(failure))) => failure.into(),
            _ => error,
        }
    }
}

/// Kills and reaps a process that is dropped before its program was started.
#[derive(Debug)]
struct Leash {
    pidfd: Rc<OwnedFd>,
    armed: bool,
}

impl Leash {
    fn release(mut self) -> Rc<OwnedFd> {
        self.armed = false;
        Rc::clone(&self.pidfd)
    }

    fn died(&self, during: &'static str) -> Error {
        let status = match coop_ns::pidfd::wait(self.pidfd.as_fd()) {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        Error::ChildDied { during, status }
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        if self.armed {
            let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
            let _ = coop_ns::pidfd::wait(self.pidfd.as_fd());
        }
    }
}

/// A container that is completely set up and waits for its start. Dropping it kills the process.
#[derive(Debug)]
pub struct Created {
    pid: Pid,
    leash: Leash,
    channel: Channel,
    terminal: Option<OwnedFd>,
}

impl Created {
    /// The pid in the host's pid namespace.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The master of the container's terminal, when a stage made one.
    pub fn take_terminal(&mut self) -> Option<OwnedFd> {
        self.terminal.take()
    }

    /// Starts the program, waits until the kernel has accepted it, and gives its pidfd.
    ///
    /// # Errors
    /// The failure of the exec; [`Error::exit_code`] tells 126 from 127.
    /// [`Error::ChildDied`] when the process was killed meanwhile. The process is then gone and
    /// has been waited for.
    pub fn start(self) -> Result<Rc<OwnedFd>, Error> {
        step(EXEC, "start", || Ok(()))?;
        if self.channel.go_ahead(&[])? == Delivery::Gone {
            return Err(self.leash.died("the wait for its start"));
        }
        match self.channel.news()? {
            News::Failed(failure) => Err(failure.into()),
            _ => Ok(self.leash.release()),
        }
    }
}
