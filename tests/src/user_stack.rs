//! A stack of an ordinary user, with networks.

use std::fs;

use crate::{Host, Output, User};

const STACK: &str = "
name: net
services:
  web:
    image: coop/host
    init: true
    command: [sh, -c, 'echo hello > /www/page; exec httpd -f -vv -p 80 -h /www']
    ports: [PORTS]
  client:
    image: coop/host
    init: true
    command: sleep 1000
";

/// The stack `net` of `web`, which serves a page and publishes these ports, and of `client`.
pub fn web(ports: &str) -> String {
    STACK.replace("PORTS", ports)
}

/// A user's stack.
pub struct UserStack<'h> {
    /// Whose it is.
    pub user: User<'h>,
    file: String,
}

impl<'h> UserStack<'h> {
    /// The user's stack of this text, which is not up yet.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn new(host: &'h Host, user: User<'h>, yaml: &str) -> Self {
        let file = host.file("stack.yaml", yaml);
        Self {
            user,
            file: file.to_str().expect("a path").to_owned(),
        }
    }

    /// The same, and what `up -d` of it has said.
    pub fn up(host: &'h Host, user: User<'h>, yaml: &str) -> (Self, Output) {
        let stack = Self::new(host, user, yaml);
        let up = stack.coop("up", &["-d"]);
        (stack, up)
    }

    /// A command on it.
    pub fn coop(&self, verb: &str, args: &[&str]) -> Output {
        let args = self.words(verb).into_iter().chain(args.iter().copied());
        self.user.coop(args).run()
    }

    /// The words of a command on it.
    pub fn words<'s>(&'s self, verb: &'s str) -> [&'s str; 3] {
        [verb, "-f", &self.file]
    }

    /// A script in a service's container.
    pub fn sh(&self, service: &str, script: &str) -> Output {
        self.coop("exec", &[service, "sh", "-c", script])
    }

    /// Takes it down, which has to succeed.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn down(&self) {
        self.coop("down", &["-t", "0"]).success();
    }

    /// The process that holds the user's network namespace.
    ///
    /// # Panics
    /// When there is none.
    pub fn keeper(&self) -> u32 {
        let lock = self.user.runtime_dir().join("coop/rootless-network/lock");
        let text = fs::read_to_string(lock).expect("the keeper's lock");
        let pid = text.split(' ').next().and_then(|pid| pid.parse().ok());
        pid.expect("a process id")
    }
}

impl Host {
    /// The programs that make the way out of users' networks: `pid command line`.
    pub fn ways_out(&self) -> Vec<String> {
        let lines = self.processes().into_iter();
        lines
            .filter(|line| line.contains("pasta") || line.contains("slirp4netns"))
            .collect()
    }

    /// Ends a process by SIGKILL.
    ///
    /// # Panics
    /// When there is no such process.
    #[track_caller]
    pub fn kill(&self, pid: u32) {
        let pid = i32::try_from(pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        let pid = pid.expect("a process id");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("kill it");
    }
}

/// An ordinary user of a host with networks; ends the calling test where there are none.
#[macro_export]
macro_rules! user_with_networks {
    ($host:expr) => {
        match $crate::User::with_networks($host) {
            Ok(user) => user,
            Err(why) => $crate::skip!("{why}"),
        }
    };
}
