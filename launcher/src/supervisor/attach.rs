//! Those who look on: what a container prints goes to them as well as to its log.
//!
//! A viewer hands over the writing ends of its pipes and reads at its own pace. One that is
//! slow is waited for up to a point; it never holds up the container or another viewer.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::FileType;
use rustix::io::{Errno, write};

use super::reactor::{Reactor, Token};
use super::unit::Phase;
use super::{Report, Supervisor, kernel};
use crate::STDIN_PIPE;
use crate::error::chain;
use crate::logs::{LogPipe, Stream};
use crate::store::{ContainerId, Event};

/// What a viewer may be behind: then it is let go.
const MOST_BEHIND: usize = 1024 * 1024;

/// How long a viewer has after the container's end to read the last of it.
const LINGER: Duration = Duration::from_secs(10);

/// The viewers by number; a gap is one that is gone.
#[derive(Debug, Default)]
pub(super) struct Viewers(Vec<Option<Viewer>>);

#[derive(Debug)]
struct Viewer {
    /// Whose output it sees.
    unit: u32,
    /// For standard output and standard error.
    ends: [Option<End>; 2],
    /// The container has ended, and the viewer may read on until then.
    leaves: Option<Instant>,
}

/// A pipe's writing end, and what had no room in it yet.
#[derive(Debug)]
struct End {
    fd: OwnedFd,
    unsent: VecDeque<u8>,
    watched_for_room: bool,
}

/// Nobody reads there any more.
struct Gone;

impl End {
    fn flush(&mut self) -> Result<(), Gone> {
        while !self.unsent.is_empty() {
            let (front, _) = self.unsent.as_slices();
            match write(&self.fd, front) {
                Ok(written) => drop(self.unsent.drain(..written)),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(_) => return Err(Gone),
            }
        }
        if self.unsent.is_empty() {
            // A burst shall not be remembered in memory.
            self.unsent.shrink_to(0);
        }
        Ok(())
    }

    fn give(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        let mut bytes = bytes;
        while self.unsent.is_empty() && !bytes.is_empty() {
            match write(&self.fd, bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => return Err(Gone),
            }
        }
        self.unsent.extend(bytes);
        if self.unsent.len() > MOST_BEHIND {
            return Err(Gone);
        }
        Ok(())
    }

    /// Whether someone may still read.
    fn is_open(&self) -> bool {
        let mut fds = [PollFd::new(&self.fd, PollFlags::OUT)];
        match poll(&mut fds, Some(&Timespec::default())) {
            Ok(_) => !fds[0].revents().contains(PollFlags::ERR),
            Err(_) => true,
        }
    }
}

fn token(slot: usize, stream: usize) -> Token {
    Token::Viewer((slot * 2 + stream) as u32)
}

