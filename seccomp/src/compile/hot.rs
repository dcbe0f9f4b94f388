//! Which calls are made often.

/// How much heavier than any other call these weigh, each for itself. What programs do all day
/// long: input and output, waiting, memory, time, opening files.
const HOT: &[(u64, &[&str])] = &[
    (200, &["read", "write", "futex"]),
    (
        100,
        &[
            "close",
            "epoll_wait",
            "epoll_pwait",
            "recvfrom",
            "sendto",
            "clock_gettime",
            "clock_gettime64",
        ],
    ),
    (
        50,
        &[
            "openat",
            "mmap",
            "mmap2",
            "munmap",
            "fstat",
            "fstat64",
            "newfstatat",
            "fstatat64",
            "statx",
            "lseek",
            "_llseek",
            "poll",
            "ppoll",
            "readv",
            "writev",
            "pread64",
            "pwrite64",
            "recvmsg",
            "sendmsg",
            "epoll_ctl",
            "ioctl",
            "rt_sigprocmask",
            "mprotect",
            "madvise",
            "nanosleep",
            "clock_nanosleep",
            "sched_yield",
            "getpid",
            "brk",
            "stat",
            "fcntl",
            "fcntl64",
            "accept4",
            "io_uring_enter",
        ],
    ),
];

/// The weight of a call that is not hot.
const USUAL: u64 = 40;

/// How often a call is expected, compared with others.
pub(super) fn weight(name: &str) -> u64 {
    HOT.iter()
        .find_map(|(weight, names)| names.contains(&name).then_some(*weight))
        .unwrap_or(USUAL)
}

/// The same for an ABI that hardly any program uses, beside one that all do.
pub(super) fn rare(name: &str) -> u64 {
    u64::from(HOT.iter().any(|(_, names)| names.contains(&name)))
}
