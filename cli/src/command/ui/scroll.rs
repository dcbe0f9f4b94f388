//! A text of which a part is seen.

use std::cell::Cell;
use std::collections::VecDeque;

/// Lines that are kept.
const MOST: usize = 5000;

/// Lines, and where in them the user is.
#[derive(Debug, Default)]
pub(super) struct Scroll {
    lines: VecDeque<String>,
    /// Lines below the last one that is seen; with `from_end` only.
    below: usize,
    /// Whether what is added at the end comes into view.
    from_end: bool,
    /// Lines seen at the last look: a page.
    height: Cell<usize>,
}

impl Scroll {
    /// An empty text whose beginning is seen.
    pub(super) fn at_beginning() -> Self {
        Self::default()
    }

    /// An empty text whose end is seen.
    pub(super) fn at_end() -> Self {
        Self {
            from_end: true,
            ..Self::default()
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Forgets all lines.
    pub(super) fn clear(&mut self) {
        self.lines.clear();
        self.below = 0;
    }

    /// Adds a line at the end; who has scrolled up keeps what he reads in view.
    pub(super) fn push(&mut self, line: String) {
        if self.lines.len() == MOST {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
        if !self.from_end || self.below > 0 {
            self.below = (self.below + 1).min(self.lines.len());
        }
    }

    /// A page: as much as was seen last.
    pub(super) fn page(&self) -> usize {
        self.height.get().max(1)
    }

    pub(super) fn up(&mut self, lines: usize) {
        self.below = (self.below + lines).min(self.furthest());
    }

    pub(super) fn down(&mut self, lines: usize) {
        // Before anything was added, the beginning may be further than a page.
        self.below = self.below.min(self.furthest()).saturating_sub(lines);
    }

    pub(super) fn go_to_beginning(&mut self) {
        self.below = self.lines.len();
    }

    pub(super) fn go_to_end(&mut self) {
        self.below = 0;
    }

    fn furthest(&self) -> usize {
        self.lines.len().saturating_sub(self.page())
    }

    /// The lines that so many rows show.
    pub(super) fn seen(&self, height: usize) -> impl Iterator<Item = &str> {
        self.height.set(height);
        let below = self.below.min(self.lines.len().saturating_sub(height));
        let end = self.lines.len() - below;
        self.lines
            .range(end.saturating_sub(height)..end)
            .map(String::as_str)
    }

    /// Lines below those that are seen.
    pub(super) fn below(&self) -> usize {
        self.below.min(self.furthest())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(mut scroll: Scroll, lines: usize) -> Scroll {
        for line in 0..lines {
            scroll.push(line.to_string());
        }
        scroll
    }

    fn seen(scroll: &Scroll) -> Vec<&str> {
        scroll.seen(3).collect()
    }

    #[test]
    fn a_log_follows_its_end_until_one_scrolls_up() {
        let mut log = filled(Scroll::at_end(), 10);
        assert_eq!(seen(&log), ["7", "8", "9"]);
        log.up(2);
        assert_eq!(seen(&log), ["5", "6", "7"]);
        log.push("10".into());
        assert_eq!(seen(&log), ["5", "6", "7"]);
        assert_eq!(log.below(), 3);
        log.up(100);
        assert_eq!(seen(&log), ["0", "1", "2"]);
        log.down(1);
        assert_eq!(seen(&log), ["1", "2", "3"]);
        log.go_to_end();
        log.push("11".into());
        assert_eq!(seen(&log), ["9", "10", "11"]);
    }

    #[test]
    fn a_document_is_read_from_its_beginning() {
        let mut text = filled(Scroll::at_beginning(), 10);
        assert_eq!(seen(&text), ["0", "1", "2"]);
        text.down(1);
        assert_eq!(seen(&text), ["1", "2", "3"]);
        text.down(100);
        assert_eq!(seen(&text), ["7", "8", "9"]);
        assert_eq!(filled(Scroll::at_beginning(), 2).seen(5).count(), 2);
    }

    #[test]
    fn old_lines_go() {
        let log = filled(Scroll::at_end(), MOST + 10);
        assert_eq!(log.lines.len(), MOST);
        assert_eq!(log.lines[0], "10");
    }
}
