//! Other processes of the host, one of which is the victim, a program of root's.

use super::super::{By, Guard, Row, row};
use super::{ADMIN, PID, SECCOMP, USERNS, cap};

const PTRACE: Guard = cap("SYS_PTRACE");
const CLOSED: Guard = Guard::new(By::Other("close on exec"), &[]);

/// See the module.
pub const PROCESSES: &[Row] = &[
    row("kill", "kill a process of the host")
        .words(&["kill", "{victim}"])
        .denied("ESRCH")
        .by(&[PID.alone("ESRCH"), USERNS.alone("EPERM")]),
    row(
        "read-environ",
        "read the environment of a process of the host",
    )
    .words(&["read-environ", "{victim}"])
    .denied("ENOENT")
    .by(&[
        PID.alone("ENOENT"),
        USERNS.alone("EACCES"),
        PTRACE.alone("EACCES"),
    ]),
    row(
        "proc-root",
        "read a file of the host through /proc/PID/root",
    )
    .words(&["read-by-proc-root", "{victim}", "{secret}"])
    .denied("ENOENT")
    .by(&[
        PID.alone("ENOENT"),
        USERNS.alone("EACCES"),
        PTRACE.alone("EACCES"),
    ]),
    row("ptrace", "trace a process of the host")
        .words(&["ptrace", "{victim}"])
        .denied("ESRCH")
        .by(&[
            PID.alone("ESRCH"),
            USERNS.alone("EPERM"),
            PTRACE.alone("EPERM"),
        ]),
    row(
        "process-vm-readv",
        "read the memory of a process of the host",
    )
    .words(&["process-vm-readv", "{victim}"])
    .denied("ESRCH")
    .by(&[
        PID.alone("ESRCH"),
        USERNS.alone("EPERM"),
        PTRACE.alone("EPERM"),
    ])
    .reaches("EFAULT"),
    row(
        "pidfd-getfd",
        "take a descriptor from a process of the host",
    )
    .words(&["pidfd-getfd", "{victim}"])
    .denied("ESRCH")
    .by(&[
        PID.alone("ESRCH"),
        USERNS.alone("EPERM"),
        PTRACE.alone("EPERM"),
    ]),
    row(
        "setns",
        "enter the network namespace of a process of the host",
    )
    .words(&["setns", "{victim}"])
    .denied("ENOENT")
    .by(&[
        PID.alone("ENOENT"),
        USERNS.alone("EACCES"),
        PTRACE.alone("EACCES"),
        ADMIN.alone("EPERM"),
        SECCOMP,
    ]),
    row(
        "write-runtime",
        "overwrite Coop's program, which is process 1 with --init",
    )
    .flags(&["--init"])
    .denied("EACCES")
    .by(&[USERNS.alone("EACCES"), PTRACE.alone("EACCES")])
    .reaches("ETXTBSY"),
    row(
        "leaked-descriptors",
        "use a descriptor that the caller of Coop had open",
    )
    .denied("none there")
    .by(&[CLOSED])
    .never("no flag hands a descriptor down"),
];
