//! The first process of a container that another supervisor has started.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{SupervisorError, kernel};
use crate::store::{ProcStat, State, boot_id};

/// Takes hold of the very init that was saved; `None` when it is gone. It may have ended, when
/// nobody has reaped it yet.
///
/// # Errors
/// When that cannot be told, for want of a descriptor, say: a container that runs must not be taken
/// for one that has ended.
pub(super) fn hold(state: &State) -> Result<Option<OwnedFd>, SupervisorError> {
    let pid = state.pid.and_then(|pid| i32::try_from(pid).ok());
    let Some(pid) = pid.and_then(Pid::from_raw) else {
        return Ok(None);
    };
    let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        // Nobody has the number, or a thread has it by now.
        Err(Errno::SRCH | Errno::INVAL | Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(kernel("open a container's process")(errno)),
    };
    // Looked at after the open: the number cannot become another's any more.
    let Some(stat) = ProcStat::of(pid)? else {
        return Ok(None);
    };
    let is_it = Some(stat.start_time) == state.pid_start_time
        && state.boot_id.as_ref() == Some(&boot_id()?);
    Ok(is_it.then_some(pidfd))
}

#[cfg(test)]
mod tests {
    use rustix::process::{Resource, Rlimit, getpid, getrlimit, setrlimit};

    use super::*;
    use crate::store::{ContainerId, Name, StackName};

    fn state_of(pid: Pid) -> State {
        let mut state = State::new(
            ContainerId::random().unwrap(),
            Name::parse("web").unwrap(),
            StackName::parse("shop").unwrap(),
            "coop/host".into(),
        );
        state.set_process(pid).unwrap();
        state.set_running();
        state
    }

    #[test]
    fn who_is_there_is_held_also_as_a_zombie_and_nobody_else() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let state = state_of(Pid::from_child(&child));
        let held = hold(&state).unwrap().expect("it is not reaped");
        let mut fds = [rustix::event::PollFd::new(
            &held,
            rustix::event::PollFlags::IN,
        )];
        rustix::event::poll(&mut fds, None).unwrap();
        assert!(hold(&state).unwrap().is_some(), "it has ended");
        let mut other = state.clone();
        other.pid_start_time = other.pid_start_time.map(|ticks| ticks + 1);
        assert!(hold(&other).unwrap().is_none());
        let mut earlier = state.clone();
        earlier.boot_id = Some("00000000-0000-0000-0000-000000000000".into());
        assert!(hold(&earlier).unwrap().is_none());
        child.wait().unwrap();
        assert!(hold(&state).unwrap().is_none());
    }

    #[test]
    fn without_a_descriptor_nobody_is_taken_for_dead() {
        let state = state_of(getpid());
        // SAFETY: the child calls what is written for it, allocates from a heap of which glibc
        // takes care at a fork, and leaves by `_exit`.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let none = Rlimit {
                current: Some(0),
                ..getrlimit(Resource::Nofile)
            };
            let limited = setrlimit(Resource::Nofile, none).is_ok();
            let told = limited && hold(&state).is_err();
            // SAFETY: takes a number and does not return.
            unsafe { libc::_exit(i32::from(!told)) };
        }
        let mut status = 0;
        // SAFETY: `status` is ours to be written.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(status, 0, "it was taken for dead");
    }
}
