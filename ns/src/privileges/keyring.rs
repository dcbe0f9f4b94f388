//! The session keyring, see `session-keyring(7)`.

use rustix::io::Errno;

use super::Error;
use crate::sys;

/// Whether a process has a session keyring of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKeyring {
    /// It has a new, empty one.
    Own,
    /// It has the one of its parent: this kernel has no keyrings, or keeps them from this
    /// process.
    Inherited,
}

/// Gives the process an empty session keyring in the place of its parent's, whose keys it could
/// use otherwise: a new user namespace alone does not take them away.
///
/// It has no name, so nobody can join it. To be called as the container's own user: the kernel
/// counts its memory for that user.
///
/// # Errors
/// [`Error::SessionKeyring`]: `EDQUOT` when the user has as many keys as it may. That the kernel
/// has no keyrings (`ENOSYS`), or a filter around this process denies them, is no error.
pub fn new_session_keyring() -> Result<SessionKeyring, Error> {
    match sys::join_new_session_keyring() {
        Ok(()) => Ok(SessionKeyring::Own),
        Err(Errno::NOSYS | Errno::PERM | Errno::ACCESS) => Ok(SessionKeyring::Inherited),
        Err(source) => Err(Error::SessionKeyring(source)),
    }
}
