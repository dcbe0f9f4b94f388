//! `/dev/console` of a container with a terminal.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{CWD, FsWord, Mode, OFlags, fstatfs, openat};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};

use crate::Error;
use crate::detached::attach;
use crate::error::{Operation, at};
use crate::mount::TargetKind;
use crate::resolve::mount_point;

/// `DEVPTS_SUPER_MAGIC` of `linux/magic.h`.
const DEVPTS_SUPER_MAGIC: FsWord = 0x1cd1;

/// Mounts `terminal`, open, of the container's own devpts, as its `/dev/console`, in the child
/// after [`enter`](crate::enter): `console(4)` is where many programs, among them init systems,
/// write.
///
/// By the descriptor and not by a name such as `/dev/pts/0`, in whose place something else could
/// be by now (CVE-2025-52565).
///
/// # Errors
/// [`Error::System`] naming the terminal (`ENOTTY`: it is none of a devpts) or `/dev/console`.
pub fn mount_console(terminal: BorrowedFd<'_>) -> Result<(), Error> {
    let console = Path::new("/dev/console");
    let failed = at(Operation::Open, "the terminal");
    if fstatfs(terminal).map_err(&failed)?.f_type != DEVPTS_SUPER_MAGIC {
        return Err(failed(Errno::NOTTY));
    }
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    let terminal = open_tree(terminal, c"", flags).map_err(failed)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, "/", flags, Mode::empty()).map_err(at(Operation::Open, "/"))?;
    let target = mount_point(root.as_fd(), console, TargetKind::File)?;
    attach(terminal.as_fd(), target.as_fd()).map_err(at(Operation::Attach, console))
}
