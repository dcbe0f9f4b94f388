//! `up` in the foreground: the lines of all containers on one terminal.

use std::collections::HashMap;

use coop_launcher::logs::{Printer, Stream, colours_wanted};
use coop_launcher::store::{ContainerId, State};
use coop_launcher::supervisor::{Report, Show, UnitSpec};

use super::progress::Progress;
use super::stream::{Sink, descriptor};
use super::{Styles, label, screen_text};
use crate::command::up::Failures;

/// A line that is longer is shown in pieces.
const MAX_HELD: usize = 64 * 1024;

/// As compose says it.
pub(crate) const STOPPING: &str = "Gracefully stopping... (press Ctrl+C again to force)";

/// As compose says it.
pub(crate) const ABORTING: &str = "Aborting on container exit...";

/// How the lines of containers look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogStyle {
    /// Whether there may be colours, where the terminal has them.
    pub(crate) colours: bool,
    /// Whether the container's name stands before each line.
    pub(crate) prefixes: bool,
}

/// Shows what happens to a stack and what its containers write.
pub(crate) struct StackOutput {
    /// What could not be started.
    pub(crate) failures: Failures,
    /// What has happened.
    pub(crate) progress: Progress,
    stdout: Lines,
    stderr: Lines,
    /// The containers that run.
    running: Vec<(ContainerId, String)>,
    /// The user has asked for the end.
    interrupted: bool,
}

impl StackOutput {
    /// Goes on after what `progress` has shown.
    pub(crate) fn new(progress: Progress, style: LogStyle) -> Self {
        Self {
            failures: Failures::default(),
            progress,
            stdout: Lines::new(Stream::Stdout, style),
            stderr: Lines::new(Stream::Stderr, style),
            running: Vec::new(),
            interrupted: false,
        }
    }

    fn both(&mut self) -> [&mut Lines; 2] {
        [&mut self.stdout, &mut self.stderr]
    }

    /// The last words of a container, and how it ended.
    fn end(&mut self, state: &State) {
        let lines: Vec<_> = [Stream::Stdout, Stream::Stderr]
            .map(|stream| {
                let lines = match stream {
                    Stream::Stdout => &mut self.stdout,
                    Stream::Stderr => &mut self.stderr,
                };
                (stream, lines.last_line(&state.id))
            })
            .into_iter()
            .collect();
        for (stream, text) in lines {
            self.write(stream, &text);
        }
        self.write(Stream::Stdout, exit_line(state).as_bytes());
        self.running.retain(|(id, _)| *id != state.id);
    }

    /// Writes whole lines, where they leave the progress in its place.
    fn write(&mut self, stream: Stream, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        let lines = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        if lines.on_terminal {
            self.progress.above(|| lines.to.write(text));
        } else {
            lines.to.write(text);
        }
    }
}

impl Show for StackOutput {
    fn report(&mut self, report: &Report) {
        self.failures.note(report);
        if let Report::Created(state) | Report::Started(state) | Report::Health(state) = report {
            for lines in self.both() {
                lines.add(state);
            }
        }
        match report {
            Report::Started(state) => {
                let name = state.name.to_string();
                self.running.push((state.id.clone(), name));
                self.progress.report(report);
            }
            // Once all have started, their ends are told among their lines.
            Report::Exited(state) | Report::Restarting(state) => {
                self.end(state);
                if self.interrupted || self.progress.is_live() {
                    self.progress.report(report);
                }
            }
            _ => self.progress.report(report),
        }
    }

    fn output(&mut self, unit: &UnitSpec, stream: Stream, bytes: &[u8]) {
        let lines = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let shown = lines.lines(unit, bytes);
        self.write(stream, &shown);
    }

    fn aborting(&mut self) {
        // From now on their ends are told as steps of the command.
        self.interrupted = true;
        self.progress.close();
        self.stderr.to.write(format!("{ABORTING}\n").as_bytes());
        let names = self.running.iter().map(|(_, name)| name.as_str());
        self.progress.stopping(names);
    }

