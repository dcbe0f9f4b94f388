//! The links of containers: veth pairs by one `ip -batch -` for all of them.
//!
//! A veth pair is the one thing here that no ioctl can make.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Duration;

use rustix::net::{SendFlags, send};
use rustix::process::Pid;

use crate::error::Error;
use crate::home::Home;
use crate::ipv6;
use crate::lease::Lease;
use crate::spec::DEFAULT_MTU;
use crate::sys::Control;
use crate::tool::{self, IP, Running};

/// An `ip` that waits for commands. Started early, it has loaded by the time the first
/// container exists; commands run as they are added.
///
/// The calling thread must be in the host's network namespace when it makes the batch.
#[derive(Debug)]
pub struct LinkBatch {
    // Before `ip`, which is waited for when it is dropped.
    commands: Input,
    /// `None` once it has failed.
    ip: Option<Running>,
    control: Control,
    /// Where the thread was, once it has to know.
    home: Option<Home>,
    /// Who each line is for: `ip` names the line that failed.
    lines: Vec<Line>,
}

/// The way to `ip`, which learns of its end also from a batch that is given up, and also
/// when a cloned container has a copy of the descriptor.
#[derive(Debug)]
struct Input(UnixStream);

impl Drop for Input {
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

#[derive(Debug, Default)]
struct Line {
    container: String,
    interface: String,
}

impl LinkBatch {
    /// Starts `ip`.
    ///
    /// # Errors
    /// [`Error::MissingTool`] without iproute2, [`Error::Tool`] when it cannot start.
    pub fn spawn() -> Result<Self, Error> {
        // A socket and not a pipe: its end can be shut down while a cloned container
        // that waits for its go-ahead still has a copy of the descriptor. `ip` would
        // wait for the end of a pipe forever, and we for `ip`.
        let (ours, theirs) = UnixStream::pair().map_err(IP.failed("start"))?;
        let answers = theirs.try_clone().map_err(IP.failed("start"))?;
        // One line for each thing that is shown.
        let ip = IP.start(
            &["-oneline", "-batch", "-"],
            Stdio::from(OwnedFd::from(theirs)),
            Stdio::from(OwnedFd::from(answers)),
        )?;
        let control = Control::open().map_err(|source| Error::Tool {
            operation: "start",
            tool: IP.name,
            source,
        })?;
        Ok(Self {
            ip: Some(ip),
            commands: Input(ours),
            control,
            home: None,
            lines: Vec::new(),
        })
    }

    /// Queues the link of one container: the host's end comes up as a port of the
    /// bridge, the other end appears in the network namespace of `pid`, which must stay
    /// alive until [`commit`](Self::commit) returns.
    ///
    /// A link that a former life of the same container left behind is replaced.
    ///
    /// # Errors
    /// [`Error::Interface`] when the host's interfaces cannot be read, [`Error::Tool`]
    /// when `ip` cannot be fed. A command that fails is reported by `commit`.
    pub fn add(&mut self, lease: &Lease, pid: Pid) -> Result<(), Error> {
        if lease.ipv6.is_some() {
            self.home()?.within(pid, ipv6::trust_all_addresses)?;
        }
        self.add_prepared(lease, pid)
    }

    /// As [`add`](Self::add), for a container whose network namespace is
    /// [prepared](crate::trust_all_addresses): the calling thread need not be able to go there.
    ///
    /// # Errors
    /// As for [`add`](Self::add).
    pub fn add_prepared(&mut self, lease: &Lease, pid: Pid) -> Result<(), Error> {
        let stale = self.is_stale(&lease.host_interface)?;
        let text = commands(lease, pid, stale);
        for _ in text.lines() {
            self.lines.push(Line {
                container: lease.container.clone(),
                interface: lease.host_interface.clone(),
            });
        }
        self.send(&text)
    }

    fn home(&mut self) -> Result<&Home, Error> {
        if self.home.is_none() {
            self.home = Some(Home::open()?);
        }
        self.home.as_ref().ok_or_else(|| Error::Links {
            message: "no namespace to come back to".to_owned(),
        })
    }

    fn send(&self, text: &str) -> Result<(), Error> {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            // No SIGPIPE: when `ip` has given up already, `commit` tells why.
            match send(&self.commands.0, rest, SendFlags::NOSIGNAL) {
                Ok(sent) => rest = &rest[sent..],
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => return Ok(()),
                Err(source) => {
                    return Err(Error::Tool {
                        operation: "feed",
                        tool: IP.name,
                        source,
                    });
                }
            }
        }
        Ok(())
    }

    /// Whether a link of this name is there and stays.
    ///
    /// The kernel takes a link away some time after the last process of its network
    /// namespace: one that goes by itself is waited for, because `ip` could find it gone
    /// when it comes to delete it.
    fn is_stale(&self, name: &str) -> Result<bool, Error> {
        const PAUSE: Duration = Duration::from_millis(1);
        const TRIES: u32 = 1000;
        for _ in 0..TRIES {
            let index = self.control.index(name);
            let index = index.map_err(crate::error::interface("look up the index", name))?;
            if index.is_none() {
                return Ok(false);
            }
            std::thread::sleep(PAUSE);
        }
        Ok(true)
    }

