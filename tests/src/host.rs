//! A test's own machine.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::marker::PhantomData;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::mount::UnmountFlags;
use serde_json::Value;
use tempfile::TempDir;

use crate::command::patience;
use crate::namespaces::Namespaces;
use crate::{Cmd, Output, Rootfs, Snapshot, Stack, binary, cgroup, proc};

/// A machine for one test: nothing on it is seen by another test or by the real machine.
///
/// The thread that creates it lives on it until the host is dropped. What is left then is
/// killed and removed; when the test failed, what was done and the containers' logs are
/// printed.
pub struct Host {
    // Dropped in this order: the processes, then the directory that they use.
    namespaces: Namespaces,
    directory: TempDir,
    history: RefCell<Vec<Output>>,
    /// Namespaces belong to the thread: the host must not leave it.
    _this_thread: PhantomData<*const ()>,
}

impl Host {
    /// Moves the calling thread onto a new host.
    ///
    /// # Panics
    /// When the kernel refuses, as it does to anyone but root.
    #[expect(clippy::new_without_default, reason = "not a value but a place")]
    pub fn new() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "the integration tests need root: sudo env PATH=\"$PATH\" cargo xtask test"
        );
        let namespaces = Namespaces::enter()
            .unwrap_or_else(|error| panic!("cannot make a host for this test: {error:#}"));
        let directory = tempfile::Builder::new()
            .prefix("coop-test-")
            .tempdir()
            .expect("a temporary directory");
        // As open as /var/lib: what must be hidden from others is Coop's to hide.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))
            .expect("open the temporary directory");
        let host = Self {
            directory,
            namespaces,
            history: RefCell::default(),
            _this_thread: PhantomData,
        };
        for directory in [host.work(), host.coop_root()] {
            fs::create_dir(&directory).expect("a directory of the host");
        }
        host
    }

    /// A call of `coop`.
    pub fn coop<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Cmd<'_> {
        Cmd::new(self, binary::coop()).args(args)
    }

    /// A call of the `coop` with fault injection, when there is one.
    pub fn coop_with_faults<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Option<Cmd<'_>> {
        Some(Cmd::new(self, binary::coop_with_faults()?).args(args))
    }

    /// A call of `xtask`, when there is one, which runs the `coop` under test.
    pub fn xtask<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Option<Cmd<'_>> {
        let call = Cmd::new(self, binary::xtask()?).args(args);
        Some(call.env("COOP_BIN", binary::coop()))
    }

    /// A call of `coop` by an ordinary user, who may reach neither the build directory nor
    /// this host's state.
    pub fn coop_as_user<A: AsRef<OsStr>>(
        &self,
        user: u32,
        args: impl IntoIterator<Item = A>,
    ) -> Cmd<'_> {
        let copy = self.copy_for_users(&binary::coop(), "bin");
        Cmd::new(self, copy).args(args).user(user)
    }

    /// [`Host::coop_as_user`] by the `coop` with fault injection, when there is one.
    pub fn coop_as_user_with_faults<A: AsRef<OsStr>>(
        &self,
        user: u32,
        args: impl IntoIterator<Item = A>,
    ) -> Option<Cmd<'_>> {
        let copy = self.copy_for_users(&binary::coop_with_faults()?, "bin-with-faults");
        Some(Cmd::new(self, copy).args(args).user(user))
    }

    fn copy_for_users(&self, program: &Path, directory: &str) -> PathBuf {
        let directory = self.directory.path().join(directory);
        let copy = directory.join("coop");
        fs::create_dir_all(&directory).expect("a directory for a program");
        // Once: a supervisor may run it by now. A link where it can be one: what another test's
        // thread forks meanwhile would keep a copy open for writing, and it from being executed.
        if !copy.exists() && fs::hard_link(program, &copy).is_err() {
            fs::copy(program, &copy).expect("copy coop");
        }
        copy
    }

    /// A shell script in a container of its own on `root`, removed when it ends:
    /// `coop run --rm FLAGS --rootfs ROOT -- /bin/sh -c SCRIPT`.
    pub fn sh(&self, root: &Rootfs, flags: &[&str], script: &str) -> Cmd<'_> {
        let run = self
            .coop(["run", "--rm"])
            .args(flags)
            .arg("--rootfs")
            .arg(root.path());
        run.args(["--", "/bin/sh", "-c", script])
    }

    /// A container in the background that runs `script` on `root`; returns its name, `name`.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn start<'n>(&self, name: &'n str, root: &Rootfs, flags: &[&str], script: &str) -> &'n str {
        let run = self.coop(["run", "-d", "--name", name]).args(flags);
        let run = run
            .arg("--rootfs")
            .arg(root.path())
            .args(["--", "/bin/sh", "-c", script]);
        run.run().success();
        name
    }

    /// A call of one of the machine's programs.
    pub fn tool(&self, program: impl Into<OsString>) -> Cmd<'_> {
        Cmd::new(self, PathBuf::from(program.into()))
    }

    /// A stack file in [`Host::work`], and the commands on it.
    pub fn stack(&self, yaml: &str) -> Stack<'_> {
        let name = format!("stack-{}.yaml", self.count_files());
        Stack::new(self, self.file(&name, yaml))
    }

    /// The directory in which commands run.
    pub fn work(&self) -> PathBuf {
        self.directory.path().join("work")
    }

    /// Coop's state: `COOP_ROOT`.
    pub fn coop_root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    /// Writes a file below [`Host::work`] and returns its path.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work().join(name);
        let parent = path.parent().expect("a file has a directory");
        fs::create_dir_all(parent).expect("a directory for the file");
        fs::write(&path, content).expect("write the file");
        path
    }

    /// What `coop inspect` tells about one container.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn inspect(&self, container: &str) -> Value {
        let output = self.coop(["inspect", container]).run();
        let json = output.success().json();
        // One object per name, as with Docker.
        match json.as_array().map(Vec::as_slice) {
            Some([one]) => one.clone(),
            _ => panic!("expected a list of one object\n{output}"),
        }
    }

    /// The process id, on the host, of a running container's init.
    ///
    /// # Panics
    /// When the container does not run.
    #[track_caller]
    pub fn pid_of(&self, container: &str) -> u32 {
        let inspected = self.inspect(container);
        let pid = inspected["State"]["Pid"]
            .as_u64()
            .and_then(|pid| u32::try_from(pid).ok());
        match pid {
            Some(pid) if pid > 0 => pid,
            _ => panic!("{container} has no process:\n{inspected:#}"),
        }
    }

    /// The names of the containers that `coop ps -a` lists, in its order.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn containers(&self) -> Vec<String> {
        let output = self.coop(["ps", "-a"]).run();
        let header = output.success().stdout.lines().next().unwrap_or_default();
        assert!(header.contains("NAME"), "no column of names\n{output}");
        let names = output
            .stdout
            .lines()
            .skip(1)
            .filter_map(|line| line.split_whitespace().last());
        names.map(str::to_owned).collect()
    }

    /// Takes a cgroup controller away from this host.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn hide_controller(&self, controller: &str) {
        match cgroup::version() {
            cgroup::Version::V1 => {
                let hierarchy = Path::new(cgroup::ROOT).join(controller);
                rustix::mount::unmount(&hierarchy, UnmountFlags::DETACH)
                    .unwrap_or_else(|error| panic!("unmount {}: {error}", hierarchy.display()));
            }
            // A cgroup has those controllers that the one above hands down.
            cgroup::Version::V2 => {
                let above = Path::new(cgroup::ROOT).join("above");
                let below = above.join("below");
                fs::create_dir_all(&below).expect("a cgroup without the controller");
                let all = fs::read_to_string(above.join("cgroup.controllers"))
                    .expect("the controllers there are");
                for other in all.split_whitespace().filter(|it| *it != controller) {
                    fs::write(above.join("cgroup.subtree_control"), format!("+{other}"))
                        .expect("hand down the others");
                }
                rustix::mount::mount_bind(&below, cgroup::ROOT).expect("bind it");
            }
        }
    }

    /// Everything on this host that a container could leave behind.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::take(self)
    }

    /// Checks that the host is as it was `before`, images and lock files aside.
    ///
    /// A supervisor ends a moment after the command that made it superfluous, so the check
    /// has some patience.
    ///
    /// # Panics
    /// When something is left, or lost.
    #[track_caller]
    pub fn assert_nothing_left(&self, before: &Snapshot) {
        let difference = self.wait_until_equal(before);
        assert!(
            difference.is_empty(),
            "the host is not as it was before:\n{difference}"
        );
    }

    fn wait_until_equal(&self, before: &Snapshot) -> String {
        // A part of what a command may take: a slow machine has more of both.
        let deadline = Instant::now() + patience() / 6;
        loop {
            let difference = before.difference(&self.snapshot());
            if difference.is_empty() || Instant::now() > deadline {
                return difference;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }

    /// The processes that run in this host's cgroups: `pid command line`.
    pub fn processes(&self) -> Vec<String> {
        let describe = |pid| Some(format!("{pid} {}", proc::command_line(pid)?));
        self.pids().into_iter().filter_map(describe).collect()
    }

    /// The processes that run `coop`, which is supervisors when no command runs.
    pub fn supervisors(&self) -> Vec<u32> {
        let runs_coop = |pid: &u32| {
            let program = fs::read_link(format!("/proc/{pid}/exe"));
            program.is_ok_and(|program| program.file_name() == Some(OsStr::new("coop")))
        };
        self.pids().into_iter().filter(runs_coop).collect()
    }

    /// Every process in this host's cgroups, sorted.
    pub fn pids(&self) -> Vec<u32> {
        let mut pids: Vec<_> = cgroup::hierarchies()
            .iter()
            .flat_map(|hierarchy| {
                std::iter::once(hierarchy.clone()).chain(cgroup::below(hierarchy))
            })
            .flat_map(|directory| cgroup::members(&directory))
            .collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    pub(crate) fn namespaces(&self) -> &Namespaces {
        &self.namespaces
    }

    pub(crate) fn remember(&self, output: &Output) {
        self.history.borrow_mut().push(output.clone());
    }

    fn count_files(&self) -> usize {
        fs::read_dir(self.work()).map_or(0, Iterator::count)
    }

    /// For the reader of a failed test.
    fn tell_story(&self) {
        eprintln!("---- what happened on this test's host ----");
        for output in self.history.borrow().iter() {
            eprintln!("{output}");
        }
        for process in self.processes() {
            eprintln!("still running: {process}");
        }
        for log in files_named(&self.coop_root(), "log") {
            let text = fs::read(&log).unwrap_or_default();
            let name = log.strip_prefix(self.coop_root()).unwrap_or(&log);
            let end = text.len().saturating_sub(END_OF_A_LOG);
            let end = String::from_utf8_lossy(&text[end..]);
            eprintln!("{}, {} bytes:\n{end}", name.display(), text.len());
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell_story();
        }
    }
}

/// As much of a container's output is shown of a failed test.
const END_OF_A_LOG: usize = 4096;

/// Regular files called `name` below `directory`, images aside.
fn files_named(directory: &Path, name: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() && entry.file_name() != "images" {
            found.extend(files_named(&entry.path(), name));
        } else if kind.is_file() && entry.file_name() == name {
            found.push(entry.path());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_only_a_loopback_link_which_is_up() {
        let host = Host::new();
        let links = host.tool("ip").args(["-o", "link"]).run();
        assert_eq!(links.lines().len(), 1, "{links}");
        links.says("lo: <LOOPBACK,UP");
        let seen: Vec<_> = fs::read_dir("/sys/class/net").unwrap().flatten().collect();
        assert_eq!(seen.len(), 1, "{seen:?}");
    }

    #[test]
    fn a_command_sees_the_hosts_cgroups_as_the_whole_tree() {
        let host = Host::new();
        let output = host.tool("cat").arg("/proc/self/cgroup").run();
        for line in output.success().lines() {
            assert!(line.ends_with(":/init"), "{output}");
        }
        for hierarchy in cgroup::hierarchies() {
            let children: Vec<_> = cgroup::below(&hierarchy);
            assert_eq!(children, [hierarchy.join("init")]);
        }
    }

    #[test]
    fn two_hosts_do_not_see_each_other() {
        let port = || {
            let _host = Host::new();
            std::net::TcpListener::bind("127.0.0.1:8080")
                .map(drop)
                .unwrap();
        };
        let threads = [std::thread::spawn(port), std::thread::spawn(port)];
        assert!(threads.into_iter().all(|thread| thread.join().is_ok()));
    }

    #[test]
    fn the_thread_is_back_on_the_machine_when_the_host_is_gone() {
        let place = || {
            ["net", "mnt", "cgroup"]
                .map(|kind| fs::read_link(format!("/proc/thread-self/ns/{kind}")).unwrap())
        };
        let before = place();
        let host = Host::new();
        assert!(
            before
                .iter()
                .zip(place())
                .all(|(before, now)| *before != now)
        );
        drop(host);
        assert_eq!(place(), before);
    }

    #[test]
    fn a_controller_can_be_taken_away() {
        let host = Host::new();
        let before = cgroup::hierarchies();
        host.hide_controller("memory");
        let controllers = fs::read_to_string(Path::new(cgroup::ROOT).join("cgroup.controllers"));
        match cgroup::version() {
            cgroup::Version::V1 => assert_eq!(cgroup::hierarchies().len(), before.len() - 1),
            cgroup::Version::V2 => {
                let controllers = controllers.unwrap();
                assert!(controllers.split_whitespace().all(|it| it != "memory"));
            }
        }
    }

    #[test]
    fn what_a_test_leaves_in_the_background_dies_with_its_host() {
        let host = Host::new();
        let script = "setsid sleep 1000 >/dev/null 2>&1 & echo $!";
        host.tool("sh").args(["-c", script]).run().success();
        let [pid] = host.pids()[..] else {
            panic!("{:?}", host.processes())
        };
        drop(host);
        // Gone, or a zombie that the machine's init has yet to collect.
        assert!(fs::read_link(format!("/proc/{pid}/exe")).is_err());
    }
}
