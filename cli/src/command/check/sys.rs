//! System calls that rustix has no words for.

use std::ffi::{CStr, c_long};
use std::path::Path;

use rustix::io::Errno;

/// The newest version of Landlock that the kernel has, if it is on.
pub(super) fn landlock_abi() -> Option<u32> {
    /// `LANDLOCK_CREATE_RULESET_VERSION`
    const VERSION: usize = 1;
    let version = call(libc::SYS_landlock_create_ruleset, &[0, 0, VERSION]).ok()?;
    u32::try_from(version).ok().filter(|version| *version > 0)
}

/// Whether there is `clone3(2)`: without arguments it refuses, but in its own words.
pub(super) fn has_clone3() -> bool {
    call(libc::SYS_clone3, &[0, 0]) != Err(Errno::NOSYS)
}

/// A call that a container must not make. Where it is permitted it is refused afterwards, or
/// changes this process alone.
#[derive(Debug, Clone, Copy)]
pub(super) enum Call {
    /// `settimeofday`: without a time it leaves the clock alone.
    SetClock,
    /// `init_module` of no bytes: `ENOEXEC`.
    LoadModule,
    /// `kexec_load` with flags that there are not: `EINVAL`.
    LoadKernel,
    /// `bpf` with attributes nowhere: `EFAULT`.
    Bpf,
    /// `io_uring_setup` with parameters nowhere: `EFAULT`.
    IoUring,
    /// `perf_event_open` with attributes nowhere: `EFAULT`.
    PerfEvent,
    /// `request_key` of one that nobody has: `ENOKEY`.
    RequestKey,
    /// `unshare` of the user namespace.
    UserNamespace,
}

impl Call {
    /// Makes it.
    pub(super) fn make(self) -> Result<(), Errno> {
        let text = |text: &'static CStr| text.as_ptr() as usize;
        let made = match self {
            Self::SetClock => call(libc::SYS_settimeofday, &[0, 0]),
            Self::LoadModule => call(libc::SYS_init_module, &[0, 0, 0]),
            Self::LoadKernel => call(libc::SYS_kexec_load, &[0, 0, 0, 0xfff0]),
            Self::Bpf => call(libc::SYS_bpf, &[0, NOWHERE, 48]),
            Self::IoUring => call(libc::SYS_io_uring_setup, &[1, NOWHERE]),
            Self::PerfEvent => call(libc::SYS_perf_event_open, &[NOWHERE, 0, 0, 0, 0]),
            Self::RequestKey => {
                let names = [text(c"user"), text(c"coop-check"), 0, 0];
                call(libc::SYS_request_key, &names)
            }
            Self::UserNamespace => call(libc::SYS_unshare, &[libc::CLONE_NEWUSER as usize]),
        };
        made.map(drop)
    }
}

/// An address at which nothing is ever mapped.
const NOWHERE: usize = 8;

/// `syscall(2)` with the arguments that this file gives it.
fn call(number: c_long, arguments: &[usize]) -> Result<i64, Errno> {
    let mut six = [0_usize; 6];
    six[..arguments.len()].copy_from_slice(arguments);
    // SAFETY: what the kernel takes for pointers is null, leads nowhere, or is text that it
    // only reads. No call starts a second flow of control in this memory.
    let result = unsafe { libc::syscall(number, six[0], six[1], six[2], six[3], six[4], six[5]) };
    if result < 0 {
        let error = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
    }
    Ok(result)
}

/// The name of the filesystem that the path, or what there is of it, is on.
pub(super) fn filesystem(path: &Path) -> Option<&'static str> {
    /// `statfs(2)`
    const KINDS: [(u32, &str); 11] = [
        (0xef53, "ext4"),
        (0x5846_5342, "xfs"),
        (0x9123_683e, "btrfs"),
        (0xf2f5_2010, "f2fs"),
        (0x0102_1994, "tmpfs"),
        (0x794c_7630, "overlay"),
        (0x2fc1_2fc1, "zfs"),
        (0x6969, "nfs"),
        (0x6573_5546, "fuse"),
        (0xca45_1a4e, "bcachefs"),
        (0x4d44, "fat"),
    ];
    let there = path.ancestors().find(|it| it.exists())?;
    let magic = rustix::fs::statfs(there).ok()?.f_type as u32;
    let known = KINDS.iter().find(|(of, _)| *of == magic);
    known.map(|(_, name)| *name)
}
