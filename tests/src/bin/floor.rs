//! The floor that `cargo xtask bench` measures Coop against: what the kernel alone costs.
//!
//! It makes the namespaces, the mounts and the id maps of one of Coop's default containers
//! (`coop run --network none --rootfs DIR`), changes to the new root, executes a program and
//! waits for it, and does nothing else: no cgroup, no limits, no capabilities, no hostname, no
//! state, no log, no lease, nothing that is removed afterwards, hardly a check. What it needs
//! on disk is there before it starts.
//!
//! ```text
//! floor ROOTFS SCRATCH CGROUPS PROGRAM [ARGUMENT]...
//! ```
//!
//! `SCRATCH` holds `upper`, `work`, `hosts`, `hostname` and `resolv.conf`, owned by
//! [`FIRST_ID`]. `CGROUPS` names the hierarchies to mount: `v2`, or the options of version 1
//! with colons between them (`cpu:memory:name=systemd`).
//!
//! Unlike Coop it trusts `ROOTFS`: a symbolic link there may lead a mount anywhere.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, iter, mem};

use anyhow::{Context, Result, anyhow, bail};
use rustix::fs::{
    AtFlags, CWD, Dev, FileType, Gid, Mode, Uid, makedev, mkdirat, mknodat, statat, symlinkat,
};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_fd, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, mount, mount_bind, mount_change, mount_remount,
    move_mount, open_tree, unmount,
};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Pid, Signal, WaitOptions, chdir, fchdir, kill_process, pivot_root,
    set_parent_process_death_signal, umask, waitpid,
};
use rustix::thread::{set_thread_gid, set_thread_uid};

/// The host's id of the container's root.
const FIRST_ID: u32 = 0x7000_0000;
/// How many ids the container has.
const IDS: u32 = 65_536;

const INERT: MountFlags = MountFlags::NOSUID
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC);

fn main() -> ExitCode {
    match Container::from_arguments().and_then(|container| container.run()) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("floor: {error:#}");
            ExitCode::from(125)
        }
    }
}

struct Container {
    rootfs: PathBuf,
    scratch: PathBuf,
    cgroups: String,
    argv: Vec<CString>,
}

