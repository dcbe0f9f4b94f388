//! Limits of the machine that many containers meet before its memory ends, and what to raise.

use std::error::Error as StdError;

use rustix::io::Errno;

use crate::error::{Failure, chain};
use crate::supervisor::SupervisorError;

/// As [`chain`], and what to raise when the kernel's answer was that a limit is reached.
pub(crate) fn chain_with_remedy(error: &(dyn StdError + 'static)) -> String {
    let mut text = chain(error);
    // What failed may have told already.
    if let Some(remedy) = remedy(error).filter(|_| !text.contains("help: ")) {
        text.push_str("\n  help: ");
        text.push_str(remedy);
    }
    text
}

fn remedy(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    let (mut cause, mut of_clone, mut errno) = (Some(error), false, None);
    while let Some(error) = cause {
        let clone = error.downcast_ref::<coop_ns::Error>();
        of_clone |= matches!(clone, Some(coop_ns::Error::Clone { .. }));
        let answer = match failure_in(error) {
            Some(failure) => failure.errno,
            None => { error.downcast_ref::<Errno>() }.map(|errno| errno.raw_os_error()),
        };
        errno = errno.or(answer);
        cause = error.source();
    }
    let errno = errno?;
    match Errno::from_raw_os_error(errno) {
        Errno::MFILE => Some(
            "a supervisor needs four descriptors for each container: raise the hard limit \
             (`ulimit -Hn`, or LimitNOFILE= of the service that starts coop)",
        ),
        Errno::NFILE => Some("the machine has no more open files: raise fs.file-max (sysctl)"),
        Errno::NOSPC if of_clone => {
            Some("a limit of user.max_*_namespaces is reached: raise it (`sysctl user` shows them)")
        }
        Errno::AGAIN if of_clone => Some(
            "there are too many processes: raise kernel.pid_max and kernel.threads-max (sysctl), \
             or the limit of the cgroup or user that starts coop (pids.max, `ulimit -u`)",
        ),
        _ => None,
    }
}

/// What a stage has told, which knows its error number itself.
fn failure_in<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e Failure> {
    let launch = match error.downcast_ref::<SupervisorError>() {
        Some(SupervisorError::Launch(launch)) => Some(launch),
        _ => error.downcast_ref::<crate::Error>(),
    };
    match launch {
        Some(crate::Error::Stage(failure)) => Some(failure),
        _ => error.downcast_ref::<Failure>(),
    }
}

#[cfg(test)]
mod tests {
    use coop_ns::Namespaces;

    use super::*;

    #[test]
    fn a_limit_says_what_to_raise_and_other_errors_say_nothing_more() {
        let clone = |source| {
            crate::Error::Clone(coop_ns::Error::Clone {
                namespaces: Namespaces::NET,
                source,
            })
        };
        let told = |error: &crate::Error| chain_with_remedy(error);
        assert!(told(&clone(Errno::NOSPC)).contains("user.max_*_namespaces"));
        assert!(told(&clone(Errno::AGAIN)).contains("kernel.pid_max"));
        assert!(!told(&clone(Errno::PERM)).contains("help"));
        let stage = |errno: Errno| Failure::new("rootfs", &errno).into();
        assert!(told(&stage(Errno::MFILE)).contains("ulimit -Hn"));
        // A full disk, not a limit.
        assert!(!told(&stage(Errno::NOSPC)).contains("help"));
    }
}
