//! [bpf(2)](https://man7.org/linux/man-pages/man2/bpf.2.html), as far as device programs
//! need it. rustix has no such call.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;

use super::insn::Insn;

const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const PROG_DETACH: libc::c_int = 9;
const PROG_GET_FD_BY_ID: libc::c_int = 13;
const PROG_QUERY: libc::c_int = 16;

const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
/// Several programs on one group; systemd attaches one of its own to the services it runs.
const ALLOW_MULTI: u32 = 2;

/// The kernel's `BPF_CGROUP_MAX_PROGS`.
const MAX_PROGRAMS: usize = 64;

const LICENSE: &CStr = c"Dual MIT/GPL";

// Leading parts of `union bpf_attr` under shorter names; the kernel takes what is left out
// as zero.

#[repr(C)]
struct Load {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
}

#[repr(C)]
struct Attach {
    target: RawFd,
    program: RawFd,
    kind: u32,
    flags: u32,
}

#[repr(C)]
struct Query {
    target: RawFd,
    kind: u32,
    flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
    padding: u32,
}

#[repr(C)]
struct ById {
    prog_id: u32,
    next_id: u32,
    open_flags: u32,
}

/// # Safety
/// `attr` must be what `command` takes, and every address in it must be valid for it.
unsafe fn bpf<T>(command: libc::c_int, attr: &mut T) -> Result<RawFd, Errno> {
    // SAFETY: the pointer and the size describe `attr`; the rest is the caller's promise.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attr),
            size_of::<T>(),
        )
    };
    if result < 0 {
        let errno = std::io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(libc::EIO);
        return Err(Errno::from_raw_os_error(errno));
    }
    Ok(result as RawFd)
}

/// Loads a program; the verifier checks it here.
pub(super) fn load(program: &[Insn]) -> Result<OwnedFd, Errno> {
    let mut attr = Load {
        prog_type: PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: program.len() as u32,
        insns: program.as_ptr() as u64,
        license: LICENSE.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
        kern_version: 0,
        prog_flags: 0,
        prog_name: *b"coop_devices\0\0\0\0",
    };
    // SAFETY: the addresses are those of a slice with its length and of a C string, which
    // both outlive the call.
    let fd = unsafe { bpf(PROG_LOAD, &mut attr) }?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Attaches a program to a group.
pub(super) fn attach(group: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<(), Errno> {
    change(PROG_ATTACH, group, program, ALLOW_MULTI)
}

/// Detaches a program from a group.
pub(super) fn detach(group: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<(), Errno> {
    change(PROG_DETACH, group, program, 0)
}

fn change(
    command: libc::c_int,
    group: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    flags: u32,
) -> Result<(), Errno> {
    let mut attr = Attach {
        target: group.as_raw_fd(),
        program: program.as_raw_fd(),
        kind: ATTACH_CGROUP_DEVICE,
        flags,
    };
    // SAFETY: there are no addresses in `attr`, and both descriptors are open.
    unsafe { bpf(command, &mut attr) }.map(drop)
}

/// Ids of the device programs attached to a group itself.
pub(super) fn attached(group: BorrowedFd<'_>) -> Result<Vec<u32>, Errno> {
    let mut ids = [0_u32; MAX_PROGRAMS];
    let mut attr = Query {
        target: group.as_raw_fd(),
        kind: ATTACH_CGROUP_DEVICE,
        flags: 0,
        attach_flags: 0,
        prog_ids: ids.as_mut_ptr() as u64,
        prog_cnt: MAX_PROGRAMS as u32,
        padding: 0,
    };
    // SAFETY: the address is that of `ids`, which outlives the call, with its length.
    unsafe { bpf(PROG_QUERY, &mut attr) }?;
    Ok(ids[..MAX_PROGRAMS.min(attr.prog_cnt as usize)].to_vec())
}

/// Opens a loaded program.
pub(super) fn program(id: u32) -> Result<OwnedFd, Errno> {
    let mut attr = ById {
        prog_id: id,
        next_id: 0,
        open_flags: 0,
    };
    // SAFETY: there are no addresses in `attr`.
    let fd = unsafe { bpf(PROG_GET_FD_BY_ID, &mut attr) }?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
