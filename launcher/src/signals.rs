//! Signals as events, and a clean slate for the program in the container.
//!
//! A process that waits in an event loop blocks the signals it cares for and reads them from
//! a descriptor ([`SignalFd`]), so none interrupts it half-way through a step. The mask and
//! the ignored signals are inherited through `execve(2)`: [`reset_for_child`] undoes both.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use coop_ns::Signal;
use rustix::io::Errno;
use rustix::process::Pid;

/// The last signal number, `SIGRTMAX`.
const LAST: i32 = 64;

/// Signals that someone sends to a foreground `coop run` and means for the container:
/// `--sig-proxy`.
///
/// Not among them: what the kernel tells this very process (`SIGCHLD`, `SIGPIPE`, faults),
/// job control (`SIGTSTP`, `SIGCONT`...), which is the user's shell's business, and
/// `SIGWINCH`, which becomes a new size of the container's terminal.
pub const FORWARDABLE: [Signal; 12] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    named(libc::SIGUSR1),
    named(libc::SIGUSR2),
    named(libc::SIGALRM),
    Signal::TERM,
    named(libc::SIGVTALRM),
    named(libc::SIGPROF),
    named(libc::SIGIO),
    named(libc::SIGPWR),
    named(libc::SIGXCPU),
];

const fn named(number: i32) -> Signal {
    // Evaluated when compiling: a number out of range does not get further.
    Signal::new(number).expect("a signal's number")
}

/// A failure of a call about signals.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation}")]
pub struct SignalError {
    /// The step, as a verb with its object.
    pub operation: &'static str,
    /// The kernel's answer.
    pub source: Errno,
}

/// A signal that was pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Which.
    pub signal: Signal,
    /// Who sent it; none when the kernel did, or a process outside this pid namespace.
    pub sender: Option<Pid>,
}

/// A descriptor that becomes readable when one of its signals is pending: `signalfd(2)`.
#[derive(Debug)]
pub struct SignalFd {
    fd: OwnedFd,
}

impl SignalFd {
    /// Blocks the signals for the calling thread, which should be the only one, and opens a
    /// descriptor for them: non-blocking, close-on-exec.
    ///
    /// They stay blocked when this is dropped: one that is pending then must not kill the
    /// process that is about to end in an orderly way.
    ///
    /// A `SIGHUP` that is ignored is left out, and stays so: that is what `nohup(1)` is for.
    ///
    /// # Errors
    /// [`SignalError`]; `EMFILE` when out of descriptors.
    pub fn new(signals: &[Signal]) -> Result<Self, SignalError> {
        let without_hangup: Vec<Signal>;
        let signals = if signals.contains(&Signal::HUP) && is_ignored(Signal::HUP) {
            let others = signals.iter().filter(|it| **it != Signal::HUP);
            without_hangup = others.copied().collect();
            &without_hangup
        } else {
            signals
        };
        let set = sigset(signals);
        change_mask(libc::SIG_BLOCK, &set)?;
        let flags = libc::SFD_NONBLOCK | libc::SFD_CLOEXEC;
        // SAFETY: -1 asks for a new descriptor; `set` is initialised and outlives the call.
        let fd = unsafe { libc::signalfd(-1, &raw const set, flags) };
        if fd < 0 {
            return Err(last_error("open a descriptor for signals"));
        }
        // SAFETY: the kernel has just opened it for us: nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd })
    }

