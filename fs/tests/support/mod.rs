//! A test harness with one thread, as a real clone needs, and containers to test in.
#![allow(dead_code, reason = "every test program uses its part of it")]

use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use coop_fs::{Changes, Error, Mount, OpenMount, Overlay, RootSettings, RootSource};
use coop_ns::privileges::set_user;
use coop_ns::{
    Child, CloneArgs, ExitStatus, Forked, Handle, IdMaps, Namespace, Namespaces, clone3,
    exit_child, idmap, pidfd,
};
use rustix::io::{IoSlice, IoSliceMut, read, retry_on_intr, write};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use tempfile::TempDir;

/// First host id of the test containers; not one that the default pool hands out first.
pub(crate) const HOST_BASE: u32 = 0x5ffe_0000;

/// The main function of a test program: runs the functions as tests.
macro_rules! tests {
    ($($test:ident),* $(,)?) => {
        fn main() {
            support::run(&[$((stringify!($test), $test)),*]);
        }
    };
}

/// Runs the tests one after another in this thread; a name, or a part of it, as argument
/// selects among them.
pub(crate) fn run(tests: &[(&str, fn())]) {
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    if std::env::args().any(|arg| arg == "--list") {
        for (name, _) in tests {
            println!("{name}: test");
        }
        return;
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: mounting for real needs root");
        return;
    }
    let mut failed = 0;
    for (name, test) in tests {
        if filter.as_deref().is_some_and(|part| !name.contains(part)) {
            continue;
        }
        let passed = catch_unwind(test).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += u32::from(!passed);
    }
    assert_eq!(failed, 0, "tests failed");
}

/// Whether the kernel is older than Linux `major`.`minor`.
pub(crate) fn is_kernel_before(major: u32, minor: u32) -> bool {
    let uname = rustix::system::uname();
    let release = uname.release().to_str().unwrap();
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|number| number.parse::<u32>().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap()) < (major, minor)
}

/// An image, and what a container of it is to be like.
pub(crate) struct Container {
    dir: TempDir,
    pub(crate) root: RootSource,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) settings: RootSettings,
    pub(crate) namespaces: Namespaces,
    /// Builds the root in the way of older kernels.
    pub(crate) attached: bool,
    /// Leaves the sources to the child, as a parent without privilege does.
    pub(crate) defer: bool,
}

