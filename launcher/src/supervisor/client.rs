//! The command's end of the control socket.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, socketpair,
};

use super::packet::{SOCKET, address, receive, send, seqpacket};
use super::{ControlError, Peer, Report, Request};
use crate::store::{ContainerId, State};

/// What became of [`Client::attach`].
#[derive(Debug)]
pub enum Attachment {
    /// The container's output comes.
    Attached {
        /// The container.
        state: Box<State>,
        /// Where to write for its standard input: its terminal's master or the end of a pipe,
        /// non-blocking. None when that is not open.
        input: Option<OwnedFd>,
    },
    /// It cannot be done, and why.
    Refused(String),
    /// The supervisor is gone.
    Gone,
}

/// A command's connection to a supervisor.
#[derive(Debug)]
pub struct Client {
    fd: OwnedFd,
    path: PathBuf,
}

/// Readable when there is a report, or the supervisor is gone.
impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Client {
    /// Connects to the supervisor of the stack whose run directory is `dir`. `Ok(None)`: none
    /// listens there.
    ///
    /// # Errors
    /// [`ControlError`], for example without permission.
    pub fn connect(dir: &Path) -> Result<Option<Self>, ControlError> {
        let path = dir.join(SOCKET);
        let fail = |operation, source| ControlError {
            operation,
            path: path.clone(),
            source,
        };
        let (address, _dir) = match address(dir) {
            Ok(address) => address,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(fail("find", errno)),
        };
        let fd = seqpacket().map_err(|errno| fail("make", errno))?;
        match connect(&fd, &address) {
            Ok(()) => Ok(Some(Self { fd, path })),
            Err(Errno::NOENT | Errno::CONNREFUSED) => Ok(None),
            Err(errno) => Err(fail("connect to", errno)),
        }
    }

    /// A connection that exists already: the command's end and the one for a supervisor that
    /// the command is about to fork.
    ///
    /// # Errors
    /// [`ControlError`].
    pub(crate) fn pair() -> Result<(Self, Peer), ControlError> {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(|source| ControlError {
            operation: "make",
            path: SOCKET.into(),
            source,
        })?;
        Ok((
            Self {
                fd: ours,
                path: SOCKET.into(),
            },
            Peer::new(theirs),
        ))
    }

    /// Sends the request; `false` when the supervisor is gone.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn request(&self, request: &Request) -> Result<bool, ControlError> {
        let packet = serde_json::to_vec(request).unwrap_or_default();
        self.send(&packet, &[])
    }

    fn send(&self, packet: &[u8], fds: &[BorrowedFd<'_>]) -> Result<bool, ControlError> {
        match send(&self.fd, packet, fds, SendFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::PIPE | Errno::CONNRESET) => Ok(false),
            Err(source) => Err(self.fail("write to", source)),
        }
    }

    /// Asks to see what a container prints from now on. `output` are the writing ends of pipes:
    /// for its standard output, or its terminal, and for its standard error; the supervisor
    /// makes them non-blocking, and closes them at the container's end.
    ///
    /// After [`Attachment::Attached`], [`Client::next`] tells how this run of the container
    /// ends, and is then [`Report::Done`].
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn attach(
        &self,
        id: &ContainerId,
        output: &[BorrowedFd<'_>],
    ) -> Result<Attachment, ControlError> {
        let request = Request::Attach { id: id.clone() };
        let packet = serde_json::to_vec(&request).unwrap_or_default();
        if !self.send(&packet, output)? {
            return Ok(Attachment::Gone);
        }
        loop {
            return Ok(match self.receive()? {
                Some((Report::Attached(state), fds)) => Attachment::Attached {
                    state,
                    input: fds.into_iter().next(),
                },
                Some((Report::Refused { error, .. }, _)) => Attachment::Refused(error),
                // What happened to the container meanwhile.
                Some((report, _)) if report != Report::Done => continue,
                _ => Attachment::Gone,
            });
        }
    }

    /// Waits for the next report; `None` when the supervisor is gone.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn next(&self) -> Result<Option<Report>, ControlError> {
        Ok(self.receive()?.map(|(report, _)| report))
    }

    fn receive(&self) -> Result<Option<(Report, Vec<OwnedFd>)>, ControlError> {
        let received = receive(&self.fd, RecvFlags::empty())
            .map_err(|source| self.fail("read from", source))?;
        Ok(received.and_then(|(packet, fds)| Some((serde_json::from_slice(&packet).ok()?, fds))))
    }

    fn fail(&self, operation: &'static str, source: Errno) -> ControlError {
        ControlError {
            operation,
            path: self.path.clone(),
            source,
        }
    }
}
