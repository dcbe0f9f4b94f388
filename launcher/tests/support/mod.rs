//! A test harness with one thread, as a real clone needs.
#![allow(dead_code, reason = "every test program uses its part of it")]

pub(crate) mod stack;
pub(crate) mod stages;

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use coop_ns::{Child, CloneArgs, ExitStatus, Forked, clone3, exit_child, pidfd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal};

/// A static shell with all tools: no root filesystem is needed to run it.
pub(crate) const BUSYBOX: &str = "/bin/busybox";

/// Seconds after which a program of tests that hangs is killed by the kernel.
const LIMIT: u32 = 60;

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
    if !able() {
        return;
    }
    let mut failed = 0;
    for (name, test) in tests.iter().filter(|(name, _)| selected(name)) {
        // SAFETY: takes a number; there is no handler, SIGALRM kills.
        unsafe { libc::alarm(LIMIT) };
        let result = catch_unwind(test);
        println!(
            "test {name} ... {}",
            if result.is_ok() { "ok" } else { "FAILED" }
        );
        failed += u32::from(result.is_err());
    }
    assert_eq!(failed, 0, "tests failed");
}

/// Whether the tests can be run at all; if not, says why they are skipped.
fn able() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("skipped: pid namespaces need root");
    }
    let busybox = std::path::Path::new(BUSYBOX).exists();
    if !busybox {
        println!("skipped: needs a static {BUSYBOX}");
    }
    root && busybox
}

/// Runs `body` in a process of its own, which ends with this one: for what a test does to its
/// process as a whole, such as blocking signals, or dying.
pub(crate) fn fork(body: impl FnOnce()) -> Child {
    // SAFETY: this program has one thread.
    match unsafe { clone3(&CloneArgs::default()) }.unwrap() {
        Forked::Parent(child) => child,
        Forked::Child => {
            let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
            let passed = catch_unwind(AssertUnwindSafe(body)).is_ok();
            exit_child(if passed { 0 } else { 101 })
        }
    }
}

/// As [`fork`], until it is done.
pub(crate) fn in_fork(body: impl FnOnce()) {
    let child = fork(body);
    let status = pidfd::wait(child.pidfd.as_fd()).unwrap();
    assert_eq!(status, ExitStatus::Exited(0), "see the panic above");
}

pub(crate) fn kill(pidfd: impl AsFd) {
    let _ = pidfd::send_signal(pidfd.as_fd(), coop_ns::Signal::KILL);
}

/// Waits for the end of a process that need not be our child.
pub(crate) fn wait_for_end(pid: Pid) {
    let Ok(pidfd) = pidfd::open(pid) else { return };
    let mut fds = [rustix::event::PollFd::new(
        &pidfd,
        rustix::event::PollFlags::IN,
    )];
    rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, None)).unwrap();
}

/// Looks again and again until there is something: for what no descriptor tells of.
pub(crate) fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A pipe, close-on-exec: the end to read from and the end to write to.
pub(crate) fn pipe() -> (OwnedFd, OwnedFd) {
    pipe_with(PipeFlags::CLOEXEC).unwrap()
}

/// Everything that is written to the pipe until nobody has it open any more.
pub(crate) fn read_all(fd: OwnedFd) -> String {
    let mut text = String::new();
    std::fs::File::from(fd).read_to_string(&mut text).unwrap();
    text
}

/// Whether the process exists and has not ended.
pub(crate) fn is_alive(pid: Pid) -> bool {
    coop_launcher::store::ProcStat::of(pid)
        .unwrap()
        .is_some_and(|stat| !stat.has_ended())
}
