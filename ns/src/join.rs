//! Entering the namespaces of a running process.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use crate::{Error, Handle, Namespace, Namespaces, pidfd};

/// Moves the calling process into namespaces of the process behind `pidfd`: all of them in
/// one `setns(2)` call, which takes all or none.
///
/// [`Namespaces::PID`] counts for later children only; see
/// [`clone3_in_pid_namespace_of`](crate::clone3_in_pid_namespace_of).
///
/// Joining another user namespace gives every capability in it but changes no id: a host root
/// stays an unmapped user until it calls
/// [`privileges::set_user`](crate::privileges::set_user). The caller must have one thread.
///
/// Kernels before 5.8 do not take a pidfd, and none takes the user namespace that the caller
/// is in already: then the namespaces are joined one by one from `/proc/PID/ns`, those that
/// are the same left out. A failure may then come when some have been joined.
///
/// # Errors
/// [`Error::Join`]: `ESRCH` when the process has gone, `EPERM` without `CAP_SYS_ADMIN` where
/// it is needed; [`Error::OpenNamespace`] and [`Error::Enter`] when joining one by one.
pub fn join(pidfd: BorrowedFd<'_>, namespaces: Namespaces) -> Result<(), Error> {
    match join_at_once(pidfd, namespaces) {
        Err(Error::Join {
            source: Errno::INVAL,
            ..
        }) => join_one_by_one(pidfd, namespaces),
        result => result,
    }
}

fn join_at_once(pidfd: BorrowedFd<'_>, namespaces: Namespaces) -> Result<(), Error> {
    // The bits of both types are the kernel's.
    let kinds = ThreadNameSpaceType::from_bits_retain(namespaces.bits());
    move_into_thread_name_spaces(pidfd, kinds).map_err(|source| Error::Join { namespaces, source })
}

fn join_one_by_one(pidfd: BorrowedFd<'_>, namespaces: Namespaces) -> Result<(), Error> {
    let pid = pidfd::pid(pidfd)?;
    let mut user = None;
    let mut others = Vec::new();
    for kind in namespaces.kinds() {
        let theirs = Handle::open(pid, kind)?;
        if theirs.same_as(&Handle::current(kind)?) {
            continue;
        }
        match kind {
            Namespace::User => user = Some(theirs),
            _ => others.push(theirs),
        }
    }
    // The pid may have been reused while we opened its files, but not if the process behind
    // the pidfd still has it.
    pidfd::pid(pidfd)?;

    // Root keeps its rights over namespaces of any owner by entering the user namespace
    // last; anyone else gets rights over the others only by entering it first.
    for handle in &others {
        match (handle.enter(), user.as_ref()) {
            (
                Err(Error::Enter {
                    source: Errno::PERM,
                    ..
                }),
                Some(namespace),
            ) => {
                namespace.enter()?;
                user = None;
                handle.enter()?;
            }
            (result, _) => result?,
        }
    }
    user.map_or(Ok(()), |namespace| namespace.enter())
}

/// Has later children of the caller made in the pid namespace of the process behind `pidfd`.
/// The caller itself stays where it is.
///
/// # Errors
/// As for [`join`]. `EINVAL` when that namespace is not below the caller's own.
pub fn enter_pid_namespace_for_children(pidfd: BorrowedFd<'_>) -> Result<(), Error> {
    join(pidfd, Namespaces::PID)
}

/// The pid namespace in which the caller's children are made, kept to come back to it.
#[derive(Debug)]
pub struct PidNamespace(Handle);

impl PidNamespace {
    /// That of now.
    ///
    /// # Errors
    /// [`Error::OpenNamespace`].
    pub fn current() -> Result<Self, Error> {
        // Not `ns/pid`, which is where the caller lives and may be another one.
        Handle::open_path("/proc/self/ns/pid_for_children", Namespace::Pid).map(Self)
    }

    /// Has later children of the caller made in it.
    ///
    /// # Errors
    /// [`Error::Enter`].
    pub fn use_for_children(&self) -> Result<(), Error> {
        self.0.enter()
    }
}

impl AsFd for PidNamespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
