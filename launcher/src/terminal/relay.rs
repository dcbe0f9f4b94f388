//! Bytes from here to there, inside someone else's event loop.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::{Errno, fcntl_dupfd_cloexec, ioctl_fionbio, read, write};
use rustix::net::{SendFlags, Shutdown, send, shutdown};

use super::TerminalError;

/// As much as moves in one step, and is held of each flow.
const CHUNK: usize = 16 * 1024;

/// Steps of one call, after which others get their turn.
const STEPS: usize = 64;

/// How far a [`Relay`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing moves until a descriptor is ready: wait for the event loop.
    Waiting,
    /// More could move at once, but others shall have their turn: call again without waiting.
    More,
    /// All output has come to its end and is delivered.
    Done,
}

/// Moves bytes between the user and a container: input one way, outputs the other.
///
/// No thread, no waiting: the owner of an event loop [registers](Self::register) it and calls
/// [`pump`](Self::pump) when one of its descriptors is ready.
///
/// ```no_run
/// # use coop_launcher::terminal::{Progress, Relay};
/// # use rustix::event::epoll;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let master: rustix::fd::OwnedFd = std::fs::File::open("/dev/ptmx")?.into();
/// let mut relay = Relay::terminal(std::io::stdin(), std::io::stdout(), master)?;
/// let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
/// loop {
///     match relay.pump()? {
///         Progress::Done => break,
///         Progress::More => continue,
///         Progress::Waiting => {}
///     }
///     relay.register(&epoll, 0)?;
///     epoll::wait(&epoll, &mut [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }], None)?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Relay {
    flows: Vec<Flow>,
    /// What the event loop knows of, and what it waits for there.
    registered: Vec<(Rc<Endpoint>, epoll::EventFlags)>,
}

/// One direction.
#[derive(Debug)]
struct Flow {
    /// None at the end of the input.
    from: Option<Rc<Endpoint>>,
    /// None when it takes no more; what still comes is thrown away then.
    to: Option<Rc<Endpoint>>,
    buffer: Vec<u8>,
    written: usize,
    /// From the container.
    is_output: bool,
}

#[derive(Debug)]
struct Endpoint {
    fd: OwnedFd,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Pipe or terminal, non-blocking for us alone.
    Stream,
    Socket,
    /// A regular file or a device that never waits: `epoll` does not take them.
    File,
}

impl Relay {
    /// Between the user's terminal, or whatever they have instead, and the master of the
    /// container's.
    ///
    /// # Errors
    /// [`TerminalError::Call`].
    pub fn terminal(
        input: impl AsFd,
        output: impl AsFd,
        master: OwnedFd,
    ) -> Result<Self, TerminalError> {
        let master = Rc::new(Endpoint::own(master)?);
        let mut relay = Self::default();
        relay.add(Rc::new(Endpoint::copy(input)?), Rc::clone(&master), false);
        relay.add(master, Rc::new(Endpoint::copy(output)?), true);
        Ok(relay)
    }

    /// Adds input: what can be read from the user's `from` goes to `to`, the relay's own end of
    /// a pipe or socket, which is closed when the input ends.
    ///
    /// # Errors
    /// [`TerminalError::Call`].
    pub fn add_input(&mut self, from: impl AsFd, to: OwnedFd) -> Result<(), TerminalError> {
        self.add(
            Rc::new(Endpoint::copy(from)?),
            Rc::new(Endpoint::own(to)?),
            false,
        );
        Ok(())
    }

    /// Adds output: what comes from the relay's own end of a pipe goes to the user's `to`.
    ///
    /// # Errors
    /// [`TerminalError::Call`].
    pub fn add_output(&mut self, from: OwnedFd, to: impl AsFd) -> Result<(), TerminalError> {
        self.add(
            Rc::new(Endpoint::own(from)?),
            Rc::new(Endpoint::copy(to)?),
            true,
        );
        Ok(())
    }

    fn add(&mut self, from: Rc<Endpoint>, to: Rc<Endpoint>, is_output: bool) {
        let (from, to) = (Some(from), Some(to));
        self.flows.push(Flow {
            from,
            to,
            buffer: Vec::new(),
            written: 0,
            is_output,
        });
    }

