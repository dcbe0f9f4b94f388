//! What rustix has no function for.

use std::mem::{offset_of, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use rustix::io::Errno;

/// A message of one byte with room for one descriptor, all at one address.
pub(super) struct Message {
    header: libc::msghdr,
    vector: libc::iovec,
    byte: u8,
    control: Control,
}

/// A `cmsghdr` with one descriptor, as `CMSG_LEN(3)` lays it out.
#[repr(C)]
struct Control {
    header: libc::cmsghdr,
    descriptor: RawFd,
}

impl Message {
    pub(super) fn new() -> Self {
        // SAFETY: pointers and numbers, for which all zeros are a value.
        unsafe { zeroed() }
    }

    /// Where the header is, from which `sendmsg` takes all else.
    pub(super) fn address(&mut self) -> usize {
        (&raw const self.header).expose_provenance()
    }
}

/// Sends the descriptor. No other system call is made, and no memory is asked for.
pub(super) fn sendmsg(
    socket: BorrowedFd<'_>,
    message: &mut Message,
    descriptor: RawFd,
    flags: i32,
) -> Result<(), Errno> {
    let length = offset_of!(Control, descriptor) + size_of::<RawFd>();
    message.control.header.cmsg_len = length as _;
    message.control.header.cmsg_level = libc::SOL_SOCKET;
    message.control.header.cmsg_type = libc::SCM_RIGHTS;
    message.control.descriptor = descriptor;
    message.vector.iov_base = (&raw mut message.byte).cast();
    message.vector.iov_len = 1;
    message.header.msg_iov = &raw mut message.vector;
    message.header.msg_iovlen = 1;
    message.header.msg_control = (&raw mut message.control).cast();
    message.header.msg_controllen = size_of::<Control>() as _;
    // Not by the C library's function: the filter looks at what reaches the kernel.
    // SAFETY: header, vector, byte and control are in `message`, which lives on; the lengths are
    // theirs, and the kernel only reads.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_sendmsg,
            libc::c_long::from(socket.as_raw_fd()),
            &raw const message.header,
            libc::c_long::from(flags),
        )
    };
    match sent {
        0.. => Ok(()),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}

/// Ends the process. No other system call is made, no handler is run, nothing is freed.
pub(super) fn exit_group(status: i32) -> ! {
    loop {
        // Not by the C library's function, for the same reason.
        // SAFETY: a number is passed, and nothing of this process runs afterwards.
        unsafe { libc::syscall(libc::SYS_exit_group, libc::c_long::from(status)) };
    }
}
