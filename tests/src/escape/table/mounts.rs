//! Changing what is mounted, and namespaces in which that would be allowed.

use super::super::{Row, row};
use super::{ADMIN, SECCOMP};

/// See the module.
pub const MOUNTS: &[Row] = &[
    row("mount", "mount a filesystem").by(&[ADMIN.alone("EPERM"), SECCOMP]),
    row("fsopen", "mount a filesystem by the newer calls").by(&[ADMIN.alone("EPERM"), SECCOMP]),
    row("open-tree", "clone a part of the tree of mounts").by(&[ADMIN.alone("EPERM"), SECCOMP]),
    row("move-mount", "move a mount").by(&[ADMIN.alone("EPERM"), SECCOMP]),
    row("umount-mask", "take the mask from /sys/firmware").by(&[ADMIN.alone("EPERM"), SECCOMP]),
    row("remount-sys", "make /sys writable").by(&[ADMIN.alone("EPERM"), SECCOMP]),
    row("remount-proc-sys", "make /proc/sys writable").by(&[ADMIN.alone("EPERM"), SECCOMP]),
    // Masks are mounts: who may mount in the container's own namespace is not kept off by them.
    row("mount-proc", "mount a /proc without masks").by(&[ADMIN.alone("EPERM"), SECCOMP]),
    row(
        "mount-cgroup-v1",
        "mount a hierarchy of cgroup v1, which has a release_agent",
    )
    .by(&[ADMIN.alone("EPERM"), SECCOMP])
    .reaches("EINVAL")
    .absent(&["ENODEV"]),
    row("pivot-root", "exchange the root directory")
        .by(&[ADMIN.alone("EPERM"), SECCOMP.alone("EPERM")])
        .reaches("EINVAL"),
    row("unshare-mount", "make a mount namespace").by(&[ADMIN.alone("EPERM"), SECCOMP]),
    row("unshare-net", "make a network namespace").by(&[ADMIN.alone("EPERM"), SECCOMP]),
    row("unshare-cgroup", "make a cgroup namespace").by(&[ADMIN.alone("EPERM"), SECCOMP]),
    // In one's own user namespace one has every capability, and with it all of the above.
    row("unshare-user", "make a user namespace").by(&[SECCOMP]),
    row(
        "clone-user",
        "start a process in a user namespace of its own",
    )
    .by(&[SECCOMP]),
    row(
        "clone3-user",
        "the same by clone3, whose flags no filter can see",
    )
    .denied("ENOSYS")
    .by(&[SECCOMP]),
    row(
        "unshare-user-i386",
        "make a user namespace by the call of 32-bit programs",
    )
    .denied("ENOSYS")
    .by(&[SECCOMP])
    .absent(&["ENOSYS", "killed"]),
];
