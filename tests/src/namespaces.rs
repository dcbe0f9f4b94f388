//! A machine of its own for one test: network, mounts and cgroups.
//!
//! Shared memory is its own as well: secrets lie there when Coop's state is on a disk.
//!
//! Namespaces belong to threads, and the test's own thread moves into them. What the test
//! starts is born there, and what it looks at (`/sys/class/net`, the mount table, a port on
//! 127.0.0.1) is what its containers' host looks like.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};
use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};
use rustix::thread::UnshareFlags;

use crate::cgroup;

const PREFIX: &str = "coop-test-";

/// The namespaces and cgroups of one test; left and removed on drop.
pub(crate) struct Namespaces {
    outside: Vec<OwnedFd>,
    /// This test's directory in every hierarchy, as a path on the machine.
    subtrees: Vec<PathBuf>,
    /// `cgroup.procs` of the cgroup that commands start in, in every hierarchy.
    ///
    /// Opened before the test enters its cgroup namespace: with the mount option
    /// `nsdelegate` a process can be moved across the border only from outside.
    entrances: Vec<File>,
}

impl Namespaces {
    /// Moves the calling thread onto a new machine.
    pub(crate) fn enter() -> Result<Self> {
        static SWEEP: Once = Once::new();
        let hierarchies = cgroup::hierarchies();
        if hierarchies.is_empty() {
            bail!("no cgroup hierarchy is mounted");
        }
        SWEEP.call_once(|| sweep(&hierarchies));

        let outside = ["net", "mnt", "cgroup"]
            .map(|kind| File::open(format!("/proc/thread-self/ns/{kind}")).map(OwnedFd::from))
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
            .context("open this thread's namespaces")?;

        let subtrees = new_subtrees(&hierarchies)?;
        let entrances = subtrees
            .iter()
            .map(|subtree| open_entrance(&subtree.join("init")))
            .collect::<Result<Vec<_>>>()?;
        let mut namespaces = Self {
            outside,
            subtrees,
            entrances,
        };
        namespaces.move_in(&hierarchies)?;
        Ok(namespaces)
    }

    fn move_in(&mut self, hierarchies: &[PathBuf]) -> Result<()> {
        let cgroups = cgroup_namespace(&self.subtrees)?;
        if cgroup::version() == cgroup::Version::V2 {
            // Only now: a cgroup that hands controllers down may hold no process.
            self.subtrees
                .iter()
                .try_for_each(|subtree| delegate(subtree))?;
        }
        // SAFETY: file descriptors stay shared; only file system attributes, mounts and
        // network of this one thread change.
        unsafe {
            rustix::thread::unshare_unsafe(
                UnshareFlags::FS | UnshareFlags::NEWNS | UnshareFlags::NEWNET,
            )
        }
        .context("unshare mounts and network")?;
        rustix::thread::move_into_link_name_space(cgroups.as_fd(), None)
            .context("enter the cgroup namespace")?;
        rustix::mount::mount_change(
            "/",
            MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
        )
        .context("make mounts private")?;
        mount_sys(hierarchies, &self.subtrees)?;
        // Where secrets lie when the state directory is on a disk, as in most tests.
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        rustix::mount::mount("tmpfs", "/dev/shm", "tmpfs", flags, Some(c"mode=1777"))
            .context("mount shared memory")?;
        let status = Command::new("ip")
            .args(["link", "set", "lo", "up"])
            .status();
        if !status.context("start ip")?.success() {
            bail!("cannot bring lo up");
        }
        Ok(())
    }

    /// Makes `command` start inside this test's cgroups.
    pub(crate) fn start_inside(&self, command: &mut Command) {
        join_before_exec(command, &self.entrances);
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for namespace in &self.outside {
            if let Err(error) = rustix::thread::move_into_link_name_space(namespace.as_fd(), None) {
                eprintln!("harness: cannot go back to the machine's namespace: {error}");
            }
        }
        kill_all(&self.subtrees);
        remove_subtrees(&self.subtrees);
    }
}

/// Creates the test's directory in every hierarchy, and `init` in it for its commands.
fn new_subtrees(hierarchies: &[PathBuf]) -> Result<Vec<PathBuf>> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("{PREFIX}{}-{number}", std::process::id());
    let mut subtrees = Vec::new();
    for hierarchy in hierarchies {
        if cgroup::version() == cgroup::Version::V2 {
            delegate(hierarchy)?;
        }
        let subtree = hierarchy.join(&name);
        for directory in [&subtree, &subtree.join("init")] {
            fs::create_dir(directory).with_context(|| format!("create {}", directory.display()))?;
            inherit_cpuset(directory)?;
        }
        subtrees.push(subtree);
    }
    Ok(subtrees)
}

/// Copies the parent's processors and memory nodes: a new v1 cpuset has none and takes no
/// process.
fn inherit_cpuset(directory: &Path) -> Result<()> {
    if !directory.join("cgroup.clone_children").exists() {
        return Ok(());
    }
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let own = directory.join(file);
        if own.exists() {
            let inherited = fs::read(directory.with_file_name(file))?;
            fs::write(&own, inherited).with_context(|| format!("write {}", own.display()))?;
        }
    }
    Ok(())
}

/// Lets the children of a v2 cgroup use every controller that it has.
fn delegate(directory: &Path) -> Result<()> {
    let available = fs::read_to_string(directory.join("cgroup.controllers"))?;
    for controller in available.split_whitespace() {
        let file = directory.join("cgroup.subtree_control");
        fs::write(&file, format!("+{controller}"))
            .with_context(|| format!("enable {controller} in {}", file.display()))?;
    }
    Ok(())
}

