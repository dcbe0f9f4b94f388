//! Becoming more than one is, and passing for somebody else.

use super::super::{By, Guard, Row, row};
use super::{ADMIN, SECCOMP, USERNS, cap};

const NO_NEW_PRIVS: Guard = Guard::new(
    By::NoNewPrivileges,
    &["--security-opt", "no-new-privileges:false"],
);
const OWN_STREAMS: Guard = Guard::new(By::Other("own streams"), &[]);

/// See the module.
pub const PRIVILEGES: &[Row] = &[
    row("setuid-program", "become root by a set-user-ID program")
        .flags(&["--user", "1000"])
        .denied("not root")
        .by(&[NO_NEW_PRIVS]),
    row(
        "file-capabilities",
        "gain a capability by a program that has it",
    )
    .denied("no capability")
    .by(&[NO_NEW_PRIVS]),
    row("sethostname", "change the host's name").by(&[ADMIN.alone("EPERM"), SECCOMP]),
    row("nice", "come before the host's processes")
        .denied("EACCES")
        .by(&[cap("SYS_NICE").alone("EACCES"), USERNS.alone("EACCES")]),
    row("real-time", "come before all others at the processor")
        .by(&[cap("SYS_NICE").alone("EPERM"), USERNS.alone("EPERM")])
        // Cgroup v1 may share real time out, and gives a new group none of it.
        .absent(&["EPERM"]),
    row("disk-priority", "come before everybody else at the disk")
        .by(&[cap("SYS_NICE").alone("EPERM"), USERNS.alone("EPERM")]),
    row(
        "type-on-terminal",
        "type on a terminal, as if somebody sat there: TIOCSTI",
    )
    .by(&[SECCOMP])
    // With dev.tty.legacy_tiocsti=0 nobody can.
    .absent(&["EIO"]),
    row(
        "type-on-stdin",
        "type on the terminal from which Coop was started",
    )
    .by(&[SECCOMP, OWN_STREAMS.alone("ENOTTY")])
    .never_anywhere("a container has pipes or a terminal of its own, and never its caller's"),
];
