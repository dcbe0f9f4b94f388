//! The user's terminal, all of it: taken, drawn upon, given back.

use std::fmt::Write;
use std::io;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use coop_launcher::logs::{Stream, colours_wanted};
use coop_launcher::terminal::RawMode;
use ratatui::backend::{Backend, ClearType, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use ratatui::style::{Color, Modifier};

use crate::ui::print_bytes;

/// The alternate screen, no cursor, and no line that goes on at the next one's beginning.
const TAKE: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
const GIVE_BACK: &[u8] = b"\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";

/// Whether the terminal has to be given back.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Has the terminal for itself until dropped, or until a panic.
#[derive(Debug)]
pub(super) struct FullScreen {
    _raw: RawMode,
}

impl FullScreen {
    /// Takes the terminal.
    pub(super) fn take() -> Result<Self> {
        static HOOK: Once = Once::new();
        let raw = RawMode::enter(std::io::stdin()).context("take the terminal")?;
        HOOK.call_once(|| {
            let previous = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                previous(panic);
            }));
        });
        TAKEN.store(true, Ordering::SeqCst);
        let taken = Self { _raw: raw };
        // A warning would end up in the middle of the picture.
        log::set_max_level(log::LevelFilter::Off);
        print_bytes(Stream::Stdout, TAKE)?;
        Ok(taken)
    }
}

impl Drop for FullScreen {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // One that was hung up meanwhile needs nothing any more.
        let _ = crate::ui::try_print_bytes(Stream::Stdout, GIVE_BACK);
    }
}

/// What ratatui draws on: everything of a frame is written at once.
#[derive(Debug)]
pub(super) struct Canvas {
    frame: String,
    coloured: bool,
}

impl Canvas {
    pub(super) fn new() -> Self {
        Self {
            frame: String::new(),
            coloured: colours_wanted(std::io::stdout()),
        }
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Into a string: cannot fail.
        let _ = self.frame.write_fmt(text);
    }

    /// `SELECT GRAPHIC RENDITION` of ECMA-48, from nothing.
    fn style(&mut self, cell: &Cell) {
        self.frame.push_str("\x1b[0");
        for (modifier, code) in [
            (Modifier::BOLD, 1),
            (Modifier::DIM, 2),
            (Modifier::UNDERLINED, 4),
            (Modifier::REVERSED, 7),
        ] {
            if cell.modifier.contains(modifier) {
                self.put(format_args!(";{code}"));
            }
        }
        if self.coloured {
            if let Some(code) = colour(cell.fg) {
                self.put(format_args!(";{code}"));
            }
            if let Some(code) = colour(cell.bg) {
                self.put(format_args!(";{}", code + 10));
            }
        }
        self.frame.push('m');
    }
}

/// The code of a foreground; only the terminal's own colours are used, which its user chose.
fn colour(colour: Color) -> Option<u8> {
    Some(match colour {
        Color::Black => 30,
        Color::Red => 31,
        Color::Green => 32,
        Color::Yellow => 33,
        Color::Blue => 34,
        Color::Magenta => 35,
        Color::Cyan => 36,
        Color::Gray => 37,
        Color::DarkGray => 90,
        _ => return None,
    })
}

impl Backend for Canvas {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut cursor = None;
        let mut style = None;
        for (x, y, cell) in content {
            if cursor != Some((x, y)) {
                self.put(format_args!("\x1b[{};{}H", y + 1, x + 1));
            }
            let wanted = (cell.fg, cell.bg, cell.modifier);
            if style != Some(wanted) {
                self.style(cell);
                style = Some(wanted);
            }
            self.frame.push_str(cell.symbol());
            // What is wider than one column is followed by a jump.
            cursor = cell.symbol().is_ascii().then(|| (x + 1, y));
        }
        self.frame.push_str("\x1b[0m");
        Ok(())
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.frame.push_str("\x1b[?25l");
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.frame.push_str("\x1b[?25h");
        Ok(())
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(Position::ORIGIN)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        let Position { x, y } = position.into();
        self.put(format_args!("\x1b[{};{}H", y + 1, x + 1));
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.frame.push_str("\x1b[0m\x1b[2J");
        Ok(())
    }

    fn clear_region(&mut self, _: ClearType) -> io::Result<()> {
        self.clear()
    }

    fn size(&self) -> io::Result<Size> {
        let size = rustix::termios::tcgetwinsize(std::io::stdout())?;
        // A terminal that does not know has the size that they had first.
        Ok(match (size.ws_col, size.ws_row) {
            (0, _) | (_, 0) => Size::new(80, 24),
            (columns, rows) => Size::new(columns, rows),
        })
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize {
            columns_rows: self.size()?,
            pixels: Size::ZERO,
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        let frame = std::mem::take(&mut self.frame);
        Ok(crate::ui::try_print_bytes(
            Stream::Stdout,
            frame.as_bytes(),
        )?)
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::style::Stylize;
    use ratatui::widgets::Paragraph;

    use super::*;

    #[test]
    fn a_frame_is_what_the_terminal_shows() {
        let mut canvas = Canvas {
            frame: String::new(),
            coloured: true,
        };
        let buffer = {
            let backend = ratatui::backend::TestBackend::new(10, 2);
            let mut terminal = Terminal::new(backend).unwrap();
            let drawn = terminal
                .draw(|frame| {
                    let text = Paragraph::new("ok äöü\n│x│").red().bold();
                    frame.render_widget(text, frame.area());
                })
                .unwrap();
            drawn.buffer.clone()
        };
        let cells = buffer.content.iter().enumerate().map(|(index, cell)| {
            let (x, y) = buffer.pos_of(index);
            (x, y, cell)
        });
        canvas.draw(cells).unwrap();
        let mut terminal = vt100::Parser::new(2.try_into().unwrap(), 10.try_into().unwrap(), 0);
        terminal.process(canvas.frame.as_bytes());
        let rows: Vec<_> = terminal.screen().rows(0, 10).collect();
        assert_eq!([rows[0].trim_end(), rows[1].trim_end()], ["ok äöü", "│x│"]);
        let first = terminal.screen().cell(0, 0).unwrap();
        assert!(first.bold());
        assert_eq!(first.fgcolor(), vt100::Color::Idx(1));
    }
}
