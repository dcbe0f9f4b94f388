//! Owner, mode, time and extended attributes of an entry.

use std::ffi::{CString, OsStr};
use std::os::fd::BorrowedFd;

use rustix::fs::{Timespec, fgetxattr, flistxattr};
use rustix::io::Errno;

/// The largest value and the longest list of names that Linux has (`XATTR_SIZE_MAX`,
/// `XATTR_LIST_MAX`).
const XATTR_MAX: usize = 64 << 10;

/// What an entry has besides its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meta {
    /// Permission bits with set-user-id, set-group-id and sticky.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: Timespec,
    /// Only those of [`kept_xattr`].
    pub(crate) xattrs: Vec<(CString, Vec<u8>)>,
}

impl Meta {
    /// Of the superuser, from the beginning of time: what Coop makes itself is the same
    /// each time.
    pub(crate) fn root(mode: u32) -> Self {
        let mtime = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        Self {
            mode,
            uid: 0,
            gid: 0,
            mtime,
            xattrs: Vec::new(),
        }
    }
}

/// Whether an extended attribute belongs to an image.
///
/// `trusted.overlay.*` and `user.overlay.*` would steer overlay itself (redirects into
/// other directories of a layer), `security.selinux` and the like are the host's policy.
pub(crate) fn kept_xattr(name: &[u8]) -> bool {
    name == b"security.capability"
        || name == b"system.posix_acl_access"
        || name == b"system.posix_acl_default"
        || (name.starts_with(b"user.") && !name.starts_with(b"user.overlay."))
}

/// The extended attributes of a file that an image keeps, sorted by name.
pub(crate) fn read_xattrs(file: BorrowedFd<'_>) -> Result<Vec<(CString, Vec<u8>)>, Errno> {
    let mut names = vec![0_u8; XATTR_MAX];
    let length = match flistxattr(file, names.as_mut_slice()) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => 0,
        Err(errno) => return Err(errno),
    };
    names.truncate(length);
    let mut xattrs = Vec::new();
    for name in names
        .split(|&byte| byte == 0)
        .filter(|name| kept_xattr(name))
    {
        let Ok(name) = CString::new(name) else {
            continue;
        };
        let mut value = vec![0; XATTR_MAX];
        match fgetxattr(file, &name, value.as_mut_slice()) {
            Ok(length) => value.truncate(length),
            // Gone in between.
            Err(Errno::NODATA) => continue,
            Err(errno) => return Err(errno),
        }
        xattrs.push((name, value));
    }
    xattrs.sort();
    Ok(xattrs)
}

/// For messages.
pub(crate) fn xattr_name(name: &CString) -> &OsStr {
    use std::os::unix::ffi::OsStrExt as _;
    OsStr::from_bytes(name.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_that_steer_overlay_or_the_hosts_policy_are_dropped() {
        assert!(kept_xattr(b"security.capability"));
        assert!(kept_xattr(b"user.mime_type"));
        for dropped in [
            "trusted.overlay.redirect",
            "user.overlay.metacopy",
            "security.selinux",
            "trusted.x",
        ] {
            assert!(!kept_xattr(dropped.as_bytes()), "{dropped}");
        }
    }
}
