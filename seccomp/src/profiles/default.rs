//! The profile `default`: what is allowed, group by group, and why.

use super::{
    AF_NETLINK, NETLINK_AUDIT, allow, ioctls, no_audit, plain_sockets, processes_without_namespaces,
};
use crate::oci::ENOSYS;
use crate::{Action, Comparison, Condition, Context, KernelVersion, Rule};

/// The rules for one context.
pub(super) fn rules(context: &Context, rules: &mut Vec<Rule>) {
    let has = |capability: &str| context.capabilities.contains(capability);
    rules.push(allow(ALWAYS.iter().chain(NOT_STRICT)));
    if context.kernel >= TRACERS_ARE_FILTERED {
        rules.push(allow(&[TRACING]));
    }
    for (capability, calls) in BY_CAPABILITY {
        if has(capability) {
            rules.push(allow([calls]));
        }
    }
    if !has("CAP_SYS_ADMIN") {
        processes_without_namespaces(rules);
    }
    sockets(has("CAP_AUDIT_WRITE"), rules);
    ioctls(rules);
    personalities(rules);
    rules.push(Rule::new(NEWER, Action::Errno(ENOSYS)));
}

/// Everyday families. See the table in [`super`] for why no others.
fn sockets(with_audit: bool, rules: &mut Vec<Rule>) {
    // For packets the kernel asks for CAP_NET_RAW itself.
    const AF_PACKET: u64 = 17;
    plain_sockets(rules);
    let of = |family, action| Rule::new(["socket"], action).when(Condition::equal(0, family));
    rules.push(of(AF_PACKET, Action::Allow));
    let netlink = of(AF_NETLINK, Action::Allow);
    if with_audit {
        rules.push(netlink);
        return;
    }
    rules.push(no_audit());
    rules.push(netlink.when(Condition::new(2, Comparison::Ne, NETLINK_AUDIT.into())));
}

/// Execution domains that change how the kernel shows itself and nothing of how safe it is:
/// Linux with 64 and with 32 bits (`setarch`), each with and without `UNAME26`, and the question
/// for the present one. Not among them are the ones of other systems, and those without random
/// addresses or with executable data.
fn personalities(rules: &mut Vec<Rule>) {
    for domain in [0, 0x0008, 0x2_0000, 0x2_0008, 0xffff_ffff] {
        rules.push(Rule::new(["personality"], Action::Allow).when(Condition::equal(0, domain)));
    }
}

/// What every program may need; `strict` has it as well.
pub(super) const ALWAYS: &[&str] = &[
    // To run at all: the program's image and its end, its own memory, threads and their locks.
    // `execve` gains nothing where no_new_privs is on; memory protection keys, shadow stacks
    // and sealing only take away.
    "execve execveat exit exit_group brk mmap mmap2 munmap mprotect mremap madvise \
     mincore msync mlock mlock2 mlockall munlock munlockall mseal pkey_alloc pkey_free \
     pkey_mprotect map_shadow_stack memfd_create membarrier set_tid_address \
     set_robust_list get_robust_list rseq futex futex_waitv futex_wait futex_wake \
     futex_requeue arch_prctl set_thread_area get_thread_area restart_syscall uretprobe \
     riscv_flush_icache riscv_hwprobe",
    // Processes of its own kind: made and waited for, in groups and sessions. New namespaces are
    // another matter, see `processes_without_namespaces`.
    "fork vfork wait4 waitid waitpid getpid getppid gettid getpgid getpgrp setpgid getsid \
     setsid pidfd_open pidfd_send_signal prctl sched_yield getcpu getrusage times",
    // Signals: the kernel checks whose process they are for.
    "kill tkill tgkill rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo \
     rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sigaltstack pause \
     signalfd signalfd4",
    // Who it is, and to become someone with fewer rights: servers start as root and change to
    // their user. The capabilities decide about more.
    "getuid geteuid getresuid getgid getegid getresgid getgroups setuid setreuid \
     setresuid setfsuid setgid setregid setresgid setfsgid setgroups capget capset umask",
    // Files by path: the mount namespace and the permissions decide. Those with `at` and
    // attributes are of Linux 6.13, `fchmodat2` is of 6.6.
    "open openat openat2 creat access faccessat faccessat2 stat lstat newfstatat statx \
     statfs truncate readlink readlinkat link linkat symlink symlinkat unlink unlinkat \
     rename renameat renameat2 mkdir mkdirat rmdir chdir getcwd chmod fchmodat fchmodat2 \
     chown lchown fchownat utime utimes futimesat utimensat getxattr lgetxattr getxattrat \
     setxattr lsetxattr setxattrat listxattr llistxattr listxattrat removexattr \
     lremovexattr removexattrat inotify_init inotify_init1 inotify_add_watch \
     inotify_rm_watch",
    // Files by descriptor: what is open may be used.
    "read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 lseek close \
     close_range dup dup2 dup3 fcntl flock fstat fstatfs fsync fdatasync sync syncfs \
     sync_file_range ftruncate fallocate fadvise64 readahead cachestat getdents \
     getdents64 fchdir fchmod fchown fgetxattr fsetxattr flistxattr fremovexattr \
     copy_file_range sendfile splice tee pipe pipe2",
    // To wait for many things at once.
    "poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait \
     epoll_pwait epoll_pwait2 eventfd eventfd2",
    // Sockets that are there: which there can be is said about `socket` and `socketpair`.
    "bind listen accept accept4 connect shutdown getsockname getpeername getsockopt \
     setsockopt sendto sendmsg sendmmsg recvfrom recvmsg recvmmsg",
    // Time, and clocks that wake the process. To set the clock takes CAP_SYS_TIME.
    "time gettimeofday clock_gettime clock_getres clock_nanosleep nanosleep alarm \
     getitimer setitimer timer_create timer_delete timer_getoverrun timer_gettime \
     timer_settime timerfd_create timerfd_gettime timerfd_settime",
    // Limits and priorities: to raise them takes a capability.
    "getrlimit setrlimit prlimit64 getpriority setpriority ioprio_get ioprio_set \
     sched_getaffinity sched_setaffinity sched_getattr sched_getparam sched_getscheduler \
     sched_get_priority_max sched_get_priority_min sched_rr_get_interval",
    // Questions about the system whose answers are no secret, and random numbers.
    "uname sysinfo getrandom",
    // Memory shared within the container's own IPC namespace: PostgreSQL has its buffers there.
    "shmget shmat shmdt shmctl semget semop semtimedop semctl",
    // To confine itself further: a process with a filter or a ruleset of its own can do less.
    "seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self",
    // The same by the names of 32-bit ABIs, where one was asked for.
    "_llseek _newselect chown32 lchown32 fchown32 fadvise64_64 fcntl64 fstat64 fstatat64 \
     lstat64 stat64 fstatfs64 statfs64 ftruncate64 truncate64 getegid32 geteuid32 \
     getgid32 getuid32 getgroups32 getresgid32 getresuid32 setfsgid32 setfsuid32 setgid32 \
     setuid32 setgroups32 setregid32 setreuid32 setresgid32 setresuid32 sendfile64 \
     ugetrlimit sigprocmask sigreturn send recv ipc socketcall clock_getres_time64 \
     clock_gettime64 clock_nanosleep_time64 futex_time64 ppoll_time64 pselect6_time64 \
     recvmmsg_time64 rt_sigtimedwait_time64 sched_rr_get_interval_time64 \
     semtimedop_time64 timer_gettime64 timer_settime64 timerfd_gettime64 \
     timerfd_settime64 utimensat_time64 arm_fadvise64_64 sync_file_range2 breakpoint \
     cacheflush set_tls",
];