impl Container {
    fn from_arguments() -> Result<Self> {
        let mut words = std::env::args_os().skip(1);
        let (Some(rootfs), Some(scratch), Some(cgroups), Some(program)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            bail!("usage: floor ROOTFS SCRATCH CGROUPS PROGRAM [ARGUMENT]...");
        };
        let argv = iter::once(program)
            .chain(words)
            .map(|word| CString::new(word.as_bytes()))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            rootfs: rootfs.into(),
            scratch: scratch.into(),
            cgroups: cgroups.to_string_lossy().into_owned(),
            argv,
        })
    }

    /// Runs the program to its end; its exit status.
    fn run(&self) -> Result<u8> {
        let dev = make_dev().context("make /dev")?;
        let (ready, go) = pipe_with(PipeFlags::CLOEXEC).context("pipe")?;
        // SAFETY: this process has one thread.
        let Some(child) = (unsafe { clone_with_all_namespaces() }).context("clone3")? else {
            return Err(self.child(&ready));
        };
        if let Err(error) = self.let_go(child, dev, &go) {
            // It may never hear of it: its table of descriptors is this one.
            let _ = kill_process(child, Signal::KILL);
            return Err(error);
        }
        let (_, status) = waitpid(Some(child), WaitOptions::empty())
            .context("wait")?
            .context("wait: no child")?;
        let signal = || status.terminating_signal().unwrap_or_default() | 0x80;
        Ok(status.exit_status().unwrap_or_else(signal) as u8)
    }

    /// The parent's part: id maps, the root filesystem, and the word to go on.
    fn let_go(&self, child: Pid, dev: OwnedFd, go: &OwnedFd) -> Result<()> {
        let process = PathBuf::from(format!("/proc/{}", child.as_raw_nonzero()));
        let map = format!("0 {FIRST_ID} {IDS}");
        fs::write(process.join("uid_map"), &map).context("write uid_map")?;
        fs::write(process.join("gid_map"), &map).context("write gid_map")?;
        let userns = fs::File::open(process.join("ns/user")).context("open ns/user")?;
        let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let lower = open_tree(CWD, &self.rootfs, clone).context("clone the root filesystem")?;
        id_map(lower.as_fd(), userns.as_fd()).context("id-map the root filesystem")?;
        id_map(dev.as_fd(), userns.as_fd()).context("id-map /dev")?;
        let root = self.overlay(lower.as_fd()).context("make the overlay")?;
        // The child has the same table of descriptors, so that their numbers will do.
        let numbers = [root.as_raw_fd(), dev.as_raw_fd()].map(RawFd::to_ne_bytes);
        rustix::io::write(go, numbers.as_flattened()).context("send descriptors")?;
        // It closes them itself, by `execve`. Not this process, which may be first.
        let _ = (root.into_raw_fd(), dev.into_raw_fd());
        // To close an id-mapped mount takes a while, in which the child works.
        drop(lower);
        Ok(())
    }

    fn overlay(&self, lower: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
        let context = fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_fd(&context, c"lowerdir+", lower)?;
        fsconfig_set_string(&context, c"upperdir", self.scratch.join("upper"))?;
        fsconfig_set_string(&context, c"workdir", self.scratch.join("work"))?;
        // Or the end of the container would write the whole filesystem below to its disk.
        fsconfig_set_flag(&context, c"volatile")?;
        fsconfig_create(&context)?;
        let (flags, attributes) = (
            FsMountFlags::FSMOUNT_CLOEXEC,
            MountAttrFlags::MOUNT_ATTR_NODEV,
        );
        fsmount(&context, flags, attributes)
    }

    /// The child's part; returns only when it fails.
    fn child(&self, ready: &OwnedFd) -> anyhow::Error {
        match self.enter(ready) {
            Ok(()) => anyhow!("{}", execve(&self.argv)).context("execve"),
            Err(error) => error,
        }
    }

    fn enter(&self, ready: &OwnedFd) -> Result<()> {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        let mut numbers = [0; 8];
        rustix::io::read(ready, &mut numbers).context("wait for the parent")?;
        let (root, dev) = numbers.split_at(4);
        let descriptor = |bytes: &[u8]| -> Result<BorrowedFd<'static>> {
            let number = RawFd::from_ne_bytes(bytes.try_into()?);
            // SAFETY: the parent has opened it in the table that both have, and closes it no
            // more.
            Ok(unsafe { BorrowedFd::borrow_raw(number) })
        };
        let (root, dev) = (descriptor(root)?, descriptor(dev)?);
        set_thread_gid(Gid::ROOT).context("setgid")?;
        set_thread_uid(Uid::ROOT).context("setuid")?;
        let all = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        mount_change(c"/", all).context("make the host's mounts slaves")?;
        attach(root, c"/").context("attach the root")?;
        fchdir(root)?;
        new(c"proc", c"proc", None)?;
        attach(dev, c"dev").context("attach /dev")?;
        // With the devices that are all there is to it.
        let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
        let options = c"newinstance,ptmxmode=0666,mode=0620,gid=5";
        mount(c"devpts", c"dev/pts", c"devpts", flags, options).context("mount dev/pts")?;
        new(c"tmpfs", c"dev/shm", Some(c"mode=1777,size=64m"))?;
        new(c"mqueue", c"dev/mqueue", None)?;
        read_only(c"sysfs", c"sys", None)?;
        self.mount_cgroups()?;
        for name in ["hosts", "hostname", "resolv.conf"] {
            let target = Path::new("etc").join(name);
            mount_bind(self.scratch.join(name), target).with_context(|| format!("bind {name}"))?;
        }
        hide()?;
        shut()?;
        pivot_root(c".", c".").context("pivot_root")?;
        unmount(c".", UnmountFlags::DETACH).context("unmount the host's root")?;
        chdir(c"/").context("chdir")
    }

    fn mount_cgroups(&self) -> Result<()> {
        if self.cgroups == "v2" {
            return read_only(c"cgroup2", c"sys/fs/cgroup", None);
        }
        new(c"tmpfs", c"sys/fs/cgroup", Some(c"mode=755,size=64k"))?;
        for options in self.cgroups.split(':') {
            let name = options.strip_prefix("name=").unwrap_or(options);
            let place = Path::new("sys/fs/cgroup").join(name);
            mkdirat(CWD, &place, Mode::from_raw_mode(0o755)).context("mkdir")?;
            let (place, options) = (
                CString::new(place.as_os_str().as_bytes())?,
                CString::new(options)?,
            );
            read_only(c"cgroup", &place, Some(&options))?;
        }
        let flags = MountFlags::RDONLY | INERT;
        mount_remount(c"sys/fs/cgroup", flags, c"").context("make /sys/fs/cgroup read-only")
    }
}

/// A detached `/dev`: made by the host's root, its nodes work in the container.
fn make_dev() -> Result<OwnedFd, Errno> {
    let context = fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, c"mode", c"755")?;
    fsconfig_set_string(&context, c"size", c"64m")?;
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID;
    let dev = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    let umask = umask(Mode::empty());
    for (name, minor) in [
        ("null", 3),
        ("zero", 5),
        ("full", 7),
        ("random", 8),
        ("urandom", 9),
    ] {
        make_node(&dev, name, makedev(1, minor))?;
    }
    make_node(&dev, "tty", makedev(5, 0))?;
    rustix::process::umask(umask);
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("core", "/proc/kcore"),
        ("ptmx", "pts/ptmx"),
    ] {
        symlinkat(target, &dev, name)?;
    }
    for name in ["pts", "shm", "mqueue"] {
        mkdirat(&dev, name, Mode::from_raw_mode(0o755))?;
    }
    Ok(dev)
}

fn make_node(dev: &OwnedFd, name: &str, number: Dev) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(0o666);
    mknodat(dev, name, FileType::CharacterDevice, mode, number)
}

