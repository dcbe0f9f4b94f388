//! A new process in new namespaces, by one `clone3(2)`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;

use crate::join::{PidNamespace, enter_pid_namespace_for_children, join};
use crate::sys::Parent;
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
/// [`Error::Clone`], or [`Error::NamespaceLimit`].
pub unsafe fn clone3(args: &CloneArgs<'_>) -> Result<Forked, Error> {
    // SAFETY: the contract is the same.
    let child = unsafe {
        sys::clone3(
            u64::from(args.namespaces.bits()),
            args.cgroup,
            Parent::Caller,
        )
    };
    match child {
        Ok(Some((pid, pidfd))) => Ok(Forked::Parent(Child { pid, pidfd })),
        Ok(None) => Ok(Forked::Child),
        Err(source) => Err(refused(args.namespaces, source)),
    }
}

fn refused(namespaces: Namespaces, source: Errno) -> Error {
    match source {
        Errno::NOSPC => Error::NamespaceLimit { namespaces, source },
        _ => Error::Clone { namespaces, source },
    }
}

/// As [`clone3`], with the child in the pid namespace of the process behind `target`, as
/// needed to start one more process in a running container: a process cannot move itself
/// into another pid namespace, only its children. One clone, and the caller is back in its
/// own pid namespace afterwards, also when cloning failed. Two, as by [`clone3_joining`], where
/// the caller has no rights over its own pid namespace and so no way back.
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
    if let Err(Error::Enter {
        source: Errno::PERM,
        ..
    }) = own.use_for_children()
    {
        let joined = Joined {
            of: target,
            namespaces: Namespaces::PID,
        };
        // SAFETY: the contract is the same.
        return unsafe { clone3_joining(&[joined], args) };
    }
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

/// Namespaces of a running process for a new one to be born in.
#[derive(Debug, Clone, Copy)]
pub struct Joined<'a> {
    /// The process's pidfd.
    pub of: BorrowedFd<'a>,
    /// Which of its namespaces.
    pub namespaces: Namespaces,
}

/// As [`clone3`], with the child born in namespaces of running processes: what it does not
/// join and [`CloneArgs::namespaces`] does not name is the caller's.
///
/// Namespaces that are made at the clone belong to the user namespace that is joined, as they
/// would to one that is made. The caller cannot enter that one itself, for there is no way
/// back: a helper process does, clones the child as its own sibling, and ends. A user
/// namespace has to be that of the first of `joined` that names one.
///
/// # Safety
/// As for [`clone3`].
///
/// # Errors
/// [`Error::Join`], [`Error::Clone`] or [`Error::OpenProcess`]; no process is left.
pub unsafe fn clone3_joining(joined: &[Joined<'_>], args: &CloneArgs<'_>) -> Result<Forked, Error> {
    let failed = |source| refused(args.namespaces, source);
    let (reading, writing) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
    // SAFETY: the contract is the same.
    let helper = match unsafe { clone3(&CloneArgs::default()) }? {
        Forked::Parent(helper) => helper,
        Forked::Child => {
            // SAFETY: the contract is the same.
            let said = match unsafe { clone_sibling(joined, *args) } {
                Ok(None) => return Ok(Forked::Child),
                Ok(Some(pid)) => Said::Pid(pid),
                Err(said) => said,
            };
            let _ = rustix::io::write(&writing, &said.encode());
            exit_child(0)
        }
    };
    drop(writing);
    let mut message = [0; Said::LENGTH];
    let read = retry_on_intr(|| rustix::io::read(&reading, &mut message));
    pidfd::wait(helper.pidfd.as_fd())?;
    match (read, Said::decode(message)) {
        (Ok(Said::LENGTH), Some(Said::Pid(pid))) => {
            // Our own child, which only we can reap: the number is still its.
            let pidfd = pidfd::open(pid)?;
            Ok(Forked::Parent(Child { pid, pidfd }))
        }
        (Ok(Said::LENGTH), Some(Said::JoinFailed(namespaces, source))) => {
            Err(Error::Join { namespaces, source })
        }
        (Ok(Said::LENGTH), Some(Said::CloneFailed(source))) | (Err(source), _) => {
            Err(failed(source))
        }
        // The helper was killed.
        _ => Err(failed(Errno::CHILD)),
    }
}

/// The helper's part of [`clone3_joining`]: none in the new process.
///
/// # Safety
/// As for [`clone3`].
unsafe fn clone_sibling(joined: &[Joined<'_>], args: CloneArgs<'_>) -> Result<Option<Pid>, Said> {
    for joined in joined {
        join(joined.of, joined.namespaces)
            .map_err(|error| Said::JoinFailed(joined.namespaces, errno_of(&error)))?;
    }
    let namespaces = u64::from(args.namespaces.bits());
    // SAFETY: the contract is the same.
    let cloned = unsafe { sys::clone3(namespaces, args.cgroup, Parent::CallersParent) };
    Ok(cloned.map_err(Said::CloneFailed)?.map(|(pid, _)| pid))
}

/// The kernel's answer behind an error.
fn errno_of(error: &Error) -> Errno {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<Errno>())
        .copied()
        .unwrap_or(Errno::INVAL)
}

/// What the helper of [`clone3_joining`] has to say.
enum Said {
    Pid(Pid),
    JoinFailed(Namespaces, Errno),
    CloneFailed(Errno),
}

impl Said {
    const LENGTH: usize = 9;

    fn encode(&self) -> [u8; Self::LENGTH] {
        let (kind, number, namespaces) = match self {
            Self::Pid(pid) => (b'P', pid.as_raw_nonzero().get(), 0),
            Self::JoinFailed(namespaces, errno) => (b'J', errno.raw_os_error(), namespaces.bits()),
            Self::CloneFailed(errno) => (b'C', errno.raw_os_error(), 0),
        };
        let mut message = [kind; Self::LENGTH];
        message[1..5].copy_from_slice(&number.to_ne_bytes());
        message[5..].copy_from_slice(&namespaces.to_ne_bytes());
        message
    }

    fn decode(message: [u8; Self::LENGTH]) -> Option<Self> {
        let (kind, rest) = message.split_first()?;
        let (number, namespaces) = rest.split_first_chunk()?;
        let number = i32::from_ne_bytes(*number);
        let namespaces = u32::from_ne_bytes(*namespaces.first_chunk()?);
        // Made only of what is one: a pid need not be.
        let errno = || Errno::from_raw_os_error(number);
        match kind {
            b'P' => Pid::from_raw(number).map(Self::Pid),
            b'J' => {
                let namespaces = Namespaces::from_bits_truncate(namespaces);
                Some(Self::JoinFailed(namespaces, errno()))
            }
            b'C' => Some(Self::CloneFailed(errno())),
            _ => None,
        }
    }
}

/// Ends a cloned child without `exit(3)` handlers, which belong to the parent; see `_exit(2)`.
pub fn exit_child(code: i32) -> ! {
    sys::exit_immediately(code)
}
