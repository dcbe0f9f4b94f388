//! How a new process gets into its group.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::io;

use crate::error::Error;
use crate::path::CgroupPath;

/// Descriptors through which a process moves **itself** into a group.
///
/// Made by the parent ([`crate::Cgroup::entrance`]), used by the child after the clone and
/// before it has threads. The kernel checks the rights of whoever opened the files, so the
/// child may already be in another user namespace, or be nobody.
///
/// Why not simply have the parent write the child's number: a write of a foreign process
/// to `cgroup.procs` takes a system-wide lock against forks, and the first such write
/// waits for an RCU grace period, while further ones within the next moments are free. A
/// single thread that moves itself through v1's `tasks` file (writing `0`) needs no lock
/// at all since Linux 5.5. So the cost is in the first foreign write and hardly in the
/// number of hierarchies: done by the parent, joining is the most expensive step of a
/// launch, done by the child one of the cheapest (and what is left is making and removing
/// the directories, the memory hierarchy's most of all).
///
/// v2 has no such file across groups, and does not need one: use
/// [`crate::Cgroup::clone_into`], and this only where the kernel is older than 5.7.
#[derive(Debug)]
pub struct Entrance {
    pub(crate) files: Vec<(OwnedFd, PathBuf)>,
}

impl Entrance {
    /// The descriptors, to be sent to a child that was cloned before they were made.
    pub fn into_descriptors(self) -> impl Iterator<Item = OwnedFd> {
        self.files.into_iter().map(|(file, _)| file)
    }

    /// What [`Self::into_descriptors`] has given, in the child. `path` is for the message.
    pub fn from_descriptors(fds: impl IntoIterator<Item = OwnedFd>, path: &CgroupPath) -> Self {
        let named = |fd| (fd, PathBuf::from(path.as_str()));
        Self {
            files: fds.into_iter().map(named).collect(),
        }
    }

    /// Moves the calling, single-threaded process into the group. The child of a
    /// `CLONE_NEWCGROUP` clone sees the group as its root only if it unshares the cgroup
    /// namespace after this.
    ///
    /// # Errors
    /// [`Error::Enter`].
    pub fn enter(&self) -> Result<(), Error> {
        for (file, path) in &self.files {
            io::write(file, b"0").map_err(|source| Error::Enter {
                path: path.clone(),
                source,
            })?;
        }
        Ok(())
    }
}
