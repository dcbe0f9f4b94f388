//! What the kernel offers, and the programs that Coop starts.

use std::fs;
use std::path::Path;

use coop_cgroup::Version;
use rustix::process::{PidfdFlags, getpid, pidfd_open};

use super::super::info::Machine;
use super::finding::{Finding, Part};
use super::sys;
use crate::host::Host;
use crate::ui::OLDEST_KERNEL;

pub(super) fn look(host: &Host) -> Vec<Finding> {
    let machine = Machine::look();
    vec![
        found("release", &machine.kernel),
        user_namespaces(host),
        id_mapped_mounts(host, &machine),
        overlay(&machine),
        cgroups(host),
        seccomp(),
        no_new_privileges(),
        landlock(),
        security_modules(),
        call("pidfd", pidfd_open(getpid(), PidfdFlags::empty()).is_ok()),
        call("clone3", sys::has_clone3()),
        tools(&machine),
    ]
}

fn found(what: &str, found: impl Into<String>) -> Finding {
    Finding::new(Part::Kernel, what, found)
}

/// A setting, without white space at its ends.
pub(super) fn read(path: impl AsRef<Path>) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

fn user_namespaces(host: &Host) -> Finding {
    const WHAT: &str = "user namespaces";
    let most = read("/proc/sys/user/max_user_namespaces");
    let forbidden = matches!(most.as_deref(), None | Some("0"));
    if forbidden {
        return found(WHAT, "none")
            .weak("root in a container is root here: sysctl user.max_user_namespaces=31000");
    }
    let most = most.unwrap_or_default();
    if host.rootless.is_none() && restricted_to_root() {
        return found(WHAT, format!("{most} for each user, made by root alone"));
    }
    found(WHAT, format!("{most} for each user"))
}

/// Distributions have switches of their own for users that are not root.
fn restricted_to_root() -> bool {
    let is = |name: &str, value: &str| {
        read(Path::new("/proc/sys/kernel").join(name)).as_deref() == Some(value)
    };
    is("unprivileged_userns_clone", "0") || is("apparmor_restrict_unprivileged_userns", "1")
}

/// Since when the filesystem's mounts can be id-mapped: `mount_setattr(2)`.
const ID_MAPPED_SINCE: [(&str, (u32, u32)); 9] = [
    ("ext4", (5, 12)),
    ("fat", (5, 12)),
    ("xfs", (5, 12)),
    ("btrfs", (5, 15)),
    ("f2fs", (5, 18)),
    ("erofs", (5, 19)),
    ("squashfs", (6, 2)),
    ("tmpfs", (6, 3)),
    ("cephfs", (6, 7)),
];

fn id_mapped_mounts(host: &Host, machine: &Machine) -> Finding {
    const WHAT: &str = "id-mapped mounts";
    let version = machine.version();
    let kinds: Vec<_> = ID_MAPPED_SINCE
        .into_iter()
        .filter(|(_, since)| version >= *since)
        .map(|(kind, _)| kind)
        .collect();
    let data = &host.store.dirs().data;
    let here = sys::filesystem(data);
    let place = format!("images are on {}", here.unwrap_or("an unknown filesystem"));
    if !machine.id_mapped_mounts {
        return found(WHAT, place).weak("each container copies its image: Linux 5.19 need not");
    }
    let shown = format!("{}; {place}", kinds.join(" "));
    match here {
        Some(kind) if kinds.contains(&kind) || host.rootless.is_some() => found(WHAT, shown),
        _ => found(WHAT, shown).weak(format!(
            "each container may have to copy its image: keep {} on ext4, xfs or btrfs",
            data.display()
        )),
    }
}

fn overlay(machine: &Machine) -> Finding {
    match machine.overlay.join(" ") {
        none if none.is_empty() => {
            found("overlayfs", "none").broken("containers of an image need it: modprobe overlay")
        }
        features => found("overlayfs", features),
    }
}

fn cgroups(host: &Host) -> Finding {
    const WHAT: &str = "cgroups";
    let hierarchy = match host.cgroups() {
        Ok(hierarchy) => hierarchy,
        Err(error) if host.rootless.is_some() => {
            return found(WHAT, "none for this user").weak(format!("no limits: {error:#}"));
        }
        Err(error) => return found(WHAT, "none").broken(format!("no limits: {error:#}")),
    };
    let version = hierarchy.version();
    let controllers: Vec<_> = hierarchy
        .controllers()
        .iter()
        .map(|controller| controller.name(version).to_owned())
        .collect();
    let name = match version {
        Version::V1 => "version 1",
        Version::V2 => "version 2",
        Version::Hybrid => "version 1, and 2 beside it",
    };
    let shown = format!("{name}: {}", controllers.join(" "));
    let missing: Vec<_> = ["cpu", "memory", "pids"]
        .into_iter()
        .filter(|name| !controllers.iter().any(|it| it == name))
        .collect();
    match missing.join(", ") {
        none if none.is_empty() => found(WHAT, shown),
        missing => found(WHAT, shown).weak(format!("these cannot be limited: {missing}")),
    }
}

fn seccomp() -> Finding {
    match read("/proc/sys/kernel/seccomp/actions_avail") {
        Some(actions) => found("seccomp", actions),
        None => found("seccomp", "none")
            .broken("system calls cannot be filtered: CONFIG_SECCOMP_FILTER"),
    }
}

fn no_new_privileges() -> Finding {
    call("no_new_privs", rustix::thread::no_new_privs().is_ok())
}

fn landlock() -> Finding {
    match sys::landlock_abi() {
        Some(version) => found("Landlock", format!("ABI {version}")),
        None => found("Landlock", "none")
            .weak("an extra for those who ask for it, and what keeps containers with your own ids from this program's file: put landlock into lsm= on the kernel's command line"),
    }
}

fn security_modules() -> Finding {
    let list = read("/sys/kernel/security/lsm").unwrap_or_default();
    let is_on =
        |name: &str, file: &str| list.split(',').any(|it| it == name) || Path::new(file).exists();
    let mut modules = Vec::new();
    if is_on("apparmor", "/sys/kernel/security/apparmor") {
        modules.push("AppArmor");
    }
    if is_on("selinux", "/sys/fs/selinux/enforce") {
        modules.push("SELinux");
    }
    if is_on("yama", "/proc/sys/kernel/yama") {
        modules.push("Yama");
    }
    if modules.is_empty() {
        return found("security modules", "none");
    }
    found("security modules", modules.join(", "))
}

/// A call that Coop's own safety rests on.
fn call(name: &str, is_there: bool) -> Finding {
    if is_there {
        found(name, "yes")
    } else {
        let (major, minor) = OLDEST_KERNEL;
        found(name, "no").broken(format!("Coop needs Linux {major}.{minor}"))
    }
}

fn tools(machine: &Machine) -> Finding {
    let missing: Vec<_> = machine
        .tools
        .iter()
        .filter(|(_, place)| place.is_none())
        .map(|(name, _)| *name)
        .collect();
    if missing.is_empty() {
        return found("programs", "ip nft");
    }
    let missing = missing.join(" and ");
    found("programs", format!("no {missing}")).weak(format!(
        "containers can have no network but the host's and none: install {missing}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_a_call_is_told_the_version_that_errors_tell() {
        let (major, minor) = OLDEST_KERNEL;
        let advice = call("clone3", false).advice.unwrap();
        assert!(advice.ends_with(&format!("{major}.{minor}")), "{advice}");
        assert_eq!(call("clone3", true).advice, None);
    }
}
