//! Runs a command through a pipeline of three small stages, and tells what happens on which
//! side of the clone:
//!
//! ```text
//! sudo cargo run -p coop-launcher --example stages -- sh -c 'hostname; ps'
//! ```
//!
//! The command gets a host name, a process list and a session of its own. The exit status is
//! the command's, or Docker's 125, 126, 127 when it could not be started.

use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::rc::Rc;

use anyhow::{Context, Result};
use coop_launcher::stdio::Pipes;
use coop_launcher::{
    BoxError, ChildSide, HostSide, Journal, Pipeline, Prepare, Process, Stage, Waiting, journal,
};
use coop_ns::Namespaces;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};

fn main() -> Result<ExitCode> {
    let mut command: Vec<String> = std::env::args().skip(1).collect();
    if command.is_empty() {
        command = ["sh", "-c", "hostname; ps"].map(str::to_owned).to_vec();
    }
    let env = std::env::vars().map(|(key, value)| format!("{key}={value}"));
    let pipeline = Pipeline::new(Process::new(command, env)?)
        .stage(Told(Directory(format!(
            "/tmp/stages-{}",
            std::process::id()
        ))))
        .stage(Told(Hostname("sandbox")))
        .stage(Told(ProcessList))
        .stage(Pipes::given(
            Some(std::io::stdin().as_fd().try_clone_to_owned()?),
            std::io::stdout().as_fd().try_clone_to_owned()?,
            std::io::stderr().as_fd().try_clone_to_owned()?,
        ));

    let records = std::env::temp_dir().join(format!("stages-journal-{}", std::process::id()));
    let status = match start(pipeline, &mut Journal::open(&records)?) {
        Ok(pidfd) => {
            let status = coop_ns::pidfd::wait(pidfd.as_fd())?;
            eprintln!("host   ended: {status}");
            status.code()
        }
        Err(error) => {
            eprintln!("stages: {}", coop_launcher::chain(&error));
            error.exit_code()
        }
    };
    // What was made outside of the process is undone however it went. Another process could
    // do it as well, would this one be killed.
    journal::unwind(&records, |stage, record| {
        eprintln!("host   {stage}: undo {record}");
        let path: String = serde_json::from_str(record)?;
        match std::fs::remove_dir_all(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    })?;
    Ok(ExitCode::from(u8::try_from(status)?))
}

/// All there is to a launch.
fn start(pipeline: Pipeline, journal: &mut Journal) -> Result<Rc<OwnedFd>, coop_launcher::Error> {
    let mut cloned = pipeline.clone_child(Some(journal))?;
    eprintln!("host   cloned: process {}", cloned.pid().as_raw_nonzero());
    cloned.attach()?;
    let created = cloned.finish()?;
    eprintln!("host   ready: waits for its start");
    created.start()
}

/// A directory on the host, as long as the command runs.
struct Directory(String);

impl Stage for Directory {
    fn name(&self) -> &'static str {
        "directory"
    }

    fn prepare(&mut self, launch: &mut Prepare<'_>) -> Result<(), BoxError> {
        // First the record, then the step.
        launch.record(&self.0)?;
        Ok(std::fs::create_dir(&self.0)?)
    }
}

/// A UTS namespace with a name of its own.
struct Hostname(&'static str);

impl Stage for Hostname {
    fn name(&self) -> &'static str {
        "hostname"
    }

    fn prepare(&mut self, launch: &mut Prepare<'_>) -> Result<(), BoxError> {
        launch.new_namespaces(Namespaces::UTS);
        Ok(())
    }

    fn enter(&mut self, _child: &mut ChildSide<'_>) -> Result<(), BoxError> {
        Ok(coop_ns::hostname::set_hostname(self.0)?)
    }
}

/// A pid namespace, and a `/proc` that shows it.
struct ProcessList;

impl Stage for ProcessList {
    fn name(&self) -> &'static str {
        "processes"
    }

    fn host_side(&self) -> HostSide {
        HostSide::Each
    }

    fn prepare(&mut self, launch: &mut Prepare<'_>) -> Result<(), BoxError> {
        launch.new_namespaces(Namespaces::PID | Namespaces::MOUNT);
        Ok(())
    }

    fn attach(&mut self, child: &mut Waiting) -> Result<(), BoxError> {
        // What needs the pid and must come before the child goes on.
        let pid = child.pid().as_raw_nonzero();
        let namespace = std::fs::read_link(format!("/proc/{pid}/ns/pid"))?;
        eprintln!("host   processes: {}", namespace.display());
        Ok(())
    }

    fn enter(&mut self, _child: &mut ChildSide<'_>) -> Result<(), BoxError> {
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private).context("make mounts private")?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount("proc", "/proc", "proc", flags, None).context("mount /proc")?;
        Ok(())
    }
}

/// Tells each moment of a stage: what wraps a stage is a stage.
struct Told<S>(S);

impl<S: Stage> Stage for Told<S> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn host_side(&self) -> HostSide {
        self.0.host_side()
    }

    fn prepare(&mut self, launch: &mut Prepare<'_>) -> Result<(), BoxError> {
        eprintln!("host   {}: prepare", self.name());
        self.0.prepare(launch)
    }

    fn attach(&mut self, child: &mut Waiting) -> Result<(), BoxError> {
        eprintln!("host   {}: attach", self.name());
        self.0.attach(child)
    }

    fn enter(&mut self, child: &mut ChildSide<'_>) -> Result<(), BoxError> {
        eprintln!("child  {}: enter", self.name());
        self.0.enter(child)
    }
}
