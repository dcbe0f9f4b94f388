//! A group of the unified hierarchy.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, inotify};
use rustix::io::Errno;
use rustix::process::Pid;

use super::{Tree, controllers, plan, stats};
use crate::bpf;
use crate::cgroup::{Backend, Setting};
use crate::controller::{Controller, Controllers};
use crate::device::DeviceRule;
use crate::dir::{Dir, is_gone};
use crate::entrance::Entrance;
use crate::error::Error;
use crate::kill::kill_listed;
use crate::limits::{Limit, Limits};
use crate::oom::OomWatch;
use crate::path::CgroupPath;
use crate::stats::{Stats, keyed_or_zero};
use crate::wait::Backoff;

/// A v2 group.
#[derive(Debug)]
pub(crate) struct Group {
    tree: Tree,
    path: CgroupPath,
    dir: Dir,
    enabled: Controllers,
}

impl Group {
    pub(super) fn new(tree: Tree, path: &CgroupPath, dir: Dir, enabled: Controllers) -> Self {
        Self {
            tree,
            path: path.clone(),
            dir,
            enabled,
        }
    }
}

impl Backend for Group {
    fn plan(&self, limits: &Limits) -> Vec<Setting> {
        plan::plan(limits)
    }

    fn directory(&mut self, controller: Controller) -> Result<Option<&Dir>, Error> {
        if !self.enabled.contains(controller) {
            if !self.tree.available.contains(controller) {
                return Ok(None);
            }
            self.tree
                .hand_down(&self.path, Controllers::NONE.with(controller))?;
            self.enabled = controllers(&self.dir, "cgroup.controllers")?;
        }
        Ok(Some(&self.dir))
    }

    fn set_devices(&mut self, rules: &[DeviceRule]) -> Result<(), Error> {
        bpf::set_devices(&self.dir, rules)
    }

    fn add(&self, pid: Pid) -> Result<(), Error> {
        let number = pid.as_raw_nonzero().to_string();
        let failed = |source| Error::Add {
            pid,
            path: self.dir.path().to_owned(),
            source,
        };
        self.dir.put("cgroup.procs", &number).map_err(failed)
    }

    fn clone_into(&self) -> Option<BorrowedFd<'_>> {
        Some(self.dir.fd())
    }

    fn entrance(&self) -> Result<Entrance, Error> {
        let path = || self.dir.path().to_owned();
        match self.dir.file("cgroup.procs", OFlags::WRONLY) {
            Ok(file) => Ok(Entrance {
                files: vec![(file, path())],
            }),
            Err(source) => Err(Error::Enter {
                path: path(),
                source,
            }),
        }
    }

    fn pids(&self) -> Result<Vec<Pid>, Error> {
        self.dir.pids()
    }

    fn stats(&self) -> Result<Stats, Error> {
        stats::read(&self.dir, self.enabled)
    }

    fn freeze(&self) -> Result<(), Error> {
        self.dir.write("cgroup.freeze", "1")?;
        let mut backoff = Backoff::new(Duration::from_secs(2));
        match wait_for(&self.dir, "frozen 1", &mut backoff)? {
            Waited::Happened => Ok(()),
            Waited::OutOfPatience => {
                self.thaw()?;
                Err(Error::Freeze {
                    path: self.dir.path().to_owned(),
                })
            }
        }
    }

    fn thaw(&self) -> Result<(), Error> {
        self.dir.write("cgroup.freeze", "0")
    }

    fn is_frozen(&self) -> Result<bool, Error> {
        Ok(self.dir.read("cgroup.freeze")?.trim() == "1")
    }

    fn kill_all(&self) -> Result<(), Error> {
        kill(&self.dir)
    }

    fn oom_kill_count(&self) -> Result<u64, Error> {
        let events = self
            .dir
            .read_if_present("memory.events")?
            .unwrap_or_default();
        Ok(keyed_or_zero(&events, "oom_kill"))
    }

    fn watch_oom(&self) -> Result<OomWatch, Error> {
        if !self.enabled.contains(Controller::Memory) {
            return Err(Error::NoController {
                controller: Controller::Memory,
                limit: Limit::MemoryMax,
                remedy: "the group's parent does not hand down the memory controller".to_owned(),
            });
        }
        let path = self.dir.path().join("memory.events");
        let watch = || {
            let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
            inotify::add_watch(&fd, &path, inotify::WatchFlags::MODIFY)?;
            Ok(fd)
        };
        let fd = watch().map_err(|source| Error::Watch {
            path: path.clone(),
            source,
        })?;
        Ok(OomWatch {
            fd,
            dir: Dir::open(self.dir.path())?,
            counter: "memory.events",
        })
    }
}

/// Kills everything in the group and below it.
pub(super) fn kill(dir: &Dir) -> Result<(), Error> {
    match dir.put("cgroup.kill", "1") {
        Ok(()) | Err(Errno::NODEV) => return Ok(()),
        // Linux before 5.14 has no such file, a threaded group refuses it.
        Err(Errno::NOENT | Errno::OPNOTSUPP) => {}
        Err(source) => {
            let path = dir.path().join("cgroup.kill");
            return Err(Error::Write {
                path,
                value: "1".to_owned(),
                source,
            });
        }
    }
    // Frozen, the group does not fork while we go through it; unlike v1's, v2's frozen
    // processes can be killed. Linux before 5.2 cannot freeze.
    let was_frozen = dir
        .get("cgroup.freeze")
        .is_ok_and(|state| state.trim() == "1");
    let frozen = dir.put("cgroup.freeze", "1").is_ok();
    let killed = kill_listed(dir);
    if frozen && !was_frozen {
        let _ = dir.put("cgroup.freeze", "0");
    }
    match killed {
        Err(error) if is_gone(&error) => Ok(()),
        killed => killed,
    }
}

/// How waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waited {
    Happened,
    OutOfPatience,
}

/// Waits until `cgroup.events` has this line; the kernel wakes us when the file changes.
pub(super) fn wait_for(dir: &Dir, line: &str, backoff: &mut Backoff) -> Result<Waited, Error> {
    let path = || dir.path().join("cgroup.events");
    let failed = |source| Error::Read {
        path: path(),
        source,
    };
    let file = dir.file("cgroup.events", OFlags::RDONLY).map_err(failed)?;
    let mut text = [0; 256];
    loop {
        // Each read from the start also re-arms the poll.
        let length = rustix::io::pread(&file, &mut text, 0).map_err(failed)?;
        if text[..length]
            .split(|byte| *byte == b'\n')
            .any(|found| found == line.as_bytes())
        {
            return Ok(Waited::Happened);
        }
        let Some(timeout) = backoff.step() else {
            return Ok(Waited::OutOfPatience);
        };
        let mut fds = [PollFd::new(&file, PollFlags::PRI)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(source) => return Err(failed(source)),
        }
    }
}