    fn interrupted(&mut self, times: u32) {
        self.interrupted = true;
        let names = self.running.iter().map(|(_, name)| name.as_str());
        match times {
            1 => {
                self.progress.close();
                // Over the terminal's own ^C.
                self.stderr.to.write(if self.stderr.on_terminal {
                    b"\r\x1b[K"
                } else {
                    b""
                });
                self.stderr.to.write(format!("{STOPPING}\n").as_bytes());
                self.progress.stopping(names);
            }
            2 => self.progress.killing(names),
            _ => {}
        }
    }
}

/// As compose tells it.
fn exit_line(state: &State) -> String {
    let name = label(state.name.as_str(), state.stack.as_str());
    match state.exit_code {
        Some(code) => format!("{name} exited with code {code}\n"),
        None => format!("{name} exited\n"),
    }
}

/// What goes to one of the standard streams, in whole lines.
struct Lines {
    to: Sink,
    printer: Printer,
    prefixes: bool,
    /// Lines must not take hold of the terminal.
    on_terminal: bool,
    sources: HashMap<ContainerId, Source>,
}

struct Source {
    /// What the printer knows it by.
    number: usize,
    /// The beginning of a line.
    held: Vec<u8>,
}

impl Lines {
    fn new(stream: Stream, style: LogStyle) -> Self {
        let printer = Printer::default();
        let coloured = style.colours && colours_wanted(descriptor(stream));
        Self {
            to: Sink::new(stream),
            printer: if coloured {
                printer.with_colours()
            } else {
                printer
            },
            prefixes: style.prefixes,
            on_terminal: rustix::termios::isatty(descriptor(stream)),
            sources: HashMap::new(),
        }
    }

    fn add(&mut self, state: &State) {
        let label = label(state.name.as_str(), state.stack.as_str());
        let service = state.service.as_deref().unwrap_or(label);
        self.source(&state.id, label, service);
    }

    fn source(&mut self, id: &ContainerId, label: &str, service: &str) -> &mut Source {
        let printer = &mut self.printer;
        let prefixes = self.prefixes;
        self.sources.entry(id.clone()).or_insert_with(|| Source {
            number: if prefixes {
                printer.add_prefixed(label, service)
            } else {
                printer.add_plain()
            },
            held: Vec::new(),
        })
    }

    /// The lines that are complete with these bytes.
    fn lines(&mut self, unit: &UnitSpec, bytes: &[u8]) -> Vec<u8> {
        let on_terminal = self.on_terminal;
        let source = self.source(&unit.id, &unit.name, &unit.name);
        source.held.extend_from_slice(bytes);
        if on_terminal && source.held.len() > MAX_HELD && !source.held.contains(&b'\n') {
            // On a terminal nothing else can be written before its end.
            source.held.push(b'\n');
        }
        let complete = match source.held.iter().rposition(|&byte| byte == b'\n') {
            Some(end) => end + 1,
            None if source.held.len() > MAX_HELD => source.held.len(),
            None => 0,
        };
        let number = source.number;
        let text: Vec<u8> = source.held.drain(..complete).collect();
        self.print(number, &text)
    }

    /// The line that the container did not end.
    fn last_line(&mut self, id: &ContainerId) -> Vec<u8> {
        let Some(source) = self.sources.get_mut(id) else {
            return Vec::new();
        };
        let mut line = std::mem::take(&mut source.held);
        if !line.is_empty() {
            line.push(b'\n');
        }
        let number = source.number;
        self.print(number, &line)
    }

