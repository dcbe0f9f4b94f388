//! `up` in the foreground: the lines of all containers on one terminal.

use std::collections::HashMap;

use coop_launcher::logs::{Printer, Stream, colours_wanted};
use coop_launcher::store::{ContainerId, State};
use coop_launcher::supervisor::{Report, Show, UnitSpec};

use super::label;
use super::progress::Progress;
use super::stream::{Sink, descriptor};
use crate::command::up::Failures;

/// A line that is longer is shown in pieces.
const MAX_HELD: usize = 64 * 1024;

/// Shows what happens to a stack and what its containers write.
pub(crate) struct StackOutput {
    /// What could not be started.
    pub(crate) failures: Failures,
    progress: Progress,
    stdout: Lines,
    stderr: Lines,
}

impl StackOutput {
    /// Nothing has happened yet.
    pub(crate) fn new() -> Self {
        Self {
            failures: Failures::default(),
            progress: Progress::new(),
            stdout: Lines::new(Stream::Stdout),
            stderr: Lines::new(Stream::Stderr),
        }
    }

    fn both(&mut self) -> [&mut Lines; 2] {
        [&mut self.stdout, &mut self.stderr]
    }
}

impl Show for StackOutput {
    fn report(&mut self, report: &Report) {
        self.failures.note(report);
        match report {
            Report::Created(state) | Report::Started(state) | Report::Health(state) => {
                for lines in self.both() {
                    lines.add(state);
                }
                self.progress.report(report);
            }
            Report::Exited(state) => {
                for lines in self.both() {
                    lines.end(&state.id);
                }
                self.stdout.to.write(exit_line(state).as_bytes());
            }
            _ => {}
        }
    }

    fn output(&mut self, unit: &UnitSpec, stream: Stream, bytes: &[u8]) {
        let lines = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        lines.take(unit, bytes);
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
    sources: HashMap<ContainerId, Source>,
}

struct Source {
    /// What the printer knows it by.
    number: usize,
    /// The beginning of a line.
    held: Vec<u8>,
}

impl Lines {
    fn new(stream: Stream) -> Self {
        let printer = Printer::default();
        let coloured = colours_wanted(descriptor(stream));
        Self {
            to: Sink::new(stream),
            printer: if coloured {
                printer.with_colours()
            } else {
                printer
            },
            sources: HashMap::new(),
        }
    }

    fn add(&mut self, state: &State) {
        let printer = &mut self.printer;
        self.sources.entry(state.id.clone()).or_insert_with(|| {
            let label = label(state.name.as_str(), state.stack.as_str());
            let service = state.service.as_deref().unwrap_or(label);
            Source {
                number: printer.add_prefixed(label, service),
                held: Vec::new(),
            }
        });
    }

    fn take(&mut self, unit: &UnitSpec, bytes: &[u8]) {
        let shown = self.lines(unit, bytes);
        self.to.write(&shown);
    }

    /// The lines that are complete with these bytes.
    fn lines(&mut self, unit: &UnitSpec, bytes: &[u8]) -> Vec<u8> {
        let printer = &mut self.printer;
        let source = self
            .sources
            .entry(unit.id.clone())
            .or_insert_with(|| Source {
                number: printer.add_prefixed(&unit.name, &unit.name),
                held: Vec::new(),
            });
        source.held.extend_from_slice(bytes);
        let complete = match source.held.iter().rposition(|&byte| byte == b'\n') {
            Some(end) => end + 1,
            None if source.held.len() > MAX_HELD => source.held.len(),
            None => 0,
        };
        let mut shown = Vec::new();
        printer.print(source.number, None, &source.held[..complete], &mut shown);
        source.held.drain(..complete);
        shown
    }

    fn end(&mut self, id: &ContainerId) {
        let shown = self.last_line(id);
        self.to.write(&shown);
    }

    /// The line that the container did not end.
    fn last_line(&mut self, id: &ContainerId) -> Vec<u8> {
        let mut shown = Vec::new();
        if let Some(source) = self.sources.get_mut(id)
            && !source.held.is_empty()
        {
            let mut line = std::mem::take(&mut source.held);
            line.push(b'\n');
            self.printer.print(source.number, None, &line, &mut shown);
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

    #[test]
    fn lines_of_several_containers_are_whole_and_carry_their_names() {
        let mut lines = Lines::new(Stream::Stdout);
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
        let mut lines = Lines::new(Stream::Stdout);
        let web = state("shop-web-1", "a");
        lines.add(&web);
        let shown = lines.lines(&unit(&web), &vec![b'x'; MAX_HELD + 1]);
        assert_eq!(shown.len(), "web-1  | ".len() + MAX_HELD + 1);
        assert_eq!(lines.lines(&unit(&web), b"y\n"), b"y\n");
    }

    #[test]
    fn the_end_of_a_container_is_told() {
        let mut web = state("shop-web-1", "a");
        assert_eq!(exit_line(&web), "web-1 exited\n");
        web.set_stopped(Some(3));
        assert_eq!(exit_line(&web), "web-1 exited with code 3\n");
    }
}
