//! How a process gives the listener of its own filter away, when that filter has every call wait.

use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};

use rustix::io::Errno;

use super::sys::{Message, sendmsg};
use crate::{Action, Condition, Listener, Rule};

/// A `sendmsg(2)` that is made ready before the filter is loaded, and that the filter lets pass: by
/// its socket, the address of its message, and its flags. No program that is executed later has
/// a message of its own at that address with those flags on that descriptor, but by intent; and
/// who has the intent gains a call that is not noted.
pub(super) struct Handover<'a> {
    socket: BorrowedFd<'a>,
    message: Box<Message>,
}

/// What nobody else asks `sendmsg` for, and a local socket takes no notice of.
const FLAGS: i32 = libc::MSG_NOSIGNAL | libc::MSG_MORE | libc::MSG_DONTROUTE;

impl<'a> Handover<'a> {
    pub(super) fn new(socket: BorrowedFd<'a>) -> Self {
        Self {
            socket,
            message: Box::new(Message::new()),
        }
    }

    /// Lets the handing over pass.
    pub(super) fn rule(&mut self) -> Rule {
        const { assert!(size_of::<usize>() <= size_of::<u64>()) };
        Rule::new(["sendmsg"], Action::Allow)
            .when(Condition::equal(0, self.socket.as_raw_fd() as u64))
            .when(Condition::equal(1, self.message.address() as u64))
            .when(Condition::equal(2, FLAGS as u64))
    }

    /// Hands over. Not a call more than that: each would wait for an answer of who is only now
    /// told where to listen. Afterwards this process's own descriptor stays open until `execve`.
    pub(super) fn send(mut self, listener: Listener) -> Result<(), Errno> {
        let listener = OwnedFd::from(listener).into_raw_fd();
        sendmsg(self.socket, &mut self.message, listener, FLAGS)
    }
}
