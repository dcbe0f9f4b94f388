//! What a container must not be able to do, tried from inside of one. None does harm where it
//! succeeds: it is done to what is the container's own, or refused afterwards.

use std::fs::File;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use rustix::net::{AddressFamily, SocketType, socket};

use super::sys::Call;

/// What is tried, and how it ends where nothing stops it.
pub(super) struct Attempt {
    pub(super) what: &'static str,
    run: fn() -> Result<(), Errno>,
    /// The failures that do not mean that it was stopped: it had got past all guards.
    harmless: &'static [Errno],
}

/// In this order: a new user namespace gives rights, so it comes last.
pub(super) const ATTEMPTS: &[Attempt] = &[
    attempt("mount a filesystem", || {
        mount("none", "/tmp", "tmpfs", MountFlags::empty(), None)
    }),
    attempt("make a device node", || {
        let mode = Mode::from_raw_mode(0o600);
        mknodat(CWD, "/tmp/disk", FileType::BlockDevice, mode, makedev(8, 0))
    }),
    attempt("forge packets", || {
        socket(
            AddressFamily::INET,
            SocketType::RAW,
            Some(rustix::net::ipproto::ICMP),
        )
        .map(drop)
    }),
    attempt("write to /proc/sys", || {
        open_for_writing("/proc/sys/kernel/core_pattern")
    }),
    attempt("write to /sys", || {
        open_for_writing("/sys/kernel/rcu_expedited")
    }),
    attempt("command the kernel by sysrq", || {
        open_for_writing("/proc/sysrq-trigger")
    }),
    attempt("change the host's name", || {
        rustix::system::sethostname(b"changed")
    }),
    attempt("set the clock", || Call::SetClock.make()),
    Attempt {
        harmless: &[Errno::NOEXEC],
        ..attempt("load a kernel module", || Call::LoadModule.make())
    },
    Attempt {
        harmless: &[Errno::INVAL],
        ..attempt("load another kernel", || Call::LoadKernel.make())
    },
    Attempt {
        harmless: &[Errno::FAULT],
        ..attempt("load a program into the kernel", || Call::Bpf.make())
    },
    Attempt {
        harmless: &[Errno::FAULT],
        ..attempt("make an io_uring", || Call::IoUring.make())
    },
    Attempt {
        harmless: &[Errno::FAULT],
        ..attempt("measure the kernel", || Call::PerfEvent.make())
    },
    Attempt {
        harmless: &[Errno::NOKEY],
        ..attempt("use a keyring", || Call::RequestKey.make())
    },
    attempt("make a user namespace", || Call::UserNamespace.make()),
];

const fn attempt(what: &'static str, run: fn() -> Result<(), Errno>) -> Attempt {
    Attempt {
        what,
        run,
        harmless: &[],
    }
}

impl Attempt {
    /// Tries it: `None` when it was denied.
    pub(super) fn make(&self) -> Option<String> {
        match (self.run)() {
            Ok(()) => Some("succeeded".into()),
            Err(errno) if self.harmless.contains(&errno) => Some(format!("permitted ({errno})")),
            Err(_) => None,
        }
    }
}

fn open_for_writing(path: &str) -> Result<(), Errno> {
    match File::options().write(true).open(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
    }
}
