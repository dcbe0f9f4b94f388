//! The system calls that rustix lacks, behind safe types. All `unsafe` of the namespace
//! half of the crate that is not inherent to forking lives here.

use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::io::{self, Errno};
use rustix::ioctl;
use rustix::process::Pid;
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::Namespaces;

/// `struct clone_args` of `linux/sched.h`, all versions up to `CLONE_ARGS_SIZE_VER2`.
#[repr(C)]
#[derive(Default)]
struct RawCloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Size of the structure before `cgroup` (Linux 5.7) was added: older kernels take a longer
/// one as long as the rest is zero, but gVisor and old seccomp users do not.
const CLONE_ARGS_SIZE_VER1: usize = 80;

// Not in the libc crate for all targets; from `linux/sched.h`.
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Whose child the new process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parent {
    /// The caller's.
    Caller,
    /// The caller's parent's: the two become siblings (`CLONE_PARENT`).
    CallersParent,
}

/// `clone3(2)` in the manner of `fork(2)`. `None` in the child.
///
/// # Safety
/// As for [`crate::clone3`].
pub(crate) unsafe fn clone3(
    namespaces: u64,
    cgroup: Option<BorrowedFd<'_>>,
    parent: Parent,
) -> io::Result<Option<(Pid, OwnedFd)>> {
    let mut pidfd: RawFd = -1;
    let mut args = RawCloneArgs {
        // The child must not run the parent's signal handlers: they write to descriptors
        // that the two share.
        flags: namespaces | libc::CLONE_PIDFD as u64 | CLONE_CLEAR_SIGHAND,
        pidfd: ptr::from_mut(&mut pidfd) as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..RawCloneArgs::default()
    };
    if parent == Parent::CallersParent {
        args.flags |= libc::CLONE_PARENT as u64;
        // A sibling ends with the caller's own signal, and may not be given another.
        args.exit_signal = 0;
    }
    let mut size = CLONE_ARGS_SIZE_VER1;
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
        size = mem::size_of::<RawCloneArgs>();
    }
    // The C library caches the thread id; let the kernel write the child's there, as fork(3)
    // does, so that abort(3), raise(3) and owner-checking locks work in the child. The kernel
    // tells the address only with CONFIG_CHECKPOINT_RESTORE, which distributions set.
    if let Ok(Some(tid)) = rustix::thread::get_clear_child_tid_address() {
        args.flags |= (libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID) as u64;
        args.child_tid = tid.as_ptr() as u64;
    }
    // SAFETY: `args` is a valid clone_args of `size` bytes, `pidfd` outlives the call, and
    // without CLONE_VM the child has a copy of the memory, so its stack is its own.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, ptr::from_mut(&mut args), size) };
    match pid {
        -1 => Err(last_errno()),
        0 => Ok(None),
        _ => {
            let pid = Pid::from_raw(pid as i32).ok_or(Errno::INVAL)?;
            // SAFETY: with CLONE_PIDFD a successful clone3 stores a new descriptor that is
            // nobody else's.
            Ok(Some((pid, unsafe { OwnedFd::from_raw_fd(pidfd) })))
        }
    }
}

/// `pidfd_send_signal(2)`; rustix takes only signals that have a constant name.
pub(crate) fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: no memory is passed: siginfo may be null, flags are 0.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    check(result)
}

/// `close_range(2)` on `first..=last`.
///
/// # Safety
/// Without `CLOSE_RANGE_CLOEXEC` in `flags`, nothing may use or close the descriptors later.
pub(crate) unsafe fn close_range(first: u32, last: u32, flags: u32) -> io::Result<()> {
    // SAFETY: no memory is passed; what closing means for owners is the caller's contract.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    check(result)
}

/// Sets the close-on-exec flag on `first..=last`.
pub(crate) fn cloexec_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: with this flag nothing is closed.
    unsafe { close_range(first, last, libc::CLOSE_RANGE_CLOEXEC) }
}

/// First version of `struct pidfd_info` of `linux/pidfd.h`, `PIDFD_INFO_SIZE_VER0`.
#[repr(C)]
#[derive(Debug, Default)]
struct PidfdInfo {
    mask: u64,
    cgroupid: u64,
    pid: u32,
    tgid: u32,
    ppid: u32,
    ruid: u32,
    rgid: u32,
    euid: u32,
    egid: u32,
    suid: u32,
    sgid: u32,
    fsuid: u32,
    fsgid: u32,
    exit_code: i32,
}

const PIDFD_INFO_EXIT: u64 = 1 << 3;
const PIDFD_GET_INFO: ioctl::Opcode = ioctl::opcode::read_write::<PidfdInfo>(0xFF, 11);

/// The wait status of the process behind `pidfd` once it has been reaped, by `PIDFD_GET_INFO`.
pub(crate) fn pidfd_exit_code(pidfd: BorrowedFd<'_>) -> io::Result<Option<i32>> {
    let mut info = PidfdInfo {
        mask: PIDFD_INFO_EXIT,
        ..PidfdInfo::default()
    };
    // SAFETY: the opcode carries the size of `PidfdInfo`, all of whose bit patterns are valid.
    unsafe {
        let request = ioctl::Updater::<PIDFD_GET_INFO, PidfdInfo>::new(&mut info);
        ioctl::ioctl(pidfd, request)?;
    }
    Ok((info.mask & PIDFD_INFO_EXIT != 0).then_some(info.exit_code))
}

