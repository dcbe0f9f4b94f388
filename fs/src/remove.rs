//! Removing a container's directories.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, chmodat, openat, renameat, unlinkat,
};
use rustix::io::Errno;

use crate::Error;
use crate::error::{Operation, at};
use crate::resolve::resolve;

/// How many directories deep descriptors are held open. A container can nest directories
/// without limit; what is deeper is moved up to the top and removed from there.
const MAX_DEPTH: usize = 64;

/// Removes `path` with everything below it, and does nothing when it is already gone.
///
/// For directories that a container could write to: no symlink is followed, no other
/// filesystem is entered, and neither unreadable directories (such as the one that
/// overlay leaves in its work directory) nor very deep ones stop it. Removing again
/// after an interruption goes on where the first one was.
///
/// # Errors
/// [`Error::MountedBelow`] when something is mounted in the tree; [`Error::System`]
/// naming `path`.
pub fn remove_tree(path: &Path) -> Result<(), Error> {
    let failed = |errno| match errno {
        Errno::XDEV | Errno::BUSY => Error::MountedBelow {
            path: path.to_owned(),
        },
        _ => at(Operation::Remove, path)(errno),
    };
    match unlinkat(CWD, path, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        // Linux says EISDIR for a directory, POSIX EPERM.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(failed(errno)),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let top = match openat(CWD, path, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ACCESS) => {
            chmodat(CWD, path, Mode::RWXU, AtFlags::empty()).map_err(failed)?;
            openat(CWD, path, flags, Mode::empty()).map_err(failed)?
        }
        top => top.map_err(failed)?,
    };
    empty_dir(top.as_fd()).map_err(failed)?;
    match unlinkat(CWD, path, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(failed(errno)),
    }
}

/// Removes everything in the directory `top`.
pub(crate) fn empty_dir(top: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut removal = Removal { top, moved: 0 };
    // Each round removes all that is near and brings all that is deep nearer.
    loop {
        let moved = removal.moved;
        removal.empty(top, 0)?;
        if removal.moved == moved {
            return Ok(());
        }
    }
}

struct Removal<'a> {
    top: BorrowedFd<'a>,
    /// How many directories were moved up to the top so far.
    moved: u64,
}

impl Removal<'_> {
    /// Removes what is in `dir`, or moves it up to the top.
    fn empty(&mut self, dir: BorrowedFd<'_>, depth: usize) -> Result<(), Errno> {
        for entry in Dir::read_from(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            if entry.file_type() != FileType::Directory {
                match unlinkat(dir, name, AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => continue,
                    // The filesystem does not tell types.
                    Err(Errno::ISDIR | Errno::PERM) => {}
                    Err(errno) => return Err(errno),
                }
            }
            self.remove_dir(dir, name, depth)?;
        }
        Ok(())
    }

    fn remove_dir(&mut self, dir: BorrowedFd<'_>, name: &CStr, depth: usize) -> Result<(), Errno> {
        match unlinkat(dir, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::ACCESS) => {}
            Err(errno) => return Err(errno),
        }
        let below = open_below(dir, name)?;
        if depth >= MAX_DEPTH {
            return self.move_up(dir, name);
        }
        self.empty(below.as_fd(), depth + 1)?;
        drop(below);
        match unlinkat(dir, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    fn move_up(&mut self, dir: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
        loop {
            self.moved += 1;
            let new = CString::new(format!(".deep-{}", self.moved)).map_err(|_| Errno::INVAL)?;
            match renameat(dir, name, self.top, &new) {
                // The container had such a name itself.
                Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR | Errno::ISDIR) => {}
                done => return done,
            }
        }
    }
}

fn open_below(dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let open = || {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let path = Path::new(
            <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(name.to_bytes()),
        );
        resolve(dir, path, flags, how)
    };
    match open() {
        Err(Errno::ACCESS) => {
            chmodat(dir, name, Mode::RWXU, AtFlags::empty())?;
            open()
        }
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn removes_a_tree_and_leaves_what_its_symlinks_point_to() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, outside) = (dir.path().join("tree"), dir.path().join("outside"));
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("precious"), "x").unwrap();
        symlink(&outside, tree.join("a/link")).unwrap();
        fs::create_dir(tree.join("a/b/closed")).unwrap();
        fs::write(tree.join("a/b/closed/file"), "x").unwrap();
        fs::set_permissions(tree.join("a/b/closed"), fs::Permissions::from_mode(0o0)).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
        assert!(outside.join("precious").exists());
    }

    #[test]
    fn removing_what_is_gone_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        remove_tree(&dir.path().join("never/was")).unwrap();
        fs::write(dir.path().join("file"), "x").unwrap();
        remove_tree(&dir.path().join("file")).unwrap();
        remove_tree(&dir.path().join("file")).unwrap();
    }

    #[test]
    fn removes_a_symlink_and_not_its_target() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        fs::create_dir(dir.path().join("target")).unwrap();
        symlink(dir.path().join("target"), &link).unwrap();
        remove_tree(&link).unwrap();
        assert!(dir.path().join("target").exists() && link.symlink_metadata().is_err());
    }

    #[test]
    fn removes_a_tree_far_deeper_than_a_path_can_name() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let mut here = openat(CWD, &tree, flags, Mode::empty()).unwrap();
        let name = "d".repeat(100);
        for _ in 0..3 * MAX_DEPTH {
            rustix::fs::mkdirat(&here, name.as_str(), Mode::RWXU).unwrap();
            rustix::fs::mkdirat(&here, ".deep-1", Mode::RWXU).unwrap();
            here = openat(&here, name.as_str(), flags, Mode::empty()).unwrap();
        }
        drop(here);
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
    }
}
