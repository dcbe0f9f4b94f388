//! A group that is removed at the end, and processes in it.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use coop_cgroup::{Cgroup, CgroupPath, Controller, Hierarchy, Stats, Version};

/// Runs `scenario` on each hierarchy that has `needed`, with a name for messages.
pub(crate) fn on_each(needed: &[Controller], scenario: impl Fn(&Hierarchy)) {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: needs root");
        return;
    }
    let mut hierarchies = vec![Hierarchy::detect().expect("a cgroup filesystem")];
    if hierarchies[0].version() == Version::Hybrid {
        let unified = "/sys/fs/cgroup/unified";
        match Hierarchy::unified_at(unified) {
            Ok(hierarchy) => hierarchies.push(hierarchy),
            Err(error) => eprintln!("skipped the unified hierarchy: {error}"),
        }
    }
    for hierarchy in &hierarchies {
        let version = hierarchy.version();
        // Where v2 has no controller for it, the core or a BPF program does it.
        let built_in = |controller| {
            version == Version::V2
                && matches!(
                    controller,
                    Controller::Freezer | Controller::Devices | Controller::Cpuacct
                )
        };
        let missing = needed.iter().find(|controller| {
            !hierarchy.controllers().contains(**controller) && !built_in(**controller)
        });
        if let Some(missing) = missing {
            eprintln!("skipped on {version:?}: no {missing} controller");
            continue;
        }
        eprintln!("running on {version:?}");
        scenario(hierarchy);
    }
}

/// A group below a parent of this test process's own.
pub(crate) struct Group {
    hierarchy: Hierarchy,
    pub(crate) cgroup: Cgroup,
}

pub(crate) fn path(name: &str) -> CgroupPath {
    CgroupPath::new(format!("coop-cgroup-test-{}/{name}", std::process::id())).unwrap()
}

impl Group {
    pub(crate) fn new(hierarchy: &Hierarchy, name: &str) -> Self {
        let cgroup = hierarchy.create(&path(name)).unwrap();
        Self {
            hierarchy: hierarchy.clone(),
            cgroup,
        }
    }

    /// Starts a shell script inside the group.
    pub(crate) fn sh(&self, script: &str) -> Process {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        self.spawn(command)
    }

    /// Starts a command inside the group.
    pub(crate) fn spawn(&self, mut command: Command) -> Process {
        let entrance = self.cgroup.entrance().unwrap();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // SAFETY: the closure only writes to open descriptors.
        unsafe { command.pre_exec(move || entrance.enter().map_err(refused)) };
        Process(command.spawn().unwrap())
    }

    pub(crate) fn stats(&self) -> Stats {
        self.cgroup.stats().unwrap()
    }

    pub(crate) fn cpu_ns(&self) -> u64 {
        self.stats().cpu.unwrap().usage_ns
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Err(error) = self.hierarchy.remove(self.cgroup.path()) {
            eprintln!("left behind: {error}");
        }
    }
}

/// A child process that does not outlive the test.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.0)
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// Waits and returns the signal that ended it, if any.
    pub(crate) fn signal(&mut self) -> Option<i32> {
        self.0.wait().unwrap().signal()
    }

    /// Waits and returns exit code and standard error.
    pub(crate) fn finish(mut self) -> (Option<i32>, String) {
        let mut text = String::new();
        io::Read::read_to_string(self.0.stderr.as_mut().unwrap(), &mut text).unwrap();
        (self.0.wait().unwrap().code(), text)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for something that will happen; the bound is for a kernel in which it does not.
pub(crate) fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "{what}: did not happen"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The errno is all that std passes on from `pre_exec`.
fn refused(error: coop_cgroup::Error) -> io::Error {
    error
        .errno()
        .map_or_else(|| io::Error::other(error), io::Error::from)
}
