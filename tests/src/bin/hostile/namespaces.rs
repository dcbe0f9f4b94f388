//! New user namespaces, in which a process has every capability, and namespaces of others.

use std::fs::File;
use std::os::fd::AsFd;
use std::{io, mem};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{Attack, Attempt, attack, number};

pub(crate) const ATTACKS: &[Attack] = &[
    attack("clone-user", clone_user),
    attack("clone3-user", clone3_user),
    attack("unshare-user-i386", unshare_user_i386),
    attack("setns", setns),
];

fn clone_user(_: &[String]) -> Attempt {
    let flags = libc::CLONE_NEWUSER | libc::SIGCHLD;
    // SAFETY: as `fork` of a process with one thread; the child ends at once.
    let child = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    parent_of(child)
}

fn clone3_user(_: &[String]) -> Attempt {
    // SAFETY: zeroes are no flag and no pointer.
    let mut arguments: libc::clone_args = unsafe { mem::zeroed() };
    arguments.flags = libc::CLONE_NEWUSER as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    let size = mem::size_of_val(&arguments);
    // SAFETY: as above; the arguments are read before the call is back.
    let child = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size) };
    parent_of(child)
}

/// Ends the child; in the parent, what became of it.
fn parent_of(child: i64) -> Attempt {
    match child {
        0 => {
            // SAFETY: ends the process and runs nothing of it.
            unsafe { libc::_exit(0) }
        }
        child if child > 0 => Ok("a process with a user namespace of its own".into()),
        _ => Err(io::Error::last_os_error().into()),
    }
}

/// The same by the numbers of 32-bit programs: a filter that does not look at the architecture
/// takes 310 for `process_vm_readv`.
#[cfg(target_arch = "x86_64")]
fn unshare_user_i386(_: &[String]) -> Attempt {
    const UNSHARE: i64 = 310;
    let result: i64;
    // SAFETY: the call takes a number alone; rbx, which the compiler keeps for itself, is put
    // back, and the call changes no other register than the ones named.
    unsafe {
        core::arch::asm!(
            "xchg {flags}, rbx",
            "int 0x80",
            "xchg {flags}, rbx",
            flags = inout(reg) i64::from(libc::CLONE_NEWUSER) => _,
            inlateout("rax") UNSHARE => result,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    match i32::try_from(-result) {
        Ok(errno) if errno > 0 => Err(io::Error::from_raw_os_error(errno).into()),
        _ => Ok("a user namespace".into()),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn unshare_user_i386(_: &[String]) -> Attempt {
    Err(rustix::io::Errno::NOSYS.into())
}

/// The network of one of the host's processes.
fn setns(words: &[String]) -> Attempt {
    let namespace = File::open(format!("/proc/{}/ns/net", number::<u32>(words, 0)?))?;
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
    Ok("in its network namespace".into())
}
