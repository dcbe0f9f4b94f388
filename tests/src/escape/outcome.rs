//! What became of an attack: the one line that `hostile` prints.

use std::fmt;
use std::str::FromStr;

/// How an attack ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It failed: the name of the errno, or a word such as `hidden`.
    Denied(String),
    /// It did what it wanted to; in a few words.
    Succeeded(String),
}

impl Outcome {
    /// The outcome of a program that a signal has killed, so that it said nothing.
    pub fn killed() -> Self {
        Self::Denied("killed".into())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(how) => write!(f, "denied: {how}"),
            Self::Succeeded(what) => write!(f, "succeeded: {what}"),
        }
    }
}

impl FromStr for Outcome {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        match line.split_once(": ") {
            Some(("denied", how)) => Ok(Self::Denied(how.to_owned())),
            Some(("succeeded", what)) => Ok(Self::Succeeded(what.to_owned())),
            _ => Err(format!("no outcome of an attack: {line:?}")),
        }
    }
}

/// The symbol of an errno; see `errno(3)`.
pub fn errno_name(number: i32) -> String {
    let known = NAMES.iter().find(|(of, _)| *of == number);
    known.map_or_else(|| format!("errno {number}"), |(_, name)| (*name).to_owned())
}

/// Those that an attack may end in.
const NAMES: [(i32, &str); 37] = [
    (libc::EPERM, "EPERM"),
    (libc::ENOENT, "ENOENT"),
    (libc::ESRCH, "ESRCH"),
    (libc::EIO, "EIO"),
    (libc::ENXIO, "ENXIO"),
    (libc::ENOEXEC, "ENOEXEC"),
    (libc::EBADF, "EBADF"),
    (libc::ECHILD, "ECHILD"),
    (libc::EAGAIN, "EAGAIN"),
    (libc::ENOMEM, "ENOMEM"),
    (libc::EACCES, "EACCES"),
    (libc::EFAULT, "EFAULT"),
    (libc::ENOTBLK, "ENOTBLK"),
    (libc::EBUSY, "EBUSY"),
    (libc::EEXIST, "EEXIST"),
    (libc::EXDEV, "EXDEV"),
    (libc::ENODEV, "ENODEV"),
    (libc::ENOTDIR, "ENOTDIR"),
    (libc::EISDIR, "EISDIR"),
    (libc::EINVAL, "EINVAL"),
    (libc::EMFILE, "EMFILE"),
    (libc::ENOTTY, "ENOTTY"),
    (libc::ETXTBSY, "ETXTBSY"),
    (libc::ENOSPC, "ENOSPC"),
    (libc::EROFS, "EROFS"),
    (libc::ENOSYS, "ENOSYS"),
    (libc::ELOOP, "ELOOP"),
    (libc::EOPNOTSUPP, "EOPNOTSUPP"),
    (libc::EPROTONOSUPPORT, "EPROTONOSUPPORT"),
    (libc::EAFNOSUPPORT, "EAFNOSUPPORT"),
    (libc::ENETUNREACH, "ENETUNREACH"),
    (libc::ETIMEDOUT, "ETIMEDOUT"),
    (libc::ECONNREFUSED, "ECONNREFUSED"),
    (libc::EHOSTUNREACH, "EHOSTUNREACH"),
    (libc::ENOKEY, "ENOKEY"),
    (libc::ESTALE, "ESTALE"),
    (libc::EDQUOT, "EDQUOT"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_reads_back_as_written() {
        for outcome in [
            Outcome::Denied(errno_name(libc::EPERM)),
            Outcome::Succeeded("euid is 0: root".into()),
        ] {
            assert_eq!(outcome.to_string().parse(), Ok(outcome));
        }
        assert!("Segmentation fault".parse::<Outcome>().is_err());
    }

    #[test]
    fn an_errno_has_its_name_or_its_number() {
        assert_eq!(errno_name(1), "EPERM");
        assert_eq!(errno_name(4095), "errno 4095");
    }
}
