//! System calls that rustix has no words for. None changes anything.

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

/// `syscall(2)` with numbers alone: to the kernel all of them are numbers, or pointers that lead
/// nowhere.
pub(super) fn call(number: c_long, arguments: &[usize]) -> Result<i64, Errno> {
    let mut six = [0_usize; 6];
    six[..arguments.len()].copy_from_slice(arguments);
    // SAFETY: the callers are in this directory. They pass null, addresses where nothing is
    // mapped, or those of texts that the kernel only reads.
    let result = unsafe { libc::syscall(number, six[0], six[1], six[2], six[3], six[4], six[5]) };
    if result < 0 {
        // SAFETY: the place of this thread's errno can always be read.
        let errno = unsafe { *libc::__errno_location() };
        return Err(Errno::from_raw_os_error(errno));
    }
    Ok(result)
}

/// The address of a text, as an argument of [`call`].
pub(super) fn text(text: &'static CStr) -> usize {
    text.as_ptr() as usize
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