    /// Moves what can be moved without waiting.
    ///
    /// # Errors
    /// [`TerminalError::Call`] when the kernel refuses something else than more data. That the
    /// other side is gone is no error: input then ends, output is thrown away or, where the
    /// container would notice, its pipe closed.
    pub fn pump(&mut self) -> Result<Progress, TerminalError> {
        for _ in 0..STEPS {
            let mut moved = false;
            for index in 0..self.flows.len() {
                moved |= self.flows[index].step()?;
                self.close_if_deaf(index);
            }
            if self.is_done() {
                return Ok(Progress::Done);
            }
            if !moved {
                return Ok(Progress::Waiting);
            }
        }
        Ok(Progress::More)
    }

    /// Bytes that were read and could not be written yet.
    pub fn pending(&self) -> usize {
        self.flows
            .iter()
            .map(|flow| flow.buffer.len() - flow.written)
            .sum()
    }

    /// Output that nobody takes any more: a writer on a pipe is to learn of it, as it would
    /// without us in between. A terminal that is also written to stays open.
    fn close_if_deaf(&mut self, index: usize) {
        let flow = &self.flows[index];
        let (None, Some(from)) = (&flow.to, &flow.from) else {
            return;
        };
        let shared = self
            .flows
            .iter()
            .any(|other| other.to.as_ref().is_some_and(|to| Rc::ptr_eq(to, from)));
        if !shared {
            self.flows[index].from = None;
        }
    }

    fn is_done(&self) -> bool {
        let is_output = |flow: &&Flow| flow.is_output;
        let over = |flow: &Flow| flow.from.is_none() && flow.buffer.is_empty();
        if self.flows.iter().any(|flow| is_output(&flow)) {
            self.flows.iter().filter(is_output).all(over)
        } else {
            self.flows.iter().all(over)
        }
    }

    /// Tells an event loop what to wait for, all under one token, and what no longer; to be
    /// called after each [`pump`](Self::pump). Level-triggered.
    ///
    /// # Errors
    /// [`TerminalError::Call`].
    pub fn register(&mut self, epoll: impl AsFd, token: u64) -> Result<(), TerminalError> {
        let failed = |errno| TerminalError::at("watch a standard stream")(errno);
        let wanted = self.wanted();
        let data = epoll::EventData::new_u64(token);
        // First what goes: an endpoint that nobody holds any more is closed here.
        self.registered.retain(|(old, _)| {
            let stays = wanted.iter().any(|(endpoint, _)| Rc::ptr_eq(endpoint, old));
            if !stays {
                let _ = epoll::delete(&epoll, &old.fd);
            }
            stays
        });
        for (endpoint, flags) in wanted {
            match self
                .registered
                .iter_mut()
                .find(|(old, _)| Rc::ptr_eq(old, &endpoint))
            {
                Some((_, old)) if *old == flags => {}
                Some((_, old)) => {
                    epoll::modify(&epoll, &endpoint.fd, data, flags).map_err(failed)?;
                    *old = flags;
                }
                None => {
                    epoll::add(&epoll, &endpoint.fd, data, flags).map_err(failed)?;
                    self.registered.push((endpoint, flags));
                }
            }
        }
        Ok(())
    }

    /// Descriptors that something waits for. One without interest must not be registered at
    /// all: a hang-up is always reported, and would wake the loop again and again.
    fn wanted(&self) -> Vec<(Rc<Endpoint>, epoll::EventFlags)> {
        let mut wanted: Vec<(Rc<Endpoint>, epoll::EventFlags)> = Vec::new();
        for flow in &self.flows {
            let (endpoint, flags) = if flow.buffer.is_empty() {
                (&flow.from, epoll::EventFlags::IN)
            } else {
                (&flow.to, epoll::EventFlags::OUT)
            };
            let Some(endpoint) = endpoint else { continue };
            if endpoint.kind == Kind::File {
                continue;
            }
            match wanted
                .iter_mut()
                .find(|(known, _)| Rc::ptr_eq(known, endpoint))
            {
                Some((_, known)) => *known |= flags,
                None => wanted.push((Rc::clone(endpoint), flags)),
            }
        }
        wanted
    }
}

impl Flow {
    /// Writes what is held, or else reads; whether anything changed.
    fn step(&mut self) -> Result<bool, TerminalError> {
        if self.buffer.is_empty() {
            self.read_some()
        } else {
            self.write_some()
        }
    }

