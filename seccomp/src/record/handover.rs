//! How a process gives the listener of its own filter away, when that filter has every call wait.

use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};

use super::sys::{Message, exit_group, sendmsg};
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

/// What the process ends with when nobody takes its listener. Of an exit status the kernel looks
/// at the lowest byte alone: it is 125, and the rest is nobody else's.
const NOBODY_THERE: i32 = 0x636f_6f7d;

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

    /// The calls that pass, by name, and the arguments that are looked at: the handing over, and the
    /// end where there is nobody to hand over to.
    fn passing(&mut self) -> [(&'static str, Vec<u64>); 2] {
        let sendmsg = self.arguments()[..3].to_vec();
        [
            ("sendmsg", sendmsg),
            ("exit_group", vec![NOBODY_THERE as u64]),
        ]
    }

    /// Lets them pass.
    pub(super) fn rules(&mut self) -> [Rule; 2] {
        self.passing().map(|(name, arguments)| {
            let conditions = (0..).zip(arguments);
            let conditions = conditions.map(|(index, value)| Condition::equal(index, value));
            conditions.fold(Rule::new([name], Action::Allow), Rule::when)
        })
    }

    /// The same as the beginning of a program: what it is not about goes on behind it.
    pub(super) fn prefix(&mut self, arch: Arch) -> Vec<Instruction> {
        let mut program = Vec::new();
        for (name, arguments) in self.passing() {
            // Each word that is looked at, and what it must be.
            let number = arch.number_of(name).unwrap_or(u32::MAX);
            let mut words = vec![(Call::NUMBER, number), (Call::ARCH, arch.audit())];
            for (offset, value) in (ARGUMENTS..).step_by(8).zip(arguments) {
                words.push((offset, value as u32));
                words.push((offset + 4, (value >> 32) as u32));
            }
            for (index, (offset, word)) in words.iter().enumerate() {
                // Past the comparisons that are left, with their loads, and past the return.
                let rest = (words.len() - 1 - index) * 2 + 1;
                program.push(Instruction::new(code::LD_W_ABS, *offset));
                program.push(Instruction::jump(code::JEQ_K, *word, 0, rest as u8));
            }
            program.push(Instruction::new(code::RET_K, Action::Allow.return_value()));
        }
        program
    }

    /// Hands over. Not a call more than that: each would wait for an answer of who is only now
    /// told where to listen. Afterwards this process's own descriptor stays open until `execve`.
    ///
    /// Where nobody takes it, the process ends: to tell of that is a call as well, which would
    /// wait for ever.
    pub(super) fn send(mut self, listener: Listener) {
        let listener = OwnedFd::from(listener).into_raw_fd();
        if sendmsg(self.socket, &mut self.message, listener, FLAGS).is_err() {
            exit_group(NOBODY_THERE);
        }
    }
}
