//! Landlock: a process gives up files for itself and all its children, see `landlock(7)`.
//!
//! What is not allowed by a rule is denied, whatever the process's user and capabilities: a
//! second wall, which does not depend on who owns a file.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::Error;
use crate::sys;

/// The version that is needed (Linux 6.2). Before it a file that may only be read could still be
/// cut to nothing by `truncate(2)`. Later versions add rights over what is no file.
pub const LANDLOCK_VERSION: u32 = 3;

/// What a path may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LandlockAccess {
    /// Reading files, listing directories.
    Read,
    /// Reading, and writing, making, renaming and removing files.
    Write,
    /// Reading, and executing programs.
    Execute,
}

// The rights of `linux/landlock.h`, up to version 3.
const EXECUTE: u64 = 1;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
const ALL: u64 = (1 << 15) - 1;

/// Those that have a meaning for what is no directory; the kernel refuses the others there.
const OF_A_FILE: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE;

impl LandlockAccess {
    const fn rights(self) -> u64 {
        match self {
            Self::Read => READ_FILE | READ_DIR,
            Self::Write => ALL & !EXECUTE,
            // To execute a file is to open it for reading, too.
            Self::Execute => EXECUTE | READ_FILE | READ_DIR,
        }
    }
}

/// Rules that do not hold for anyone yet.
#[derive(Debug)]
pub struct Landlock {
    ruleset: OwnedFd,
}

impl Landlock {
    /// Rules that allow nothing.
    ///
    /// # Errors
    /// [`Error::LandlockUnsupported`] when the kernel is too old or Landlock is off: rules that
    /// it cannot enforce are not left out. [`Error::Landlock`].
    pub fn new() -> Result<Self, Error> {
        Self::about(ALL, LANDLOCK_VERSION)
    }

    /// Rules by which no program is executed but those below `root`; of anything else they say
    /// nothing. What is reached by a link of the kernel's, such as `/proc/self/exe` of a launcher
    /// that came from elsewhere, is not below (CVE-2019-5736).
    ///
    /// # Errors
    /// As [`Landlock::new`], but Linux 5.19 will do.
    pub fn executing_below(root: BorrowedFd<'_>) -> Result<Self, Error> {
        // Without a word about it, moving files from one directory to another is denied.
        let rules = Self::about(EXECUTE | REFER, 2)?;
        sys::landlock_allow_beneath(rules.ruleset.as_fd(), root, EXECUTE | REFER)
            .map_err(failed("add a rule"))?;
        Ok(rules)
    }

    fn about(rights: u64, needed: u32) -> Result<Self, Error> {
        let unsupported = |found| Err(Error::LandlockUnsupported { needed, found });
        match sys::landlock_version() {
            Ok(version) if version >= needed => {}
            Ok(found) => return unsupported(found),
            // Not built in, or not among the security modules that were chosen at boot.
            Err(Errno::NOSYS | Errno::OPNOTSUPP) => return unsupported(0),
            Err(source) => return Err(failed("ask for the version")(source)),
        }
        let ruleset = sys::landlock_create_ruleset(rights).map_err(failed("make rules"))?;
        Ok(Self { ruleset })
    }

    /// Allows the use of a file, or of a directory with all that is below it. Rules add up.
    ///
    /// `path` may have been opened with `O_PATH`.
    ///
    /// # Errors
    /// [`Error::Landlock`].
    pub fn allow(&self, path: BorrowedFd<'_>, access: LandlockAccess) -> Result<(), Error> {
        let stat = fstat(path).map_err(failed("look at a path"))?;
        let rights = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => access.rights(),
            _ => access.rights() & OF_A_FILE,
        };
        sys::landlock_allow_beneath(self.ruleset.as_fd(), path, rights)
            .map_err(failed("add a rule"))
    }

    /// Puts the rules into force, for good. Needs `no_new_privs` or `CAP_SYS_ADMIN`.
    ///
    /// # Errors
    /// [`Error::Landlock`]: `EPERM` without either.
    pub fn restrict(self) -> Result<(), Error> {
        sys::landlock_restrict_self(self.ruleset.as_fd())
            .map_err(failed("put the rules into force"))
    }
}

fn failed(operation: &'static str) -> impl Fn(Errno) -> Error {
    move |source| Error::Landlock { operation, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_access_has_reading_and_none_but_its_own_further_rights() {
        for access in [
            LandlockAccess::Read,
            LandlockAccess::Write,
            LandlockAccess::Execute,
        ] {
            let reading = READ_FILE | READ_DIR;
            assert_eq!(access.rights() & reading, reading, "{access:?}");
        }
        assert_eq!(LandlockAccess::Read.rights() & (WRITE_FILE | TRUNCATE), 0);
        assert_eq!(LandlockAccess::Write.rights() & EXECUTE, 0);
        assert_eq!(LandlockAccess::Execute.rights() & WRITE_FILE, 0);
        // FILE, and REFER and TRUNCATE of versions 2 and 3.
        assert_eq!(ALL.count_ones(), 15);
    }
}
