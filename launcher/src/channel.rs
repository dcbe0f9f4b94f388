//! The one socketpair between a launch and its child: go-ahead bytes one way, news the other.
//!
//! Packets keep their borders (`SOCK_SEQPACKET`), so that each message is one system call. The
//! child's end is closed by `execve`: end of file on the parent's end means that the program
//! runs, and on the child's end that the parent died.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use crate::error::{Error, Failure};

/// A failure's text is cut to so many bytes: more than any path and cause.
const MAX_TEXT: usize = 8 * 1024;

/// One packet holds a failure: a byte of text is at most six of JSON.
const MAX_PACKET: usize = 6 * MAX_TEXT + 1024;

/// So many descriptors can go with one go-ahead: more than cgroup v1 has hierarchies.
pub const MAX_PASSED: usize = 16;

/// What the child says.
#[derive(Debug)]
pub(crate) enum News {
    /// Everything is set up: the child waits for the start.
    Ready,
    /// The child made a pseudo-terminal; this is its master.
    Terminal(OwnedFd),
    /// A step failed; the child is gone.
    Failed(Failure),
    /// End of file: the program runs, or the child died without a word.
    Closed,
}

/// What the parent says.
#[derive(Debug)]
pub(crate) enum GoAhead {
    /// Go on, with the descriptors that were passed for the stage.
    With(Vec<OwnedFd>),
    /// End of file: there is nobody left to go on for.
    ParentGone,
}

/// Whether the other end could take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    Done,
    /// It was closed before.
    Gone,
}

/// One end of the channel.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

impl Channel {
    /// Makes both ends: the parent's and the child's.
    pub(crate) fn pair() -> Result<(Self, Self), Error> {
        let (parent, child) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(|source| Error::Channel {
            operation: "socketpair",
            source,
        })?;
        Ok((Self(parent), Self(child)))
    }

    /// Tells the child to go on, with the descriptors that are for it. A child that is gone is
    /// no error: what it last said, or its status, tells more.
    pub(crate) fn go_ahead(&self, fds: &[BorrowedFd<'_>]) -> Result<Delivery, Error> {
        self.send(b"G", fds)
    }

    /// Waits for the parent's go-ahead.
    pub(crate) fn wait(&self) -> Result<GoAhead, Error> {
        let mut buffer = [0; 1];
        Ok(match self.receive(&mut buffer)? {
            (1, passed) => GoAhead::With(passed),
            _ => GoAhead::ParentGone,
        })
    }

    pub(crate) fn ready(&self) -> Result<(), Error> {
        self.send(b"R", &[]).map(drop)
    }

    pub(crate) fn terminal(&self, master: BorrowedFd<'_>) -> Result<(), Error> {
        self.send(b"T", &[master]).map(drop)
    }

    pub(crate) fn failed(&self, failure: &Failure) -> Result<(), Error> {
        let mut failure = failure.clone();
        let mut cut = failure.message.len().min(MAX_TEXT);
        while !failure.message.is_char_boundary(cut) {
            cut -= 1;
        }
        failure.message.truncate(cut);
        let mut packet = vec![b'F'];
        if serde_json::to_writer(&mut packet, &failure).is_err() {
            packet.truncate(1);
        }
        self.send(&packet, &[]).map(drop)
    }

    /// Whether the child has said something, or is gone.
    pub(crate) fn has_news(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};

        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        let now = Timespec::default();
        poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
    }

    /// Waits no longer than this for each of the child's messages.
    pub(crate) fn limit_wait(&self, most: Duration) -> Result<(), Error> {
        set_socket_timeout(&self.0, Timeout::Recv, Some(most)).map_err(|source| Error::Channel {
            operation: "setsockopt",
            source,
        })
    }

    /// Waits for the child's next message.
    pub(crate) fn news(&self) -> Result<News, Error> {
        let mut buffer = vec![0; MAX_PACKET];
        let (length, fds) = self.receive(&mut buffer)?;
        Ok(
            match (buffer[..length].split_first(), fds.into_iter().next()) {
                (Some((b'R', _)), _) => News::Ready,
                (Some((b'T', _)), Some(master)) => News::Terminal(master),
                (Some((b'F', text)), _) => {
                    News::Failed(serde_json::from_slice(text).unwrap_or(Failure {
                        stage: "child".into(),
                        message: "the child's report cannot be read".into(),
                        errno: None,
                    }))
                }
                _ => News::Closed,
            },
        )
    }

    fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<Delivery, Error> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_PASSED))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(Error::Channel {
                operation: "send",
                source: Errno::TOOBIG,
            });
        }
        match sendmsg(
            &self.0,
            &[IoSlice::new(bytes)],
            &mut control,
            SendFlags::NOSIGNAL,
        ) {
            Ok(_) => Ok(Delivery::Done),
            Err(Errno::PIPE | Errno::CONNRESET) => Ok(Delivery::Gone),
            Err(source) => Err(Error::Channel {
                operation: "send",
                source,
            }),
        }
    }

    fn receive(&self, buffer: &mut [u8]) -> Result<(usize, Vec<OwnedFd>), Error> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_PASSED))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let length = loop {
            let mut io = [IoSliceMut::new(buffer)];
            match recvmsg(&self.0, &mut io, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Ok(message) => break message.bytes,
                // The other end was closed with go-aheads that it had not read. The kernel says
                // so once, and before it gives out what that end had sent: read on.
                Err(Errno::INTR | Errno::CONNRESET) => {}
                Err(Errno::AGAIN) => return Err(Error::ChildSilent),
                Err(source) => {
                    return Err(Error::Channel {
                        operation: "receive",
                        source,
                    });
                }
            }
        };
        let mut received = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                received.extend(fds);
            }
        }
        Ok((length, received))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
