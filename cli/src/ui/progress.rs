//! What happens to a stack: a line for each container, network and volume.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use coop_launcher::logs::{Stream, colours_wanted};
use coop_launcher::store::Health;
use coop_launcher::supervisor::{Report, UnitSpec};

use super::live::Live;
use super::steps::{Mood, Steps};
use super::stream::{Sink, descriptor};
use super::waiting::Waiting;

/// Compose's progress, on standard error: on a terminal one line for each thing, written again
/// in its place whenever something happens to it; otherwise one line for each thing that
/// happened, for files and programs.
#[derive(Debug)]
pub(crate) struct Progress {
    began: Instant,
    shape: Shape,
    to: Sink,
    steps: Steps,
    live: Live,
    waiting: Waiting,
    /// How many lines the program's log had when the block was written last.
    logged: usize,
}

/// Who reads the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// A file, a program, or a terminal that cannot move its cursor.
    Plain,
    /// A user who wants every step told: one line below the other.
    Lines { coloured: bool },
    /// A user.
    Live { coloured: bool },
}

/// Lines that the program's log has written to standard error, where the block stands.
static LOGGED: AtomicUsize = AtomicUsize::new(0);

/// Takes note of a line that was written to standard error past [`Progress`].
pub(crate) fn note_logged_line() {
    LOGGED.fetch_add(1, Ordering::Relaxed);
}

const CONTAINER: &str = "Container";

impl Progress {
    /// The command begins now.
    pub(crate) fn new() -> Self {
        let to = descriptor(Stream::Stderr);
        let coloured = colours_wanted(to);
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let shape = match () {
            () if !rustix::termios::isatty(to) || dumb => Shape::Plain,
            () if log::max_level() > log::LevelFilter::Warn => Shape::Lines { coloured },
            () => Shape::Live { coloured },
        };
        Self::of(shape)
    }

    fn of(shape: Shape) -> Self {
        Self {
            began: Instant::now(),
            shape,
            to: Sink::new(Stream::Stderr),
            steps: Steps::default(),
            live: Live::default(),
            waiting: Waiting::default(),
            logged: LOGGED.load(Ordering::Relaxed),
        }
    }

    /// The same in black and white.
    pub(crate) fn without_colours(mut self) -> Self {
        self.shape = match self.shape {
            Shape::Plain => Shape::Plain,
            Shape::Lines { .. } => Shape::Lines { coloured: false },
            Shape::Live { .. } => Shape::Live { coloured: false },
        };
        self
    }

    /// These containers are about to be created and started.
    pub(crate) fn starting(&mut self, units: &[UnitSpec]) {
        self.waiting.expect(units);
        self.begin_all(units.iter().map(|unit| unit.name.as_str()), "Creating");
    }

    /// These containers are about to be stopped.
    pub(crate) fn stopping<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) {
        self.waiting.forget();
        self.begin_all(names, "Stopping");
    }

    /// These containers are about to be killed.
    pub(crate) fn killing<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) {
        self.begin_all(names, "Killing");
    }

    /// Only on a terminal: that something is under way is no event.
    fn begin_all<'n>(&mut self, names: impl IntoIterator<Item = &'n str>, what: &str) {
        if matches!(self.shape, Shape::Live { .. }) {
            let now = self.began.elapsed();
            for name in names {
                self.steps.begin(CONTAINER, name, what, now);
            }
            self.draw();
        }
    }

    /// Shows what has become of a container. What failed is for the caller to tell.
    pub(crate) fn report(&mut self, report: &Report) {
        let Shape::Live { .. } = self.shape else {
            if let Some((name, what)) = event(report) {
                self.finish(CONTAINER, name, what, mood(what));
            }
            return;
        };
        let now = self.began.elapsed();
        self.waiting.note(report);
        match report {
            Report::Failed { name, .. } => {
                self.steps
                    .finish(CONTAINER, name, "Error", Mood::Failed, now);
            }
            Report::Restarting(state) => {
                self.steps
                    .begin(CONTAINER, state.name.as_str(), "Restarting", now);
            }
            Report::Exited(state) if self.waiting.ended_by_itself(&state.id) => {
                let (what, mood) = match state.exit_code {
                    Some(0) => ("Exited".to_owned(), Mood::Done),
                    Some(code) => (format!("Exited ({code})"), Mood::Failed),
                    None => ("Exited".to_owned(), Mood::Failed),
                };
                self.steps
                    .finish(CONTAINER, state.name.as_str(), &what, mood, now);
            }
            Report::Created(_) => {}
            other => {
                if let Some((name, what)) = event(other) {
                    self.steps.finish(CONTAINER, name, what, mood(what), now);
                }
            }
        }
        for (name, what) in self.waiting.created() {
            self.steps.begin(CONTAINER, name, &what, now);
        }
        self.draw();
    }

    /// Shows that something is done.
    pub(crate) fn line(&mut self, kind: &str, name: &str, what: &str) {
        self.finish(kind, name, what, mood(what));
    }

    fn finish(&mut self, kind: &str, name: &str, what: &str, mood: Mood) {
        let now = self.began.elapsed();
        if let Shape::Live { .. } = self.shape {
            self.steps.finish(kind, name, what, mood, now);
            self.draw();
        } else {
            let line = line(self.shape, (kind, name, what), mood, now);
            self.to.write(line.as_bytes());
        }
    }

    /// Whether the terminal's last lines are written again at each event: who writes to it
    /// meanwhile has to go through [`above`](Self::above).
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.shape, Shape::Live { .. }) && !self.steps.is_empty()
    }

    /// Lets `write` write whole lines to the terminal: above what is under way, below what is
    /// done.
    pub(crate) fn above(&mut self, write: impl FnOnce()) {
        if !self.is_live() {
            return write();
        }
        if self.steps.are_settled() {
            self.close();
            return write();
        }
        self.notice_log();
        self.to.write(self.live.erase().as_bytes());
        write();
        self.draw();
    }

    /// Leaves the lines as they stand; what happens next gets new ones.
    pub(crate) fn close(&mut self) {
        if !self.is_live() {
            return;
        }
        self.notice_log();
        self.steps.give_up();
        let (columns, rows) = self.window();
        // In full now: nothing is written in their place any more.
        let Shape::Live { coloured } = self.shape else {
            return;
        };
        let lines = self.steps.lines(columns - 1, coloured);
        let out = if lines.len() < rows {
            self.live.draw(&lines, columns)
        } else {
            self.live.erase() + &lines.join("\n") + "\n"
        };
        self.to.write(out.as_bytes());
        self.live.leave();
        self.steps.clear();
    }

    fn draw(&mut self) {
        let Shape::Live { coloured } = self.shape else {
            return;
        };
        if self.steps.is_empty() {
            return;
        }
        self.notice_log();
        let (columns, rows) = self.window();
        let lines = self.steps.window(rows - 1, columns - 1, coloured);
        let out = self.live.draw(&lines, columns);
        self.to.write(out.as_bytes());
    }

    /// A line of the program's log stands below the block: that stays as it is.
    fn notice_log(&mut self) {
        let logged = LOGGED.load(Ordering::Relaxed);
        if std::mem::replace(&mut self.logged, logged) != logged {
            self.live.leave();
        }
    }

    /// Columns and rows of the terminal; 80 and 24 when it does not know.
    fn window(&self) -> (usize, usize) {
        let size = rustix::termios::tcgetwinsize(self.to.descriptor());
        let (columns, rows) = size.map_or((0, 0), |size| (size.ws_col, size.ws_row));
        let or = |size: u16, default| match size {
            0 => default,
            size => usize::from(size).max(2),
        };
        (or(columns, 80), or(rows, 24))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.close();
    }
}

