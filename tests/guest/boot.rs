//! From the initramfs to the disk.

use std::ffi::CStr;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change, mount_move};

/// The labels of the disk with programs and libraries and of the one with the tests, and where
/// they are mounted.
const DISKS: [(&str, &str); 2] = [("root", "/disk"), ("tests", "/disk/tests")];

/// Mounts `/proc`, `/sys` and `/dev`, without which nothing can be said or found.
pub(crate) fn mount_kernel_filesystems() -> Result<()> {
    for (kind, point) in [("devtmpfs", "/dev"), ("proc", "/proc"), ("sysfs", "/sys")] {
        filesystem(kind, point, MountFlags::empty(), None)?;
    }
    Ok(())
}

/// Mounts the filesystem `kind` on `point`, which is made.
pub(crate) fn filesystem(
    kind: &str,
    point: &str,
    flags: MountFlags,
    options: Option<&CStr>,
) -> Result<()> {
    fs::create_dir_all(point).with_context(|| format!("create {point}"))?;
    match mount(kind, point, kind, flags, options) {
        // The kernel mounts /dev by itself, when it is so configured.
        Ok(()) | Err(rustix::io::Errno::BUSY) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("mount {kind} on {point}")),
    }
}

/// Loads what lies in `/modules`, by the order of the list beside it.
pub(crate) fn load_modules(variant: &str) -> Result<()> {
    let order = fs::read_to_string("/modules/order").context("the list of kernel modules")?;
    for name in order.lines() {
        if variant == "no-nft" && (name.starts_with("nft_") || name == "nf_tables") {
            continue;
        }
        let file = File::open(format!("/modules/{name}.ko"))
            .with_context(|| format!("the kernel module {name}"))?;
        if let Err(error) = rustix::system::finit_module(file.as_fd(), c"", 0) {
            // Not all machines have the hardware; the tests tell whether a feature is missed.
            eprintln!("guest-init: module {name}: {error}");
        }
    }
    Ok(())
}

/// Makes the first disk the root of everything, with the second one at `/tests`.
pub(crate) fn move_to_disk() -> Result<()> {
    for (label, point) in DISKS {
        let device = wait_for(label)?;
        fs::create_dir_all(point).with_context(|| format!("create {point}"))?;
        mount(device, point, "ext4", MountFlags::empty(), None)
            .with_context(|| format!("mount the disk {label}"))?;
    }
    for name in ["dev", "proc", "sys"] {
        let place = Path::new("/disk").join(name);
        fs::create_dir_all(&place).with_context(|| format!("create {}", place.display()))?;
        mount_move(Path::new("/").join(name), &place).with_context(|| format!("move /{name}"))?;
    }
    // As `switch_root(8)` does it: the root of the initramfs can be covered, but not left.
    std::env::set_current_dir("/disk").context("enter the disk")?;
    mount_move(".", "/").context("move the disk to the root")?;
    rustix::process::chroot(".").context("change the root")?;
    std::env::set_current_dir("/").context("enter the root")?;
    // As systemd does it.
    mount_change(
        "/",
        MountPropagationFlags::SHARED | MountPropagationFlags::REC,
    )
    .context("share the mounts")
}

/// The device of the disk with this label.
///
/// Disks are found while the kernel boots, in any order, and some by a module that was loaded
/// just now.
fn wait_for(label: &str) -> Result<&'static str> {
    for _ in 0..600 {
        for device in ["/dev/nvme0n1", "/dev/nvme0n2"] {
            if label_of(device).is_ok_and(|found| found == label) {
                return Ok(device);
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("there is no disk {label}")
}

/// The label in the superblock of ext4.
fn label_of(device: &str) -> std::io::Result<String> {
    let mut label = [0; 16];
    File::open(device)?.read_exact_at(&mut label, 1024 + 0x78)?;
    let text = String::from_utf8_lossy(&label);
    Ok(text.trim_end_matches('\0').to_owned())
}