/// What some everyday programs need, and a server that does its work does not.
const NOT_STRICT: &[&str] = &[
    // Special files: package managers make FIFOs so. Device nodes take CAP_MKNOD, and the
    // cgroup's device rules to open them.
    "mknod mknodat",
    // What the kernel knows of mounts and files, by number instead of by path. Nothing can be
    // opened by it: that takes `open_by_handle_at`.
    "name_to_handle_at statmount listmount",
    // Asynchronous input and output of before io_uring: databases use it where it is there.
    "io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents \
     io_pgetevents_time64",
    // Message queues, in the container's own IPC namespace.
    "mq_open mq_unlink mq_timedsend mq_timedsend_time64 mq_timedreceive \
     mq_timedreceive_time64 mq_notify mq_getsetattr msgget msgsnd msgrcv msgctl",
    // Scheduling by another class: real time takes a capability or a limit that allows it.
    "sched_setattr sched_setparam sched_setscheduler",
    // To ask how well the clock is kept; to keep it takes CAP_SYS_TIME, which the kernel does
    // not heed in a user namespace.
    "adjtimex clock_adjtime clock_adjtime64",
    // Memory that not even the kernel maps, for keys; and an old way to map a file in pieces.
    "memfd_secret remap_file_pages",
    // To give back the memory of a process that was killed: for those that watch over others.
    "process_mrelease",
];

/// Processes of the same user and container: debuggers, and runtimes that look at their crashed
/// selves.
const TRACING: &str = "ptrace process_vm_readv process_vm_writev";

/// Before Linux 4.8 a tracer could change a call behind the filter's back.
const TRACERS_ARE_FILTERED: KernelVersion = KernelVersion { major: 4, minor: 8 };

/// What a capability that was granted is about.
const BY_CAPABILITY: &[(&str, &str)] = &[
    // Mounts, namespaces, names and what else the kernel keeps for the administrator. Not even
    // so: kexec, swap, `pivot_root`, keyrings (they are in no namespace), userfaultfd and
    // io_uring (holes of many years).
    (
        "CAP_SYS_ADMIN",
        "bpf clone clone3 fanotify_init fanotify_mark fsconfig fsmount fsopen fspick \
         lookup_dcookie lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount \
         mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd \
         setdomainname sethostname setns syslog umount umount2 unshare",
    ),
    ("CAP_BPF", "bpf"),
    // Opens any file of a filesystem by its number, past the container's root ("shocker", 2014).
    ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
    ("CAP_PERFMON", "perf_event_open"),
    ("CAP_SYS_BOOT", "reboot"),
    // apt, sshd and others confine their helpers so. It is in the default set.
    ("CAP_SYS_CHROOT", "chroot"),
    ("CAP_SYS_MODULE", "delete_module init_module finit_module"),
    (
        "CAP_SYS_NICE",
        "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    ),
    ("CAP_SYS_PACCT", "acct"),
    (
        "CAP_SYS_PTRACE",
        "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    ),
    ("CAP_SYS_RAWIO", "iopl ioperm"),
    (
        "CAP_SYS_TIME",
        "settimeofday stime clock_settime clock_settime64",
    ),
    ("CAP_SYS_TTY_CONFIG", "vhangup"),
    ("CAP_SYSLOG", "syslog"),
];

/// Calls of Linux 6.15 and later, of which nobody's profile knows yet: refused as by an older
/// kernel, so that C libraries fall back.
const NEWER: [&str; 5] = [
    "open_tree_attr",
    "file_getattr",
    "file_setattr",
    "listns",
    "rseq_slice_yield",
];
