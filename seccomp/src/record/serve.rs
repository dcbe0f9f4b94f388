//! The loop of who answers.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::RecordError;
use crate::{Answer, Listener, Notification};

/// Answers every call of all whose listeners come over `socket`, until nobody can send another and
/// all who were sent are done.
pub(super) fn serve(
    socket: &OwnedFd,
    mut answer: impl FnMut(&Listener, &Notification) -> Answer,
) -> Result<(), RecordError> {
    let mut socket = Some(socket);
    let mut listeners: Vec<Listener> = Vec::new();
    while socket.is_some() || !listeners.is_empty() {
        let (at_socket, at_listeners) = wait(socket, &listeners)?;
        // From the last to the first: those that are done are taken out.
        for (index, ready) in at_listeners.into_iter().enumerate().rev() {
            if !ready.contains(PollFlags::IN) {
                if ready.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
                    listeners.swap_remove(index);
                }
                continue;
            }
            let Some(listener) = listeners.get(index) else {
                continue;
            };
            // A caller that was killed meanwhile is no error.
            if let Ok(Some(notification)) = listener.receive() {
                let answer = answer(listener, &notification);
                let _ = listener.answer(notification.id, answer);
            }
        }
        if let Some(open) = socket.filter(|_| !at_socket.is_empty()) {
            match receive(open)? {
                Received::Listeners(more) => listeners.extend(more),
                Received::End => socket = None,
            }
        }
    }
    Ok(())
}

fn failed(operation: &'static str) -> impl Fn(rustix::io::Errno) -> RecordError {
    move |source| RecordError::Receive { operation, source }
}

/// What there is to do: at the socket, and at each listener.
fn wait(
    socket: Option<&OwnedFd>,
    listeners: &[Listener],
) -> Result<(PollFlags, Vec<PollFlags>), RecordError> {
    let descriptors = { listeners.iter().map(AsFd::as_fd) }.chain(socket.map(AsFd::as_fd));
    let mut waited: Vec<_> = descriptors
        .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
        .collect();
    retry_on_intr(|| poll(&mut waited, None)).map_err(failed("wait for system calls"))?;
    let mut ready: Vec<_> = waited.iter().map(PollFd::revents).collect();
    let at_socket = socket.and_then(|_| ready.pop());
    Ok((at_socket.unwrap_or(PollFlags::empty()), ready))
}

enum Received {
    Listeners(Vec<Listener>),
    /// Nobody has the other end any more.
    End,
}

fn receive(socket: &OwnedFd) -> Result<Received, RecordError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let received = retry_on_intr(|| {
        let mut data = [IoSliceMut::new(&mut byte)];
        recvmsg(socket, &mut data, &mut control, RecvFlags::CMSG_CLOEXEC)
    });
    if received.map_err(failed("receive a listener"))?.bytes == 0 {
        return Ok(Received::End);
    }
    let mut listeners = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            for listener in received {
                listeners.push(Listener::from_fd(listener)?);
            }
        }
    }
    Ok(Received::Listeners(listeners))
}
