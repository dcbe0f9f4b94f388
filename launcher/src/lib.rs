//! Runs a pipeline of stages around one new process, and looks after it.
//!
//! The launcher knows *how* a container is made: host side before the clone, host side while
//! the child waits, child side, undo; one [`clone3`](coop_ns::clone3), no re-exec, one
//! structured error. It does not know *what* the stages do: that is the caller's, who adapts
//! the leaf crates (`coop-fs`, `coop-cgroup`, …) to [`Stage`].
//!
//! ```no_run
//! use coop_launcher::{BoxError, ChildSide, Pipeline, Prepare, Process, Stage};
//! use coop_ns::Namespaces;
//!
//! /// A new UTS namespace with a name of its own.
//! struct Hostname(&'static str);
//!
//! impl Stage for Hostname {
//!     fn name(&self) -> &'static str {
//!         "hostname"
//!     }
//!     fn prepare(&mut self, launch: &mut Prepare<'_>) -> Result<(), BoxError> {
//!         launch.new_namespaces(Namespaces::UTS);
//!         Ok(())
//!     }
//!     fn enter(&mut self, _child: &mut ChildSide<'_>) -> Result<(), BoxError> {
//!         Ok(rustix::system::sethostname(self.0.as_bytes())?)
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let process = Process::new(["/bin/hostname"], ["PATH=/bin"])?;
//! let mut cloned = Pipeline::new(process).stage(Hostname("sandbox")).clone_child(None)?;
//! cloned.attach()?;
//! let pidfd = cloned.finish()?.start()?;
//! # use std::os::fd::AsFd;
//! println!("{}", coop_ns::pidfd::wait(pidfd.as_fd())?);
//! # Ok(())
//! # }
//! ```
//!
//! The process that launches must have a single thread: its copy goes on in Rust code.
//!
//! - [`Pipeline`], [`Stage`]: the pipeline; [`stdio`]: the stages of standard streams
//! - [`Supervisor`](supervisor::Supervisor): the process that stays with a stack
//! - [`store`]: containers on disk; [`logs`], [`terminal`], [`signals`]: what surrounds them
//! - [`journal`]: undo records that survive a `kill -9`; [`fault`]: how tests provoke one

mod channel;
mod child;
mod descriptors;
pub mod error;
pub mod fault;
#[doc(hidden)]
pub mod fuzzing;
pub mod helper;
mod init;
pub mod journal;
mod limits;
pub mod logs;
pub mod pipeline;
pub mod process;
pub mod session;
pub mod signals;
pub mod stdio;
pub mod store;
pub mod supervisor;
mod sys;
pub mod terminal;

pub use channel::MAX_PASSED;
pub use child::{ChildSide, Confine, Confinement};
pub use error::{BoxError, Error, Failure, chain};
pub use journal::Journal;
pub use pipeline::{Cloned, Created, HostSide, Pipeline, Prepare, Stage, Waiting};
pub use process::Process;

/// The name of the last stage, the program itself, in errors and fault points.
pub const EXEC: &str = "exec";

/// The journal's name in a container's run directory.
pub const JOURNAL: &str = "journal";

/// Names of the pipes in a container's run directory.
pub(crate) const STDIN_PIPE: &str = "stdin";
pub(crate) const STDOUT_PIPE: &str = "stdout";
pub(crate) const STDERR_PIPE: &str = "stderr";