    /// The next pending signal; `None` when there is no more. Signals of one kind that came
    /// close together may be one.
    ///
    /// # Errors
    /// [`SignalError`].
    pub fn read(&self) -> Result<Option<Received>, SignalError> {
        let mut info = [0_u8; size_of::<libc::signalfd_siginfo>()];
        let length = match rustix::io::retry_on_intr(|| rustix::io::read(&self.fd, &mut info)) {
            Ok(length) => length,
            Err(Errno::AGAIN) => return Ok(None),
            Err(source) => {
                return Err(SignalError {
                    operation: "read a signal",
                    source,
                });
            }
        };
        if length != info.len() {
            return Ok(None);
        }
        // SAFETY: the buffer has the type's size, the kernel filled all of it, every bit
        // pattern is valid for its integers, and an unaligned read asks for no alignment.
        let info = unsafe {
            info.as_ptr()
                .cast::<libc::signalfd_siginfo>()
                .read_unaligned()
        };
        let Some(signal) = i32::try_from(info.ssi_signo).ok().and_then(Signal::new) else {
            return Ok(None);
        };
        let sender = match info.ssi_code {
            libc::SI_USER | libc::SI_QUEUE | libc::SI_TKILL => {
                i32::try_from(info.ssi_pid).ok().and_then(Pid::from_raw)
            }
            _ => None,
        };
        Ok(Some(Received { signal, sender }))
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Lets every signal through again, for a process that goes on after one that has blocked some.
///
/// # Errors
/// [`SignalError`].
pub(crate) fn unblock_all() -> Result<(), SignalError> {
    change_mask(libc::SIG_SETMASK, &sigset(&[]))
}

/// All signals, blocked for a process that does nothing but wait for them.
#[derive(Debug)]
pub(crate) struct AllBlocked(libc::sigset_t);

impl AllBlocked {
    /// Blocks every signal of the calling thread, which should be the only one.
    ///
    /// # Errors
    /// [`SignalError`].
    pub(crate) fn new() -> Result<Self, SignalError> {
        let all: Vec<Signal> = (1..=LAST).filter_map(Signal::new).collect();
        let set = sigset(&all);
        change_mask(libc::SIG_BLOCK, &set)?;
        Ok(Self(set))
    }

    /// Waits for the next signal; none when the wait was interrupted.
    pub(crate) fn wait(&self) -> Option<Signal> {
        // SAFETY: the set is initialised and outlives the call; no information is asked for.
        let number = unsafe { libc::sigwaitinfo(&raw const self.0, std::ptr::null_mut()) };
        Signal::new(number)
    }
}

/// Gives the program that is executed next what `execve(2)` would let through from this
/// process: no signal blocked, none ignored.
///
/// Rust's start-up code ignores `SIGPIPE`, `nohup` ignores `SIGHUP`, and a program in a
/// container should see neither. For the child, right before `execve`.
///
/// # Errors
/// [`SignalError`].
pub fn reset_for_child() -> Result<(), SignalError> {
    // The kernel's own `struct sigaction`, which is smaller than this on every architecture:
    // all zero is SIG_DFL, no flags, an empty mask.
    let default = [0_u64; 8];
    // sigset_t of the kernel: one bit for each signal.
    let set_size: usize = LAST as usize / 8;
    for number in 1..=LAST {
        let none = std::ptr::null_mut::<u8>();
        // The C library's sigaction would refuse 32 and 33, and leaves 32 ignored in what its
        // posix_spawn starts, which may be us.
        // SAFETY: the kernel reads `default`, which lives on, and writes nothing; no handler
        // is installed that could run.
        let result = unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                number,
                default.as_ptr(),
                none,
                set_size,
            )
        };
        // EINVAL: SIGKILL and SIGSTOP are always at their defaults.
        if result != 0 && last_errno() != Errno::INVAL {
            return Err(last_error("reset a signal's disposition"));
        }
    }
    change_mask(libc::SIG_SETMASK, &sigset(&[]))
}

/// The signals that the calling thread blocks: for a look from outside, and for tests.
#[cfg(test)]
fn blocked() -> Vec<i32> {
    let mut set = sigset(&[]);
    // SAFETY: a null pointer asks for no change; `set` is ours to be written.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &raw mut set) };
    let is_blocked = |number: &i32| {
        // SAFETY: `set` is initialised and the number is a signal's.
        unsafe { libc::sigismember(&raw const set, *number) == 1 }
    };
    (1..=LAST).filter(is_blocked).collect()
}

fn change_mask(how: libc::c_int, set: &libc::sigset_t) -> Result<(), SignalError> {
    // SAFETY: `set` is initialised; a null pointer asks for no copy of the old mask.
    match unsafe { libc::pthread_sigmask(how, set, std::ptr::null_mut()) } {
        0 => Ok(()),
        errno => Err(SignalError {
            operation: "change the signal mask",
            source: Errno::from_raw_os_error(errno),
        }),
    }
}

fn is_ignored(signal: Signal) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action the call only writes the present one, to a place of its size;
    // zeros are a valid value should it fail.
    let action = unsafe {
        libc::sigaction(signal.number(), std::ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}

fn sigset(signals: &[Signal]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the whole set and cannot fail on a valid pointer.
    let mut set = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        set.assume_init()
    };
    for signal in signals {
        // SAFETY: `set` is initialised. A number the C library keeps for itself is refused
        // by it, and then just not in the set.
        unsafe { libc::sigaddset(&raw mut set, signal.number()) };
    }
    set
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}

