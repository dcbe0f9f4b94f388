//! Files of the host, and files through which its kernel is read and set.

use super::super::{By, Guard, Row, row};
use super::{MASK, READ_ONLY, READ_ONLY_SYS, SECCOMP, USERNS, cap};

const MOUNT: Guard = Guard::new(
    By::Namespace("mount"),
    &["--volume", "{outside}:{outside}:ro"],
);
const CGROUP: Guard = Guard::new(By::Namespace("cgroup"), &["--cgroupns", "host"]);
const NO_WAY_UP: Guard = Guard::new(By::Other("pivot_root"), &[]);

/// See the module.
pub const FILES: &[Row] = &[
    row("host-file", "read a file of the host by its path")
        .words(&["read-file", "{secret}"])
        .denied("ENOENT")
        .by(&[MOUNT]),
    row(
        "chroot-escape",
        "climb out of the root directory by chroot(2)",
    )
    .words(&["chroot-escape", "{secret}"])
    .denied("same root")
    .by(&[NO_WAY_UP])
    .never("every container has mounts of its own; above its root there is nothing"),
    row(
        "open-by-handle",
        "open a file of the host's disk by its number",
    )
    .by(&[
        cap("DAC_READ_SEARCH").alone("EPERM"),
        USERNS.alone("EPERM"),
        SECCOMP,
    ]),
    row("sysrq", "command the kernel by /proc/sysrq-trigger")
        .words(&["open-for-writing", "/proc/sysrq-trigger"])
        .denied("EACCES")
        .by(&[USERNS.alone("EACCES"), READ_ONLY.alone("EROFS")])
        .absent(&["ENOENT"]),
    row(
        "core-pattern",
        "have the kernel start a program on the host: core_pattern",
    )
    .words(&["open-for-writing", "/proc/sys/kernel/core_pattern"])
    .denied("EACCES")
    .by(&[USERNS.alone("EACCES"), READ_ONLY.alone("EROFS")]),
    row(
        "modprobe-path",
        "have the kernel start a program on the host: modprobe",
    )
    .words(&["open-for-writing", "/proc/sys/kernel/modprobe"])
    .denied("EACCES")
    .by(&[USERNS.alone("EACCES"), READ_ONLY.alone("EROFS")])
    .absent(&["ENOENT"]),
    row(
        "uevent-helper",
        "have the kernel start a program on the host: uevent_helper",
    )
    .words(&["open-for-writing", "/sys/kernel/uevent_helper"])
    .denied("EROFS")
    .by(&[READ_ONLY_SYS.alone("EROFS"), USERNS])
    .absent(&["ENOENT"]),
    row("sys-kernel", "set the kernel by /sys/kernel")
        .words(&["open-for-writing", "/sys/kernel/rcu_expedited"])
        .denied("EROFS")
        .by(&[READ_ONLY_SYS.alone("EROFS"), USERNS])
        .absent(&["ENOENT"]),
    row("kcore", "read the kernel's memory: /proc/kcore")
        .words(&["read-hidden", "/proc/kcore"])
        .denied("masked")
        .by(&[
            MASK.alone("masked"),
            USERNS.alone("EACCES"),
            cap("SYS_RAWIO").alone("EPERM"),
        ])
        .absent(&["ENOENT"]),
    row("proc-keys", "see keys: /proc/keys")
        .words(&["read-hidden", "/proc/keys"])
        .denied("masked")
        .by(&[MASK])
        .absent(&["ENOENT"]),
    row(
        "timer-list",
        "see what the host's processes wait for: /proc/timer_list",
    )
    .words(&["read-hidden", "/proc/timer_list"])
    .denied("masked")
    .by(&[MASK.alone("masked"), USERNS.alone("EACCES")])
    .absent(&["ENOENT"]),
    row("interrupts", "watch the host's hardware: /proc/interrupts")
        .words(&["read-hidden", "/proc/interrupts"])
        .denied("masked")
        .by(&[MASK]),
    row("acpi", "see the host's hardware: /proc/acpi")
        .words(&["read-hidden", "/proc/acpi"])
        .denied("masked")
        .by(&[MASK])
        // Empty without a mask, too.
        .absent(&["ENOENT", "masked"]),
    row("firmware", "see the host's firmware: /sys/firmware")
        .words(&["read-hidden", "/sys/firmware"])
        .denied("masked")
        .by(&[MASK])
        .absent(&["ENOENT", "masked"]),
    row(
        "parent-cgroup",
        "move to the cgroup above, out of every limit",
    )
    .denied("ENOENT")
    .by(&[CGROUP.alone("ENOENT"), READ_ONLY_SYS.alone("EROFS"), USERNS]),
];
