//! An ordinary user of a test's host.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use crate::{Cmd, Host};

/// A user that nobody on the machine is.
pub const USER: u32 = 54_321;

/// The device by which programs make network interfaces.
const TUN: &str = "/dev/net/tun";

/// An ordinary user of the host, with a home and a runtime directory.
pub struct User<'h> {
    host: &'h Host,
}

impl<'h> User<'h> {
    /// The user, with empty directories of its own.
    ///
    /// # Panics
    /// When they cannot be made.
    pub fn new(host: &'h Host) -> Self {
        let user = Self { host };
        for (dir, mode) in [(user.home(), 0o755), (user.runtime_dir(), 0o700)] {
            fs::create_dir(&dir).expect("a directory of the user");
            fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).expect("its mode");
            chown(&dir, Some(USER), Some(USER)).expect("its owner");
        }
        user
    }

    /// As [`User::new`], with a name and the ids from 700,000 on, in the files of this test's
    /// mount namespace alone.
    ///
    /// # Panics
    /// When they cannot be put there.
    pub fn with_ranges(host: &'h Host) -> Self {
        let user = Self::new(host);
        let passwd = fs::read_to_string("/etc/passwd").expect("the machine's users");
        let line = format!("rootless:x:{USER}:{USER}::/:/bin/sh\n");
        for (target, text) in [
            ("/etc/passwd", passwd + &line),
            ("/etc/subuid", "rootless:700000:65536\n".to_owned()),
            ("/etc/subgid", "rootless:700000:65536\n".to_owned()),
        ] {
            let name = target.trim_start_matches("/etc/");
            let file = host.file(&format!("etc/{name}"), text);
            rustix::mount::mount_bind(&file, target).expect("bind a file of this test");
        }
        user
    }

    /// As [`User::new`], on a host where users can have networks; none, with the reason, where
    /// they cannot.
    ///
    /// # Errors
    /// What is missing.
    ///
    /// # Panics
    /// When the device for it cannot be put there.
    pub fn with_networks(host: &'h Host) -> Result<Self, String> {
        allow_networks(host)?;
        Ok(Self::new(host))
    }

    /// As [`User::with_ranges`] and [`User::with_networks`].
    ///
    /// # Errors
    /// What is missing.
    ///
    /// # Panics
    /// As those.
    pub fn with_ranges_and_networks(host: &'h Host) -> Result<Self, String> {
        allow_networks(host)?;
        Ok(Self::with_ranges(host))
    }

    /// Its home.
    pub fn home(&self) -> PathBuf {
        self.host.work().join("home")
    }

    /// Its `XDG_RUNTIME_DIR`.
    pub fn runtime_dir(&self) -> PathBuf {
        self.host.work().join("runtime")
    }

    /// A call of `coop` by the user, with the usual places for its state.
    pub fn coop<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Cmd<'h> {
        self.at_home(self.host.coop_as_user(USER, args))
    }

    /// The same by the `coop` with fault injection, when there is one.
    pub fn coop_with_faults<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Option<Cmd<'h>> {
        let call = self.host.coop_as_user_with_faults(USER, args)?;
        Some(self.at_home(call))
    }

    fn at_home(&self, call: Cmd<'h>) -> Cmd<'h> {
        call.env("HOME", self.home())
            .env("XDG_RUNTIME_DIR", self.runtime_dir())
            .cwd(&self.home())
            .through_shell(r#"unset COOP_ROOT; exec "$@""#)
    }

    /// A script in a container of its own, without a network.
    pub fn sh(&self, flags: &[&str], script: &str) -> Cmd<'h> {
        let run = ["run", "--rm", "--network", "none"];
        let image = ["coop/host", "sh", "-c", script];
        self.coop(run.into_iter().chain(flags.iter().copied()).chain(image))
    }

    /// A container in the background without a network, which runs `script`.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(&self, name: &str, script: &str) {
        let run = ["run", "-d", "--network", "none", "--name", name];
        let image = ["coop/host", "sh", "-c", script];
        self.coop(run.into_iter().chain(image)).run().success();
    }

    /// The process id, on the host, of a container's init.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pid_of(&self, name: &str) -> u32 {
        let format = "{{.State.Pid}}";
        let output = self.coop(["inspect", "--format", format, name]).run();
        let pid = output.success().stdout.trim().parse();
        pid.expect("a process id")
    }
}

/// Lets everybody make network interfaces of their own, as distributions do.
fn allow_networks(host: &Host) -> Result<(), String> {
    let is_there = |name: &str| Path::new("/usr/bin").join(name).exists();
    if !is_there("pasta") && !is_there("slirp4netns") {
        return Err("neither pasta nor slirp4netns is installed".to_owned());
    }
    if !Path::new(TUN).exists() {
        return Err(format!("the kernel has no {TUN}"));
    }
    let node = host.work().join("tun");
    let device = makedev(10, 200);
    mknodat(CWD, &node, FileType::CharacterDevice, Mode::empty(), device).expect("a device node");
    fs::set_permissions(&node, fs::Permissions::from_mode(0o666)).expect("its mode");
    rustix::mount::mount_bind(&node, TUN).expect("bind it");
    Ok(())
}