impl Container {
    /// An image with a few files, below a directory that only the host's root can enter.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name| dir.path().join(name);
        fs::create_dir_all(path("lower/etc")).unwrap();
        fs::write(path("lower/hello"), "from the image").unwrap();
        fs::write(
            path("lower/etc/passwd"),
            "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/www:\n",
        )
        .unwrap();
        fs::write(
            path("lower/etc/group"),
            "root:x:0:\nweb:x:33:\nlog:x:4:web\n",
        )
        .unwrap();
        fs::create_dir(path("upper-of-box")).unwrap();
        let overlay = Overlay {
            lowers: vec![path("lower")],
            upper: path("upper-of-box/upper"),
            work: path("upper-of-box/work"),
            marks: coop_fs::Marks::Trusted,
            context: None,
        };
        Self {
            dir,
            root: RootSource::Overlay(overlay),
            mounts: vec![Mount::Proc],
            settings: RootSettings::default(),
            namespaces: Namespaces::all() - Namespaces::TIME,
            attached: false,
            defer: false,
        }
    }

    /// With the mounts that every container has.
    pub(crate) fn standard() -> Self {
        Self {
            mounts: Mount::standard(1 << 20),
            ..Self::new()
        }
    }

    /// Without a user namespace of its own.
    pub(crate) fn sharing_users(mut self) -> Self {
        self.namespaces -= Namespaces::USER;
        self
    }

    pub(crate) fn with(mut self, mount: Mount) -> Self {
        self.mounts.push(mount);
        self
    }

    /// A path on the host, beside the image's and the container's directories.
    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A path in the image.
    pub(crate) fn image(&self, name: &str) -> PathBuf {
        self.outside("lower").join(name)
    }

    /// A path among the container's changes.
    pub(crate) fn upper(&self, name: &str) -> PathBuf {
        self.outside("upper-of-box/upper").join(name)
    }

    /// Runs `inside` in the container; it fails by panicking.
    pub(crate) fn run(&self, inside: impl FnOnce()) {
        self.run_beside(|_| {}, inside);
    }

    /// Runs `outside` on the host while the container is up, then `inside` in it.
    pub(crate) fn run_beside(&self, outside: impl FnOnce(&Child), inside: impl FnOnce()) {
        let outside = |child: &Child| {
            self.assert_not_on_host();
            outside(child);
        };
        self.start(outside, inside).unwrap();
    }

    /// Runs `before` on the host while the container is up, `inside` in it, and `after` on
    /// the host, where the directories of the test may be mounted.
    pub(crate) fn run_unchecked(
        &self,
        before: impl FnOnce(&Child),
        inside: impl FnOnce(),
        after: impl FnOnce(),
    ) {
        self.start(before, inside).unwrap();
        after();
    }

    /// The error of setting the container up.
    pub(crate) fn error(&self) -> String {
        self.start(|_| {}, || {}).unwrap_err()
    }

    fn start(&self, outside: impl FnOnce(&Child), inside: impl FnOnce()) -> Result<(), String> {
        let own_user = self.namespaces.contains(Namespaces::USER);
        let owner = if own_user { HOST_BASE } else { 0 };
        if let RootSource::Overlay(overlay) = &self.root {
            coop_fs::prepare_upper(overlay, owner, owner).unwrap();
        }
        let mounts = if self.defer {
            coop_fs::defer_mounts(&self.mounts)
        } else {
            coop_fs::open_mounts(&self.mounts).map_err(|error| chain(&error))?
        };
        let (here, there) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        let args = CloneArgs {
            namespaces: self.namespaces,
            cgroup: None,
        };
        // SAFETY: this program has one thread.
        let child = match unsafe { clone3(&args) }.unwrap() {
            Forked::Parent(child) => child,
            Forked::Child => {
                drop(here);
                exit_child(self.child_side(&there, &mounts, inside));
            }
        };
        drop(there);
        let root = self.attach(&child, own_user, &mounts);
        let root = root.map_err(|error| {
            let _ = pidfd::send_signal(child.pidfd.as_fd(), coop_ns::Signal::KILL);
            let _ = pidfd::wait(child.pidfd.as_fd());
            chain(&error)
        })?;
        send_fd(&here, root.as_fd());
        drop((root, mounts));
        let entered = receive_text(&here);
        if entered == "entered" {
            let beside = catch_unwind(AssertUnwindSafe(|| outside(&child)));
            write(&here, b"go").unwrap();
            let status = pidfd::wait(child.pidfd.as_fd()).unwrap();
            assert!(beside.is_ok(), "the outside of the test failed");
            assert_eq!(
                status,
                ExitStatus::Exited(0),
                "the inside of the test failed"
            );
            return Ok(());
        }
        pidfd::wait(child.pidfd.as_fd()).unwrap();
        Err(entered)
    }

    fn attach(
        &self,
        child: &Child,
        own_user: bool,
        mounts: &[OpenMount],
    ) -> Result<OwnedFd, Error> {
        if !own_user {
            return Ok(self.root.build(None, Changes::Kept)?.mount);
        }
        let maps = IdMaps::single_range(HOST_BASE, 65_536);
        idmap::write(child.pid, &maps).unwrap();
        let userns = Handle::open(child.pid, Namespace::User).unwrap();
        for mount in mounts {
            let is_dev = matches!(mount.mount(), Mount::Dev { .. });
            let mapped = if is_dev && self.attached {
                Err(None)
            } else {
                coop_fs::id_map(mount, userns.as_fd()).map_err(Some)
            };
            match mapped {
                Err(None | Some(Error::IdMapUnsupported { .. })) if is_dev => {
                    coop_fs::chown_dev(mount, |id| maps.host_uid(id), |id| maps.host_gid(id))?;
                }
                Err(Some(error)) => return Err(error),
                Ok(()) | Err(None) => {}
            }
        }
        match &self.root {
            RootSource::Overlay(overlay) if self.attached => {
                coop_fs::build_overlay_attached(overlay, userns.as_fd())
            }
            root => Ok(root.build(Some(userns.as_fd()), Changes::Kept)?.mount),
        }
    }

    fn child_side(&self, there: &OwnedFd, mounts: &[OpenMount], inside: impl FnOnce()) -> i32 {
        let root = receive_fd(there);
        set_user(0, 0, &[]).unwrap();
        if let Err(error) = coop_fs::enter(root.as_fd(), mounts, &self.settings) {
            write(there, chain(&error).as_bytes()).unwrap();
            return 1;
        }
        write(there, b"entered").unwrap();
        let _ = receive_text(there);
        match catch_unwind(AssertUnwindSafe(inside)) {
            Ok(()) => 0,
            Err(_) => 101,
        }
    }

    /// Nothing of the container is in the host's mount table.
    fn assert_not_on_host(&self) {
        let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let own = self.dir.path().to_str().unwrap();
        let seen: Vec<_> = mountinfo
            .lines()
            .filter(|line| line.contains(own))
            .collect();
        assert!(seen.is_empty(), "on the host: {seen:?}");
    }
}

