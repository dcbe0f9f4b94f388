//! Making and removing directories in one hierarchy.

use std::path::Path;
use std::time::Duration;

use rustix::fs::{self, Mode};
use rustix::io::Errno;

use crate::dir::Dir;
use crate::error::Error;
use crate::path::CgroupPath;
use crate::wait::Backoff;

/// How long a killed group may take to become empty. Only a process in uninterruptible
/// sleep (a dead network filesystem) takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// So often is a directory chain made again after another process removed a parent that
/// was still empty.
const ATTEMPTS: usize = 20;

const MODE: Mode = Mode::from_raw_mode(0o755);

/// Makes `path` below `base` with its parents; `made` is called for each new directory,
/// from the top down. What exists is left as it is.
pub(crate) fn make(
    base: &Path,
    path: &CgroupPath,
    made: &mut dyn FnMut(&Path) -> Result<(), Error>,
) -> Result<Dir, Error> {
    let leaf = base.join(path.as_str());
    let mut attempts = 0..ATTEMPTS;
    loop {
        match make_once(base, path, made).and_then(|()| Dir::open(&leaf)) {
            // A parent vanished between two steps: an undo of a neighbour found it empty.
            Err(error) if error.errno() == Some(Errno::NOENT) && base.exists() => {
                if attempts.next().is_none() {
                    return Err(error);
                }
            }
            result => return result,
        }
    }
}

fn make_once(
    base: &Path,
    path: &CgroupPath,
    made: &mut dyn FnMut(&Path) -> Result<(), Error>,
) -> Result<(), Error> {
    // Mostly the stack's directory exists already: try the leaf first.
    let mut missing = Vec::new();
    for ancestor in path.ancestors() {
        let here = base.join(ancestor);
        match fs::mkdir(&here, MODE) {
            Ok(()) => {
                made(&here)?;
                break;
            }
            Err(Errno::EXIST) => break,
            Err(Errno::NOENT) => missing.push(here),
            Err(source) => return Err(refused(here, source)),
        }
    }
    for here in missing.into_iter().rev() {
        match fs::mkdir(&here, MODE) {
            Ok(()) => made(&here)?,
            Err(Errno::EXIST) => {}
            Err(source) => return Err(refused(here, source)),
        }
    }
    Ok(())
}

fn refused(path: std::path::PathBuf, source: Errno) -> Error {
    match (source, path.parent()) {
        (Errno::ACCESS | Errno::PERM | Errno::ROFS, Some(parent)) => Error::NotDelegated {
            path: parent.to_owned(),
            source,
        },
        _ => Error::Create { path, source },
    }
}

/// How one back end empties a group.
pub(crate) trait Emptier {
    /// Sends `SIGKILL` to everything in `dir` and below.
    fn kill(&self, dir: &Dir) -> Result<(), Error>;
    /// Waits a little for `dir` to become empty; `false` when patience is used up.
    fn wait(&self, dir: &Dir, backoff: &mut Backoff) -> bool;
}

/// Removes the group `path` below `base` with all that is in it. Done already is fine.
pub(crate) fn remove_leaf(
    base: &Path,
    path: &CgroupPath,
    emptier: &dyn Emptier,
) -> Result<(), Error> {
    let leaf = base.join(path.as_str());
    let mut backoff = Backoff::new(PATIENCE);
    loop {
        // Mostly its processes are gone, and one call does it.
        let source = match fs::rmdir(&leaf) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(source @ (Errno::BUSY | Errno::NOTEMPTY)) => source,
            Err(source) => return Err(Error::Remove { path: leaf, source }),
        };
        let dir = match Dir::open(&leaf) {
            Ok(dir) => dir,
            Err(error) if error.errno() == Some(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error),
        };
        let emptied = emptier.kill(&dir).and_then(|()| dir.remove_below());
        match emptied {
            // Another process is removing it too.
            Err(error) if !crate::dir::is_gone(&error) => return Err(error),
            _ => {}
        }
        if !emptier.wait(&dir, &mut backoff) {
            return Err(Error::Remove { path: leaf, source });
        }
    }
}

/// Removes the parents of `path` below `base`, deepest first, as long as they are empty.
/// `rmdir` itself is the check: the kernel refuses it for a group that has processes or
/// children, so a neighbour is never touched. Says whether the first of them is gone.
pub(crate) fn remove_empty_parents(base: &Path, path: &CgroupPath) -> bool {
    for (place, parent) in path.ancestors().skip(1).enumerate() {
        match fs::rmdir(base.join(parent)) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(_) => return place > 0,
        }
    }
    true
}
