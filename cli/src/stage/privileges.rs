//! Who the process is and what it may do: user, groups, capabilities, limits, `no_new_privs`.

use std::path::Path;

use coop_launcher::{BoxError, ChildSide, HostSide, Stage, Waiting};
use coop_ns::privileges::{Capabilities, User, set_oom_score_adj};

use crate::plan::PrivilegesPlan;

/// See the module.
pub(crate) struct Privileges {
    plan: PrivilegesPlan,
    user: String,
    cwd: String,
}

impl Privileges {
    /// What `plan` says, as `user` of the container's own `/etc/passwd`, in `cwd`.
    pub(crate) fn new(plan: &PrivilegesPlan, user: &str, cwd: &str) -> Self {
        Self {
            plan: plan.clone(),
            user: user.to_owned(),
            cwd: cwd.to_owned(),
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

    fn attach(&mut self, child: &mut Waiting) -> Result<(), BoxError> {
        // From here, because root of a user namespace cannot raise a hard limit.
        for limit in &self.plan.rlimits {
            limit.set_for(child.pid())?;
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
            Capabilities::for_user(granted)
        };
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
        Ok(privileges.apply()?)
    }
}
