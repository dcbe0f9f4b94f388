//! What a filter refuses, told while it happens.

use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::Pid;

use super::handover::Handover;
use super::{RecordError, load, serve};
use crate::instruction::code;
use crate::{Action, Answer, Arch, Filtered, Instruction, Listener, Notification, Program};

/// Loads the filter, and has what it refuses with an error told to the [`Watcher`] at the other end of
/// `socket`. What it allows, kills for or answers with `ENOSYS` (as to a call that has an older
/// form) is not told. When the watcher is gone, the process ends, as with [`record_to`].
///
/// [`record_to`]: super::record_to
///
/// The thread must have `no_new_privs`, or `CAP_SYS_ADMIN` in its user namespace.
///
/// # Errors
/// [`RecordError`].
pub fn watch_to(socket: &OwnedFd, filtered: &Filtered) -> Result<(), RecordError> {
    let mut handover = Handover::new(socket.as_fd());
    let mut instructions = handover.prefix(Arch::native());
    instructions.extend(filtered.program.instructions().iter().copied().map(asking));
    let program = Program::new(instructions).map_err(crate::CompileError::TooLong)?;
    let listener = load(&program, filtered.flags)?;
    handover.send(listener);
    Ok(())
}

/// Whether somebody is asked in the place of this answer.
fn is_refusal(action: Action) -> bool {
    const ENOSYS: Action = Action::Errno(crate::oci::ENOSYS);
    matches!(action, Action::Errno(_)) && action != ENOSYS
}

fn asking(instruction: Instruction) -> Instruction {
    let returned = Action::from_return_value(instruction.operand);
    if instruction.code == code::RET_K && is_refusal(returned) {
        Instruction::new(code::RET_K, Action::Notify.return_value())
    } else {
        instruction
    }
}

/// A call that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// By which ABI it was made.
    pub arch: Arch,
    /// Its number.
    pub number: u32,
    /// The error that it failed with.
    pub errno: u16,
    /// Who called, where it is seen from here. It still waits.
    pub thread: Option<Pid>,
}

/// Hears what is refused, and has it refused.
#[derive(Debug)]
pub struct Watcher<'a> {
    socket: &'a OwnedFd,
    program: &'a Program,
}

impl<'a> Watcher<'a> {
    /// One for all who call [`watch_to`] with the other end of the socket, a pair of
    /// `SOCK_SEQPACKET`, and this program.
    pub fn new(socket: &'a OwnedFd, program: &'a Program) -> Self {
        Self { socket, program }
    }

    /// Tells `heard` each refusal, until nobody has the other end of the socket any more, and
    /// everyone who has the filter has ended.
    ///
    /// # Errors
    /// [`RecordError::Receive`], [`RecordError::Listen`].
    pub fn run(self, mut heard: impl FnMut(Refusal)) -> Result<(), RecordError> {
        serve::serve(self.socket, |listener, notification| {
            self.answer(listener, notification, &mut heard)
        })
    }

    fn answer(
        &self,
        _listener: &Listener,
        notification: &Notification,
        heard: &mut impl FnMut(Refusal),
    ) -> Answer {
        let call = notification.call;
        match self.program.run(&call).action() {
            Action::Errno(errno) => {
                if let Some(arch) = call.arch() {
                    heard(Refusal {
                        arch,
                        number: call.number,
                        errno,
                        thread: notification.thread,
                    });
                }
                Answer::Errno(Errno::from_raw_os_error(errno.into()))
            }
            // The same program has asked, so it is none of these.
            _ => Answer::Errno(Errno::PERM),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BuiltIn, Call, Capabilities, Context, KernelVersion};

    #[test]
    fn who_is_watched_is_asked_for_refusals_alone() {
        let context = Context {
            arch: Arch::native(),
            capabilities: Capabilities::NONE,
            kernel: KernelVersion { major: 6, minor: 1 },
        };
        let arch = context.arch;
        let plain = BuiltIn::Default.policy(&context).compile(arch).unwrap();
        let instructions = plain.instructions().iter().copied().map(asking).collect();
        let watched = Program::new(instructions).unwrap();
        for (number, name) in arch.calls() {
            let call = Call::new(arch, number);
            let said = plain.run(&call).action();
            let expected = match said {
                Action::Errno(1 | 22) => Action::Notify,
                said => said,
            };
            assert_eq!(watched.run(&call).action(), expected, "{name}");
        }
    }

    #[test]
    fn the_handing_over_passes_and_nothing_else_by_its_way() {
        let (ours, _theirs) = rustix::net::socketpair(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::SEQPACKET,
            rustix::net::SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        let arch = Arch::native();
        let mut handover = Handover::new(ours.as_fd());
        let arguments = handover.arguments();
        let mut instructions = handover.prefix(arch);
        instructions.push(Instruction::new(code::RET_K, Action::Notify.return_value()));
        let program = Program::new(instructions).unwrap();
        let sendmsg = Call::new(arch, arch.number_of("sendmsg").unwrap());
        let passes = |call: Call| program.run(&call).action() == Action::Allow;
        assert!(passes(sendmsg.with(arguments)));
        for index in 0..3 {
            for bit in [1, 1 << 31, 1 << 40] {
                let mut others = arguments;
                others[index] ^= bit;
                assert!(!passes(sendmsg.with(others)), "{index} {bit:#x}");
            }
        }
        let other = Call::new(arch, arch.number_of("recvmsg").unwrap());
        assert!(!passes(other.with(arguments)));
    }
}