    fn print(&mut self, number: usize, text: &[u8]) -> Vec<u8> {
        let mut shown = Vec::new();
        if self.on_terminal {
            for line in text.split_inclusive(|&byte| byte == b'\n') {
                let line = line.strip_suffix(b"\n").unwrap_or(line);
                let line = screen_text(line, Styles::Kept) + "\n";
                self.printer
                    .print(number, None, line.as_bytes(), &mut shown);
            }
        } else {
            self.printer.print(number, None, text, &mut shown);
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use coop_launcher::store::{Name, StackName};

    use super::*;

    fn state(name: &str, digit: &str) -> State {
        let id = ContainerId::parse(&digit.repeat(ContainerId::LEN)).unwrap();
        let name = Name::parse(name).unwrap();
        State::new(
            id,
            name,
            StackName::parse("shop").unwrap(),
            "coop/host".into(),
        )
    }

    fn unit(state: &State) -> UnitSpec {
        UnitSpec {
            id: state.id.clone(),
            name: state.name.to_string(),
            depends_on: Vec::new(),
            stop_signal: 15,
            stop_grace_period: Duration::from_secs(10),
            health: None,
            terminal: false,
            stdin_open: false,
            restart: coop_launcher::supervisor::RestartPolicy::No,
            log: coop_launcher::logs::LogOptions::default(),
        }
    }

    fn lines() -> Lines {
        let style = LogStyle {
            colours: false,
            prefixes: true,
        };
        Lines {
            on_terminal: false,
            ..Lines::new(Stream::Stdout, style)
        }
    }

    #[test]
    fn lines_of_several_containers_are_whole_and_carry_their_names() {
        let mut lines = lines();
        let (web, database) = (state("shop-web-1", "a"), state("shop-database-1", "b"));
        lines.add(&web);
        lines.add(&database);
        let mut shown = Vec::new();
        for (state, bytes) in [
            (&web, "one\nbegin"),
            (&database, "ready\n"),
            (&web, "ning\n"),
            (&database, "no end"),
        ] {
            shown.extend(lines.lines(&unit(state), bytes.as_bytes()));
        }
        shown.extend(lines.last_line(&database.id));
        shown.extend(lines.last_line(&web.id));
        insta::assert_snapshot!(String::from_utf8(shown).unwrap(), @r"
        web-1       | one
        database-1  | ready
        web-1       | beginning
        database-1  | no end
        ");
    }

    #[test]
    fn a_line_without_an_end_is_not_held_for_ever() {
        let mut lines = lines();
        let web = state("shop-web-1", "a");
        lines.add(&web);
        let shown = lines.lines(&unit(&web), &vec![b'x'; MAX_HELD + 1]);
        assert_eq!(shown.len(), "web-1  | ".len() + MAX_HELD + 1);
        assert_eq!(lines.lines(&unit(&web), b"y\n"), b"y\n");
    }

    #[test]
    fn on_a_terminal_no_container_gets_hold_of_it() {
        let mut lines = Lines {
            on_terminal: true,
            ..lines()
        };
        let web = state("shop-web-1", "a");
        lines.add(&web);
        let mut shown = lines.lines(&unit(&web), b"\x1b[2J\x1b[31mred\n10%\r20%\r\n");
        shown.extend(lines.lines(&unit(&web), &vec![b'x'; MAX_HELD + 1]));
        let expected = format!(
            "web-1  | \x1b[31mred\x1b[0m\nweb-1  | 20%\nweb-1  | {}\n",
            "x".repeat(MAX_HELD + 1)
        );
        assert_eq!(String::from_utf8(shown).unwrap(), expected);
    }

    #[test]
    fn without_prefixes_lines_are_bare() {
        let style = LogStyle {
            colours: false,
            prefixes: false,
        };
        let mut lines = Lines {
            on_terminal: false,
            ..Lines::new(Stream::Stdout, style)
        };
        let web = state("shop-web-1", "a");
        lines.add(&web);
        assert_eq!(lines.lines(&unit(&web), b"one\n"), b"one\n");
    }

    #[test]
    fn the_end_of_a_container_is_told() {
        let mut web = state("shop-web-1", "a");
        assert_eq!(exit_line(&web), "web-1 exited\n");
        web.set_stopped(Some(3));
        assert_eq!(exit_line(&web), "web-1 exited with code 3\n");
    }
}
