//! Lines that are written again in their place.

use std::fmt::Write;

/// Where the lines stand on the terminal: directly above the cursor, which is at the
/// beginning of a line of its own.
#[derive(Debug, Default)]
pub(super) struct Live {
    rows: usize,
    /// The window's width when they were written.
    columns: usize,
}

impl Live {
    /// Writes the lines in the place of those before. They must fit into the window, which is
    /// so wide.
    ///
    /// When the width has changed, each terminal has its own idea of what became of the lines:
    /// they stay as they are, and new ones are written below.
    pub(super) fn draw(&mut self, lines: &[String], columns: usize) -> String {
        let mut out = if self.columns == columns {
            self.begin()
        } else {
            "\r".to_owned()
        };
        for line in lines {
            out.push_str(line);
            out.push_str("\x1b[K\n");
        }
        out.push_str("\x1b[J");
        self.rows = lines.len();
        self.columns = columns;
        out
    }

    /// Takes the lines away, to make room for others.
    pub(super) fn erase(&mut self) -> String {
        let out = self.begin() + "\x1b[J";
        self.leave();
        out
    }

    /// Leaves the lines where they are.
    pub(super) fn leave(&mut self) {
        self.rows = 0;
    }

    fn begin(&self) -> String {
        let mut out = "\r".to_owned();
        if self.rows > 0 {
            // Into a string: cannot fail.
            let _ = write!(out, "\x1b[{}A", self.rows);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    /// What a terminal of 20 columns and 6 rows shows.
    fn screen(written: &str) -> String {
        let mut terminal = vt100::Parser::new(6.try_into().unwrap(), 20.try_into().unwrap(), 0);
        terminal.process(written.replace('\n', "\r\n").as_bytes());
        terminal.screen().contents()
    }

    #[test]
    fn lines_are_replaced_and_others_come_above() {
        let mut live = Live::default();
        let mut written = "before\n".to_owned();
        written += &live.draw(&lines(&["a Creating", "b Creating"]), 20);
        written += &live.draw(&lines(&["a Started", "b"]), 20);
        assert_eq!(screen(&written), "before\na Started\nb");
        written += &live.erase();
        written += "a log line\n";
        written += &live.draw(&lines(&["b Started"]), 20);
        assert_eq!(screen(&written), "before\na log line\nb Started");
        live.leave();
        written += &live.draw(&lines(&["c"]), 20);
        assert_eq!(screen(&written), "before\na log line\nb Started\nc");
    }

    #[test]
    fn after_a_change_of_the_width_nothing_is_overwritten() {
        let mut live = Live::default();
        let mut written = live.draw(&lines(&["one", "two"]), 20);
        written += &live.draw(&lines(&["one", "two"]), 10);
        assert_eq!(screen(&written), "one\ntwo\none\ntwo");
    }

    #[test]
    fn the_terminals_echo_of_a_key_does_not_stay() {
        let mut live = Live::default();
        let written = live.draw(&lines(&["one"]), 20) + "^C" + &live.draw(&lines(&["two"]), 20);
        assert_eq!(screen(&written), "two");
    }
}