/// The error with its causes, as a user reads it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// The line of the own mount table for `target`, without the fields that vary.
pub(crate) fn mount_line(target: &str) -> String {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = mountinfo
        .lines()
        .rev()
        .find(|line| line.split(' ').nth(4) == Some(target));
    let line = line.unwrap_or_else(|| panic!("no mount on {target} in {mountinfo}"));
    line.split(' ').skip(3).collect::<Vec<_>>().join(" ")
}

/// The per-mount options of the mount on `target`.
pub(crate) fn mount_options(target: &str) -> Vec<String> {
    let line = mount_line(target);
    line.split(' ')
        .nth(2)
        .unwrap()
        .split(',')
        .map(str::to_owned)
        .collect()
}

pub(crate) fn owner(path: impl AsRef<Path>) -> (u32, u32) {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::symlink_metadata(path).unwrap();
    (metadata.uid(), metadata.gid())
}

fn send_fd(socket: &OwnedFd, fd: BorrowedFd<'_>) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
    sendmsg(
        socket,
        &[IoSlice::new(b"root")],
        &mut control,
        SendFlags::empty(),
    )
    .unwrap();
}

fn receive_fd(socket: &OwnedFd) -> OwnedFd {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut text = [0; 8];
    let flags = RecvFlags::CMSG_CLOEXEC;
    recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut text)],
        &mut control,
        flags,
    )
    .unwrap();
    let fds = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    fds.unwrap_or_else(|| exit_child(99))
}

fn receive_text(socket: &OwnedFd) -> String {
    let mut buffer = [0; 4096];
    let length = retry_on_intr(|| read(socket, &mut buffer)).unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

/// Runs `body` as root of new namespaces, one of them for mounts; it fails by panicking.
pub(crate) fn in_own_mounts(namespaces: Namespaces, body: impl FnOnce()) {
    let (here, there) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    // SAFETY: this program has one thread.
    match unsafe {
        clone3(&CloneArgs {
            namespaces,
            cgroup: None,
        })
    }
    .unwrap()
    {
        Forked::Parent(child) => {
            if namespaces.contains(Namespaces::USER) {
                idmap::write(child.pid, &IdMaps::single_range(HOST_BASE, 65_536)).unwrap();
            }
            write(&here, b"go").unwrap();
            let status = pidfd::wait(child.pidfd.as_fd()).unwrap();
            assert_eq!(
                status,
                ExitStatus::Exited(0),
                "the inside of the test failed"
            );
        }
        Forked::Child => {
            drop(here);
            let _ = receive_text(&there);
            let body = || {
                set_user(0, 0, &[]).unwrap();
                let private = rustix::mount::MountPropagationFlags::PRIVATE;
                let all = rustix::mount::MountPropagationFlags::REC;
                rustix::mount::mount_change("/", private | all).unwrap();
                body();
            };
            exit_child(if catch_unwind(AssertUnwindSafe(body)).is_ok() {
                0
            } else {
                101
            });
        }
    }
}
