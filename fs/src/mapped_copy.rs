//! An image's files copied for a container's ids, for kernels that cannot id-map the image.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, mkdirat};
use rustix::mount::OpenTreeFlags;

use crate::copy::{Owners, copy_tree};
use crate::detached::{clone_tree, open_dir};
use crate::error::{Operation, at, errno_of};
use crate::overlay::merge_readonly;
use crate::remove::remove_tree;
use crate::{Error, Overlay};

/// Whom a file belongs to whose owner is no id of the container: `nobody`, in it as well.
const NOBODY: u32 = 65_534;

/// The same overlay with one layer in place of the image's: a copy in the directory `copy`, of
/// which every file belongs to the ids of the host that the closures tell.
///
/// The copy is made once, all of it or nothing, and found again at the next call. It takes the
/// time and the room of the image.
///
/// # Errors
/// [`Error::System`] and those of the image's own overlay; nothing is left at `copy` then.
pub fn copy_for_ids(
    overlay: &Overlay,
    copy: &Path,
    host_uid: impl Fn(u32) -> Option<u32>,
    host_gid: impl Fn(u32) -> Option<u32>,
) -> Result<Overlay, Error> {
    if !copy.exists() {
        let owners = Owners {
            uid: &|id| host_uid(id).unwrap_or(NOBODY),
            gid: &|id| host_gid(id).unwrap_or(NOBODY),
        };
        // What a killed call has left.
        let new = copy.with_extension("new");
        remove_tree(&new)?;
        mkdirat(CWD, &new, Mode::RWXU).map_err(at(Operation::Create, &new))?;
        let image = match &overlay.lowers[..] {
            // What is mounted below is no part of it.
            [lower] => clone_tree(lower, OpenTreeFlags::empty())?,
            several => merge_readonly(several)?,
        };
        let target = open_dir(&new)?;
        let name = overlay.lowers.first().map_or(copy, |lower| lower);
        copy_tree(image.as_fd(), target.as_fd(), name, &owners).inspect_err(|_| {
            // The error is of more interest than what it leaves.
            let _ = remove_tree(&new);
        })?;
        std::fs::rename(&new, copy)
            .map_err(|error| at(Operation::Create, copy)(errno_of(&error)))?;
    }
    Ok(Overlay {
        lowers: vec![copy.to_owned()],
        ..overlay.clone()
    })
}
