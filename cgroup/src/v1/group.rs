//! A group that is made of one directory in each of several hierarchies.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::Pid;

use super::{Mounted, devices, freezer, make, plan, stats};
use crate::cgroup::{Backend, Setting};
use crate::controller::{Controller, Controllers};
use crate::device::DeviceRule;
use crate::dir::Dir;
use crate::entrance::Entrance;
use crate::error::Error;
use crate::kill::kill_listed;
use crate::limits::{Limit, Limits};
use crate::oom::OomWatch;
use crate::path::CgroupPath;
use crate::stats::Stats;

#[derive(Debug)]
struct Member {
    controllers: Controllers,
    dir: Dir,
}

/// A v1 group: its directories in the hierarchies that it has joined.
#[derive(Debug)]
pub(crate) struct Group {
    path: CgroupPath,
    members: Vec<Member>,
    mounted: Vec<Mounted>,
}

impl Group {
    pub(super) fn new(path: &CgroupPath, mounted: &[Mounted]) -> Self {
        Self {
            path: path.clone(),
            members: Vec::new(),
            mounted: mounted.to_vec(),
        }
    }

    pub(super) fn push(&mut self, controllers: Controllers, dir: Dir) {
        self.members.push(Member { controllers, dir });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Makes the group in one more hierarchy.
    pub(super) fn join(&mut self, mounted: &Mounted) -> Result<&Dir, Error> {
        let dir = make(mounted, &self.path)?;
        self.push(mounted.controllers, dir);
        Ok(&self.members[self.members.len() - 1].dir)
    }

    fn member(&self, controller: Controller) -> Option<&Dir> {
        let member = self
            .members
            .iter()
            .find(|member| member.controllers.contains(controller))?;
        Some(&member.dir)
    }

    /// The directory that lists the group's processes: the freezer's, which is the first
    /// to be joined and the last to be left.
    fn first(&self) -> Result<&Dir, Error> {
        self.members
            .first()
            .map(|member| &member.dir)
            .ok_or(Error::NotMounted)
    }

    fn freezer(&self) -> Result<&Dir, Error> {
        self.member(Controller::Freezer).ok_or(Error::NoFreezer)
    }
}

impl Backend for Group {
    fn plan(&self, limits: &Limits) -> Vec<Setting> {
        plan::plan(limits)
    }

    fn directory(&mut self, controller: Controller) -> Result<Option<&Dir>, Error> {
        let known = self
            .members
            .iter()
            .position(|member| member.controllers.contains(controller));
        if let Some(known) = known {
            return Ok(Some(&self.members[known].dir));
        }
        let wanted = self
            .mounted
            .iter()
            .find(|mounted| mounted.controllers.contains(controller));
        let Some(mounted) = wanted.cloned() else {
            return Ok(None);
        };
        // The group may be running: whoever is in it joins the new hierarchy too.
        let pids = self.pids()?;
        let dir = self.join(&mounted)?;
        for pid in pids {
            match add(dir, pid) {
                // It has ended meanwhile.
                Err(Error::Add {
                    source: Errno::SRCH,
                    ..
                }) => {}
                result => result?,
            }
        }
        Ok(Some(dir))
    }

    fn set_devices(&mut self, rules: &[DeviceRule]) -> Result<(), Error> {
        match self.directory(Controller::Devices)? {
            Some(dir) => devices::set(dir, rules),
            None => Err(Error::NoController {
                controller: Controller::Devices,
                limit: Limit::Devices,
                remedy: "no devices hierarchy is mounted: mkdir /sys/fs/cgroup/devices && mount \
                         -t cgroup -o devices cgroup /sys/fs/cgroup/devices"
                    .to_owned(),
            }),
        }
    }

    fn add(&self, pid: Pid) -> Result<(), Error> {
        self.members
            .iter()
            .try_for_each(|member| add(&member.dir, pid))
    }

    fn clone_into(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn entrance(&self) -> Result<Entrance, Error> {
        let open = |member: &Member| {
            let path = || member.dir.path().to_owned();
            match member.dir.file("tasks", OFlags::WRONLY) {
                Ok(file) => Ok((file, path())),
                Err(source) => Err(Error::Enter {
                    path: path(),
                    source,
                }),
            }
        };
        Ok(Entrance {
            files: self.members.iter().map(open).collect::<Result<_, _>>()?,
        })
    }

    fn pids(&self) -> Result<Vec<Pid>, Error> {
        self.first()?.pids()
    }

    fn stats(&self) -> Result<Stats, Error> {
        stats::read(&|controller| self.member(controller))
    }

    fn freeze(&self) -> Result<(), Error> {
        freezer::freeze(self.freezer()?)
    }

    fn thaw(&self) -> Result<(), Error> {
        freezer::thaw(self.freezer()?)
    }

    fn is_frozen(&self) -> Result<bool, Error> {
        freezer::is_frozen(self.freezer()?)
    }

    fn kill_all(&self) -> Result<(), Error> {
        match self.member(Controller::Freezer) {
            Some(dir) => freezer::kill(dir),
            None => kill_listed(self.first()?),
        }
    }

    fn oom_kill_count(&self) -> Result<u64, Error> {
        self.member(Controller::Memory)
            .map_or(Ok(0), stats::oom_kill_count)
    }

    fn watch_oom(&self) -> Result<OomWatch, Error> {
        let Some(dir) = self.member(Controller::Memory) else {
            return Err(Error::NoController {
                controller: Controller::Memory,
                limit: Limit::MemoryMax,
                remedy: "no memory hierarchy is mounted".to_owned(),
            });
        };
        let path = dir.path().join("memory.oom_control");
        let failed = |source| Error::Watch {
            path: path.clone(),
            source,
        };
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(failed)?;
        let control = dir
            .file("memory.oom_control", OFlags::RDONLY)
            .map_err(failed)?;
        let request = format!("{} {}", fd.as_raw_fd(), control.as_raw_fd());
        dir.put("cgroup.event_control", &request).map_err(failed)?;
        Ok(OomWatch {
            fd,
            dir: Dir::open(dir.path())?,
            counter: "memory.oom_control",
        })
    }
}

fn add(dir: &Dir, pid: Pid) -> Result<(), Error> {
    let number = pid.as_raw_nonzero().to_string();
    dir.put("cgroup.procs", &number)
        .map_err(|source| Error::Add {
            pid,
            path: dir.path().to_owned(),
            source,
        })
}
