//! [seccomp(2)](https://man7.org/linux/man-pages/man2/seccomp.2.html) and the ioctls of
//! [seccomp_unotify(2)](https://man7.org/linux/man-pages/man2/seccomp_unotify.2.html), which
//! rustix lacks.

use std::ffi::c_void;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use rustix::io::Errno;

use crate::{Call, Instruction};

const SET_MODE_FILTER: libc::c_uint = 1;
const GET_ACTION_AVAIL: libc::c_uint = 2;
const GET_NOTIF_SIZES: libc::c_uint = 3;

/// `SECCOMP_FILTER_FLAG_NEW_LISTENER`.
pub(crate) const NEW_LISTENER: u32 = 1 << 3;
/// `SECCOMP_FILTER_FLAG_TSYNC_ESRCH`.
pub(crate) const TSYNC_ESRCH: u32 = 1 << 4;

/// `struct sock_fprog`.
#[repr(C)]
struct FilterProgram {
    len: libc::c_ushort,
    filter: *const Instruction,
}

/// # Safety
/// `argument` must point to what `operation` takes.
unsafe fn seccomp(
    operation: libc::c_uint,
    flags: u32,
    argument: *mut c_void,
) -> Result<libc::c_long, Errno> {
    // SAFETY: the caller's promise.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, argument) };
    match result {
        -1 => Err(last_errno()),
        value => Ok(value),
    }
}

fn last_errno() -> Errno {
    let error = std::io::Error::last_os_error();
    Errno::from_io_error(&error).unwrap_or(Errno::INVAL)
}

/// Loads a filter. Returns 0, or with `SECCOMP_FILTER_FLAG_TSYNC` the id of a thread that could
/// not get it.
pub(crate) fn set_mode_filter(program: &[Instruction], flags: u32) -> Result<i64, Errno> {
    let mut program = FilterProgram {
        // One that is longer than the kernel takes is refused before.
        len: program.len() as libc::c_ushort,
        filter: program.as_ptr(),
    };
    // SAFETY: `program` describes a slice that lives beyond the call; the kernel only reads it.
    unsafe { seccomp(SET_MODE_FILTER, flags, (&raw mut program).cast()) }
}

/// Loads a filter and returns the descriptor of its listener.
pub(crate) fn set_mode_filter_listened(
    program: &[Instruction],
    flags: u32,
) -> Result<OwnedFd, Errno> {
    let fd = set_mode_filter(program, flags | NEW_LISTENER)?;
    // SAFETY: with this flag the call returns a new descriptor, which is nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Whether the kernel knows an action.
pub(crate) fn action_available(action: u32) -> Result<bool, Errno> {
    let mut action = action;
    // SAFETY: the operation reads one `u32`.
    match unsafe { seccomp(GET_ACTION_AVAIL, 0, (&raw mut action).cast()) } {
        Ok(_) => Ok(true),
        Err(Errno::OPNOTSUPP) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// `struct seccomp_notif_sizes`: how large the kernel's structures are.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct NotifSizes {
    pub(crate) notif: u16,
    pub(crate) resp: u16,
    pub(crate) data: u16,
}

pub(crate) fn notif_sizes() -> Result<NotifSizes, Errno> {
    let mut sizes = NotifSizes::default();
    // SAFETY: the operation writes one such structure.
    unsafe { seccomp(GET_NOTIF_SIZES, 0, (&raw mut sizes).cast()) }?;
    Ok(sizes)
}

/// `struct seccomp_notif`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct Notif {
    pub(crate) id: u64,
    pub(crate) pid: u32,
    pub(crate) flags: u32,
    pub(crate) data: Call,
}

/// `struct seccomp_notif_resp`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct NotifResp {
    pub(crate) id: u64,
    pub(crate) val: i64,
    pub(crate) error: i32,
    pub(crate) flags: u32,
}

/// `struct seccomp_notif_addfd`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct NotifAddFd {
    pub(crate) id: u64,
    pub(crate) flags: u32,
    pub(crate) srcfd: u32,
    pub(crate) newfd: u32,
    pub(crate) newfd_flags: u32,
}

