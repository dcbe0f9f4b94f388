//! Joining the user's namespace, or making it.

use anyhow::{Context, Result};
use coop_launcher::store::Dirs;
use coop_ns::Error;
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use super::holders::Holders;
use super::map;

/// Enters the user namespace in which this user's other commands and containers are, or a new
/// one.
pub(super) fn enter(dirs: &Dirs, uid: Uid, gid: Gid) -> Result<()> {
    let holders = Holders::lock(dirs)?;
    match holders.namespace(uid)? {
        Some(namespace) => namespace
            .enter()
            .context("join the user namespace of this user's containers")?,
        None => map::new_namespace(uid, gid)?,
    }
    holders.add_self()
}

/// Why the kernel makes no namespaces, in the words of what forbids it.
pub(super) fn refused(error: &Error) -> anyhow::Error {
    let errno = std::error::Error::source(error).and_then(|it| it.downcast_ref::<Errno>());
    let is_set = |name: &str, wanted: &str| {
        let value = std::fs::read_to_string(format!("/proc/sys/{name}"));
        value.is_ok_and(|value| value.trim() == wanted)
    };
    let help = if is_set("kernel/unprivileged_userns_clone", "0") {
        "user namespaces are for root only here: as root, sysctl kernel.unprivileged_userns_clone=1"
    } else if is_set("user/max_user_namespaces", "0") {
        "user namespaces are switched off here: as root, sysctl user.max_user_namespaces=15000"
    } else if is_set("kernel/apparmor_restrict_unprivileged_userns", "1") {
        "AppArmor keeps user namespaces from programs without a profile that allows them: as \
         root, sysctl kernel.apparmor_restrict_unprivileged_userns=0"
    } else if errno == Some(&Errno::NOSPC) {
        "a limit below /proc/sys/user is reached"
    } else {
        "use sudo: this system lets ordinary users have no namespaces"
    };
    let words = match errno {
        Some(errno) => format!("{error}: {errno}"),
        None => error.to_string(),
    };
    anyhow::anyhow!("cannot run containers without root: {words}\n  help: {help}")
}
