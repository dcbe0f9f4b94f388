//! Closing what a program must not inherit (CVE-2024-21626 came from one open directory).

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::{Dir, Mode, OFlags, open};
use rustix::io::{Errno, FdFlags, fcntl_setfd};

use super::Error;
use crate::sys;

/// Marks all descriptors from `first` on close-on-exec: `execve` closes them, and until then
/// they can be used. One `close_range(2)`; before Linux 5.11 one call each, by the list of
/// `/proc/self/fd`.
///
/// # Errors
/// [`Error::Descriptors`].
pub fn close_on_exec_from(first: u32) -> Result<(), Error> {
    mark(first, u32::MAX)
}

/// Marks all descriptors but these close-on-exec.
///
/// # Errors
/// [`Error::Descriptors`].
pub fn close_on_exec_all_except(kept: &[BorrowedFd<'_>]) -> Result<(), Error> {
    gaps(kept)
        .into_iter()
        .try_for_each(|(first, last)| mark(first, last))
}

/// Closes all descriptors from `first` on at once. Needs `close_range(2)` (Linux 5.9), or
/// `/proc`.
///
/// # Safety
/// Nothing in the process may use or close one of them later: forget their owners. Where
/// `execve` follows, [`close_on_exec_from`] is the safe way.
///
/// # Errors
/// [`Error::Descriptors`].
pub unsafe fn close_descriptors_from(first: u32) -> Result<(), Error> {
    // SAFETY: the contract is the same.
    unsafe { close(first, u32::MAX) }
}

/// Closes all descriptors but these at once.
///
/// # Safety
/// As for [`close_descriptors_from`].
///
/// # Errors
/// [`Error::Descriptors`].
pub unsafe fn close_all_except(kept: &[BorrowedFd<'_>]) -> Result<(), Error> {
    for (first, last) in gaps(kept) {
        // SAFETY: the contract is the same.
        unsafe { close(first, last) }?;
    }
    Ok(())
}

fn mark(first: u32, last: u32) -> Result<(), Error> {
    let result = match sys::cloexec_range(first, last) {
        // No close_range (5.9), or not this flag (5.11).
        Err(Errno::NOSYS | Errno::INVAL) => each_open(first, last, |descriptor| {
            fcntl_setfd(descriptor, FdFlags::CLOEXEC)
        }),
        result => result,
    };
    result.map_err(|source| Error::Descriptors {
        operation: "mark descriptors close-on-exec",
        first,
        source,
    })
}

/// # Safety
/// As for [`close_descriptors_from`].
unsafe fn close(first: u32, last: u32) -> Result<(), Error> {
    // SAFETY: the contract is the same.
    let result = match unsafe { sys::close_range(first, last, 0) } {
        Err(Errno::NOSYS) => each_open(first, last, |descriptor| {
            // SAFETY: the contract is the same, and `each_open` lists a descriptor once.
            unsafe { rustix::io::close(descriptor.as_raw_fd()) };
            Ok(())
        }),
        result => result,
    };
    result.map_err(|source| Error::Descriptors {
        operation: "close descriptors",
        first,
        source,
    })
}

/// The ranges between the descriptors to keep.
fn gaps(kept: &[BorrowedFd<'_>]) -> Vec<(u32, u32)> {
    // A descriptor is never negative.
    let mut kept: Vec<_> = kept.iter().map(|fd| fd.as_raw_fd() as u32).collect();
    kept.sort_unstable();
    let mut gaps = Vec::new();
    let mut first = 0;
    for number in kept {
        if number > first {
            gaps.push((first, number - 1));
        }
        first = number + 1;
    }
    gaps.push((first, u32::MAX));
    gaps
}

/// Calls `act` on the open descriptors in the range, but for the one used to list them.
fn each_open(
    first: u32,
    last: u32,
    act: impl Fn(BorrowedFd<'_>) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let listing = Dir::new(open("/proc/self/fd", flags, Mode::empty())?)?;
    let own = listing.fd()?.as_raw_fd();
    let mut numbers = Vec::new();
    for entry in listing {
        let entry = entry?;
        numbers.extend(
            entry
                .file_name()
                .to_str()
                .ok()
                .and_then(|n| n.parse::<i32>().ok()),
        );
    }
    for number in numbers {
        if number != own && (first..=last).contains(&(number as u32)) {
            // SAFETY: the kernel listed it as open, and this process has one thread.
            act(unsafe { BorrowedFd::borrow_raw(number) })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn everything_around_the_kept_descriptors_is_a_gap() {
        assert_eq!(gaps(&[]), [(0, u32::MAX)]);
        let (out, err) = (std::io::stdout(), std::io::stderr());
        assert_eq!(
            gaps(&[err.as_fd(), out.as_fd(), err.as_fd()]),
            [(0, 0), (3, u32::MAX)]
        );
    }
}
