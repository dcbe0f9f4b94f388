//! Small stages to watch a pipeline with.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use coop_launcher::stdio::Pipes;
use coop_launcher::{
    BoxError, ChildSide, Created, Error, HostSide, Pipeline, Prepare, Process, Stage, Waiting,
};
use rustix::io::Errno;

use super::BUSYBOX;

/// What happened so far, on both sides: a pipe has it in the order in which it was written.
#[derive(Clone)]
pub(crate) struct Trace(Rc<OwnedFd>);

impl Trace {
    pub(crate) fn new(pipe: OwnedFd) -> Self {
        Self(Rc::new(pipe))
    }

    pub(crate) fn note(&self, what: &str) {
        rustix::io::write(&*self.0, format!("{what}\n").as_bytes()).unwrap();
    }
}

type OnPrepare = Box<dyn FnMut(&mut Prepare<'_>) -> Result<(), BoxError>>;
type OnAttach = Box<dyn FnMut(&mut Waiting) -> Result<(), BoxError>>;
type OnEnter = Box<dyn FnMut(&mut ChildSide<'_>) -> Result<(), BoxError>>;

/// A stage made of closures. What is not given does nothing.
pub(crate) struct Step {
    name: &'static str,
    host_side: HostSide,
    prepare: Option<OnPrepare>,
    attach: Option<OnAttach>,
    enter: Option<OnEnter>,
}

impl Step {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            host_side: HostSide::None,
            prepare: None,
            attach: None,
            enter: None,
        }
    }

    pub(crate) fn on_host(mut self, side: HostSide) -> Self {
        self.host_side = side;
        self
    }

    pub(crate) fn prepare(
        mut self,
        work: impl FnMut(&mut Prepare<'_>) -> Result<(), BoxError> + 'static,
    ) -> Self {
        self.prepare = Some(Box::new(work));
        self
    }

    pub(crate) fn attach(
        mut self,
        work: impl FnMut(&mut Waiting) -> Result<(), BoxError> + 'static,
    ) -> Self {
        self.attach = Some(Box::new(work));
        self
    }

    pub(crate) fn enter(
        mut self,
        work: impl FnMut(&mut ChildSide<'_>) -> Result<(), BoxError> + 'static,
    ) -> Self {
        self.enter = Some(Box::new(work));
        self
    }

    /// A stage that only notes its moments.
    pub(crate) fn noting(name: &'static str, side: HostSide, trace: &Trace) -> Self {
        let (prepare, attach, enter) = (trace.clone(), trace.clone(), trace.clone());
        Self::new(name)
            .on_host(side)
            .prepare(move |_| {
                prepare.note(&format!("{name} prepare"));
                Ok(())
            })
            .attach(move |_| {
                attach.note(&format!("{name} attach"));
                Ok(())
            })
            .enter(move |_| {
                enter.note(&format!("{name} enter"));
                Ok(())
            })
    }
}

impl Stage for Step {
    fn name(&self) -> &'static str {
        self.name
    }

    fn host_side(&self) -> HostSide {
        self.host_side
    }

    fn prepare(&mut self, launch: &mut Prepare<'_>) -> Result<(), BoxError> {
        self.prepare.as_mut().map_or(Ok(()), |work| work(launch))
    }

    fn attach(&mut self, child: &mut Waiting) -> Result<(), BoxError> {
        self.attach.as_mut().map_or(Ok(()), |work| work(child))
    }

    fn enter(&mut self, child: &mut ChildSide<'_>) -> Result<(), BoxError> {
        self.enter.as_mut().map_or(Ok(()), |work| work(child))
    }
}

/// An error as the leaf crates make them: the object in the text, the errno below it.
#[derive(Debug, thiserror::Error)]
#[error("mount {path}")]
pub(crate) struct MountError {
    pub(crate) path: &'static str,
    pub(crate) source: Errno,
}

/// A pipeline that ends in a shell with this script.
pub(crate) fn shell(script: &str) -> Pipeline {
    program(&[BUSYBOX, "sh", "-c", script])
}

pub(crate) fn program(argv: &[&str]) -> Pipeline {
    Pipeline::new(Process::new(argv.iter().copied(), ["PATH=/bin"]).unwrap())
}

/// Standard streams of which the output goes to `output`.
pub(crate) fn output_to(output: OwnedFd) -> Pipes {
    let copy = output.try_clone().unwrap();
    Pipes::given(None, output, copy)
}

/// Runs a pipeline up to where the program would be started.
pub(crate) fn create(pipeline: Pipeline) -> Result<Created, Error> {
    let mut cloned = pipeline.clone_child(None)?;
    cloned.attach()?;
    cloned.finish()
}