    fn read_some(&mut self) -> Result<bool, TerminalError> {
        let Some(from) = &self.from else {
            return Ok(false);
        };
        if !from.is_ready(PollFlags::IN)? {
            return Ok(false);
        }
        self.buffer.resize(CHUNK, 0);
        let result = read(&from.fd, &mut self.buffer);
        self.buffer.truncate(*result.as_ref().unwrap_or(&0));
        match result {
            // EIO: the terminal's other side is gone.
            Ok(0) | Err(Errno::IO | Errno::CONNRESET) => {
                self.from = None;
                if let Some(to) = self.to.take() {
                    to.end_input();
                }
                Ok(true)
            }
            Ok(_) => {
                if self.to.is_none() {
                    self.buffer.clear();
                }
                Ok(true)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(errno) => Err(TerminalError::at("read from a standard stream")(errno)),
        }
    }

    fn write_some(&mut self) -> Result<bool, TerminalError> {
        let Some(to) = &self.to else {
            self.buffer.clear();
            return Ok(true);
        };
        if !to.is_ready(PollFlags::OUT)? {
            return Ok(false);
        }
        match to.write(&self.buffer[self.written..]) {
            Ok(length) => {
                self.written += length;
                if self.written == self.buffer.len() {
                    self.buffer.clear();
                    self.written = 0;
                }
                Ok(length > 0)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(Errno::PIPE | Errno::IO | Errno::CONNRESET) => {
                self.to = None;
                self.buffer.clear();
                self.written = 0;
                Ok(true)
            }
            Err(errno) => Err(TerminalError::at("write to a standard stream")(errno)),
        }
    }
}

impl Endpoint {
    /// A descriptor that is ours: nobody else minds that it does not block.
    fn own(fd: OwnedFd) -> Result<Self, TerminalError> {
        let kind = kind_of(&fd)?;
        if kind == Kind::Stream {
            ioctl_fionbio(&fd, true)
                .map_err(TerminalError::at("make a standard stream non-blocking"))?;
        }
        Ok(Self { fd, kind })
    }

    /// A copy of the user's descriptor. `O_NONBLOCK` belongs to the open file, which the user
    /// shares with their shell: so a pipe or terminal is opened once more. A file must not be,
    /// as its position is shared as well, and it does not block anyway.
    fn copy(fd: impl AsFd) -> Result<Self, TerminalError> {
        let fd = fd.as_fd();
        let kind = kind_of(fd)?;
        if kind == Kind::Stream
            && let Ok(fd) = reopen(fd)
        {
            return Ok(Self { fd, kind });
        }
        let fd = fcntl_dupfd_cloexec(fd, 3).map_err(TerminalError::at("copy a standard stream"))?;
        Ok(Self { fd, kind })
    }

    fn is_ready(&self, events: PollFlags) -> Result<bool, TerminalError> {
        let mut fds = [PollFd::new(&self.fd, events)];
        match poll(
            &mut fds,
            Some(&Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            }),
        ) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(errno) => Err(TerminalError::at("poll a standard stream")(errno)),
        }
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        match self.kind {
            // NOSIGNAL as in Rust everywhere: EPIPE instead of SIGPIPE.
            Kind::Socket => send(&self.fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL),
            Kind::Stream | Kind::File => write(&self.fd, bytes),
        }
    }

    /// No more comes. Closing is enough for a pipe; a socket may be read from elsewhere.
    fn end_input(&self) {
        if self.kind == Kind::Socket {
            let _ = shutdown(&self.fd, Shutdown::Write);
        }
    }
}

fn kind_of(fd: impl AsFd) -> Result<Kind, TerminalError> {
    let status = fstat(&fd).map_err(TerminalError::at("look at a standard stream"))?;
    Ok(match FileType::from_raw_mode(status.st_mode) {
        FileType::Socket => Kind::Socket,
        FileType::Fifo => Kind::Stream,
        FileType::CharacterDevice if rustix::termios::isatty(fd) => Kind::Stream,
        _ => Kind::File,
    })
}

fn reopen(fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    use std::os::fd::AsRawFd;
    let access = rustix::fs::fcntl_getfl(fd)? & OFlags::RWMODE;
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty())
}
