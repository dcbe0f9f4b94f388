//! Becoming more than one is.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fs::XattrFlags;
use rustix::process::geteuid;

use crate::{Attack, Attempt, Denied, attack};

pub(crate) const ATTACKS: &[Attack] = &[
    attack("setuid-program", setuid_program),
    attack("file-capabilities", file_capabilities),
    attack("who", who),
    attack("has-capability", has_capability),
];

/// A program of the image that belongs to root and has the set-user-ID bit.
fn setuid_program(_: &[String]) -> Attempt {
    if geteuid().is_root() {
        return Err(Denied::of("root to begin with"));
    }
    Err(Command::new("/bin/hostile-setuid").arg("who").exec().into())
}

fn who(_: &[String]) -> Attempt {
    if geteuid().is_root() {
        return Ok("effective user id 0".into());
    }
    Err(Denied::of("not root"))
}

/// Root of the container gives a program of its own a capability, and a user executes it.
fn file_capabilities(_: &[String]) -> Attempt {
    const PROGRAM: &str = "/tmp/hostile";
    const USER: u32 = 1000;
    /// `VFS_CAP_REVISION_2` with the bit that makes them effective.
    const REVISION: u32 = 0x0200_0001;
    const NET_BIND_SERVICE: u32 = 1 << 10;
    fs::copy("/bin/hostile", PROGRAM)?;
    fs::set_permissions(PROGRAM, fs::Permissions::from_mode(0o755))?;
    let words = [REVISION, NET_BIND_SERVICE, 0, 0, 0];
    let value: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    rustix::fs::setxattr(PROGRAM, "security.capability", &value, XattrFlags::empty())?;
    let mut program = Command::new(PROGRAM);
    program.args(["has-capability", "10"]).uid(USER).gid(USER);
    Err(program.exec().into())
}

fn has_capability(words: &[String]) -> Attempt {
    let number: u32 = crate::number(words, 0)?;
    let status = fs::read_to_string("/proc/self/status")?;
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    match effective {
        Some(set) if set & 1 << number != 0 => Ok(format!("capability {number}")),
        Some(_) => Err(Denied::of("no capability")),
        None => Err(io::Error::from(io::ErrorKind::InvalidData).into()),
    }
}
