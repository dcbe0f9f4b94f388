//! What a container wrote, as it may stand on the user's terminal beside other lines.

/// What becomes of colours and bold print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Styles {
    /// They stay, and end with the line.
    Kept,
    /// They go as well, and tabs become blanks: for a place of known width.
    Dropped,
}

/// One line without its end. Nothing in it moves the cursor, clears the screen, renames the
/// window or switches the character set; of a line that was written over (`10%\r20%`) the last
/// state is left, as a terminal of its own would show it.
pub(crate) fn screen_text(bytes: &[u8], styles: Styles) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown = Shown::default();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\r' => shown.overwritten = true,
            '\x1b' => escape(&mut rest, styles, &mut shown),
            '\u{9b}' => control_sequence(&mut rest, styles, &mut shown),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut rest),
            '\t' if styles == Styles::Dropped => {
                shown.push(' ');
                while !shown.width.is_multiple_of(8) {
                    shown.push(' ');
                }
            }
            '\t' => shown.push('\t'),
            c if c.is_control() => {}
            c => shown.push(c),
        }
    }
    if shown.styled {
        shown.text.push_str("\x1b[0m");
    }
    shown.text
}

#[derive(Debug, Default)]
struct Shown {
    text: String,
    /// In characters.
    width: usize,
    /// The cursor is back at the beginning: the next character replaces what is there.
    overwritten: bool,
    /// A colour is set.
    styled: bool,
}

impl Shown {
    fn push(&mut self, c: char) {
        if self.overwritten {
            *self = Self::default();
        }
        self.text.push(c);
        self.width += 1;
    }
}

/// What stands behind an ESC: ECMA-48, 5.3 and 5.4.
fn escape(rest: &mut std::str::Chars<'_>, styles: Styles, shown: &mut Shown) {
    let mut ahead = rest.clone();
    match ahead.next() {
        Some('[') => {
            *rest = ahead;
            control_sequence(rest, styles, shown);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            *rest = ahead;
            skip_string(rest);
        }
        // With intermediate characters, such as the choice of a character set.
        Some(' '..='/') => {
            while matches!(ahead.clone().next(), Some(' '..='/')) {
                ahead.next();
            }
            ahead.next();
            *rest = ahead;
        }
        Some('0'..='~') => *rest = ahead,
        _ => {}
    }
}

/// Parameters, intermediates, one final character; only colours (`m`) may stay.
fn control_sequence(rest: &mut std::str::Chars<'_>, styles: Styles, shown: &mut Shown) {
    let parameters: String = rest
        .clone()
        .take_while(|c| matches!(c, ' '..='?'))
        .collect();
    let mut ahead = rest.clone();
    ahead.nth(parameters.len().wrapping_sub(1));
    if parameters.is_empty() {
        ahead = rest.clone();
    }
    let last = ahead.next();
    if !matches!(last, Some('@'..='~')) {
        // Broken off: what stands here is text again.
        for _ in parameters.chars() {
            rest.next();
        }
        return;
    }
    *rest = ahead;
    let is_style = last == Some('m')
        && parameters
            .chars()
            .all(|c| c.is_ascii_digit() || c == ';' || c == ':');
    if is_style && styles == Styles::Kept {
        if shown.overwritten {
            *shown = Shown::default();
        }
        shown.text.push_str("\x1b[");
        shown.text.push_str(&parameters);
        shown.text.push('m');
        shown.styled = !matches!(parameters.as_str(), "" | "0");
    }
}

/// Up to its terminator: BEL, or ESC and a backslash. One that is not ended takes the line.
fn skip_string(rest: &mut std::str::Chars<'_>) {
    while let Some(c) = rest.next() {
        match c {
            '\x07' | '\u{9c}' => return,
            '\x1b' => {
                if rest.clone().next() == Some('\\') {
                    rest.next();
                }
                return;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kept(text: &str) -> String {
        screen_text(text.as_bytes(), Styles::Kept)
    }

    #[test]
    fn colours_stay_and_end_with_the_line() {
        assert_eq!(
            kept("\x1b[1;31mred\x1b[0m plain"),
            "\x1b[1;31mred\x1b[0m plain"
        );
        assert_eq!(kept("\x1b[32mgreen"), "\x1b[32mgreen\x1b[0m");
    }

    #[test]
    fn nothing_moves_the_cursor_or_changes_the_terminal() {
        for (written, shown) in [
            ("a\x1b[2J\x1b[Hb", "ab"),
            ("\x1b[?1049hfull screen\x1b[?25l", "full screen"),
            ("\x1b]0;title\x07text", "text"),
            ("\x1b]0;title\x1b\\text", "text"),
            ("\x1bPdevice control\x1b\\text", "text"),
            ("\x1b(0lines\x1bc", "lines"),
            ("bell\x07 back\x08space", "bell backspace"),
            ("\u{9b}2Jc1", "c1"),
            ("cut off \x1b[", "cut off "),
            ("cut off \x1b[12", "cut off "),
            ("cut off \x1b", "cut off "),
            ("\x1b]never ended", ""),
            ("\x1b[>4;2mnot a colour", "not a colour"),
        ] {
            assert_eq!(kept(written), shown, "{written:?}");
        }
    }

    #[test]
    fn a_line_written_over_is_shown_as_it_was_left() {
        assert_eq!(kept("10%\r20%\r100%"), "100%");
        assert_eq!(kept("ends as in DOS\r"), "ends as in DOS");
    }

    #[test]
    fn for_a_place_of_known_width_there_are_only_characters() {
        let dropped = |text: &str| screen_text(text.as_bytes(), Styles::Dropped);
        assert_eq!(dropped("\x1b[31mred\x1b[0m"), "red");
        assert_eq!(dropped("a\tb"), "a       b");
    }

    #[test]
    fn what_is_no_utf8_is_shown_as_such() {
        assert_eq!(
            screen_text(b"\xff\x9b2J", Styles::Kept),
            "\u{fffd}\u{fffd}2J"
        );
    }

    proptest! {
        #[test]
        fn no_output_gets_control_of_the_terminal(
            bytes in proptest::collection::vec(
                prop_oneof![any::<u8>(), Just(0x1b), Just(b'['), Just(b'm'), Just(b'\r')], 0..60)
        ) {
            let plain = screen_text(&bytes, Styles::Dropped);
            prop_assert!(!plain.chars().any(char::is_control), "{plain:?}");
            let styled = screen_text(&bytes, Styles::Kept);
            for piece in styled.split('\x1b').skip(1) {
                let (sequence, _) = piece.split_once('m').expect("only colours");
                prop_assert!(sequence.starts_with('['));
                prop_assert!(sequence[1..].chars().all(|c| "0123456789;:".contains(c)));
            }
        }
    }
}
