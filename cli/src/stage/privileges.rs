//! Who the process is and what it may do: user, groups, capabilities, limits, `no_new_privs`,
//! labels of security modules, Landlock.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use coop_launcher::{BoxError, ChildSide, HostSide, Prepare, Stage, Waiting};
use coop_ns::privileges::{
    Capabilities, Error, Label, Landlock, LandlockAccess, Procfs, User, set_oom_score_adj,
};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::plan::{FileRule, PrivilegesPlan, ProcessPlan};

/// See the module.
pub(crate) struct Privileges {
    plan: PrivilegesPlan,
    user: String,
    cwd: String,
    /// The host's `/proc`, through which labels are set: nothing of the container is in it.
    proc: Option<Procfs>,
}

impl Privileges {
    /// What `plan` says, for this process of the container.
    pub(crate) fn new(plan: &PrivilegesPlan, process: &ProcessPlan) -> Self {
        Self {
            plan: plan.clone(),
            user: process.user.clone(),
            cwd: process.cwd.clone(),
            proc: None,
        }
    }
}

impl Stage for Privileges {
    fn name(&self) -> &'static str {
        "privileges"
    }

    fn host_side(&self) -> HostSide {
        if self.plan.rlimits.is_empty() && self.plan.oom_score_adj.is_none() {
            HostSide::None
        } else {
            HostSide::Each
        }
    }

    fn prepare(&mut self, _launch: &mut Prepare<'_>) -> Result<(), BoxError> {
        if !self.plan.labels.is_empty() {
            self.proc = Some(Procfs::open()?);
        }
        Ok(())
    }

    fn attach(&mut self, child: &mut Waiting) -> Result<(), BoxError> {
        // From here, because root of a user namespace cannot raise a hard limit.
        for limit in &self.plan.rlimits {
            limit.set_for(child.pid()).map_err(advised)?;
        }
        // From here for the same reason: less than what is inherited takes the host's root.
        if let Some(adjustment) = self.plan.oom_score_adj {
            set_oom_score_adj(child.pid(), adjustment)?;
        }
        Ok(())
    }

    fn enter(&mut self, child: &mut ChildSide<'_>) -> Result<(), BoxError> {
        let mut user = coop_fs::lookup_user(&self.user)?;
        for group in &self.plan.group_add {
            let gid = coop_fs::lookup_group(group)?;
            if !user.additional_gids.contains(&gid) {
                user.additional_gids.push(gid);
            }
        }
        child
            .process
            .set_default_variable("HOME", user.home.as_os_str())?;
        // Before the user changes: the directory may be one that only root can reach.
        coop_fs::create_working_dir(Path::new(&self.cwd))?;
        // All of them means all that there are here: Coop itself may run with fewer.
        let granted = if self.plan.privileged {
            let held = Capabilities::current()?.bounding;
            self.plan.capabilities.intersection(held)
        } else {
            self.plan.capabilities
        };
        let capabilities = if user.uid == 0 {
            Capabilities::for_root(granted)
        } else {
            Capabilities::for_user(granted).with_ambient(self.plan.ambient)
        };
        if let Some(proc) = &self.proc {
            for label in &self.plan.labels {
                let set = label.set_on_exec(proc).map_err(anyhow::Error::from);
                set.map_err(|error| format!("{error:#}\n  help: {}", remedy(label)))?;
            }
        }
        // Last of what takes paths, and while there is the right to do it.
        if !self.plan.landlock.is_empty() {
            restrict_files(&self.plan.landlock)?;
        }
        let privileges = coop_ns::privileges::Privileges {
            user: User {
                uid: user.uid,
                gid: user.gid,
                groups: user.additional_gids,
            },
            capabilities,
            no_new_privs: self.plan.no_new_privileges,
            rlimits: Vec::new(),
            umask: Some(0o022),
        };
        Ok(privileges.apply().map_err(advised)?)
    }
}

/// The error with what to do about it, where that is known.
fn advised(error: Error) -> anyhow::Error {
    let remedy = match &error {
        Error::SetUid { source, .. } | Error::SetGid { source, .. } if *source == Errno::INVAL => {
            "the container has no such id: take one that it has (/proc/self/uid_map and gid_map \
             in it tell), or give it more: --uidmap, --gidmap; without root it has those \
             of /etc/subuid and /etc/subgid, by newuidmap (package uidmap or shadow-utils)"
        }
        Error::SetGroups { .. } => {
            "the container has no such groups: without root it has those of /etc/subgid, once \
             newgidmap is installed (package uidmap or shadow-utils)"
        }
        Error::SetRlimit { source, .. } if *source == Errno::PERM => {
            "only root can go above the hard limit that Coop was started with: `ulimit -H -a` \
             shows it, and root raises it in /etc/security/limits.conf"
        }
        _ => return error.into(),
    };
    let error = anyhow::Error::from(error);
    anyhow::anyhow!("{error:#}\n  help: {remedy}")
}

/// What to do where a label is refused.
fn remedy(label: &Label) -> &'static str {
    match label {
        Label::AppArmor(_) => {
            "load the profile with apparmor_parser -r FILE; aa-status lists what is loaded"
        }
        Label::SeLinux(_) => "the host's policy has to know the context: seinfo -t lists its types",
    }
}

/// Puts Landlock's rules into force. The container's own `/dev` and `/proc` are always there:
/// without them hardly a program works, and what is in them is guarded by other means.
fn restrict_files(rules: &[FileRule]) -> Result<(), BoxError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, "/", flags, Mode::empty())?;
    let open = |path: &Path| -> Result<OwnedFd, BoxError> {
        coop_fs::open_in_root(root.as_fd(), path, OFlags::PATH)
            .map_err(|error| format!("landlock: {:#}", anyhow::Error::from(error)).into())
    };
    let landlock = Landlock::new()?;
    for own in ["/dev", "/proc"] {
        landlock.allow(open(Path::new(own))?.as_fd(), LandlockAccess::Write)?;
    }
    for rule in rules {
        landlock.allow(open(&rule.path)?.as_fd(), rule.access)?;
    }
    Ok(landlock.restrict()?)
}
