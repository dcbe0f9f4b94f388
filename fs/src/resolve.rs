//! Paths inside the container, as the kernel resolves them: always below the root.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    FileType, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, fstat, fstatfs, mkdirat, openat,
    openat2, readlinkat,
};
use rustix::io::Errno;

use crate::Error;
use crate::error::{Operation, at};
use crate::mount::TargetKind;
use crate::path::{Step, steps};

/// As many symlinks as the kernel follows in one path: `path_resolution(7)`.
const MAX_SYMLINKS: usize = 40;

/// Opens `path` with `root` as its root: absolute symlinks and `..` stay below `root`,
/// whatever the image holds, and the kernel's magic links are not followed.
///
/// See `openat2(2)`, `RESOLVE_IN_ROOT`. `O_CLOEXEC` is added to `flags`.
///
/// # Errors
/// [`Error::System`] naming the path; `ELOOP` for a magic link.
pub fn open_in_root(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, Error> {
    resolve(
        root,
        path,
        flags,
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    )
    .map_err(at(Operation::Open, path))
}

/// `openat2(2)`, again when something was renamed at the same time.
pub(crate) fn resolve(
    dir: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    how: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    let mut attempts = 0;
    loop {
        match openat2(dir, path, flags | OFlags::CLOEXEC, Mode::empty(), how) {
            Err(Errno::AGAIN | Errno::INTR) if attempts < 128 => attempts += 1,
            done => return done,
        }
    }
}

/// The directory at the top of the root that one of the kernel's own filesystems is
/// mounted on, made if missing. A symlink in its place is refused: through it the image
/// would choose what the masks and the read-only paths below really cover.
pub(crate) fn kernel_dir(root: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Error> {
    let open = || {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        resolve(
            root,
            path,
            flags,
            ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS,
        )
    };
    let opened = match open() {
        Err(Errno::NOENT) => {
            let relative = path.strip_prefix("/").unwrap_or(path);
            mkdirat(root, relative, Mode::from_raw_mode(0o755))
                .map_err(at(Operation::Create, path))?;
            open()
        }
        done => done,
    };
    match opened {
        Err(Errno::LOOP) => Err(Error::SymlinkTarget {
            target: path.to_owned(),
        }),
        done => done.map_err(at(Operation::Open, path)),
    }
}

/// Opens the place in the container where something is to be mounted, made if missing.
pub(crate) fn mount_point(
    root: BorrowedFd<'_>,
    path: &Path,
    kind: TargetKind,
) -> Result<OwnedFd, Error> {
    match open_in_root(root, path, OFlags::PATH) {
        Err(Error::System {
            errno: Errno::NOENT,
            ..
        }) => Walk::new(root, path).make(kind),
        done => done,
    }
}

/// A walk from the root that makes what is missing.
///
/// `openat2` cannot make directories, and a symlink whose target is missing must be
/// followed by its text, so this walk goes name by name: each is opened without
/// following it, relative to a descriptor that is held, and `..` goes back to the
/// descriptor that the walk came from. No rename in the tree can lead it out of the root.
struct Walk<'a> {
    root: BorrowedFd<'a>,
    target: &'a Path,
    /// The directories walked through, below the root.
    dirs: Vec<OwnedFd>,
    /// What is still to be walked.
    ahead: VecDeque<Step>,
    symlinks: usize,
}

impl<'a> Walk<'a> {
    fn new(root: BorrowedFd<'a>, target: &'a Path) -> Self {
        Self {
            root,
            target,
            dirs: Vec::new(),
            ahead: steps(target).collect(),
            symlinks: 0,
        }
    }

    fn make(mut self, kind: TargetKind) -> Result<OwnedFd, Error> {
        while let Some(step) = self.ahead.pop_front() {
            if step == Step::Up {
                self.dirs.pop();
                continue;
            }
            let last = self.ahead.is_empty();
            let kind = if last { kind } else { TargetKind::Directory };
            let opened = self.open_or_make(&step, kind)?;
            let stat = fstat(&opened).map_err(at(Operation::Inspect, self.target))?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Symlink => self.follow(&opened)?,
                FileType::Directory => self.dirs.push(opened),
                _ if last => return Ok(opened),
                _ => return Err(at(Operation::Create, self.target)(Errno::NOTDIR)),
            }
        }
        match self.dirs.pop() {
            Some(dir) => Ok(dir),
            None => open_in_root(self.root, Path::new("/"), OFlags::PATH),
        }
    }

    fn here(&self) -> BorrowedFd<'_> {
        self.dirs.last().map_or(self.root, AsFd::as_fd)
    }

    fn open_or_make(&self, step: &Step, kind: TargetKind) -> Result<OwnedFd, Error> {
        let open = || {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            openat(self.here(), step.name(), flags, Mode::empty())
        };
        match open() {
            Err(Errno::NOENT) => {}
            done => return done.map_err(at(Operation::Open, self.target)),
        }
        let made = match kind {
            TargetKind::Directory => mkdirat(self.here(), step.name(), Mode::from_raw_mode(0o755)),
            TargetKind::File => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                openat(self.here(), step.name(), flags, Mode::from_raw_mode(0o644)).map(drop)
            }
        };
        match made {
            // Somebody was quicker, which is as good.
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(at(Operation::Create, self.target)(errno)),
        }
        open().map_err(at(Operation::Open, self.target))
    }

    fn follow(&mut self, symlink: &OwnedFd) -> Result<(), Error> {
        let filesystem = fstatfs(symlink).map_err(at(Operation::Inspect, self.target))?;
        // Nothing can be made there; and the text of a magic link, such as a descriptor's, is not
        // where it leads.
        if filesystem.f_type == PROC_SUPER_MAGIC {
            return Err(at(Operation::Open, self.target)(Errno::LOOP));
        }
        self.symlinks += 1;
        if self.symlinks > MAX_SYMLINKS {
            return Err(Error::SymlinkLoop {
                target: self.target.to_owned(),
            });
        }
        let text =
            readlinkat(symlink, c"", Vec::new()).map_err(at(Operation::Read, self.target))?;
        let text = PathBuf::from(std::ffi::OsString::from_vec(text.into_bytes()));
        if text.is_absolute() {
            self.dirs.clear();
        }
        for step in steps(&text).rev() {
            self.ahead.push_front(step);
        }
        Ok(())
    }
}