/// `SECCOMP_USER_NOTIF_FLAG_CONTINUE`.
pub(crate) const CONTINUE: u32 = 1;
/// `SECCOMP_ADDFD_FLAG_SETFD` and `SECCOMP_ADDFD_FLAG_SEND`.
pub(crate) const ADDFD_SETFD: u32 = 1;
pub(crate) const ADDFD_SEND: u32 = 1 << 1;

/// `_IOC(direction, '!', number, size)`. The kernel looks at the size of `NOTIF_ADDFD` alone.
/// Its type is signed with musl.
const fn ioctl_number(direction: u32, number: u32, size: usize) -> libc::Ioctl {
    (direction << 30 | (size as u32) << 16 | (b'!' as u32) << 8 | number) as libc::Ioctl
}

const WRITE: u32 = 1;
const READ: u32 = 2;
const NOTIF_RECV: libc::Ioctl = ioctl_number(READ | WRITE, 0, size_of::<Notif>());
const NOTIF_SEND: libc::Ioctl = ioctl_number(READ | WRITE, 1, size_of::<NotifResp>());
const NOTIF_ID_VALID: libc::Ioctl = ioctl_number(WRITE, 2, size_of::<u64>());
const NOTIF_ADDFD: libc::Ioctl = ioctl_number(WRITE, 3, size_of::<NotifAddFd>());

/// # Safety
/// `argument` must point to what `request` takes.
unsafe fn ioctl(
    fd: BorrowedFd<'_>,
    request: libc::Ioctl,
    argument: *mut c_void,
) -> Result<i32, Errno> {
    // SAFETY: the caller's promise.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), request, argument) };
    match result {
        -1 => Err(last_errno()),
        value => Ok(value),
    }
}

/// Waits for a notification. `size` is what [`notif_sizes`] tells.
pub(crate) fn receive(fd: BorrowedFd<'_>, size: u16) -> Result<Notif, Errno> {
    let words = usize::from(size).max(size_of::<Notif>()).div_ceil(8);
    // The kernel wants it to be zero, and aligned for `u64`.
    let mut buffer = vec![0_u64; words];
    // SAFETY: the buffer is as large as the kernel's structure.
    unsafe { ioctl(fd, NOTIF_RECV, buffer.as_mut_ptr().cast()) }?;
    // SAFETY: the buffer is at least as large as `Notif`, aligned for it, and all of its bits
    // make one.
    Ok(unsafe { ptr::read(buffer.as_ptr().cast()) })
}

/// Answers a notification. `size` is what [`notif_sizes`] tells.
pub(crate) fn send(fd: BorrowedFd<'_>, size: u16, response: NotifResp) -> Result<(), Errno> {
    let words = usize::from(size).max(size_of::<NotifResp>()).div_ceil(8);
    let mut buffer = vec![0_u64; words];
    // SAFETY: the buffer is at least as large as `NotifResp` and aligned for it.
    unsafe { ptr::write(buffer.as_mut_ptr().cast(), response) };
    // SAFETY: the buffer is as large as the kernel's structure.
    unsafe { ioctl(fd, NOTIF_SEND, buffer.as_mut_ptr().cast()) }?;
    Ok(())
}

/// Whether the call that a notification is about still waits.
pub(crate) fn id_valid(fd: BorrowedFd<'_>, id: u64) -> Result<bool, Errno> {
    let mut id = id;
    // SAFETY: the request reads one `u64`.
    match unsafe { ioctl(fd, NOTIF_ID_VALID, (&raw mut id).cast()) } {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Puts a descriptor into the process that waits, and returns its number there.
pub(crate) fn add_fd(fd: BorrowedFd<'_>, request: NotifAddFd) -> Result<i32, Errno> {
    let mut request = request;
    // SAFETY: the request reads one such structure.
    unsafe { ioctl(fd, NOTIF_ADDFD, (&raw mut request).cast()) }
}
