//! The kernel itself: its log, its modules, its clock, and what it has too much of.

use super::super::{Row, row};
use super::{ADMIN, SECCOMP, USERNS, cap};

/// See the module.
pub const KERNEL: &[Row] = &[
    // Without kernel.dmesg_restrict anybody may read it: then the filter is the only guard.
    row("syslog", "read the kernel's log").by(&[SECCOMP, cap("SYSLOG"), USERNS]),
    row("init-module", "load a kernel module from memory")
        .by(&[
            cap("SYS_MODULE").alone("EPERM"),
            USERNS.alone("EPERM"),
            SECCOMP,
        ])
        .reaches("ENOEXEC")
        .absent(&["ENOSYS"]),
    row("finit-module", "load a kernel module from a file")
        .by(&[
            cap("SYS_MODULE").alone("EPERM"),
            USERNS.alone("EPERM"),
            SECCOMP,
        ])
        .reaches("EBADF")
        .absent(&["ENOSYS"]),
    row("delete-module", "unload a kernel module")
        .by(&[
            cap("SYS_MODULE").alone("EPERM"),
            USERNS.alone("EPERM"),
            SECCOMP,
        ])
        .reaches("ENOENT")
        .absent(&["ENOSYS"]),
    row("kexec-load", "load another kernel")
        .by(&[
            cap("SYS_BOOT").alone("EPERM"),
            USERNS.alone("EPERM"),
            SECCOMP.alone("EPERM"),
        ])
        .reaches("EINVAL")
        .absent(&["ENOSYS"]),
    row("reboot", "reboot the machine")
        .by(&[cap("SYS_BOOT").alone("EPERM"), SECCOMP])
        .reaches("EINVAL"),
    row("swapon", "swap to a file of its own")
        .by(&[
            ADMIN.alone("EPERM"),
            USERNS.alone("EPERM"),
            SECCOMP.alone("EPERM"),
        ])
        .reaches("ENOENT"),
    row("acct", "write down what every process of the host does")
        .by(&[
            cap("SYS_PACCT").alone("EPERM"),
            USERNS.alone("EPERM"),
            SECCOMP,
        ])
        .reaches("ENOENT")
        .absent(&["ENOSYS"]),
    row("quotactl", "set disk quotas")
        .by(&[SECCOMP])
        .reaches("ENOENT")
        .absent(&["ENOSYS", "ENODEV"]),
    row("settimeofday", "set the clock").by(&[
        cap("SYS_TIME").alone("EPERM"),
        USERNS.alone("EPERM"),
        SECCOMP,
    ]),
    row("clock-settime", "set the clock by the newer call")
        .by(&[SECCOMP])
        .reaches("EFAULT"),
    row("adjtimex", "change how fast the clock goes")
        .by(&[
            cap("SYS_TIME").alone("EPERM"),
            USERNS.alone("EPERM"),
            SECCOMP,
        ])
        .reaches("EINVAL"),
    row("iopl", "talk to the hardware's ports: iopl")
        .by(&[
            cap("SYS_RAWIO").alone("EPERM"),
            USERNS.alone("EPERM"),
            SECCOMP,
        ])
        .absent(&["ENOSYS"]),
    row("ioperm", "talk to the hardware's ports: ioperm")
        .by(&[
            cap("SYS_RAWIO").alone("EPERM"),
            USERNS.alone("EPERM"),
            SECCOMP,
        ])
        .absent(&["ENOSYS"]),
    row("bpf", "put a program into the kernel: bpf")
        .by(&[SECCOMP, cap("BPF"), USERNS])
        .absent(&["ENOSYS"]),
    row("perf-event-open", "measure the kernel")
        .by(&[SECCOMP, cap("PERFMON"), USERNS])
        // The latter is a kernel of Debian with `perf_event_paranoid` at its default.
        .absent(&["ENOSYS", "EACCES"]),
    row("userfaultfd", "stop the kernel in the middle of a copy")
        .by(&[SECCOMP])
        .absent(&["ENOSYS", "EINVAL"]),
    row(
        "io-uring",
        "make system calls that no filter sees: io_uring",
    )
    .by(&[SECCOMP])
    .absent(&["ENOSYS"]),
    row("fanotify", "watch and hold up accesses to files")
        .by(&[ADMIN.alone("EPERM"), USERNS.alone("EPERM"), SECCOMP])
        .absent(&["ENOSYS", "EINVAL"]),
    // Keys of a user id are those of every container that has it.
    row("add-key", "add a key to a keyring")
        .by(&[SECCOMP])
        .absent(&["ENOSYS"]),
    row("keyctl", "use a keyring")
        .by(&[SECCOMP])
        .absent(&["ENOSYS"]),
    row("request-key", "ask for a key")
        .by(&[SECCOMP])
        .reaches("ENOKEY")
        .absent(&["ENOSYS"]),
    row("personality", "make all readable memory executable").by(&[SECCOMP]),
    row("no-randomize", "switch address randomisation off").by(&[SECCOMP]),
];
