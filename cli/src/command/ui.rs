//! `coop ui`: a dashboard of all containers.
//!
//! [`model`] is what is known and what keys do, [`view`] is the picture of it; neither touches
//! the terminal or a file. What is here waits for keys, lines and the clock, one at a time.

mod ask;
mod history;
mod keys;
mod look;
mod model;
mod screen;
mod scroll;
mod view;

use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use coop_launcher::signals::SignalFd;
use coop_ns::Signal;
use ratatui::Terminal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::ps;
use crate::args::UiArgs;
use crate::host::Host;
pub(super) use ask::coop;
use ask::{Asked, Outcome};
use look::{Looks, Tail};
use model::{Action, Message, Model, Target};
use screen::{Canvas, FullScreen};

/// The second look follows soon: use of the processor is known from then on.
const FIRST_INTERVAL: Duration = Duration::from_millis(250);

/// Between two pictures at least: a container that writes without a pause leaves time for keys.
const FRAME: Duration = Duration::from_millis(40);

/// `coop ui`.
pub(super) fn ui(host: &Host, args: &UiArgs) -> Result<i32> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        bail!(
            "the dashboard needs a terminal\n  help: `coop stats --no-stream` prints the same \
             numbers once, `coop stats --format json` for programs"
        );
    }
    if !args.interval.is_finite() || args.interval < 0.1 {
        bail!("--interval {}: write at least 0.1 seconds", args.interval);
    }
    ps::mend_all(host)?;
    let mut looks = Looks::new(host)?;
    let first = looks.look()?;
    let signals = [
        Signal::TERM,
        Signal::HUP,
        Signal::INT,
        Signal::QUIT,
        Signal::WINCH,
    ];
    let signals = SignalFd::new(&signals)?;
    let mut dashboard = Dashboard {
        host,
        looks,
        model: Model::new(),
        tail: None,
        asked: Vec::new(),
        signals,
        // No more than a day: the clock takes no more than it can count to.
        interval: Duration::from_secs_f64(args.interval.min(86_400.0)),
    };
    dashboard.model.update(first.0, first.1);
    dashboard.run()
}

struct Dashboard<'a> {
    host: &'a Host,
    looks: Looks<'a>,
    model: Model,
    tail: Option<Tail>,
    asked: Vec<Asked>,
    signals: SignalFd,
    interval: Duration,
}

/// What became ready.
#[derive(Debug, Default)]
struct Ready {
    keys: bool,
    signal: bool,
    asked: bool,
}

