//! Taking more than one's share of the machine.

use super::super::{By, Guard, Row, row};
use super::{USERNS, cap};

const PIDS: Guard = Guard::new(By::Limit("pids"), &["--pids-limit", "-1"]);
/// There is none unless it is asked for.
const MEMORY: Guard =
    Guard::new(By::Limit("memory"), &[]).on(&["--memory", "64m", "--memory-swap", "64m"]);
/// Without one it has that of Coop's caller.
const NOFILE: Guard = Guard::new(By::Limit("nofile"), &["--ulimit", "nofile=4096:4096"])
    .on(&["--ulimit", "nofile=1024:1024"]);
const SHM_SIZE: Guard = Guard::new(By::Limit("size"), &["--shm-size", "128m"]);
const DEV_SIZE: Guard = Guard::new(By::Limit("size"), &[]);

/// See the module.
pub const LIMITS: &[Row] = &[
    row("fork-bomb", "start 2,500 tasks")
        .words(&["tasks", "2500"])
        .denied("EAGAIN")
        .by(&[PIDS]),
    row("memory-bomb", "take 256 MiB where 64 are allowed")
        .words(&["memory", "256"])
        .denied("killed")
        .by(&[MEMORY]),
    row(
        "descriptor-bomb",
        "open 2,000 files where 1,024 are allowed",
    )
    .words(&["descriptors", "2000"])
    .denied("EMFILE")
    .by(&[NOFILE]),
    row("raise-limit", "raise its own limit of open files")
        .flags(&["--ulimit", "nofile=1024:1024"])
        .by(&[cap("SYS_RESOURCE").alone("EPERM"), USERNS.alone("EPERM")]),
    row(
        "lock-memory",
        "lock 1 MiB of memory where 64 KiB are allowed",
    )
    .words(&["lock-memory", "1024"])
    .flags(&["--ulimit", "memlock=65536:65536"])
    .denied("ENOMEM")
    .by(&[cap("IPC_LOCK").alone("ENOMEM"), USERNS.alone("ENOMEM")]),
    row("fill-shm", "fill the host's memory by files in /dev/shm")
        .words(&["fill", "/dev/shm", "80"])
        .denied("ENOSPC")
        .by(&[SHM_SIZE]),
    row("fill-dev", "fill the host's memory by files in /dev")
        .words(&["fill", "/dev", "80"])
        .denied("ENOSPC")
        .by(&[DEV_SIZE])
        .never_anywhere("the size of /dev is fixed"),
    // An empty file has no size, but takes a KiB of the kernel's memory.
    row("inode-bomb-shm", "make 70,000 empty files in /dev/shm")
        .words(&["inodes", "/dev/shm", "70000"])
        .denied("ENOSPC")
        .by(&[SHM_SIZE]),
    row("inode-bomb-dev", "make 70,000 empty files in /dev")
        .words(&["inodes", "/dev", "70000"])
        .denied("ENOSPC")
        .by(&[DEV_SIZE])
        .never_anywhere("the size of /dev is fixed"),
];