fn event(report: &Report) -> Option<(&str, &'static str)> {
    Some(match report {
        Report::Created(state) => (state.name.as_str(), "Created"),
        Report::Started(state) => (state.name.as_str(), "Started"),
        Report::Health(state) => match state.health? {
            Health::Starting => return None,
            Health::Healthy => (state.name.as_str(), "Healthy"),
            Health::Unhealthy => (state.name.as_str(), UNHEALTHY),
        },
        Report::Exited(state) => (state.name.as_str(), "Stopped"),
        Report::Paused(state) => (state.name.as_str(), "Paused"),
        Report::Unpaused(state) => (state.name.as_str(), "Unpaused"),
        Report::Restarting(state) => (state.name.as_str(), "Restarting"),
        Report::Renamed(state) => (state.name.as_str(), "Renamed"),
        Report::Attached(_)
        | Report::Refused { .. }
        | Report::Failed { .. }
        | Report::Broken { .. }
        | Report::Done => {
            return None;
        }
    })
}

const UNHEALTHY: &str = "Unhealthy";

fn mood(what: &str) -> Mood {
    if what == UNHEALTHY {
        Mood::Failed
    } else {
        Mood::Done
    }
}

fn line(shape: Shape, (kind, name, what): (&str, &str, &str), mood: Mood, now: Duration) -> String {
    let (Shape::Lines { coloured } | Shape::Live { coloured }) = shape else {
        return format!(" {kind} {name}  {what}\n");
    };
    let mut one = Steps::default();
    one.begin(kind, name, what, Duration::ZERO);
    one.finish(kind, name, what, mood, now);
    one.lines(usize::MAX, coloured).concat() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOK: Duration = Duration::from_millis(149);

    #[test]
    fn a_program_reads_plain_lines() {
        let shown = [
            line(
                Shape::Plain,
                ("Container", "shop-web-1", "Started"),
                Mood::Done,
                TOOK,
            ),
            line(
                Shape::Plain,
                ("Network", "shop_default", "Removed"),
                Mood::Done,
                TOOK,
            ),
        ];
        insta::assert_snapshot!(shown.concat(), @r"
         Container shop-web-1  Started
         Network shop_default  Removed
        ");
    }

    #[test]
    fn a_terminal_shows_how_long_it_took() {
        let shape = Shape::Lines { coloured: false };
        let shown =
            |what: &'static str| line(shape, ("Container", "shop-web-1", what), mood(what), TOOK);
        insta::assert_snapshot!(shown("Healthy"), @" ✔ Container shop-web-1  Healthy  0.1s");
        insta::assert_snapshot!(shown(UNHEALTHY), @" ✘ Container shop-web-1  Unhealthy  0.1s");
    }

    #[test]
    fn colours_end_before_the_line_does() {
        let shape = Shape::Lines { coloured: true };
        let shown = line(
            shape,
            ("Container", "shop-web-1", "Created"),
            Mood::Done,
            TOOK,
        );
        assert!(shown.ends_with("\x1b[0m\n"), "{shown:?}");
    }
}
