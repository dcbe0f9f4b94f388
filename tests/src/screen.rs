//! What a user sees who runs a command on a terminal.

use std::time::Instant;

use rustix::termios::Termios;

use crate::{Cmd, Output, Running};

/// A command on a terminal, with the characters that the terminal shows.
pub struct Screen<'h> {
    running: Running<'h>,
    terminal: vt100::Parser,
    /// How much of what was written the terminal has had.
    shown: usize,
}

impl<'h> Screen<'h> {
    /// Starts the command on a terminal of its own.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn of(command: Cmd<'h>, columns: u16, rows: u16) -> Self {
        let size = |size: u16| size.try_into().expect("a terminal has a size");
        Self {
            running: command.pty(columns, rows),
            terminal: vt100::Parser::new(size(rows), size(columns), 1000),
            shown: 0,
        }
    }

    /// The lines on the screen, without the blanks at their ends.
    pub fn lines(&mut self) -> Vec<String> {
        self.show();
        let screen = self.terminal.screen();
        let (_, columns) = screen.size();
        screen
            .rows(0, columns.into())
            .map(|line| line.trim_end().to_owned())
            .collect()
    }

    /// The screen as one text.
    pub fn text(&mut self) -> String {
        self.lines().join("\n").trim_end().to_owned()
    }

    /// Waits until the screen is as asked for, and returns it.
    ///
    /// # Panics
    /// When the command takes too long, or ends before; `what` says what was waited for.
    #[track_caller]
    pub fn wait_until(&mut self, what: &str, looks: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + self.running.patience();
        loop {
            // Before the look: what it wrote last counts.
            let ended = self.running.ended();
            let text = self.text();
            if looks(&text) {
                return text;
            }
            assert!(!ended, "the command ended without: {what}\n{text}");
            assert!(Instant::now() < deadline, "waited in vain: {what}\n{text}");
        }
    }

    /// Waits until the screen shows `text`.
    ///
    /// # Panics
    /// As [`wait_until`](Self::wait_until).
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        self.wait_until(text, |screen| screen.contains(text))
    }

    /// Waits until the command has ended; its terminal is still there to be looked at.
    ///
    /// # Panics
    /// When it takes too long.
    #[track_caller]
    pub fn wait_until_ended(&mut self) {
        crate::wait_until("the command ends", || {
            self.show();
            self.running.ended()
        });
        // What it wrote last.
        self.show();
    }

    /// Types `keys`.
    pub fn send(&mut self, keys: &str) {
        self.running.send(keys);
    }

    /// Makes the window another size.
    ///
    /// # Panics
    /// When the command has ended.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.running.resize(columns, rows);
        let size = |size: u16| size.try_into().expect("a terminal has a size");
        self.terminal
            .screen_mut()
            .set_size(size(rows), size(columns));
    }

    /// Whether a full-screen program has the screen for itself.
    pub fn is_alternate(&mut self) -> bool {
        self.show();
        self.terminal.screen().alternate_screen()
    }

    /// Whether the cursor is hidden.
    pub fn hides_cursor(&mut self) -> bool {
        self.show();
        self.terminal.screen().hide_cursor()
    }

    /// The terminal's settings, to compare before and after.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn settings(&self) -> String {
        let terminal = self.running.stdin.as_ref().expect("a terminal");
        let settings: Termios = rustix::termios::tcgetattr(terminal).expect("its settings");
        format!("{settings:?}")
    }

    /// All that the command has written, with its escape sequences.
    pub fn raw(&mut self) -> String {
        String::from_utf8_lossy(self.running.written()).into_owned()
    }

    /// The command itself.
    pub fn running(&mut self) -> &mut Running<'h> {
        &mut self.running
    }

    /// Waits for the end of the command.
    ///
    /// # Panics
    /// When it takes too long.
    #[track_caller]
    pub fn wait(self) -> Output {
        self.running.wait()
    }

    fn show(&mut self) {
        let written = self.running.written();
        self.terminal.process(&written[self.shown..]);
        self.shown = written.len();
    }
}
