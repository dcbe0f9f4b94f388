//! What happens to a stack, one line for each step.

use std::time::{Duration, Instant};

use coop_launcher::logs::{Stream, colours_wanted};
use coop_launcher::store::Health;
use coop_launcher::supervisor::Report;

use super::stream::{Sink, descriptor};

/// Compose's progress, on standard error.
#[derive(Debug)]
pub(crate) struct Progress {
    began: Instant,
    shape: Shape,
    to: Sink,
}

/// Who reads the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// A file or a program.
    Plain,
    /// A user who wants no colours.
    Terminal,
    /// A user.
    Coloured,
}

impl Progress {
    /// The command begins now.
    pub(crate) fn new() -> Self {
        let to = descriptor(Stream::Stderr);
        let shape = match () {
            () if !rustix::termios::isatty(to) => Shape::Plain,
            () if colours_wanted(to) => Shape::Coloured,
            () => Shape::Terminal,
        };
        Self {
            began: Instant::now(),
            shape,
            to: Sink::new(Stream::Stderr),
        }
    }

    /// Shows what has become of a container. What failed is for the caller to tell.
    pub(crate) fn report(&mut self, report: &Report) {
        if let Some((name, what)) = event(report) {
            self.line("Container", name, what);
        }
    }

    /// Shows that something is done.
    pub(crate) fn line(&mut self, kind: &str, name: &str, what: &str) {
        let line = line(self.shape, kind, name, what, self.began.elapsed());
        self.to.write(line.as_bytes());
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
        Report::Attached(_) | Report::Refused { .. } | Report::Failed { .. } | Report::Done => {
            return None;
        }
    })
}

const UNHEALTHY: &str = "Unhealthy";

fn line(shape: Shape, kind: &str, name: &str, what: &str, took: Duration) -> String {
    let mark = if what == UNHEALTHY { '✘' } else { '✔' };
    let colour = if what == UNHEALTHY { 31 } else { 32 };
    let took = format!("{:.1}s", took.as_secs_f64());
    match shape {
        Shape::Plain => format!(" {kind} {name}  {what}\n"),
        Shape::Terminal => format!(" {mark} {kind} {name}  {what}  {took}\n"),
        Shape::Coloured => format!(
            " \x1b[{colour}m{mark}\x1b[0m {kind} {name}  \x1b[{colour}m{what}\x1b[0m  \x1b[34m{took}\x1b[0m\n"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOK: Duration = Duration::from_millis(149);

    #[test]
    fn a_program_reads_plain_lines() {
        let shown = [
            line(Shape::Plain, "Container", "shop-web-1", "Started", TOOK),
            line(Shape::Plain, "Network", "shop_default", "Removed", TOOK),
        ];
        insta::assert_snapshot!(shown.concat(), @r"
         Container shop-web-1  Started
         Network shop_default  Removed
        ");
    }

    #[test]
    fn a_terminal_shows_how_long_it_took() {
        insta::assert_snapshot!(
            line(Shape::Terminal, "Container", "shop-web-1", "Healthy", TOOK),
            @" ✔ Container shop-web-1  Healthy  0.1s"
        );
        insta::assert_snapshot!(
            line(Shape::Terminal, "Container", "shop-web-1", UNHEALTHY, TOOK),
            @" ✘ Container shop-web-1  Unhealthy  0.1s"
        );
    }

    #[test]
    fn colours_end_before_the_line_does() {
        let shown = line(Shape::Coloured, "Container", "shop-web-1", "Created", TOOK);
        assert!(shown.ends_with("\x1b[0m\n"), "{shown:?}");
    }
}
