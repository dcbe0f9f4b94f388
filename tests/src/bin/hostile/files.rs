//! The host's files, and the kernel's.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::process::{chdir, chroot};

use crate::{Attack, Attempt, Denied, attack, word};

pub(crate) const ATTACKS: &[Attack] = &[
    attack("read-file", read_file),
    attack("read-hidden", read_hidden),
    attack("open-for-writing", open_for_writing),
    attack("chroot-escape", chroot_escape),
    attack("open-by-handle", open_by_handle),
    attack("parent-cgroup", parent_cgroup),
];

fn read_file(words: &[String]) -> Attempt {
    let text = fs::read_to_string(word(words, 0)?)?;
    Ok(format!("read {:?}", text.trim()))
}

/// A file of the kernel's that may have something mounted over it.
fn read_hidden(words: &[String]) -> Attempt {
    let path = Path::new(word(words, 0)?);
    let kind = fs::metadata(path)?;
    if kind.file_type().is_char_device() {
        return Err(Denied::of("masked"));
    }
    if kind.is_dir() {
        let entries = fs::read_dir(path)?.count();
        return match entries {
            0 => Err(Denied::of("masked")),
            _ => Ok(format!("{entries} entries")),
        };
    }
    let mut start = [0; 64];
    let length = File::open(path)?.read(&mut start)?;
    Ok(format!("read {length} bytes"))
}

/// Opens it, and writes nothing.
fn open_for_writing(words: &[String]) -> Attempt {
    File::options().write(true).open(word(words, 0)?)?;
    Ok("open for writing".into())
}

/// `chroot(2)`, NOTES: a working directory outside of the root climbs past it.
fn chroot_escape(words: &[String]) -> Attempt {
    let inner = std::env::current_dir()?.join("hostile-root");
    fs::create_dir_all(&inner)?;
    chroot(&inner)?;
    for _ in 0..64 {
        chdir("..")?;
    }
    chroot(".")?;
    if inner.exists() && !Path::new(word(words, 0)?).exists() {
        return Err(Denied::of("same root"));
    }
    read_file(words)
}

/// `struct file_handle` of `open_by_handle_at(2)`, with room for any handle.
#[repr(C)]
struct Handle {
    size: u32,
    kind: i32,
    bytes: [u8; 128],
}

/// A file of the disk that the container's own files are on, by its number instead of its path
/// (the "shocker" of 2014). It is one that is mounted here anyway: `/etc/hosts`.
fn open_by_handle(_: &[String]) -> Attempt {
    const MOUNTED: &CStr = c"/etc/hosts";
    let mount = File::open("/etc/hosts")?;
    let mut handle = Handle {
        size: 128,
        kind: 0,
        bytes: [0; 128],
    };
    let mut mount_id = MaybeUninit::<i32>::uninit();
    // SAFETY: the handle has the room that it says, and the mount's id is written to its place.
    let named = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            libc::AT_FDCWD,
            MOUNTED.as_ptr(),
            &raw mut handle,
            mount_id.as_mut_ptr(),
            0,
        )
    };
    if named < 0 {
        return Err(io::Error::last_os_error().into());
    }
    // SAFETY: the handle is one that the kernel has written.
    let opened = unsafe {
        libc::syscall(
            libc::SYS_open_by_handle_at,
            mount.as_raw_fd(),
            &raw mut handle,
            libc::O_RDONLY,
        )
    };
    if opened < 0 {
        return Err(io::Error::last_os_error().into());
    }
    // SAFETY: the descriptor was made just now, and is nobody else's.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(opened as i32) });
    Ok(format!("inode {}", file.metadata()?.ino()))
}

/// The list of processes of the cgroup around this one's, to move there, out of every limit.
fn parent_cgroup(_: &[String]) -> Attempt {
    let groups = fs::read_to_string("/proc/self/cgroup")?;
    // Version 2, or the pids controller of version 1.
    let of = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let controllers = fields.next()?;
        let path = fields.next()?.to_owned();
        match controllers {
            "" => Some((String::new(), path)),
            "pids" => Some(("pids".to_owned(), path)),
            _ => None,
        }
    };
    let mut found: Vec<_> = groups.lines().filter_map(of).collect();
    found.sort();
    let (hierarchy, path) = found.pop().ok_or_else(|| Denied::of("no cgroup"))?;
    let parent = Path::new("/sys/fs/cgroup")
        .join(hierarchy)
        .join(path.trim_start_matches('/'))
        .join("../cgroup.procs");
    // A namespace of its own shows no parent: what is above the hierarchy's root is no cgroup.
    File::options().write(true).open(parent)?;
    Ok("open for writing".into())
}
