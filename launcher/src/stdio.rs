//! The stages of the standard streams: pipes to the log, nothing at all, or given descriptors.
//!
//! The container's first process leads a session of its own, so that the user's terminal
//! sends it no signals but those that are meant for it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Gid, Uid};

use crate::error::BoxError;
use crate::logs::LogPipe;
use crate::pipeline::{Prepare, Stage};
use crate::{ChildSide, STDERR_PIPE, STDIN_PIPE, STDOUT_PIPE};

/// Standard streams that are no terminal.
#[derive(Debug)]
pub struct Pipes {
    to_make: Option<(PathBuf, u32, u32)>,
    /// Whether input comes through a named pipe as well.
    input_stays_open: bool,
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
}

impl Pipes {
    /// Output to named pipes in `dir`, which belong to a user and a group of the container, so
    /// that it can open `/dev/stdout` again. Without `stdin`, input is empty.
    ///
    /// The container holds the pipes open for reading as well: when the supervisor is gone,
    /// writing waits for the next one instead of failing.
    pub fn for_container(dir: PathBuf, (uid, gid): (u32, u32), stdin: Option<OwnedFd>) -> Self {
        Self {
            to_make: Some((dir, uid, gid)),
            input_stays_open: false,
            stdin,
            stdout: None,
            stderr: None,
        }
    }

    /// Input from one more named pipe instead of none, for those who attach. The container
    /// holds it open for writing as well: it outlives the supervisor, and who detaches does
    /// not end it.
    pub fn with_open_input(mut self) -> Self {
        self.input_stays_open = true;
        self
    }

    /// The given descriptors.
    pub fn given(stdin: Option<OwnedFd>, stdout: OwnedFd, stderr: OwnedFd) -> Self {
        Self {
            to_make: None,
            input_stays_open: false,
            stdin,
            stdout: Some(stdout),
            stderr: Some(stderr),
        }
    }

    /// Empty input, and output that nobody reads.
    ///
    /// # Errors
    /// When `/dev/null` cannot be opened.
    pub fn null() -> io::Result<Self> {
        let null = File::options().read(true).write(true).open("/dev/null")?;
        let copy = || null.try_clone().map(OwnedFd::from);
        Ok(Self::given(Some(copy()?), copy()?, copy()?))
    }
}

impl Stage for Pipes {
    fn name(&self) -> &'static str {
        "stdio"
    }

    // No undo of its own: the pipes are in the container's run directory and go with it.
    fn prepare(&mut self, _launch: &mut Prepare<'_>) -> Result<(), BoxError> {
        if let Some((dir, uid, gid)) = &self.to_make {
            let make = |name| -> Result<OwnedFd, BoxError> {
                let path = dir.join(name);
                LogPipe::create(&path, Uid::from_raw(*uid), Gid::from_raw(*gid))?;
                Ok(LogPipe::open_rw(&path)?)
            };
            self.stdout = Some(make(STDOUT_PIPE)?);
            self.stderr = Some(make(STDERR_PIPE)?);
            if self.input_stays_open && self.stdin.is_none() {
                self.stdin = Some(make(STDIN_PIPE)?);
            }
        }
        if self.stdin.is_none() {
            self.stdin = Some(File::open("/dev/null")?.into());
        }
        Ok(())
    }

    fn enter(&mut self, _child: &mut ChildSide<'_>) -> Result<(), BoxError> {
        rustix::process::setsid()?;
        if let Some(fd) = &self.stdin {
            rustix::stdio::dup2_stdin(fd)?;
        }
        if let Some(fd) = &self.stdout {
            rustix::stdio::dup2_stdout(fd)?;
        }
        if let Some(fd) = &self.stderr {
            rustix::stdio::dup2_stderr(fd)?;
        }
        Ok(())
    }
}

/// A terminal of the container's own. After the root filesystem, whose `devpts` it is of.
#[derive(Debug, Default)]
pub struct Terminal {}

impl Terminal {
    /// A new terminal; its master goes to the parent.
    pub fn new() -> Self {
        Self {}
    }
}

impl Stage for Terminal {
    fn name(&self) -> &'static str {
        "terminal"
    }

    fn enter(&mut self, child: &mut ChildSide<'_>) -> Result<(), BoxError> {
        let (master, slave) = crate::terminal::open_pty_in_container()?;
        child.give_terminal(&master)?;
        Ok(crate::terminal::make_controlling(slave.as_fd())?)
    }
}
