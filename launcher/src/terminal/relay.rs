//! Bytes from here to there, inside someone else's event loop.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use rustix::event::{PollFlags, epoll};
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, read};

use super::TerminalError;
use super::endpoint::{Endpoint, Kind};
use super::keys::{DetachKeys, KeyFilter};

/// As much as moves in one step, and is held of each flow.
const CHUNK: usize = 16 * 1024;

/// Steps of one call, after which others get their turn.
const STEPS: usize = 64;

/// What is read from a container that has ended, at most: more than any pipe holds.
const LAST_BYTES: usize = 1024 * 1024;

/// How far a [`Relay`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing moves until a descriptor is ready.
    Waiting,
    /// More could move at once, but others shall have their turn. The event loop will report
    /// a descriptor right away: waiting there is right, calling again and again is not, as
    /// this may never end.
    More,
    /// All output has come to its end and is delivered.
    Done,
    /// The user has typed the [`DetachKeys`] and wants to see no more.
    Detached,
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
/// while relay.pump()? != Progress::Done {
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
    /// What input is looked through for.
    detach_keys: Option<DetachKeys>,
    detached: bool,
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
    /// How much may still be read; none until the container has ended.
    rest: Option<usize>,
    /// Of input in which the detach keys are looked for.
    keys: Option<KeyFilter>,
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

    /// Ends with [`Progress::Detached`] when these keys are typed, in input that is there or
    /// added later. They do not get to the container.
    pub fn detach_by(&mut self, keys: &DetachKeys) {
        self.detach_keys = Some(keys.clone());
        for flow in self.flows.iter_mut().filter(|flow| !flow.is_output) {
            flow.keys = Some(KeyFilter::new(keys.clone()));
        }
    }

    /// Takes all of it out of an event loop: what the user's descriptors lead to stays open
    /// elsewhere, and would go on to wake it.
    pub fn unregister(&mut self, epoll: impl AsFd) {
        for (endpoint, _) in self.registered.drain(..) {
            let _ = epoll::delete(&epoll, &endpoint.fd);
        }
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
        let keys = self.detach_keys.as_ref().filter(|_| !is_output);
        self.flows.push(Flow {
            from,
            to,
            buffer: Vec::new(),
            written: 0,
            is_output,
            rest: None,
            keys: keys.cloned().map(KeyFilter::new),
        });
    }

    /// The container has ended: what it has written is all. Without this, output ends only
    /// when every process that has it open is gone, and one that was left behind may hold it
    /// for ever. Go on until [`Progress::Done`]: the user may need time to take it.
    pub fn end_output(&mut self) {
        for flow in self.flows.iter_mut().filter(|flow| flow.is_output) {
            flow.rest.get_or_insert(LAST_BYTES);
        }
    }

    /// From now on output goes nowhere, and nothing is read from the user. What the container
    /// has for its input stays open.
    ///
    /// # Errors
    /// [`TerminalError::Call`] when `/dev/null` cannot be opened.
    pub fn discard_output(&mut self) -> Result<(), TerminalError> {
        let null = rustix::fs::open("/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(TerminalError::at("open /dev/null"))?;
        let null = Rc::new(Endpoint::own(null)?);
        self.detached = false;
        for flow in &mut self.flows {
            if flow.is_output {
                flow.to = Some(Rc::clone(&null));
            } else {
                flow.from = None;
            }
        }
        Ok(())
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
                let step = self.flows[index].step()?;
                moved |= step == Step::Moved;
                self.detached |= step == Step::Detached;
                self.close_if_deaf(index);
            }
            if self.detached {
                return Ok(Progress::Detached);
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
            // A file is always ready: then it is the other side that decides.
            let from_file = flow
                .from
                .as_ref()
                .is_some_and(|from| from.kind == Kind::File);
            let (endpoint, flags) = if flow.buffer.is_empty() && !from_file {
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

/// What has come of one look at a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Nothing,
    Moved,
    Detached,
}

impl Flow {
    /// Writes what is held; when all is written, reads more and writes that.
    fn step(&mut self) -> Result<Step, TerminalError> {
        let mut moved = self.write_some()?;
        if self.buffer.is_empty() {
            moved |= self.read_some()?;
            let keys = self.keys.as_mut();
            let detached = keys.is_some_and(|keys| keys.filter(&mut self.buffer));
            moved |= self.write_some()?;
            if detached {
                return Ok(Step::Detached);
            }
        }
        Ok(if moved { Step::Moved } else { Step::Nothing })
    }

    fn read_some(&mut self) -> Result<bool, TerminalError> {
        let Some(from) = &self.from else {
            return Ok(false);
        };
        if self.rest == Some(0) {
            return Ok(self.end());
        }
        if !from.is_ready(PollFlags::IN)? {
            return Ok(self.rest.is_some() && self.end());
        }
        self.buffer.resize(CHUNK, 0);
        let result = read(&from.fd, &mut self.buffer);
        self.buffer.truncate(*result.as_ref().unwrap_or(&0));
        match result {
            // EIO: the terminal's other side is gone.
            Ok(0) | Err(Errno::IO | Errno::CONNRESET) => Ok(self.end()),
            Ok(length) => {
                self.rest = self.rest.map(|rest| rest.saturating_sub(length));
                Ok(true)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(errno) => Err(TerminalError::at("read from a standard stream")(errno)),
        }
    }

    /// Nothing more comes, and what came is written.
    fn end(&mut self) -> bool {
        if let Some(mut keys) = self.keys.take() {
            // What was held back is the last of it. The end comes again.
            self.buffer = keys.rest();
            if !self.buffer.is_empty() {
                return true;
            }
        }
        self.from = None;
        if let Some(to) = self.to.take() {
            to.end_input();
        }
        true
    }

    fn write_some(&mut self) -> Result<bool, TerminalError> {
        if self.buffer.is_empty() {
            return Ok(false);
        }
        let Some(to) = &self.to else {
            // Nobody wants it.
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
