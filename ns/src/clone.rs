//! A new process in new namespaces, by one `clone3(2)`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::process::Pid;

use crate::join::{PidNamespace, enter_pid_namespace_for_children};
use crate::{Error, Namespaces, Signal, pidfd, sys};

/// What the new process gets that its parent has not.
#[derive(Debug, Clone, Copy, Default)]
pub struct CloneArgs<'a> {
    /// Namespaces to create. All others are the parent's.
    ///
    /// A time namespace made here has no offsets and can get none any more, since its first
    /// process lives in it at once; see [`unshare_time`](crate::unshare_time) for those.
    pub namespaces: Namespaces,
    /// Directory of a cgroup v2 to start in (`CLONE_INTO_CGROUP`, Linux 5.7): the process
    /// never runs outside of its limits.
    pub cgroup: Option<BorrowedFd<'a>>,
}

/// Which side of [`clone3`] this is.
#[derive(Debug)]
pub enum Forked {
    /// The caller.
    Parent(Child),
    /// The new process, a copy of the caller at the moment of the call.
    Child,
}

/// The new process as its parent knows it.
#[derive(Debug)]
pub struct Child {
    /// Its process id in the caller's pid namespace.
    pub pid: Pid,
    /// A descriptor of it, readable when it has ended; close-on-exec.
    pub pidfd: OwnedFd,
}

/// Creates a process in new namespaces, in the manner of `fork(2)`; see `clone(2)`.
///
/// The child has a copy of the memory and of the descriptors, `SIGCHLD` as its exit signal,
/// and default actions for all signals that the parent handles; ignored and blocked ones stay
/// so. It must end in `execve` or [`exit_child`], never by returning from `main`, which would
/// flush and tidy up what belongs to the parent. `pthread_atfork(3)` handlers do not run.
///
/// Needs Linux 5.5.
///
/// # Safety
/// Either the calling process has a single thread, or the child makes async-signal-safe
/// calls only (no allocation, no locks, no `std` streams): a lock held by another thread at
/// the moment of the call stays locked in the child for ever.
///
/// # Errors
/// [`Error::Clone`].
pub unsafe fn clone3(args: &CloneArgs<'_>) -> Result<Forked, Error> {
    // SAFETY: the contract is the same.
    let child = unsafe { sys::clone3(u64::from(args.namespaces.bits()), args.cgroup) };
    match child {
        Ok(Some((pid, pidfd))) => Ok(Forked::Parent(Child { pid, pidfd })),
        Ok(None) => Ok(Forked::Child),
        Err(source) => Err(Error::Clone {
            namespaces: args.namespaces,
            source,
        }),
    }
}

/// As [`clone3`], with the child in the pid namespace of the process behind `target`, as
/// needed to start one more process in a running container: a process cannot move itself
/// into another pid namespace, only its children. One clone, and the caller is back in its
/// own pid namespace afterwards, also when cloning failed.
///
/// # Safety
/// As for [`clone3`].
///
/// # Errors
/// [`Error::OpenNamespace`], [`Error::Enter`] or [`Error::Clone`]; no process is left.
pub unsafe fn clone3_in_pid_namespace_of(
    target: BorrowedFd<'_>,
    args: &CloneArgs<'_>,
) -> Result<Forked, Error> {
    let own = PidNamespace::current()?;
    enter_pid_namespace_for_children(target)?;
    // SAFETY: the contract is the same.
    let forked = unsafe { clone3(args) };
    if let Ok(Forked::Child) = forked {
        return forked;
    }
    let restored = own.use_for_children();
    match (forked, restored) {
        (Ok(Forked::Parent(child)), Err(error)) => {
            // Already an error; a child that nobody knows of must not stay.
            let _ = pidfd::send_signal(child.pidfd.as_fd(), Signal::KILL);
            let _ = pidfd::wait(child.pidfd.as_fd());
            Err(error)
        }
        (forked, _) => forked,
    }
}

/// Ends a cloned child without `exit(3)` handlers, which belong to the parent; see `_exit(2)`.
pub fn exit_child(code: i32) -> ! {
    sys::exit_immediately(code)
}
