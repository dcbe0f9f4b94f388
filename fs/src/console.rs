//! `/dev/console` of a container with a terminal.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::OpenTreeFlags;

use crate::Error;
use crate::detached::attach;
use crate::detached::clone_tree;
use crate::error::{Operation, at};
use crate::mount::TargetKind;
use crate::resolve::mount_point;

/// Mounts the terminal `pts` (`/dev/pts/0`) of the container's own devpts as its
/// `/dev/console`, in the child after [`enter`](crate::enter): `console(4)` is where many
/// programs, among them init systems, write.
///
/// # Errors
/// [`Error::System`] naming the terminal or `/dev/console`.
pub fn mount_console(pts: &Path) -> Result<(), Error> {
    let console = Path::new("/dev/console");
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, "/", flags, Mode::empty()).map_err(at(Operation::Open, "/"))?;
    let terminal = clone_tree(pts, OpenTreeFlags::AT_SYMLINK_NOFOLLOW)?;
    let target = mount_point(root.as_fd(), console, TargetKind::File)?;
    attach(terminal.as_fd(), target.as_fd()).map_err(at(Operation::Attach, console))
}
