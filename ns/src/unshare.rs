//! New namespaces for the calling process itself.

use crate::{Error, Namespaces, sys};

/// Moves the calling process into new namespaces, see `unshare(2)`.
///
/// Most namespaces are made at the clone, by [`clone3`](crate::clone3). This is for those that
/// depend on what the process has done since: a cgroup namespace has its root where the
/// process is when it makes it.
///
/// [`Namespaces::PID`] and [`Namespaces::TIME`] count for later children only.
/// [`Namespaces::USER`] needs a caller with one thread.
///
/// # Errors
/// [`Error::Unshare`]: `EPERM` without `CAP_SYS_ADMIN`, `EINVAL` without kernel support or
/// with several threads, `ENOSPC` at a limit of `/proc/sys/user`.
pub fn unshare(namespaces: Namespaces) -> Result<(), Error> {
    sys::unshare(namespaces).map_err(|source| Error::Unshare { namespaces, source })
}