fn last_error(operation: &'static str) -> SignalError {
    SignalError {
        operation,
        source: last_errno(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{getpid, kill_process};
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    /// Blocking is per thread, but a signal to the process goes to any thread that does not
    /// block it: so the tests that receive run in a process with one thread.
    fn in_a_fork(test: fn()) {
        // SAFETY: the child only calls the test, which is written for a forked process, and
        // leaves by `_exit`.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let passed = std::panic::catch_unwind(test).is_ok();
            // SAFETY: takes a number and does not return.
            unsafe { libc::_exit(i32::from(!passed)) };
        }
        let mut status = 0;
        // SAFETY: `status` is ours to be written.
        unsafe { libc::waitpid(pid, &raw mut status, 0) };
        assert_eq!(status, 0, "see the panic above");
    }

    #[test]
    fn pending_signals_are_read_with_their_sender() {
        in_a_fork(|| {
            let fd = SignalFd::new(&[Signal::TERM, named(libc::SIGUSR1)]).unwrap();
            assert_eq!(fd.read().unwrap(), None);
            kill_process(getpid(), rustix::process::Signal::TERM).unwrap();
            let received = fd.read().unwrap().unwrap();
            assert_eq!(
                received,
                Received {
                    signal: Signal::TERM,
                    sender: Some(getpid())
                }
            );
            assert_eq!(fd.read().unwrap(), None);
        });
    }

    #[test]
    fn a_hangup_that_is_ignored_stays_so() {
        in_a_fork(|| {
            // SAFETY: no handler is set.
            unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
            let fd = SignalFd::new(&[Signal::HUP, Signal::TERM]).unwrap();
            kill_process(getpid(), rustix::process::Signal::HUP).unwrap();
            kill_process(getpid(), rustix::process::Signal::TERM).unwrap();
            assert_eq!(fd.read().unwrap().unwrap().signal, Signal::TERM);
            assert_eq!(fd.read().unwrap(), None);
        });
        in_a_fork(|| {
            let fd = SignalFd::new(&[Signal::HUP]).unwrap();
            kill_process(getpid(), rustix::process::Signal::HUP).unwrap();
            assert_eq!(fd.read().unwrap().unwrap().signal, Signal::HUP);
        });
    }

    #[test]
    fn real_time_signals_can_be_received() {
        in_a_fork(|| {
            let signal = coop_ns::parse_signal("SIGRTMIN+3").unwrap();
            let fd = SignalFd::new(&[signal]).unwrap();
            // SAFETY: plain numbers; the signal is blocked.
            unsafe { libc::raise(signal.number()) };
            assert_eq!(fd.read().unwrap().unwrap().signal, signal);
        });
    }

    #[test]
    fn a_child_starts_with_nothing_blocked_and_nothing_ignored() {
        let mut command = Command::new("grep");
        command.args(["-E", "^Sig(Blk|Ign)", "/proc/self/status"]);
        // SAFETY: both are system calls only, fit for a forked child.
        unsafe {
            command.pre_exec(|| {
                libc::signal(libc::SIGHUP, libc::SIG_IGN);
                libc::signal(libc::SIGPIPE, libc::SIG_IGN);
                SignalFd::new(&FORWARDABLE)
                    .map(std::mem::forget)
                    .map_err(|error| error.source)?;
                assert!(!blocked().is_empty());
                reset_for_child().map_err(|error| error.source)?;
                Ok(())
            });
        }
        let output = String::from_utf8(command.output().unwrap().stdout).unwrap();
        assert_eq!(
            output,
            "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
        );
    }

    #[test]
    fn job_control_and_the_kernels_own_signals_are_not_forwarded() {
        for number in [
            libc::SIGCHLD,
            libc::SIGWINCH,
            libc::SIGTSTP,
            libc::SIGPIPE,
            libc::SIGSEGV,
        ] {
            assert!(FORWARDABLE.iter().all(|signal| signal.number() != number));
        }
        let unique: std::collections::BTreeSet<_> =
            FORWARDABLE.iter().map(|s| s.number()).collect();
        assert_eq!(unique.len(), FORWARDABLE.len());
    }
}