impl Dashboard<'_> {
    fn run(mut self) -> Result<i32> {
        let mut screen = Some(FullScreen::take()?);
        let mut terminal = Terminal::new(Canvas::new()).context("draw on the terminal")?;
        let mut next_look = Instant::now() + FIRST_INTERVAL.min(self.interval);
        loop {
            let more = self.read_log();
            let model = &self.model;
            terminal
                .draw(|frame| view::draw(model, frame))
                .context("draw on the terminal")?;
            let drawn = Instant::now();
            let ready = self.wait(if more { drawn } else { next_look })?;
            if ready.signal
                && let Some(code) = self.ended_by_signal()
            {
                return Ok(code);
            }
            if ready.asked {
                self.hear();
            }
            if ready.keys {
                match self.take_keys()? {
                    None => {}
                    Some(Action::Quit) => return Ok(0),
                    Some(Action::Shell(target)) => {
                        drop(screen.take());
                        let end = self.shell(&target);
                        if let Some(code) = end? {
                            return Ok(code);
                        }
                        screen = Some(FullScreen::take()?);
                        terminal.clear().context("draw on the terminal")?;
                    }
                    Some(action) => self.ask(action),
                }
            }
            if Instant::now() >= next_look {
                self.look();
                next_look = Instant::now() + self.interval;
            }
            if !ready.keys {
                std::thread::sleep(FRAME.saturating_sub(drawn.elapsed()));
            }
        }
    }

    fn look(&mut self) {
        match self.looks.look() {
            Ok((containers, since)) => self.model.update(containers, since),
            Err(error) => self.model.message = Some(Message::Failed(format!("{error:#}"))),
        }
    }

    /// Takes in what the selected container has written. Says whether there may be more.
    fn read_log(&mut self) -> bool {
        let Some(id) = self.model.selection().map(|(_, it)| it.id.clone()) else {
            self.tail = None;
            self.model.log.clear();
            return false;
        };
        if !self.tail.as_ref().is_some_and(|tail| tail.is_of(&id)) {
            self.model.log.clear();
            self.model.log.go_to_end();
            self.tail = Tail::new(self.host, &id).ok();
        }
        let Some(tail) = &mut self.tail else {
            return false;
        };
        tail.read(&mut self.model.log).unwrap_or_else(|error| {
            self.model.message = Some(Message::Failed(format!("{error:#}")));
            false
        })
    }

    /// Waits for something to happen, at most until `deadline`.
    fn wait(&self, deadline: Instant) -> Result<Ready> {
        let stdin = std::io::stdin();
        let mut fds = vec![
            PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN),
            PollFd::new(&self.signals, PollFlags::IN),
        ];
        if let Some(changes) = self.tail.as_ref().and_then(|tail| tail.changes.as_ref()) {
            fds.push(PollFd::new(changes, PollFlags::IN));
        }
        let own = fds.len();
        fds.extend(self.asked.iter().flat_map(Asked::poll_fds));
        let timeout = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: timeout.as_secs().cast_signed(),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).context("wait for keys"),
        }
        let ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        Ok(Ready {
            keys: ready(&fds[0]),
            signal: ready(&fds[1]),
            asked: fds[own..].iter().any(ready),
        })
    }

    /// As a shell tells it: 128 and the signal's number.
    fn ended_by_signal(&self) -> Option<i32> {
        while let Ok(Some(received)) = self.signals.read() {
            if received.signal != Signal::WINCH {
                return Some(128 + received.signal.number());
            }
        }
        None
    }

    /// The first thing that the keys ask for. A terminal that is gone asks for the end.
    fn take_keys(&mut self) -> Result<Option<Action>> {
        let mut block = [0; 1024];
        let length = match rustix::io::read(std::io::stdin(), &mut block) {
            Ok(0) | Err(Errno::IO) => return Ok(Some(Action::Quit)),
            Ok(length) => length,
            Err(Errno::INTR | Errno::AGAIN) => 0,
            Err(errno) => return Err(errno).context("read keys"),
        };
        for key in keys::keys(&block[..length]) {
            match self.model.key(key) {
                None => {}
                Some(action @ (Action::Quit | Action::Shell(_))) => return Ok(Some(action)),
                Some(action) => self.ask(action),
            }
        }
        Ok(None)
    }

    fn ask(&mut self, action: Action) {
        let (verb, target) = match action {
            Action::Ask(verb, target) => (verb, target),
            Action::Inspect(target) => ("inspect", target),
            Action::Shell(_) | Action::Quit => return,
        };
        match Asked::new(self.host, verb, target) {
            Ok(asked) => {
                self.model.message = Some(Message::Said(asked.title()));
                self.asked.push(asked);
            }
            Err(error) => self.model.message = Some(Message::Failed(format!("{error:#}"))),
        }
    }

    /// What has become of what was asked for.
    fn hear(&mut self) {
        let mut going = Vec::new();
        for mut asked in std::mem::take(&mut self.asked) {
            match asked.proceed() {
                None => going.push(asked),
                Some(Outcome::Told(message)) => self.model.message = Some(message),
                Some(Outcome::Details(text)) => {
                    self.model.message = None;
                    for line in text.lines() {
                        let line =
                            crate::ui::screen_text(line.as_bytes(), crate::ui::Styles::Dropped);
                        self.model.details.push(line);
                    }
                }
            }
        }
        self.asked = going;
        self.look();
    }

    /// A shell in the container, on the terminal that was given back for it. An exit status
    /// when a signal has asked for the end meanwhile.
    fn shell(&mut self, target: &Target) -> Result<Option<i32>> {
        let child = ask::coop(self.host)
            .args(["exec", "-it", target.id.as_str(), "sh"])
            .stderr(Stdio::piped())
            .spawn()
            .context("start coop exec")?;
        let pidfd = rustix::process::pidfd_open(
            rustix::process::Pid::from_child(&child),
            rustix::process::PidfdFlags::empty(),
        )?;
        let mut end = None;
        loop {
            let mut fds = [
                PollFd::new(&pidfd, PollFlags::IN),
                PollFd::new(&self.signals, PollFlags::IN),
            ];
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno).context("wait for the shell"),
            }
            if !fds[0].revents().is_empty() {
                break;
            }
            if let Some(code) = self.ended_by_signal() {
                end = Some(code);
                // It gives the terminal back.
                let _ = rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::HUP);
            }
        }
        let output = child.wait_with_output().context("wait for the shell")?;
        self.model.message = ask::complaint(&output.stderr).map(Message::Failed);
        Ok(end)
    }
}
