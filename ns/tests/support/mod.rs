//! A test harness with one thread, as a real clone needs, and children to test in.
#![allow(dead_code, reason = "every test program uses its part of it")]

use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use coop_ns::{Child, CloneArgs, ExitStatus, Forked, IdMaps, Namespaces, clone3, exit_child};
use coop_ns::{idmap, pidfd};
use rustix::io::{read, retry_on_intr, write};
use rustix::pipe::{PipeFlags, pipe_with};

/// First host id of the test containers; not one that the default pool hands out first.
pub(crate) const HOST_BASE: u32 = 0x5fff_0000;

/// The main function of a test program: runs the functions as tests.
macro_rules! tests {
    ($($test:ident),* $(,)?) => {
        fn main() {
            support::run(&[$((stringify!($test), $test)),*]);
        }
    };
}

/// Runs the tests one after another in this thread; a name, or a part of it, as argument
/// selects among them.
pub(crate) fn run(tests: &[(&str, fn())]) {
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let selected = |name: &str| filter.as_deref().is_none_or(|part| name.contains(part));
    if std::env::args().any(|arg| arg == "--list") {
        for (name, _) in tests {
            println!("{name}: test");
        }
        return;
    }
    let mut failed = 0;
    for (name, test) in tests.iter().filter(|(name, _)| selected(name)) {
        let result = catch_unwind(test);
        println!(
            "test {name} ... {}",
            if result.is_ok() { "ok" } else { "FAILED" }
        );
        failed += u32::from(result.is_err());
    }
    assert_eq!(failed, 0, "tests failed");
}

/// Whether we are root; if not, says that the test is skipped.
pub(crate) fn root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("  skipped: needs root");
    }
    root
}

/// All namespaces of a container.
pub(crate) fn container() -> Namespaces {
    Namespaces::all() - Namespaces::TIME
}

/// The id map of the test containers.
pub(crate) fn maps() -> IdMaps {
    IdMaps::single_range(HOST_BASE, 65_536)
}

/// Clones into the namespaces, writes the map for a user namespace, runs `body` in the child
/// and hands its text back.
pub(crate) fn in_namespaces(namespaces: Namespaces, body: impl FnOnce() -> String) -> String {
    let args = CloneArgs {
        namespaces,
        cgroup: None,
    };
    let attach = |child: &Child| {
        if namespaces.contains(Namespaces::USER) {
            idmap::write(child.pid, &maps()).unwrap();
        }
    };
    let (text, status) = in_child(args, attach, body);
    assert_eq!(status, ExitStatus::Exited(0), "{text}");
    text
}

/// Clones, runs `attach` on this side while the child waits, then `body` in the child. The
/// answer is the text that `body` returned, or its panic, and how the child ended.
pub(crate) fn in_child(
    args: CloneArgs<'_>,
    attach: impl FnOnce(&Child),
    body: impl FnOnce() -> String,
) -> (String, ExitStatus) {
    let held = Held::start(args, attach, body);
    let text = held.text();
    (text, pidfd::wait(held.child.pidfd.as_fd()).unwrap())
}

/// A child that stays until it is told to go on.
pub(crate) struct Held {
    pub(crate) child: Child,
    output: OwnedFd,
}

impl Held {
    /// A process in namespaces of a container that lives until it is killed.
    pub(crate) fn container(namespaces: Namespaces) -> Self {
        let args = CloneArgs {
            namespaces,
            cgroup: None,
        };
        let attach = |child: &Child| {
            if namespaces.contains(Namespaces::USER) {
                idmap::write(child.pid, &maps()).unwrap();
            }
        };
        Self::start(args, attach, Self::wait_to_be_killed)
    }

    /// The body of a child that only holds its namespaces.
    pub(crate) fn wait_to_be_killed() -> String {
        loop {
            rustix::event::pause();
        }
    }

    pub(crate) fn start(
        args: CloneArgs<'_>,
        attach: impl FnOnce(&Child),
        body: impl FnOnce() -> String,
    ) -> Self {
        let (ready, go) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let (output, input) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        // SAFETY: this program has one thread.
        match unsafe { clone3(&args) }.unwrap() {
            Forked::Parent(child) => {
                attach(&child);
                write(&go, b"!").unwrap();
                Self { child, output }
            }
            Forked::Child => {
                // Else it would wait for itself, not for its parent.
                drop((go, output));
                if read(&ready, &mut [0; 1]) != Ok(1) {
                    exit_child(99);
                }
                exit_child(run_body(body, &input))
            }
        }
    }

    /// Everything that the child writes until it ends.
    pub(crate) fn text(&self) -> String {
        read_all(&self.output)
    }

    pub(crate) fn kill(self) {
        pidfd::send_signal(self.child.pidfd.as_fd(), coop_ns::Signal::KILL).unwrap();
        pidfd::wait(self.child.pidfd.as_fd()).unwrap();
    }
}

pub(crate) fn run_body(body: impl FnOnce() -> String, output: &OwnedFd) -> i32 {
    let (text, code) = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(text) => (text, 0),
        Err(_) => ("child panicked, see above".to_owned(), 101),
    };
    let _ = write(output, text.as_bytes());
    code
}

pub(crate) fn read_all(file: &OwnedFd) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match retry_on_intr(|| read(file, &mut buffer)).unwrap() {
            0 => return String::from_utf8_lossy(&text).into_owned(),
            n => text.extend_from_slice(&buffer[..n]),
        }
    }
}

/// The value of a line `FIELD:` of `/proc/PID/status`.
pub(crate) fn status_field(status: &str, field: &str) -> String {
    let prefix = format!("{field}:");
    let line = status.lines().find_map(|line| line.strip_prefix(&prefix));
    line.unwrap_or_else(|| panic!("no {field} in {status}"))
        .trim()
        .to_owned()
}

pub(crate) fn proc_status(pid: impl std::fmt::Display) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap()
}