/// Hides what Docker hides of `/proc` and `/sys`.
fn hide() -> Result<()> {
    const PATHS: [&str; 12] = [
        "proc/acpi",
        "proc/asound",
        "proc/interrupts",
        "proc/kcore",
        "proc/keys",
        "proc/latency_stats",
        "proc/sched_debug",
        "proc/scsi",
        "proc/timer_list",
        "proc/timer_stats",
        "sys/devices/virtual/powercap",
        "sys/firmware",
    ];
    let mut empty: Option<&str> = None;
    for path in PATHS {
        // A bind mount that fails waits for the kernel; this does not.
        let Ok(stat) = statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) else {
            continue;
        };
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        match empty {
            _ if !is_directory => mount_bind(c"/dev/null", path),
            Some(empty) => mount_bind(empty, path),
            None => {
                empty = Some(path);
                let flags = MountFlags::RDONLY | INERT;
                mount(c"tmpfs", path, c"tmpfs", flags, Some(c"size=0k"))
            }
        }
        .with_context(|| format!("hide {path}"))?;
    }
    Ok(())
}

/// Makes read-only what Docker makes read-only of `/proc`.
fn shut() -> Result<()> {
    for path in [
        c"proc/bus",
        c"proc/fs",
        c"proc/irq",
        c"proc/sys",
        c"proc/sysrq-trigger",
    ] {
        match mount_bind(path, path) {
            Ok(()) => {}
            Err(Errno::NOENT) => continue,
            Err(errno) => bail!("bind {path:?}: {errno}"),
        }
        set_attributes(CWD, path, 0, &attributes(libc::MOUNT_ATTR_RDONLY, 0))
            .with_context(|| format!("make {path:?} read-only"))?;
    }
    Ok(())
}

fn new(filesystem: &CStr, target: &CStr, options: Option<&CStr>) -> Result<()> {
    mount(filesystem, target, filesystem, INERT, options)
        .with_context(|| format!("mount {target:?}"))
}

fn read_only(filesystem: &CStr, target: &CStr, options: Option<&CStr>) -> Result<()> {
    mount(
        filesystem,
        target,
        filesystem,
        INERT | MountFlags::RDONLY,
        options,
    )
    .with_context(|| format!("mount {target:?}"))
}

fn attach(mount: BorrowedFd<'_>, target: &CStr) -> Result<(), Errno> {
    let by_descriptor = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(mount, c"", CWD, target, by_descriptor)
}

fn id_map(mount: BorrowedFd<'_>, userns: BorrowedFd<'_>) -> Result<(), Errno> {
    let change = attributes(libc::MOUNT_ATTR_IDMAP, userns.as_raw_fd() as u64);
    set_attributes(mount, c"", libc::AT_EMPTY_PATH, &change)
}

fn attributes(set: u64, userns_fd: u64) -> libc::mount_attr {
    libc::mount_attr {
        attr_set: set,
        attr_clr: 0,
        propagation: 0,
        userns_fd,
    }
}

/// `mount_setattr(2)`.
fn set_attributes(
    dir: BorrowedFd<'_>,
    path: &CStr,
    flags: i32,
    change: &libc::mount_attr,
) -> Result<(), Errno> {
    // SAFETY: the path ends with a zero, the structure has the size that is passed, and both
    // live until the call returns.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            dir.as_raw_fd(),
            path.as_ptr(),
            flags,
            std::ptr::from_ref(change),
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(last_errno())
    }
}

/// `clone3(2)` in the manner of `fork(2)`, with a table of descriptors in common. `None` in
/// the child.
///
/// # Safety
/// The process must have one thread: the child has a copy of the memory and of no other one.
unsafe fn clone_with_all_namespaces() -> Result<Option<Pid>, Errno> {
    let flags = libc::CLONE_FILES
        | libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWUTS;
    // SAFETY: `clone_args` is plain numbers, for which zero is "nothing".
    let mut arguments: libc::clone_args = unsafe { mem::zeroed() };
    arguments.flags = flags as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    // SAFETY: the structure has the size that is passed. Without CLONE_VM the child has a copy
    // of the memory, and so a stack of its own.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw mut arguments,
            size_of::<libc::clone_args>(),
        )
    };
    match pid {
        -1 => Err(last_errno()),
        pid => Ok(Pid::from_raw(pid as i32)),
    }
}

/// `execve(2)` with an empty environment; returns only when it fails.
fn execve(argv: &[CString]) -> Errno {
    let pointers: Vec<_> = argv
        .iter()
        .map(|word| word.as_ptr())
        .chain([std::ptr::null()])
        .collect();
    let environment = [std::ptr::null()];
    // SAFETY: both lists end with a null pointer, and their words live until the call returns.
    unsafe { libc::execve(pointers[0], pointers.as_ptr(), environment.as_ptr()) };
    last_errno()
}

fn last_errno() -> Errno {
    std::io::Error::last_os_error()
        .raw_os_error()
        .map_or(Errno::INVAL, Errno::from_raw_os_error)
}
