//! Notes of what a workload calls, by user notification: see `seccomp_unotify(2)`.
//!
//! Two processes take part. One, which is about to execute the workload, calls [`record_to`]: it
//! loads a filter that has every call wait for an answer, and hands the filter's listener over. The
//! other is a [`Recorder`]: it lets every call go on and notes its number. It must be a process
//! of its own: whoever waits for the first would wait for ever.

mod handover;
mod recorded;
mod sys;

use std::collections::BTreeSet;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use std::io::IoSliceMut;

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

pub use recorded::Recorded;

use crate::{Action, Answer, Arch, Flags, ListenError, Listener, LoadError, Notification, Policy};
use handover::Handover;

/// What can go wrong on either side.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The filter cannot be made.
    #[error("compile the filter that takes notes")]
    Compile(#[from] crate::CompileError),
    /// The filter cannot be loaded.
    #[error("load the filter that takes notes")]
    Load(#[from] LoadError),
    /// The listener cannot be given away: the process can call nothing any more.
    #[error("hand the listener over")]
    HandOver(#[source] Errno),
    /// A listener does not work.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The recorder cannot wait or receive.
    #[error("{operation}")]
    Receive {
        /// What it was doing.
        operation: &'static str,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
}

/// Has all that this thread, and what it will execute and fork, calls from now on told to the
/// [`Recorder`] at the other end of `socket`.
///
/// The thread must have `no_new_privs`, or `CAP_SYS_ADMIN` in its user namespace. Calls wait for
/// the recorder's answer; when it is gone they fail with `ENOSYS`.
///
/// # Errors
/// [`RecordError`].
pub fn record_to(socket: &OwnedFd) -> Result<(), RecordError> {
    let arch = Arch::native();
    let mut handover = Handover::new(socket.as_fd());
    let mut policy = Policy::new(Action::Notify);
    policy.architectures = arch.family().to_vec();
    policy.foreign = Action::Notify;
    // To hand the listener over is a call as well, and nobody could answer it yet.
    policy.rules.push(handover.rule());
    let program = policy.compile(arch)?;
    // So that a signal does not have a call begin anew again and again; from Linux 5.19.
    let listener = match program.load_with_listener(Flags::WAIT_KILLABLE_RECV) {
        Err(LoadError::Unsupported { .. }) => program.load_with_listener(Flags::empty()),
        loaded => loaded,
    }?;
    handover.send(listener).map_err(RecordError::HandOver)
}

/// Takes notes.
#[derive(Debug)]
pub struct Recorder<'a> {
    /// Where listeners come from; none once nobody can send another.
    socket: Option<&'a OwnedFd>,
    listeners: Vec<Listener>,
    calls: BTreeSet<(Arch, u32)>,
}

impl<'a> Recorder<'a> {
    /// One for all who call [`record_to`] with the other end of the socket, a pair of
    /// `SOCK_SEQPACKET`.
    pub fn new(socket: &'a OwnedFd) -> Self {
        Self {
            socket: Some(socket),
            listeners: Vec::new(),
            calls: BTreeSet::new(),
        }
    }

    /// Takes notes until nobody has the other end of the socket any more, and everyone who is
    /// recorded has ended.
    ///
    /// # Errors
    /// [`RecordError::Receive`], [`RecordError::Listen`].
    pub fn run(mut self) -> Result<Recorded, RecordError> {
        while self.socket.is_some() || !self.listeners.is_empty() {
            let (from_socket, ready) = self.wait()?;
            // From the last to the first: those that are done are taken out.
            for (index, ready) in ready.into_iter().enumerate().rev() {
                if ready.contains(PollFlags::IN) {
                    self.take_note(index);
                } else if ready.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
                    self.listeners.swap_remove(index);
                }
            }
            if !from_socket.is_empty() {
                self.take_listener()?;
            }
        }
        Ok(Recorded::new(&self.calls))
    }

    /// What there is to do: at the socket, and at each listener.
    fn wait(&self) -> Result<(PollFlags, Vec<PollFlags>), RecordError> {
        let listeners = self.listeners.iter().map(AsFd::as_fd);
        let descriptors = listeners.chain(self.socket.map(AsFd::as_fd));
        let mut waited: Vec<_> = descriptors
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        retry_on_intr(|| poll(&mut waited, None)).map_err(|source| RecordError::Receive {
            operation: "wait for system calls",
            source,
        })?;
        let mut ready: Vec<_> = waited.iter().map(PollFd::revents).collect();
        let from_socket = match self.socket {
            Some(_) => ready.pop().unwrap_or(PollFlags::empty()),
            None => PollFlags::empty(),
        };
        Ok((from_socket, ready))
    }

    /// Notes one call, and lets it go on. A caller that was killed meanwhile is no error.
    fn take_note(&mut self, index: usize) {
        let Some(listener) = self.listeners.get(index) else {
            return;
        };
        if let Ok(Some(Notification { id, call, .. })) = listener.receive() {
            self.calls
                .extend(call.arch().map(|arch| (arch, call.number)));
            let _ = listener.answer(id, Answer::Continue);
        }
    }

    fn take_listener(&mut self) -> Result<(), RecordError> {
        let Some(socket) = self.socket else {
            return Ok(());
        };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let received = retry_on_intr(|| {
            let mut data = [IoSliceMut::new(&mut byte)];
            recvmsg(socket, &mut data, &mut control, RecvFlags::CMSG_CLOEXEC)
        });
        let received = received.map_err(|source| RecordError::Receive {
            operation: "receive a listener",
            source,
        })?;
        if received.bytes == 0 {
            self.socket = None;
        }
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(listeners) = message {
                for listener in listeners {
                    self.listeners.push(Listener::from_fd(listener)?);
                }
            }
        }
        Ok(())
    }
}
