//! The system-call filter, last before the program.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use coop_launcher::{BoxError, ChildSide, Confine, Confinement, Stage};
use coop_seccomp::{BuiltIn, Capabilities, Filter, Filtered};

use crate::plan::seccomp_context;

const NAME: &str = "seccomp";

/// The filter of a container.
///
/// Where its processes can gain nothing by `execve`, it is loaded right before the program, so
/// that nothing of what Coop itself does has to be allowed. A container without `no_new_privs`
/// can only be given one while there is `CAP_SYS_ADMIN` in its user namespace, so the filter is
/// loaded where this stage stands, before privileges are given up, and must allow what that
/// takes. As runc has it.
pub(crate) struct Seccomp {
    confining: Confining,
    moment: Moment,
}

/// When a filter is loaded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// By the stage.
    Stage,
    /// When all is done.
    Last,
}

/// A process that answers for filters, by the socket that it takes listeners from.
#[derive(Clone)]
pub(crate) enum Overseer {
    /// Notes what is called, and lets it be called.
    Recorder(Rc<OwnedFd>),
    /// Tells what is refused.
    Watcher(Rc<OwnedFd>),
}

/// What is loaded.
#[derive(Clone)]
pub(crate) enum Confining {
    /// A filter.
    Filter(Filter),
    /// One whose refusals are told.
    Watched(Rc<OwnedFd>, Filtered),
    /// One that notes all and refuses nothing.
    Recording(Rc<OwnedFd>),
}

impl Confining {
    /// The filter, as the overseer wants it.
    pub(crate) fn of(overseer: Option<&Overseer>, filter: &Filter) -> Self {
        match (overseer, filter) {
            (Some(Overseer::Recorder(socket)), _) => Self::Recording(Rc::clone(socket)),
            (Some(Overseer::Watcher(socket)), Filter::Filtered(filtered)) => {
                Self::Watched(Rc::clone(socket), filtered.clone())
            }
            (_, filter) => Self::Filter(filter.clone()),
        }
    }

    fn confine(&self) -> Result<(), BoxError> {
        match self {
            Self::Filter(filter) => Ok(filter.apply()?),
            Self::Watched(watcher, filtered) => Ok(coop_seccomp::watch_to(watcher, filtered)?),
            Self::Recording(recorder) => Ok(coop_seccomp::record_to(recorder)?),
        }
    }
}

impl Seccomp {
    /// Right before the program: for processes with `no_new_privs` or `CAP_SYS_ADMIN`.
    pub(crate) fn last(confining: Confining) -> Self {
        let moment = Moment::Last;
        Self { confining, moment }
    }

    /// Where the stage stands.
    pub(crate) fn here(confining: Confining) -> Self {
        let moment = Moment::Stage;
        Self { confining, moment }
    }
}

impl Stage for Seccomp {
    fn name(&self) -> &'static str {
        NAME
    }

    fn enter(&mut self, child: &mut ChildSide<'_>) -> Result<(), BoxError> {
        if matches!(self.confining, Confining::Filter(Filter::Unconfined)) {
            return Ok(());
        }
        if self.moment == Moment::Stage {
            return self.confining.confine();
        }
        let confining = self.confining.clone();
        child.confine_last(Confinement {
            stage: NAME,
            program: Confine::new(move || confining.confine()),
            init: Confine::new(confine_init),
        });
        Ok(())
    }
}

/// `no_new_privs` alone, for a process that has nothing to give up.
pub(crate) struct NoNewPrivileges;

impl Stage for NoNewPrivileges {
    fn name(&self) -> &'static str {
        "privileges"
    }

    fn enter(&mut self, _child: &mut ChildSide<'_>) -> Result<(), BoxError> {
        Ok(coop_ns::privileges::no_new_privs()?)
    }
}

/// The init is Coop's own and has its own needs, whatever the container's filter says.
fn confine_init() -> Result<(), BoxError> {
    let context = seccomp_context(Capabilities::NONE);
    let policy = BuiltIn::Strict.policy(&context);
    Ok(policy.compile(context.arch)?.load(policy.flags)?)
}
