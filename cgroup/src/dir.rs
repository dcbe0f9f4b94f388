//! One directory of a cgroup filesystem: small files read and written through a
//! directory descriptor, so that every access stays inside of it.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::{self, Errno};
use rustix::process::Pid;

use crate::error::Error;

/// An open control group directory.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

impl Dir {
    /// Opens `path`, which must be a directory and not a symbolic link to one.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match fs::open(path, flags, Mode::empty()) {
            Ok(fd) => Ok(Self {
                fd,
                path: path.to_owned(),
            }),
            Err(source) => Err(Error::Open {
                path: path.to_owned(),
                source,
            }),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Opens a directory by a name relative to this one. It keeps this one's path for
    /// messages: names below it are the container's business and may be anything.
    fn relative(&self, name: &CStr) -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Self {
                fd,
                path: self.path.clone(),
            }),
            Err(source) => Err(Error::Open {
                path: self.path.clone(),
                source,
            }),
        }
    }

    /// Opens a file of the group.
    pub(crate) fn file(&self, name: &str, access: OFlags) -> Result<OwnedFd, Errno> {
        fs::openat(
            &self.fd,
            name,
            access | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )
    }

    /// Writes `value` in one `write(2)`: cgroupfs takes each write as one command.
    pub(crate) fn put(&self, name: &str, value: &str) -> Result<(), Errno> {
        let file = self.file(name, OFlags::WRONLY)?;
        io::write(&file, value.as_bytes()).map(drop)
    }

    /// [`Self::put`], with an error that says where and what.
    pub(crate) fn write(&self, name: &str, value: &str) -> Result<(), Error> {
        self.put(name, value).map_err(|source| Error::Write {
            path: self.path.join(name),
            value: value.to_owned(),
            source,
        })
    }

    /// The whole of a file.
    pub(crate) fn get(&self, name: &str) -> Result<String, Errno> {
        let file = self.file(name, OFlags::RDONLY)?;
        read_all(file.as_fd())
    }

    /// [`Self::get`], with an error that says where.
    pub(crate) fn read(&self, name: &str) -> Result<String, Error> {
        self.get(name).map_err(|source| Error::Read {
            path: self.path.join(name),
            source,
        })
    }

    /// The whole of a file, or `None` where the kernel does not have it (built without, or
    /// switched off at boot).
    pub(crate) fn read_if_present(&self, name: &str) -> Result<Option<String>, Error> {
        match self.get(name) {
            Ok(text) => Ok(Some(text)),
            Err(Errno::NOENT | Errno::OPNOTSUPP | Errno::NODEV) => Ok(None),
            Err(source) => Err(Error::Read {
                path: self.path.join(name),
                source,
            }),
        }
    }

    /// Names of the groups directly below.
    pub(crate) fn children(&self) -> Result<Vec<CString>, Error> {
        let failed = |source| Error::Read {
            path: self.path.clone(),
            source,
        };
        // kernfs counts subdirectories in the link count: 2 means none. This spares
        // reading some fifty file names.
        if fs::fstat(&self.fd).map_err(failed)?.st_nlink == 2 {
            return Ok(Vec::new());
        }
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&self.fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if entry.file_type() == fs::FileType::Directory && name != c"." && name != c".." {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// The processes in this group alone.
    ///
    /// A process that this pid namespace cannot see has no number here and is left out.
    pub(crate) fn own_pids(&self) -> Result<Vec<Pid>, Error> {
        let text = self.read("cgroup.procs")?;
        Ok(text
            .lines()
            .filter_map(|line| Pid::from_raw(line.parse().ok()?))
            .collect())
    }

    /// Calls `visit` for this group and all below it, deepest first.
    ///
    /// A container that may write to its cgroupfs can nest groups as deep as it likes, so
    /// this neither recurses nor holds more than two descriptors. A group that disappears
    /// meanwhile is passed over.
    pub(crate) fn walk(
        &self,
        visit: &mut dyn FnMut(&Self) -> Result<(), Error>,
        left: &mut dyn FnMut(&Self, &CStr) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut below: Option<Self> = None;
        let mut names: Vec<CString> = Vec::new();
        let mut waiting = vec![self.children()?];
        while let Some(siblings) = waiting.last_mut() {
            let here = below.as_ref().unwrap_or(self);
            if let Some(name) = siblings.pop() {
                match here
                    .relative(&name)
                    .and_then(|child| Ok((child.children()?, child)))
                {
                    Ok((children, child)) => {
                        waiting.push(children);
                        names.push(name);
                        below = Some(child);
                    }
                    Err(error) if is_gone(&error) => {}
                    Err(error) => return Err(error),
                }
                continue;
            }
            match visit(here) {
                Err(error) if !is_gone(&error) => return Err(error),
                _ => {}
            }
            waiting.pop();
            if let Some(name) = names.pop() {
                let parent = here.relative(c"..")?;
                left(&parent, &name)?;
                below = Some(parent);
            }
        }
        Ok(())
    }

    /// Removes every group below this one that has no processes.
    pub(crate) fn remove_below(&self) -> Result<(), Error> {
        self.walk(&mut |_| Ok(()), &mut |parent, name| match fs::unlinkat(
            &parent.fd,
            name,
            AtFlags::REMOVEDIR,
        ) {
            Ok(()) | Err(Errno::NOENT | Errno::BUSY | Errno::NOTEMPTY) => Ok(()),
            Err(source) => Err(Error::Remove {
                path: self.path.clone(),
                source,
            }),
        })
    }

    /// The processes of this group and of all below it.
    pub(crate) fn pids(&self) -> Result<Vec<Pid>, Error> {
        let mut pids = Vec::new();
        self.walk(
            &mut |dir| {
                pids.extend(dir.own_pids()?);
                Ok(())
            },
            &mut |_, _| Ok(()),
        )?;
        Ok(pids)
    }
}

/// Whether an error says that the group was removed: its files then answer `ENODEV`,
/// its directory `ENOENT`.
pub(crate) fn is_gone(error: &Error) -> bool {
    matches!(error.errno(), Some(Errno::NOENT | Errno::NODEV))
}

/// Reads a descriptor to its end.
pub(crate) fn read_all(file: BorrowedFd<'_>) -> Result<String, Errno> {
    let mut bytes = Vec::with_capacity(4096);
    loop {
        if bytes.capacity() - bytes.len() < 1024 {
            bytes.reserve(bytes.capacity());
        }
        match io::read(file, rustix::buffer::spare_capacity(&mut bytes)) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    // A mount point may hold any byte; nothing that we look for is outside of ASCII.
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

/// Reads a file by its absolute path.
pub(crate) fn read_path(path: &str) -> Result<String, Error> {
    let failed = |source| Error::Read {
        path: path.into(),
        source,
    };
    let file = fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    read_all(file.as_fd()).map_err(failed)
}