    /// Waits until every link that was queued is there. More can be queued then.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub fn sync(&mut self) -> Result<(), Error> {
        // What it prints comes after all that it did before.
        self.lines.push(Line::default());
        self.send("link show dev lo\n")?;
        let mut byte = [0];
        loop {
            match self.commands.0.read(&mut byte) {
                Ok(1) if byte == *b"\n" => return Ok(()),
                Ok(1) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // It has ended before its time.
                Ok(_) | Err(_) => return self.finish(),
            }
        }
    }

    /// Waits until every link is there.
    ///
    /// # Errors
    /// [`Error::Link`] with the container whose link failed and `ip`'s own words; the
    /// links queued after it are not made.
    pub fn commit(mut self) -> Result<(), Error> {
        self.commands
            .0
            .shutdown(Shutdown::Write)
            .or_else(not_connected)
            .map_err(IP.failed("feed"))?;
        self.finish()
    }

    fn finish(&mut self) -> Result<(), Error> {
        match self.ip.take() {
            Some(ip) => { ip.wait()? }.map_err(|message| explain(&self.lines, &message)),
            // It was told why.
            None => Ok(()),
        }
    }
}

/// `ip` that has exited already needs no end of input.
fn not_connected(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotConnected {
        Ok(())
    } else {
        Err(error)
    }
}

/// The commands for one container. One `link add` does it all. Naming the bridge in it
/// takes no longer than `SIOCBRADDIF` and `SIOCSIFFLAGS` afterwards (20 links: 10.2 ms
/// against 10.7), and there is no moment with a link that is half attached.
fn commands(lease: &Lease, pid: Pid, stale: bool) -> String {
    let Lease {
        host_interface: host,
        interface,
        bridge,
        mac,
        mtu,
        ..
    } = lease;
    let pid = pid.as_raw_pid();
    // 1500 is what veth starts with.
    let mtu = if *mtu == DEFAULT_MTU {
        String::new()
    } else {
        format!(" mtu {mtu}")
    };
    let delete = format!("link del dev {host}\n");
    let add = format!(
        "link add name {host} up{mtu} master {bridge} type veth peer name {interface} address {mac}{mtu} netns {pid}\n"
    );
    // For a container that calls its own published port: where br_netfilter is loaded,
    // the frame goes back through the port that it came from.
    let hairpin = if lease.ports.is_empty() {
        ""
    } else {
        " hairpin on"
    };
    // What is isolated reaches the bridge, and nothing else that is isolated.
    let isolated = if lease.apart { " isolated on" } else { "" };
    let port = format!("link set dev {host} type bridge_slave{hairpin}{isolated}\n");
    [
        (stale, delete),
        (true, add),
        (!hairpin.is_empty() || lease.apart, port),
    ]
    .into_iter()
    .filter_map(|(wanted, line)| wanted.then_some(line))
    .collect()
}

/// Turns `... Command failed -:N` into the container of line N.
fn explain(lines: &[Line], message: &str) -> Error {
    let said = words(message);
    match failed_line(message).and_then(|number| lines.get(number)) {
        Some(line) if !line.container.is_empty() => Error::Link {
            container: line.container.clone(),
            interface: line.interface.clone(),
            message: said,
        },
        _ => Error::Links { message: said },
    }
}

/// The line, counted from 0, that `ip` or `tc` could not carry out.
pub(crate) fn failed_line(message: &str) -> Option<usize> {
    let numbers = { message.lines() }
        .filter_map(|line| line.trim().strip_prefix("Command failed -:"))
        .find_map(|number| number.trim().parse::<usize>().ok());
    numbers?.checked_sub(1)
}

/// What `ip` or `tc` said about it.
pub(crate) fn words(message: &str) -> String {
    let said: Vec<&str> = { message.lines().map(str::trim) }
        .filter(|line| !line.starts_with("Command failed"))
        .collect();
    said.join("; ")
}

/// Removes those of `interfaces` that exist, by one `ip`. A link goes by itself with the
/// network namespace of its container, a little after the last process in there.
pub(crate) fn remove_links(interfaces: &[&str]) -> Result<(), Error> {
    let control = Control::open().map_err(|source| Error::Tool {
        operation: "start",
        tool: IP.name,
        source,
    })?;
    let exists = |name: &str| {
        control
            .index(name)
            .map(|index| index.is_some())
            .map_err(crate::error::interface("look up the index", name))
    };
    let mut text = Vec::new();
    for name in interfaces {
        if exists(name)? {
            writeln!(text, "link del dev {name}").map_err(IP.failed("feed"))?;
        }
    }
    if text.is_empty() {
        return Ok(());
    }
    let input = tool::memory_text(&String::from_utf8_lossy(&text)).map_err(IP.failed("feed"))?;
    // `-force` goes on after an error: a link may have gone by itself in the meantime.
    let result = IP
        .start(
            &["-force", "-batch", "-"],
            Stdio::from(input),
            Stdio::null(),
        )?
        .wait()?;
    let Err(message) = result else { return Ok(()) };
    for name in interfaces {
        if exists(name)? {
            return Err(Error::Links { message });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
