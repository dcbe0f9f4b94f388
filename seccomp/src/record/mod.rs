//! Notes of what a workload calls, or of what it is refused, by user notification: see
//! `seccomp_unotify(2)`.
//!
//! Two processes take part. One, which is about to execute the workload, calls [`record_to`] or
//! [`watch_to`]: it loads a filter that has calls wait for an answer, and hands the filter's
//! listener over. The other, a [`Recorder`] or a [`Watcher`], answers. It must be a process of its
//! own: whoever waits for the first would wait for ever.

mod handover;
mod recorded;
mod serve;
mod sys;
mod watch;

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;

pub use recorded::Recorded;
pub use watch::{Refusal, Watcher, watch_to};

use crate::{Action, Answer, Arch, Flags, ListenError, Listener, LoadError, Policy, Program};
use handover::Handover;

/// What can go wrong on either side.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The filter cannot be made.
    #[error("compile the filter that asks")]
    Compile(#[from] crate::CompileError),
    /// The filter cannot be loaded.
    #[error("load the filter that asks")]
    Load(#[from] LoadError),
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
/// the recorder's answer; when it is gone they fail with `ENOSYS`. When it is gone before it could
/// be told where to listen, the process ends, with the status 125: it can call nothing any more.
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
    policy.rules.extend(handover.rules());
    let listener = load(&policy.compile(arch)?, Flags::empty())?;
    handover.send(listener);
    Ok(())
}

/// Loads a filter that asks.
fn load(program: &Program, flags: Flags) -> Result<Listener, LoadError> {
    // So that a signal does not have a call begin anew again and again; from Linux 5.19.
    match program.load_with_listener(flags | Flags::WAIT_KILLABLE_RECV) {
        Err(LoadError::Unsupported { .. }) => {
            program.load_with_listener(flags - Flags::WAIT_KILLABLE_RECV)
        }
        loaded => loaded,
    }
}

/// Takes notes of what is called, and lets it be called.
#[derive(Debug)]
pub struct Recorder<'a> {
    socket: &'a OwnedFd,
}

impl<'a> Recorder<'a> {
    /// One for all who call [`record_to`] with the other end of the socket, a pair of
    /// `SOCK_SEQPACKET`.
    pub fn new(socket: &'a OwnedFd) -> Self {
        Self { socket }
    }

    /// Takes notes until nobody has the other end of the socket any more, and everyone who is
    /// recorded has ended.
    ///
    /// # Errors
    /// [`RecordError::Receive`], [`RecordError::Listen`].
    pub fn run(self) -> Result<Recorded, RecordError> {
        let mut calls = BTreeSet::new();
        serve::serve(self.socket, |_, notification| {
            let call = notification.call;
            calls.extend(call.arch().map(|arch| (arch, call.number)));
            Answer::Continue
        })?;
        Ok(Recorded::new(&calls))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BuiltIn, Capabilities, Context, Filtered, KernelVersion};

    /// How a process ends that does this with a socket whose other end nobody has.
    fn ends_with(work: fn(&OwnedFd) -> Result<(), RecordError>) -> i32 {
        let (ours, theirs) = rustix::net::socketpair(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::SEQPACKET,
            rustix::net::SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        drop(theirs);
        // SAFETY: the child works with a heap of which glibc takes care at a fork, and leaves by
        // `_exit`, if it was not ended before.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let failed = rustix::thread::set_no_new_privs(true).is_err() || work(&ours).is_err();
            // SAFETY: takes a number and does not return.
            unsafe { libc::_exit(if failed { 1 } else { 2 }) };
        }
        let mut status = 0;
        // SAFETY: `status` is ours to be written.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        status
    }

    #[test]
    fn whose_overseer_is_gone_ends_and_does_not_wait_for_ever() {
        let recorded = ends_with(record_to);
        assert_eq!(libc::WEXITSTATUS(recorded), 125, "{recorded:#x}");
        let watched = ends_with(|socket| {
            let context = Context {
                arch: Arch::native(),
                capabilities: Capabilities::NONE,
                kernel: KernelVersion::running(),
            };
            // One that refuses even to end.
            let mut policy = BuiltIn::Strict.policy(&context);
            let rule = crate::Rule::new(["exit_group", "sendmsg"], Action::Errno(1));
            policy.rules.insert(0, rule);
            let filtered = Filtered {
                profile: "strict".into(),
                flags: policy.flags,
                program: policy.compile(context.arch)?,
            };
            watch_to(socket, &filtered)
        });
        assert_eq!(libc::WEXITSTATUS(watched), 125, "{watched:#x}");
    }
}
