//! A way out of a network namespace for a user who may not make one in the host: a program that
//! has a tap in the namespace and speaks to the world by ordinary sockets.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Signal, set_parent_process_death_signal};

use crate::error::Error;
use crate::tool::{IP, NFT, PASTA, SLIRP4NETNS, Tool};

/// The interface in the namespace by which packets leave it.
const TAP: &str = "tap0";
/// How long the program may take until it has made its interface.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// A program that makes a way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WayOut {
    /// `pasta`, of passt: sockets of the host for connections of the namespace, IPv4 and IPv6.
    Pasta,
    /// `slirp4netns`: a TCP/IP stack in a program.
    Slirp4netns,
}

/// A way out that is there as long as this process and its program live.
#[derive(Debug)]
pub struct OpenWayOut {
    kind: WayOut,
    child: Child,
    words: File,
}

impl WayOut {
    /// The best one that is installed, with the tools that networks are made by.
    ///
    /// # Errors
    /// [`Error::MissingTool`] with the package to install.
    pub fn find() -> Result<Self, Error> {
        for tool in [IP, NFT] {
            tool.find()?;
        }
        if SLIRP4NETNS.find().is_ok() && PASTA.find().is_err() {
            return Ok(Self::Slirp4netns);
        }
        PASTA.find().map(|_| Self::Pasta)
    }

    /// The program's name.
    pub fn name(self) -> &'static str {
        self.tool().name
    }

    fn tool(self) -> Tool {
        match self {
            Self::Pasta => PASTA,
            Self::Slirp4netns => SLIRP4NETNS,
        }
    }

    /// Opens the way out of the network namespace at `path`, which must not be below `/proc`:
    /// the program gives up the right to look there first. The calling thread must be in the
    /// network namespace that it leads to, and live as long as the way out is needed: it ends
    /// with it.
    ///
    /// # Errors
    /// [`Error::MissingTool`], [`Error::Tool`].
    pub fn open(self, path: &Path) -> Result<OpenWayOut, Error> {
        let tool = self.tool();
        let words = crate::tool::memory_file("words").map_err(tool.failed("start"))?;
        let errors = words.try_clone().map_err(tool.failed("start"))?;
        let mut command = Command::new(tool.find()?);
        match self {
            Self::Pasta => command
                .args(["--foreground", "--quiet", "--config-net"])
                .args(["--ns-ifname", TAP])
                // The gateway's address is not to lead to what listens on the host's loopback,
                // and no port is to be forwarded: that is the relay's.
                .arg("--no-map-gw")
                .args(["-t", "none", "-u", "none", "-T", "none", "-U", "none"])
                .arg("--netns")
                .arg(path),
            Self::Slirp4netns => command
                .args(["--configure", "--mtu=65520", "--disable-host-loopback"])
                .args(["--enable-sandbox", "--enable-ipv6", "--netns-type=path"])
                .arg(path)
                .arg(TAP),
        };
        command
            .env_clear()
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors);
        // SAFETY: one system call, which is all that may be done between fork and exec.
        unsafe {
            command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
        }
        let child = command.spawn().map_err(tool.failed("start"))?;
        Ok(OpenWayOut {
            kind: self,
            child,
            words,
        })
    }
}

impl OpenWayOut {
    /// Waits until packets find their way: `namespace` is a process in the namespace.
    ///
    /// # Errors
    /// The program's own words, when it has ended or takes too long.
    pub fn wait_until_open(&mut self, namespace: u32) -> Result<(), String> {
        let tries = PATIENCE.as_millis() / PAUSE.as_millis();
        for _ in 0..tries {
            if let Ok(Some(_)) | Err(_) = self.child.try_wait() {
                return Err(self.wait());
            }
            if leads_out(namespace) {
                return Ok(());
            }
            std::thread::sleep(PAUSE);
        }
        let _ = self.child.kill();
        Err(format!("{}: {}", self.wait(), "it has made no route"))
    }

    /// Waits for the end of the program, and says how it came to it.
    pub fn wait(&mut self) -> String {
        let status = self.child.wait();
        let mut text = Vec::new();
        let read = self.words.rewind();
        let _ = read.and_then(|()| (&self.words).take(64 * 1024).read_to_end(&mut text));
        let name = self.kind.name();
        let text = String::from_utf8_lossy(&text);
        // Older ones complain of a missing system log at each line.
        let said = |line: &&str| !line.is_empty() && !line.starts_with("Failed to send");
        let last = text.lines().map(str::trim).rfind(said);
        match (last, status) {
            (Some(line), _) => format!("{name}: {line}"),
            (None, Ok(status)) => match status.signal() {
                Some(signal) => format!("{name}: killed by signal {signal}"),
                None => format!("{name}: {status}"),
            },
            (None, Err(error)) => format!("{name}: {error}"),
        }
    }
}

impl Drop for OpenWayOut {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether there is a default route by the tap.
fn leads_out(process: u32) -> bool {
    let read = |table: &str| {
        let path = format!("/proc/{process}/net/{table}");
        std::fs::read_to_string(path).unwrap_or_default()
    };
    // `Iface Destination …`, and for IPv6 `destination length … device`.
    let v4 = read("route").lines().any(|line| {
        let mut fields = line.split_ascii_whitespace();
        fields.next() == Some(TAP) && fields.next() == Some("00000000")
    });
    v4 || read("ipv6_route").lines().any(|line| {
        let mut fields = line.split_ascii_whitespace();
        let is_any = fields
            .next()
            .is_some_and(|to| to.bytes().all(|byte| byte == b'0'));
        is_any && fields.next() == Some("00") && fields.last() == Some(TAP)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_fails_is_quoted_and_no_route_is_none() {
        let Ok(kind) = WayOut::find() else {
            eprintln!("skipped: neither pasta nor slirp4netns is installed");
            return;
        };
        let mut open = kind.open(Path::new("/no/such/namespace")).unwrap();
        let words = open.wait_until_open(std::process::id()).unwrap_err();
        assert!(words.starts_with(kind.name()), "{words}");
        assert!(!leads_out(std::process::id()));
    }
}