impl Viewers {
    /// Takes the ends of a new viewer's pipes.
    fn add(&mut self, unit: u32, fds: Vec<OwnedFd>, reactor: &Reactor) -> Result<(), Errno> {
        for fd in &fds {
            let kind = FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode);
            // Anything else could make us wait, or wake us for nothing.
            if kind != FileType::Fifo {
                return Err(Errno::INVAL);
            }
            rustix::io::ioctl_fionbio(fd, true)?;
        }
        let slot = self.0.iter().position(Option::is_none);
        let slot = slot.unwrap_or(self.0.len());
        if slot == self.0.len() {
            self.0.push(None);
        }
        let mut fds = fds.into_iter().map(|fd| End {
            fd,
            unsent: VecDeque::new(),
            watched_for_room: false,
        });
        let viewer = self.0[slot].insert(Viewer {
            unit,
            ends: [fds.next(), fds.next()],
            leaves: None,
        });
        let watched = { viewer.ends.iter().flatten().enumerate() }
            .try_for_each(|(stream, end)| reactor.watch(&end.fd, token(slot, stream)));
        if watched.is_err() {
            // The client has its copies, so that closing ours would not end a watch.
            self.remove(slot, reactor);
        }
        watched
    }

    /// Shows what a container has written to those who look at it.
    pub(super) fn show(&mut self, unit: u32, stream: Stream, bytes: &[u8], reactor: &Reactor) {
        for slot in 0..self.0.len() {
            let Some(viewer) = &mut self.0[slot] else {
                continue;
            };
            if viewer.unit != unit || viewer.leaves.is_some() {
                continue;
            }
            let stream = usize::from(stream == Stream::Stderr);
            if let Some(end) = &mut viewer.ends[stream]
                && end.give(bytes).is_err()
            {
                if end.unsent.len() > MOST_BEHIND {
                    viewer.say_goodbye();
                    self.remove(slot, reactor);
                } else {
                    self.close(slot, stream, reactor);
                }
            }
            self.settle(slot, reactor);
        }
    }

    /// A pipe has room, or nobody reads from it any more.
    pub(super) fn ready(&mut self, number: u32, reactor: &Reactor) {
        let (slot, stream) = (number as usize / 2, number as usize % 2);
        if let Some(Some(viewer)) = self.0.get_mut(slot)
            && let Some(end) = &mut viewer.ends[stream]
            && (end.flush().is_err() || !end.is_open())
        {
            self.close(slot, stream, reactor);
        }
        self.settle(slot, reactor);
    }

    /// The container has ended: its viewers have seen all.
    pub(super) fn leave(&mut self, unit: u32, reactor: &Reactor) {
        for slot in 0..self.0.len() {
            if let Some(viewer) = &mut self.0[slot]
                && viewer.unit == unit
            {
                viewer.leaves.get_or_insert(Instant::now() + LINGER);
                self.settle(slot, reactor);
            }
        }
    }

    /// Whether someone still has to read the last of a container.
    pub(super) fn linger(&self) -> bool {
        self.deadline().is_some()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        { self.0.iter().flatten() }
            .filter_map(|viewer| viewer.leaves)
            .min()
    }

    pub(super) fn leave_overdue(&mut self, now: Instant, reactor: &Reactor) {
        for slot in 0..self.0.len() {
            if { self.0[slot].as_ref() }
                .and_then(|viewer| viewer.leaves)
                .is_some_and(|leaves| leaves <= now)
            {
                self.remove(slot, reactor);
            }
        }
    }

    /// Has the event loop tell of room where that is wanted, and lets go of who is done.
    fn settle(&mut self, slot: usize, reactor: &Reactor) {
        let Some(Some(viewer)) = self.0.get_mut(slot) else {
            return;
        };
        for (stream, end) in viewer.ends.iter_mut().enumerate() {
            let Some(end) = end else { continue };
            let wanted = !end.unsent.is_empty();
            if end.watched_for_room != wanted {
                let _ = reactor.watch_for_room(&end.fd, token(slot, stream), wanted);
                end.watched_for_room = wanted;
            }
        }
        let mut ends = viewer.ends.iter().flatten();
        let is_done = if viewer.leaves.is_some() {
            ends.all(|end| end.unsent.is_empty())
        } else {
            ends.next().is_none()
        };
        if is_done {
            self.remove(slot, reactor);
        }
    }

    fn close(&mut self, slot: usize, stream: usize, reactor: &Reactor) {
        if let Some(Some(viewer)) = self.0.get_mut(slot)
            && let Some(end) = viewer.ends[stream].take()
        {
            reactor.forget(&end.fd);
        }
    }

    fn remove(&mut self, slot: usize, reactor: &Reactor) {
        self.close(slot, 0, reactor);
        self.close(slot, 1, reactor);
        self.0[slot] = None;
    }
}

impl Viewer {
    /// Says why it sees no more, if there is room for that.
    fn say_goodbye(&self) {
        const WHY: &[u8] = b"\r\ncoop: output is read too slowly: detached\r\n";
        if let Some(end) = self.ends.iter().flatten().next_back() {
            let _ = write(&end.fd, WHY);
        }
    }
}

impl Supervisor<'_> {
    /// Has a client see what a container prints from now on, and gives it the input.
    pub(super) fn attach(
        &mut self,
        client: u32,
        id: &ContainerId,
        fds: Vec<OwnedFd>,
    ) -> Result<(), String> {
        let index = self.units.iter().position(|unit| unit.spec.id == *id);
        let stopped = || "You cannot attach to a stopped container, start it first".to_owned();
        let index = index.ok_or_else(stopped)?;
        let unit = &self.units[index];
        match unit.phase {
            Phase::Ended => return Err(stopped()),
            Phase::Resting(_) => {
                return Err(
                    "You cannot attach to a restarting container, wait until it is running".into(),
                );
            }
            Phase::Running(_) if unit.is_paused() => {
                return Err("You cannot attach to a paused container, unpause it first".into());
            }
            Phase::Running(_) | Phase::Waiting(_) => {}
        }
        let input = self.input_of(index)?;
        let unit = &self.units[index];
        self.viewers
            .add(unit.index, fds, &self.reactor)
            .map_err(|errno| format!("cannot attach: the output has to go to pipes: {errno}"))?;
        self.store.emit(&Event::of_container(&unit.state, "attach"));
        let report = Report::Attached(unit.told());
        self.clients
            .report_to(client, &report, input, &self.reactor);
        Ok(())
    }

    /// A descriptor to write to the container's standard input, when that is open.
    fn input_of(&self, index: usize) -> Result<Option<OwnedFd>, String> {
        let unit = &self.units[index];
        if !unit.spec.stdin_open {
            return Ok(None);
        }
        if unit.spec.terminal {
            // None after an adoption: the terminal went with the supervisor that had it.
            return { unit.outputs.terminal() }
                .map(|master| rustix::io::fcntl_dupfd_cloexec(master, 3))
                .transpose()
                .map_err(|errno| chain(&kernel("copy the terminal")(errno)));
        }
        let pipe = self.store.dirs().container_run(&unit.spec.id);
        // There is none when the input is that of the one who runs it in the foreground.
        Ok(LogPipe::open_writer(&pipe.join(STDIN_PIPE)).ok())
    }
}