// `_IO(0xb7, 2)` and `_IO(0xb7, 4)` of `linux/nsfs.h`.
const NS_GET_PARENT: libc::c_ulong = 0xb702;
const NS_GET_OWNER_UID: libc::c_ulong = 0xb704;

/// `ioctl(NS_GET_PARENT)`; rustix has no request that answers with a descriptor.
pub(crate) fn parent_namespace(namespace: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: the request takes no argument.
    let fd = unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_PARENT as _) };
    check(fd.into())?;
    // SAFETY: on success the answer is a new descriptor that is nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `ioctl(NS_GET_OWNER_UID)`.
pub(crate) fn owner_of_namespace(namespace: BorrowedFd<'_>) -> io::Result<u32> {
    let mut uid: libc::uid_t = 0;
    // SAFETY: the request writes one uid_t to the address, which is valid for it.
    let result = unsafe {
        let uid = ptr::from_mut(&mut uid);
        libc::ioctl(namespace.as_raw_fd(), NS_GET_OWNER_UID as _, uid)
    };
    check(result.into())?;
    Ok(uid)
}

/// `unshare(2)` for namespaces alone.
pub(crate) fn unshare(namespaces: Namespaces) -> io::Result<()> {
    // The bits of both types are the kernel's.
    let known = Namespaces::from_bits_truncate(namespaces.bits());
    let flags = UnshareFlags::from_bits_retain(known.bits());
    // SAFETY: unsafe only for UnshareFlags::FILES, which is no namespace and so not set.
    unsafe { unshare_unsafe(flags) }
}

/// `prctl(PR_SET_PDEATHSIG)`; rustix takes only signals that have a constant name.
pub(crate) fn set_parent_death_signal(signal: i32) -> io::Result<()> {
    // SAFETY: no memory is passed. The argument is an unsigned long.
    let result = unsafe {
        libc::syscall(
            libc::SYS_prctl,
            libc::PR_SET_PDEATHSIG,
            signal as libc::c_ulong,
        )
    };
    check(result)
}

/// `keyctl(KEYCTL_JOIN_SESSION_KEYRING, NULL)`: a new, anonymous session keyring.
pub(crate) fn join_new_session_keyring() -> io::Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    let no_name = ptr::null::<libc::c_char>();
    // SAFETY: no memory is passed: the name may be null.
    check(unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, no_name) })
}

/// First version of `struct landlock_ruleset_attr` of `linux/landlock.h`: later ones have more
/// fields behind, which are 0 when they are not given.
#[repr(C)]
struct LandlockRulesetAttr {
    handled_access_fs: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct LandlockPathBeneathAttr {
    allowed_access: u64,
    parent_fd: RawFd,
}

/// `landlock_create_ruleset(LANDLOCK_CREATE_RULESET_VERSION)`: which version the kernel speaks.
pub(crate) fn landlock_version() -> io::Result<u32> {
    const LANDLOCK_CREATE_RULESET_VERSION: libc::c_long = 1;
    let none = ptr::null::<LandlockRulesetAttr>();
    let (call, flag) = (
        libc::SYS_landlock_create_ruleset,
        LANDLOCK_CREATE_RULESET_VERSION,
    );
    // SAFETY: with this flag there is no attribute.
    let version = unsafe { libc::syscall(call, none, 0_usize, flag) };
    check(version)?;
    Ok(version as u32)
}

/// `landlock_create_ruleset(2)` for these rights to files.
pub(crate) fn landlock_create_ruleset(handled_access_fs: u64) -> io::Result<OwnedFd> {
    let attr = LandlockRulesetAttr { handled_access_fs };
    let (call, size) = (libc::SYS_landlock_create_ruleset, mem::size_of_val(&attr));
    // SAFETY: `attr` has the size that is passed with it and outlives the call.
    let fd = unsafe { libc::syscall(call, ptr::from_ref(&attr), size, 0_u32) };
    check(fd)?;
    // SAFETY: on success the answer is a new descriptor that is nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// `landlock_add_rule(LANDLOCK_RULE_PATH_BENEATH)`.
pub(crate) fn landlock_allow_beneath(
    ruleset: BorrowedFd<'_>,
    parent: BorrowedFd<'_>,
    allowed_access: u64,
) -> io::Result<()> {
    const LANDLOCK_RULE_PATH_BENEATH: libc::c_long = 1;
    let attr = LandlockPathBeneathAttr {
        allowed_access,
        parent_fd: parent.as_raw_fd(),
    };
    // SAFETY: `attr` is what this kind of rule takes, and outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset.as_raw_fd(),
            LANDLOCK_RULE_PATH_BENEATH,
            ptr::from_ref(&attr),
            0_u32,
        )
    };
    check(result)
}

/// `landlock_restrict_self(2)`.
pub(crate) fn landlock_restrict_self(ruleset: BorrowedFd<'_>) -> io::Result<()> {
    let (call, fd) = (libc::SYS_landlock_restrict_self, ruleset.as_raw_fd());
    // SAFETY: no memory is passed.
    check(unsafe { libc::syscall(call, fd, 0_u32) })
}

/// `_exit(2)`: ends the process without running exit handlers or flushing streams.
pub(crate) fn exit_immediately(code: i32) -> ! {
    // SAFETY: always sound; nothing of this process runs afterwards.
    unsafe { libc::_exit(code) }
}

fn check(result: libc::c_long) -> io::Result<()> {
    if result == -1 {
        Err(last_errno())
    } else {
        Ok(())
    }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
