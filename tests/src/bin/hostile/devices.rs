//! Devices that the container was not given.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

use rustix::fs::{CWD, FileType, Mode, major, makedev, minor, mknodat};

use crate::{Attack, Attempt, attack, number, word};

pub(crate) const ATTACKS: &[Attack] = &[
    attack("open-device", open_device),
    attack("make-device", make_device),
    attack("open-disk", open_disk),
];

/// A node that is there, or not.
fn open_device(words: &[String]) -> Attempt {
    File::open(word(words, 0)?)?;
    Ok("open".into())
}

/// A character device by its numbers.
fn make_device(words: &[String]) -> Attempt {
    open_node(
        FileType::CharacterDevice,
        number(words, 0)?,
        number(words, 1)?,
    )
}

/// The disk on which the host has the container's files: `/etc/hosts` is on it.
fn open_disk(_: &[String]) -> Attempt {
    let device = fs::metadata("/etc/hosts")?.dev();
    open_node(FileType::BlockDevice, major(device), minor(device))
}

/// Makes a node and opens it to read, which nothing is.
fn open_node(kind: FileType, major: u32, minor: u32) -> Attempt {
    // In the working directory: on the host that is the test's own.
    const NODE: &str = "hostile-device";
    let mode = Mode::from_raw_mode(0o600);
    mknodat(CWD, NODE, kind, mode, makedev(major, minor))?;
    File::open(NODE)?;
    Ok(format!("opened {major}:{minor}"))
}
