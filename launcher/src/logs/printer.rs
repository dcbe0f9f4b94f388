//! Logs as the user sees them.

use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::time::SystemTime;

use super::Record;
use crate::store::time;

/// Colours that can be told apart on dark and on light: cyan, yellow, green, magenta, blue,
/// and the bright ones of each.
const COLOURS: [u8; 10] = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94];

/// Puts the outputs of containers on one terminal, a line at a time.
///
/// ```
/// use coop_launcher::logs::Printer;
/// let mut printer = Printer::default();
/// let web = printer.add_prefixed("web-1", "web");
/// let db = printer.add_prefixed("db-1", "db");
/// let mut out = Vec::new();
/// printer.print(web, None, b"ready\n", &mut out);
/// printer.print(db, None, b"ready\n", &mut out);
/// assert_eq!(out, b"web-1  | ready\ndb-1   | ready\n");
/// ```
#[derive(Debug, Default)]
pub struct Printer {
    sources: Vec<Prefix>,
    /// Services in the order in which they came: each has its colour.
    services: Vec<String>,
    width: usize,
    colours: bool,
    timestamps: bool,
    /// Whose line is not at its end.
    open_line: Option<usize>,
}

#[derive(Debug)]
enum Prefix {
    None,
    Label { text: String, colour: u8 },
}

impl Printer {
    /// Shows each service's prefix in a colour of its own: see [`colours_wanted`].
    #[must_use]
    pub fn with_colours(mut self) -> Self {
        self.colours = true;
        self
    }

    /// Shows the time before each line.
    #[must_use]
    pub fn with_timestamps(mut self) -> Self {
        self.timestamps = true;
        self
    }

    /// A container whose output is shown as it is; returns the number to print by.
    pub fn add_plain(&mut self) -> usize {
        self.sources.push(Prefix::None);
        self.sources.len() - 1
    }

    /// A container whose lines begin with `label`; the containers of one service share a
    /// colour. Returns the number to print by.
    pub fn add_prefixed(&mut self, label: &str, service: &str) -> usize {
        let known = self.services.iter().position(|known| known == service);
        let place = known.unwrap_or_else(|| {
            self.services.push(service.to_owned());
            self.services.len() - 1
        });
        self.width = self.width.max(label.chars().count());
        self.sources.push(Prefix::Label {
            text: label.to_owned(),
            colour: COLOURS[place % COLOURS.len()],
        });
        self.sources.len() - 1
    }

    /// Appends a record as it is to be shown.
    pub fn print_record(&mut self, source: usize, record: &Record, out: &mut Vec<u8>) {
        self.print(source, Some(record.time), record.log.as_bytes(), out);
    }

    /// Appends output that came just now from a container, at `time`, which
    /// [`with_timestamps`](Self::with_timestamps) shows.
    ///
    /// A line may come in pieces. When another container has something to say in between, the
    /// piece gets a line of its own.
    pub fn print(
        &mut self,
        source: usize,
        time: Option<SystemTime>,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            if self.open_line != Some(source) {
                if self.open_line.is_some() {
                    out.push(b'\n');
                }
                self.begin_line(source, time, out);
            }
            out.extend_from_slice(piece);
            self.open_line = (!piece.ends_with(b"\n")).then_some(source);
        }
    }

    fn begin_line(&self, source: usize, at: Option<SystemTime>, out: &mut Vec<u8>) {
        if let Some(Prefix::Label { text, colour }) = self.sources.get(source) {
            let prefix = format!("{text:<width$}  | ", width = self.width);
            let prefix = if self.colours {
                format!("\x1b[{colour}m{prefix}\x1b[0m")
            } else {
                prefix
            };
            out.extend_from_slice(prefix.as_bytes());
        }
        if let (true, Some(at)) = (self.timestamps, at) {
            out.extend_from_slice(time::format(at).as_bytes());
            out.push(b' ');
        }
    }
}

/// Whether to colour what goes to `output`: a terminal that is not `dumb`, and no
/// `NO_COLOR` in the environment (<https://no-color.org>).
pub fn colours_wanted(output: impl AsFd) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !set("NO_COLOR") && !dumb && output.as_fd().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(printer: &mut Printer, prints: &[(usize, &str)]) -> String {
        let mut out = Vec::new();
        for (source, text) in prints {
            printer.print(
                *source,
                Some(SystemTime::UNIX_EPOCH),
                text.as_bytes(),
                &mut out,
            );
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn prefixes_line_up_as_compose_has_them() {
        let mut printer = Printer::default();
        printer.add_prefixed("web-1", "web");
        printer.add_prefixed("database-1", "database");
        assert_eq!(
            shown(&mut printer, &[(0, "one\ntwo\n"), (1, "three\n")]),
            "web-1       | one\nweb-1       | two\ndatabase-1  | three\n"
        );
    }

    #[test]
    fn a_line_in_pieces_is_one_line_unless_someone_interrupts() {
        let mut printer = Printer::default();
        printer.add_prefixed("aa", "a");
        printer.add_prefixed("bb", "b");
        assert_eq!(shown(&mut printer, &[(0, "x"), (0, "y\n")]), "aa  | xy\n");
        assert_eq!(
            shown(&mut printer, &[(0, "x"), (1, "z\n"), (0, "y\n")]),
            "aa  | x\nbb  | z\naa  | y\n"
        );
    }

    #[test]
    fn containers_of_one_service_share_a_colour() {
        let mut printer = Printer::default().with_colours();
        for (label, service) in [("web-1", "web"), ("db-1", "db"), ("web-2", "web")] {
            printer.add_prefixed(label, service);
        }
        assert_eq!(
            shown(&mut printer, &[(0, "a\n"), (1, "b\n"), (2, "c\n")]),
            "\x1b[36mweb-1  | \x1b[0ma\n\x1b[33mdb-1   | \x1b[0mb\n\x1b[36mweb-2  | \x1b[0mc\n"
        );
    }

    #[test]
    fn one_container_alone_is_shown_as_it_is() {
        let mut printer = Printer::default();
        printer.add_plain();
        assert_eq!(shown(&mut printer, &[(0, "a\r\nb"), (0, "c")]), "a\r\nbc");
    }

    #[test]
    fn timestamps_stand_once_before_each_line() {
        let mut printer = Printer::default().with_timestamps();
        printer.add_prefixed("a1", "a");
        assert_eq!(
            shown(&mut printer, &[(0, "x"), (0, "y\nz\n")]),
            "a1  | 1970-01-01T00:00:00.000000000Z xy\na1  | 1970-01-01T00:00:00.000000000Z z\n"
        );
    }

    #[test]
    fn no_colour_into_a_pipe() {
        let (reader, _writer) = rustix::pipe::pipe().unwrap();
        assert!(!colours_wanted(&reader));
    }
}
