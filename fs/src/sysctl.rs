//! Kernel parameters that belong to a namespace of the container.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, fstatfs, openat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::{Operation, at};
use crate::resolve::resolve;

/// A kernel parameter with its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sysctl {
    /// Its name with dots (`net.ipv4.ip_forward`); or with slashes, for names of network
    /// interfaces that have dots themselves, as in `sysctl.d(5)`.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// The parameters that a namespace has its own copy of: `namespaces(7)`,
/// `ipc_namespaces(7)`.
const NAMESPACED: [&str; 5] = [
    "net/",
    "fs/mqueue/",
    "kernel/shm",
    "kernel/msg",
    "kernel/sem",
];

/// Sets a kernel parameter of the namespaces that this process is in, through the
/// `/proc` it sees. For a running container: [`enter`](crate::enter) sets those of its
/// settings itself, before `/proc/sys` becomes read-only.
///
/// # Errors
/// [`Error::SysctlNotAllowed`] for a parameter of the whole host; [`Error::System`]
/// naming the parameter.
pub fn set_sysctl(name: &str, value: &str) -> Result<(), Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let proc = openat(CWD, "/proc", flags, Mode::empty()).map_err(at(Operation::Open, "/proc"))?;
    write_sysctl(
        proc.as_fd(),
        &Sysctl {
            name: name.to_owned(),
            value: value.to_owned(),
        },
    )
}

/// Whether the parameter belongs to a namespace, so that it may be set for a container.
pub fn is_namespaced_sysctl(name: &str) -> bool {
    let path = as_path(name);
    let is_own = matches!(path.as_str(), "kernel/hostname" | "kernel/domainname");
    let plain = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    plain && (is_own || NAMESPACED.iter().any(|prefix| path.starts_with(prefix)))
}

pub(crate) fn write_sysctl(proc: BorrowedFd<'_>, sysctl: &Sysctl) -> Result<(), Error> {
    if !is_namespaced_sysctl(&sysctl.name) {
        return Err(Error::SysctlNotAllowed {
            name: sysctl.name.clone(),
        });
    }
    let path = as_path(&sysctl.name);
    let value = sysctl.value.as_bytes();
    let written = match path.as_str() {
        // The files of these two belong to the host's root alone.
        "kernel/hostname" => rustix::system::sethostname(value),
        "kernel/domainname" => rustix::system::setdomainname(value),
        _ => write_file(proc, &path, value),
    };
    written.map_err(at(Operation::SetSysctl, &sysctl.name))
}

fn write_file(proc: BorrowedFd<'_>, path: &str, value: &[u8]) -> Result<(), Errno> {
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let file = resolve(proc, &Path::new("sys").join(path), OFlags::WRONLY, how)?;
    // Whatever is mounted below: only the kernel is told (CVE-2025-52881).
    if fstatfs(&file)?.f_type != PROC_SUPER_MAGIC {
        return Err(Errno::XDEV);
    }
    match rustix::io::write(&file, value)? {
        written if written == value.len() => Ok(()),
        _ => Err(Errno::INVAL),
    }
}

/// `net.ipv4.ip_forward` as `net/ipv4/ip_forward`.
fn as_path(name: &str) -> String {
    let slashes = name
        .find(['.', '/'])
        .is_some_and(|first| name.as_bytes()[first] == b'/');
    if slashes {
        return name.to_owned();
    }
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    name.chars().map(swap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_a_namespace_owns_and_nothing_of_the_host() {
        for name in [
            "net.ipv4.ip_forward",
            "net/ipv4/conf/eth0.1/forwarding",
            "kernel.shmmax",
            "kernel.shm_rmid_forced",
            "kernel.msgmax",
            "kernel.sem",
            "fs.mqueue.msg_max",
            "kernel.domainname",
        ] {
            assert!(is_namespaced_sysctl(name), "{name}");
        }
        for name in [
            "kernel.core_pattern",
            "kernel.panic",
            "vm.swappiness",
            "fs.file-max",
            "net",
            "net.../kernel.core_pattern",
            "net/../kernel/core_pattern",
            "kernel/shm/../core_pattern",
            "",
        ] {
            assert!(!is_namespaced_sysctl(name), "{name}");
        }
    }

    #[test]
    fn the_first_separator_says_which_one_is_meant() {
        assert_eq!(
            as_path("net.ipv4.conf.eth0/1.arp"),
            "net/ipv4/conf/eth0.1/arp"
        );
        assert_eq!(
            as_path("net/ipv4/conf/eth0.1/arp"),
            "net/ipv4/conf/eth0.1/arp"
        );
    }
}
