//! What can go wrong with namespaces and processes.

use std::path::PathBuf;

use rustix::io::Errno;
use rustix::process::Pid;

use crate::{Namespace, Namespaces, Signal};

/// A step that failed and what it was about; the errno, where the kernel gave one, is the
/// [source](std::error::Error::source) and not repeated in the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `clone3(2)` failed.
    #[error("clone a process{}", into_new(*namespaces))]
    Clone {
        /// The namespaces asked for.
        namespaces: Namespaces,
        /// `EPERM`: not allowed to create them; `ENOMEM`: the pid namespace to clone into has
        /// no init any more.
        #[source]
        source: Errno,
    },

    /// `clone3(2)` failed because there are as many namespaces as there may be.
    #[error(
        "clone a process{}: there are as many as a limit in /proc/sys/user allows \
         (most likely max_user_namespaces; `sysctl -w user.max_user_namespaces=N` raises it)",
        into_new(*namespaces)
    )]
    NamespaceLimit {
        /// The namespaces asked for.
        namespaces: Namespaces,
        /// `ENOSPC`.
        #[source]
        source: Errno,
    },

    /// `setns(2)` on a process's namespaces failed.
    #[error("join the namespaces of a process ({namespaces})")]
    Join {
        /// The namespaces to join.
        namespaces: Namespaces,
        /// `ESRCH`: the process has gone; `EPERM`: no right to join.
        #[source]
        source: Errno,
    },

    /// `setns(2)` on one namespace failed.
    #[error("enter {kind} namespace")]
    Enter {
        /// Its kind.
        kind: Namespace,
        /// `EINVAL`: the handle is of another kind, or of our own user namespace.
        #[source]
        source: Errno,
    },

    /// A file of `/proc/PID/ns` cannot be opened.
    #[error("open {}", path.display())]
    OpenNamespace {
        /// The path tried.
        path: PathBuf,
        /// The errno of `open(2)` or `fstat(2)`.
        #[source]
        source: Errno,
    },

    /// What a namespace belongs to cannot be told.
    #[error("find the {what} of a {kind} namespace")]
    NamespaceRelation {
        /// `parent` or `owner`.
        what: &'static str,
        /// The namespace's kind.
        kind: Namespace,
        /// `EPERM`: it is out of the caller's sight.
        #[source]
        source: Errno,
    },

    /// The namespace cannot be bound to a path.
    #[error("keep {kind} namespace at {}", path.display())]
    Persist {
        /// Its kind.
        kind: Namespace,
        /// The file that was to become its handle.
        path: PathBuf,
        /// `EEXIST`: the path exists; `EINVAL`: a mount namespace on a shared mount.
        #[source]
        source: Errno,
    },

    /// A namespace handle cannot be unmounted or deleted.
    #[error("remove namespace handle {}", path.display())]
    RemoveHandle {
        /// The handle's path.
        path: PathBuf,
        /// The errno of `umount2(2)` or `unlink(2)`.
        #[source]
        source: Errno,
    },

    /// The map can never be accepted by the kernel.
    #[error("invalid {kind} map: {reason}")]
    InvalidMap {
        /// `uid` or `gid`.
        kind: &'static str,
        /// What is wrong with it.
        reason: MapDefect,
    },

    /// A map file (`uid_map`, `gid_map`, `setgroups`) cannot be written.
    #[error("write {} of process {}", file, pid.as_raw_nonzero())]
    WriteMap {
        /// The file's name in `/proc/PID`.
        file: &'static str,
        /// The process whose user namespace is mapped.
        pid: Pid,
        /// `EPERM`: no `CAP_SETUID` or `CAP_SETGID` over the parent namespace, or the map
        /// was written before.
        #[source]
        source: Errno,
    },

    /// The caller's own map cannot be read.
    #[error("read /proc/self/{file}")]
    ReadMap {
        /// `uid_map` or `gid_map`.
        file: &'static str,
        /// `EINVAL`: it is not as `user_namespaces(7)` says.
        #[source]
        source: Errno,
    },

    /// `newuidmap` or `newgidmap` cannot be run.
    #[error("run {program}")]
    RunMapHelper {
        /// Which one.
        program: &'static str,
        /// The errno of `execve(2)`.
        #[source]
        source: Errno,
    },

    /// `newuidmap` or `newgidmap` refused the map.
    #[error("{program} refused the map: {message}")]
    MapHelperRefused {
        /// Which one.
        program: &'static str,
        /// What it printed.
        message: String,
    },

    /// `/etc/subuid` or `/etc/subgid` cannot be read.
    #[error("read {}", path.display())]
    ReadSubids {
        /// Which one.
        path: PathBuf,
        /// The errno.
        #[source]
        source: Errno,
    },

    /// The name breaks the rules of RFC 1123 or is longer than the kernel takes.
    #[error("invalid host name {name:?}: {reason}")]
    InvalidHostname {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// `sethostname(2)` failed.
    #[error("set host name {name:?}")]
    SetHostname {
        /// The name.
        name: String,
        /// `EPERM`: no `CAP_SYS_ADMIN` over the UTS namespace.
        #[source]
        source: Errno,
    },

    /// `setdomainname(2)` failed.
    #[error("set domain name {name:?}")]
    SetDomainname {
        /// The name.
        name: String,
        /// `EPERM`: no `CAP_SYS_ADMIN` over the UTS namespace.
        #[source]
        source: Errno,
    },

    /// `unshare(2)` failed.
    #[error("enter new namespaces ({namespaces})")]
    Unshare {
        /// The namespaces asked for.
        namespaces: Namespaces,
        /// `EPERM`: no right to create them; `ENOSPC`: a limit of `/proc/sys/user` is reached.
        #[source]
        source: Errno,
    },

    /// `unshare(CLONE_NEWTIME)` failed.
    #[error("create time namespace")]
    UnshareTime(#[source] Errno),

    /// `/proc/PID/timens_offsets` cannot be written.
    #[error("set clock offsets of process {}", pid.as_raw_nonzero())]
    SetTimeOffsets {
        /// The process.
        pid: Pid,
        /// `EACCES`: a process lives in the namespace already; `ERANGE`: clock would wrap.
        #[source]
        source: Errno,
    },

    /// `pidfd_open(2)` failed.
    #[error("open process {}", pid.as_raw_nonzero())]
    OpenProcess {
        /// The process.
        pid: Pid,
        /// `ESRCH`: no such process.
        #[source]
        source: Errno,
    },

    /// `pidfd_send_signal(2)` failed.
    #[error("send {signal}")]
    SendSignal {
        /// The signal.
        signal: Signal,
        /// `ESRCH`: the process has ended and was reaped.
        #[source]
        source: Errno,
    },

    /// `waitid(P_PIDFD)` failed.
    #[error("wait for process")]
    Wait(#[source] Errno),

    /// The pidfd cannot be asked about its process.
    #[error("read process information from pidfd")]
    ProcessInfo(#[source] Errno),

    /// `/proc/PID/stat` cannot be read or has an unknown form (`EINVAL`).
    #[error("read start time of process {}", pid.as_raw_nonzero())]
    StartTime {
        /// The process.
        pid: Pid,
        /// `ENOENT` or `ESRCH`: no such process.
        #[source]
        source: Errno,
    },
}

fn into_new(namespaces: Namespaces) -> String {
    if namespaces.is_empty() {
        String::new()
    } else {
        format!(" into new namespaces ({namespaces})")
    }
}

/// Why the kernel would reject an id map, see `user_namespaces(7)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapDefect {
    /// A map needs a line.
    #[error("it is empty")]
    Empty,
    /// More than 340 lines, or more text than the kernel takes in its one write.
    #[error("it has more lines than the kernel takes (340, in less than one page of text)")]
    TooLong,
    /// A line of size 0.
    #[error("line {line} maps no id")]
    ZeroSize {
        /// Counted from 1.
        line: usize,
    },
    /// An end beyond 4294967295, which is no id.
    #[error("line {line} ends beyond the last id")]
    Overflow {
        /// Counted from 1.
        line: usize,
    },
    /// Two lines share ids inside or outside.
    #[error("lines {first} and {second} overlap")]
    Overlap {
        /// Counted from 1.
        first: usize,
        /// Counted from 1.
        second: usize,
    },
}
