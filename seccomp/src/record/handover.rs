//! How a process gives the listener of its own filter away, when that filter has every call wait.

use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};

use rustix::io::Errno;

use super::sys::{Message, sendmsg};
use crate::instruction::code;
use crate::{Action, Arch, Call, Condition, Instruction, Listener, Rule};

/// A `sendmsg(2)` that is made ready before the filter is loaded, and that the filter lets pass: by
/// its socket, the address of its message, and its flags. No program that is executed later has
/// a message of its own at that address with those flags on that descriptor, but by intent; and
/// who has the intent gains a call that is not noted.
pub(super) struct Handover<'a> {
    socket: BorrowedFd<'a>,
    message: Box<Message>,
}

/// What nobody else asks `sendmsg` for, and a local socket takes no notice of.
const FLAGS: i32 = libc::MSG_NOSIGNAL | libc::MSG_MORE | libc::MSG_DONTROUTE;

/// Where in `struct seccomp_data` the arguments begin.
const ARGUMENTS: u32 = 16;

impl<'a> Handover<'a> {
    pub(super) fn new(socket: BorrowedFd<'a>) -> Self {
        Self {
            socket,
            message: Box::new(Message::new()),
        }
    }

    /// What the call is made with.
    pub(super) fn arguments(&mut self) -> [u64; 6] {
        let message = self.message.address() as u64;
        [
            self.socket.as_raw_fd() as u64,
            message,
            FLAGS as u64,
            0,
            0,
            0,
        ]
    }

    /// Lets the handing over pass.
    pub(super) fn rule(&mut self) -> Rule {
        let mut rule = Rule::new(["sendmsg"], Action::Allow);
        for (index, value) in (0..).zip(&self.arguments()[..3]) {
            rule = rule.when(Condition::equal(index, *value));
        }
        rule
    }

    /// The same as the beginning of a program: what it is not about goes on behind it.
    pub(super) fn prefix(&mut self, arch: Arch) -> Vec<Instruction> {
        // Each word that is looked at, and what it must be.
        let number = arch.number_of("sendmsg").unwrap_or(u32::MAX);
        let mut words = vec![(Call::NUMBER, number), (Call::ARCH, arch.audit())];
        let arguments = self.arguments();
        let expected = Call::new(arch, number).with(arguments);
        let halves = (ARGUMENTS..).step_by(4).take(6);
        words.extend(halves.filter_map(|offset| Some((offset, expected.word(offset)?))));
        let mut program = Vec::new();
        for (index, (offset, word)) in words.iter().enumerate() {
            // Past the comparisons that are left, with their loads, and past the return.
            let rest = (words.len() - 1 - index) * 2 + 1;
            program.push(Instruction::new(code::LD_W_ABS, *offset));
            program.push(Instruction::jump(code::JEQ_K, *word, 0, rest as u8));
        }
        program.push(Instruction::new(code::RET_K, Action::Allow.return_value()));
        program
    }

    /// Hands over. Not a call more than that: each would wait for an answer of who is only now
    /// told where to listen. Afterwards this process's own descriptor stays open until `execve`.
    pub(super) fn send(mut self, listener: Listener) -> Result<(), Errno> {
        let listener = OwnedFd::from(listener).into_raw_fd();
        sendmsg(self.socket, &mut self.message, listener, FLAGS)
    }
}
