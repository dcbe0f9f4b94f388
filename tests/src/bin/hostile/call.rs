//! Attacks that are one system call: as data.

use std::ffi::{CStr, c_long};
use std::io;

use crate::Attempt;

/// A system call with its arguments.
pub(crate) struct Call {
    name: &'static str,
    number: c_long,
    arguments: &'static [Argument],
}

/// An argument. What the kernel writes goes to [`Argument::Room`] alone.
#[derive(Clone, Copy)]
enum Argument {
    /// A number, a flag, a descriptor, or a null pointer.
    Number(i64),
    /// A pointer to text.
    Text(&'static CStr),
    /// A pointer to a copy of these words with zeroes behind them, [`ROOM`] bytes in all.
    Words(&'static [u32]),
    /// A pointer to [`ROOM`] zeroes.
    Room,
}

use Argument::{Number, Room, Text, Words};

/// More than any of the calls below reads or writes through one pointer.
const ROOM: usize = 4096;

const NULL: Argument = Number(0);
const NO_FILE: &CStr = c"/there/is/no/such/file";

const fn call(name: &'static str, number: c_long, arguments: &'static [Argument]) -> Call {
    Call {
        name,
        number,
        arguments,
    }
}

/// The attack of this name.
pub(crate) fn named(name: &str) -> Option<&'static Call> {
    CALLS.iter().find(|call| call.name == name)
}

impl Call {
    pub(crate) fn make(&self) -> Attempt {
        let mut rooms = Vec::new();
        let mut words = [0_usize; 6];
        for (word, argument) in words.iter_mut().zip(self.arguments) {
            *word = match argument {
                Number(number) => *number as usize,
                Text(text) => text.as_ptr() as usize,
                Words(first) => with_room(first, &mut rooms),
                Room => with_room(&[], &mut rooms),
            };
        }
        // SAFETY: of the arguments below, those that the kernel takes for pointers point to
        // text, which it only reads, or to rooms, which live until it is back and are larger
        // than what it writes there. None starts a second flow of control in this memory.
        let result = unsafe {
            libc::syscall(
                self.number,
                words[0],
                words[1],
                words[2],
                words[3],
                words[4],
                words[5],
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error().into());
        }
        Ok(format!("{} is {result}", self.name))
    }
}

fn with_room(first: &[u32], rooms: &mut Vec<Box<[u32]>>) -> usize {
    let mut room = vec![0; ROOM / 4].into_boxed_slice();
    room[..first.len()].copy_from_slice(first);
    rooms.push(room);
    rooms
        .last_mut()
        .map_or(0, |room| room.as_mut_ptr() as usize)
}

const CALLS: &[Call] = &[
    // The kernel and the machine. Each is refused afterwards, if it is permitted at all.
    call("syslog", libc::SYS_syslog, &[Number(3), Room, Number(64)]),
    call(
        "init-module",
        libc::SYS_init_module,
        &[Room, Number(0), Text(c"")],
    ),
    call(
        "finit-module",
        libc::SYS_finit_module,
        &[Number(-1), Text(c""), Number(0)],
    ),
    call(
        "delete-module",
        libc::SYS_delete_module,
        &[Text(c"no_such_module"), Number(0o4000)],
    ),
    call(
        "kexec-load",
        libc::SYS_kexec_load,
        &[Number(0), Number(0), NULL, Number(0xfff0)],
    ),
    call(
        "reboot",
        libc::SYS_reboot,
        &[Number(0xfee1_dead), Number(0), Number(0), NULL],
    ),
    call("swapon", libc::SYS_swapon, &[Text(NO_FILE), Number(0)]),
    call("acct", libc::SYS_acct, &[Text(NO_FILE)]),
    call(
        "quotactl",
        libc::SYS_quotactl,
        &[Number(0x8000_0200), Text(NO_FILE), NULL, NULL],
    ),
    // A null pointer leaves the clock alone; one to nowhere is followed before rights are looked
    // at; 0x4000 is ADJ_TICK, and a tick of 0 is none.
    call("settimeofday", libc::SYS_settimeofday, &[NULL, NULL]),
    call(
        "clock-settime",
        libc::SYS_clock_settime,
        &[Number(0), Number(1)],
    ),
    call("adjtimex", libc::SYS_adjtimex, &[Words(&[0x4000])]),
    #[cfg(target_arch = "x86_64")]
    call("iopl", libc::SYS_iopl, &[Number(3)]),
    #[cfg(target_arch = "x86_64")]
    call(
        "ioperm",
        libc::SYS_ioperm,
        &[Number(0x80), Number(1), Number(1)],
    ),
    // Interfaces of the kernel with a long history of bugs.
    call(
        "bpf",
        libc::SYS_bpf,
        &[Number(0), Words(&[2, 4, 4, 1]), Number(48)],
    ),
    call(
        "perf-event-open",
        libc::SYS_perf_event_open,
        &[
            Words(&[1, 64]),
            Number(0),
            Number(-1),
            Number(-1),
            Number(0),
        ],
    ),
    call("userfaultfd", libc::SYS_userfaultfd, &[Number(1)]),
    call("io-uring", libc::SYS_io_uring_setup, &[Number(1), Room]),
    call("fanotify", libc::SYS_fanotify_init, &[Number(4), Number(0)]),
    call(
        "add-key",
        libc::SYS_add_key,
        &[
            Text(c"user"),
            Text(c"hostile"),
            Text(c"x"),
            Number(1),
            Number(-2),
        ],
    ),
    call(
        "keyctl",
        libc::SYS_keyctl,
        &[Number(0), Number(-2), Number(1)],
    ),
    call(
        "request-key",
        libc::SYS_request_key,
        &[Text(c"user"), Text(c"hostile"), NULL, Number(0)],
    ),
    call("personality", libc::SYS_personality, &[Number(0x0040_0000)]),
    call(
        "no-randomize",
        libc::SYS_personality,
        &[Number(0x0004_0000)],
    ),
    // Mounts: 0x1020 is a remount of the bind mount without the flag that makes it read-only.
    call(
        "mount",
        libc::SYS_mount,
        &[
            Text(c"none"),
            Text(c"/srv"),
            Text(c"tmpfs"),
            Number(0),
            NULL,
        ],
    ),
    call(
        "mount-proc",
        libc::SYS_mount,
        &[Text(c"none"), Text(c"/srv"), Text(c"proc"), Number(0), NULL],
    ),
    call(
        "remount-sys",
        libc::SYS_mount,
        &[NULL, Text(c"/sys"), NULL, Number(0x1020), NULL],
    ),
    call(
        "remount-proc-sys",
        libc::SYS_mount,
        &[NULL, Text(c"/proc/sys"), NULL, Number(0x1020), NULL],
    ),
    // `none` without a name is no hierarchy: refused, when mounting one is permitted.
    call(
        "mount-cgroup-v1",
        libc::SYS_mount,
        &[
            Text(c"none"),
            Text(c"/srv"),
            Text(c"cgroup"),
            Number(0),
            Text(c"none"),
        ],
    ),
    call(
        "umount-mask",
        libc::SYS_umount2,
        &[Text(c"/sys/firmware"), Number(0)],
    ),
    call(
        "pivot-root",
        libc::SYS_pivot_root,
        &[Text(c"/srv"), Text(c"/srv")],
    ),
    call("fsopen", libc::SYS_fsopen, &[Text(c"tmpfs"), Number(0)]),
    call(
        "open-tree",
        libc::SYS_open_tree,
        &[Number(-100), Text(c"/srv"), Number(1)],
    ),
    call(
        "move-mount",
        libc::SYS_move_mount,
        &[
            Number(-100),
            Text(c"/dev/mqueue"),
            Number(-100),
            Text(c"/srv"),
            Number(0),
        ],
    ),
    // Namespaces.
    call(
        "unshare-user",
        libc::SYS_unshare,
        &[Number(libc::CLONE_NEWUSER as i64)],
    ),
    call(
        "unshare-mount",
        libc::SYS_unshare,
        &[Number(libc::CLONE_NEWNS as i64)],
    ),
    call(
        "unshare-net",
        libc::SYS_unshare,
        &[Number(libc::CLONE_NEWNET as i64)],
    ),
    call(
        "unshare-cgroup",
        libc::SYS_unshare,
        &[Number(libc::CLONE_NEWCGROUP as i64)],
    ),
    call(
        "sethostname",
        libc::SYS_sethostname,
        &[Text(c"hostile"), Number(7)],
    ),
    // Sockets.
    call(
        "raw-socket",
        libc::SYS_socket,
        &[Number(2), Number(3), Number(1)],
    ),
    call(
        "packet-socket",
        libc::SYS_socket,
        &[Number(17), Number(3), Number(0)],
    ),
    call(
        "vsock",
        libc::SYS_socket,
        &[Number(40), Number(1), Number(0)],
    ),
    call(
        "vsock-pair",
        libc::SYS_socketpair,
        &[Number(40), Number(1), Number(0), Room],
    ),
    // Priorities.
    call(
        "nice",
        libc::SYS_setpriority,
        &[Number(0), Number(0), Number(-5)],
    ),
    call(
        "real-time",
        libc::SYS_sched_setscheduler,
        &[Number(0), Number(1), Words(&[1])],
    ),
    // Class 1 of ioprio_set(2) is real time.
    call(
        "disk-priority",
        libc::SYS_ioprio_set,
        &[Number(1), Number(0), Number(1 << 13)],
    ),
];