fn open_entrance(directory: &Path) -> Result<File> {
    let file = directory.join("cgroup.procs");
    File::options()
        .write(true)
        .open(&file)
        .with_context(|| format!("open {}", file.display()))
}

fn join_before_exec(command: &mut Command, entrances: &[File]) {
    let entrances: Vec<RawFd> = entrances.iter().map(AsRawFd::as_raw_fd).collect();
    let join = move || {
        for entrance in &entrances {
            // SAFETY: the caller's files outlive the spawn, and this is the forked copy.
            let entrance = unsafe { BorrowedFd::borrow_raw(*entrance) };
            rustix::io::write(entrance, b"0")?;
        }
        Ok(())
    };
    // SAFETY: the closure only makes system calls.
    unsafe { command.pre_exec(join) };
}

/// A cgroup namespace whose root is `subtrees`.
///
/// The kernel takes the cgroups of the process that creates the namespace, so one is born
/// there for just this.
fn cgroup_namespace(subtrees: &[PathBuf]) -> Result<File> {
    let entrances = subtrees
        .iter()
        .map(|subtree| open_entrance(subtree))
        .collect::<Result<Vec<_>>>()?;
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    join_before_exec(&mut command, &entrances);
    // SAFETY: one system call, in the forked single-threaded copy.
    unsafe {
        command.pre_exec(|| Ok(rustix::thread::unshare_unsafe(UnshareFlags::NEWCGROUP)?));
    }
    let mut creator = command.spawn().context("create a cgroup namespace")?;
    let namespace = File::open(format!("/proc/{}/ns/cgroup", creator.id()));
    drop(creator.stdin.take());
    creator.wait()?;
    namespace.context("open the cgroup namespace")
}

/// Mounts a `/sys` for this network namespace, and in it the test's cgroups where the
/// machine has its own.
fn mount_sys(hierarchies: &[PathBuf], subtrees: &[PathBuf]) -> Result<()> {
    let trees = subtrees
        .iter()
        .map(|subtree| {
            let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
            rustix::mount::open_tree(CWD, subtree, flags)
                .with_context(|| format!("clone {}", subtree.display()))
        })
        .collect::<Result<Vec<_>>>()?;
    let links = symlinks_in(Path::new(cgroup::ROOT));

    rustix::mount::unmount("/sys", UnmountFlags::DETACH).context("unmount the machine's /sys")?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("sysfs", "/sys", "sysfs", flags, None).context("mount /sys")?;
    if !hierarchies
        .iter()
        .any(|point| point == Path::new(cgroup::ROOT))
    {
        rustix::mount::mount("tmpfs", cgroup::ROOT, "tmpfs", flags, Some(c"mode=755"))
            .context("mount the directory of the cgroup hierarchies")?;
    }
    for (point, tree) in hierarchies.iter().zip(trees) {
        fs::create_dir_all(point)?;
        rustix::mount::move_mount(
            tree,
            "",
            CWD,
            point,
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
        )
        .with_context(|| format!("mount {}", point.display()))?;
    }
    for (name, target) in links {
        std::os::unix::fs::symlink(target, Path::new(cgroup::ROOT).join(name))?;
    }
    Ok(())
}

/// Names and targets of links such as `cpu -> cpu,cpuacct`.
fn symlinks_in(directory: &Path) -> Vec<(std::ffi::OsString, PathBuf)> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| Some((entry.file_name(), fs::read_link(entry.path()).ok()?)))
        .collect()
}

/// Removes what test processes left that were killed themselves.
fn sweep(hierarchies: &[PathBuf]) {
    for hierarchy in hierarchies {
        let Ok(entries) = fs::read_dir(hierarchy) else {
            continue;
        };
        let stale = entries.flatten().filter(|entry| {
            let name = entry.file_name();
            let owner = name
                .to_str()
                .and_then(|name| name.strip_prefix(PREFIX)?.split_once('-'));
            owner.is_some_and(|(pid, _)| !Path::new("/proc").join(pid).exists())
        });
        let stale: Vec<_> = stale.map(|entry| entry.path()).collect();
        kill_all(&stale);
        remove_subtrees(&stale);
    }
}

fn kill_all(subtrees: &[PathBuf]) {
    // A process may fork while the list is read, so look until nothing is left; one that
    // cannot die must not hang the test.
    for _ in 0..500 {
        let mut pids = Vec::new();
        for subtree in subtrees {
            for directory in std::iter::once(subtree.clone()).chain(cgroup::below(subtree)) {
                // Signals do not reach a process that is frozen by v1.
                let _ = fs::write(directory.join("freezer.state"), "THAWED");
                pids.extend(cgroup::members(&directory));
            }
        }
        if pids.is_empty() {
            return;
        }
        for pid in pids {
            if let Some(pid) = rustix::process::Pid::from_raw(pid.cast_signed()) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    eprintln!("harness: processes in {subtrees:?} do not die");
}

fn remove_subtrees(subtrees: &[PathBuf]) {
    for subtree in subtrees {
        let directories = std::iter::once(subtree.clone()).chain(cgroup::below(subtree));
        let mut directories: Vec<_> = directories.collect();
        directories.sort();
        for directory in directories.iter().rev() {
            if let Err(error) = remove_cgroup(directory) {
                eprintln!("harness: cannot remove {}: {error}", directory.display());
            }
        }
    }
}

/// Removes an empty cgroup; the kernel may still be busy with its last process.
fn remove_cgroup(directory: &Path) -> std::io::Result<()> {
    let mut last = Ok(());
    for _ in 0..100 {
        last = fs::remove_dir(directory);
        match &last {
            Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            _ => break,
        }
    }
    last
}
