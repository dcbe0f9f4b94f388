//! Keys, as a terminal sends them.

/// What the user pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Enter,
    Escape,
    Backspace,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    /// Ctrl-C.
    Interrupt,
}

/// The keys of one read. What is none of these is passed over.
pub(super) fn keys(bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    let text = String::from_utf8_lossy(bytes);
    let mut rest = &text[..];
    while let Some(c) = rest.chars().next() {
        let (key, length) = match c {
            '\x1b' => escape(rest),
            '\r' | '\n' => (Some(Key::Enter), 1),
            '\x7f' | '\x08' => (Some(Key::Backspace), 1),
            '\x03' => (Some(Key::Interrupt), 1),
            c if c.is_control() || c == char::REPLACEMENT_CHARACTER => (None, c.len_utf8()),
            c => (Some(Key::Char(c)), c.len_utf8()),
        };
        keys.extend(key);
        rest = &rest[length..];
    }
    keys
}

/// A key that sends a sequence, or the escape key itself, behind which nothing comes at once.
fn escape(rest: &str) -> (Option<Key>, usize) {
    let mut bytes = rest.bytes().skip(1);
    match bytes.next() {
        None | Some(0x1b) => return (Some(Key::Escape), 1),
        Some(b'[' | b'O') => {}
        // Alt and a key.
        Some(_) => {
            let key = rest.chars().nth(1).map_or(0, char::len_utf8);
            return (None, 1 + key);
        }
    }
    let parameters = bytes.clone().take_while(|byte| (0x20..0x40).contains(byte));
    let length = parameters.clone().count();
    let parameters: Vec<_> = parameters.collect();
    let Some(last) = bytes.nth(length) else {
        return (None, rest.len());
    };
    if !last.is_ascii() {
        return (None, 2 + length);
    }
    let key = match (last, &parameters[..]) {
        (b'A', _) => Some(Key::Up),
        (b'B', _) => Some(Key::Down),
        (b'H', _) | (b'~', b"1" | b"7") => Some(Key::Home),
        (b'F', _) | (b'~', b"4" | b"8") => Some(Key::End),
        (b'~', b"5") => Some(Key::PageUp),
        (b'~', b"6") => Some(Key::PageDown),
        _ => None,
    };
    (key, 3 + length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sequences_are_keys_and_what_is_unknown_is_none() {
        assert_eq!(
            keys(b"a\x1b[A\x1b[6~\x1b[1;5Dx\x1bOB\r\x7f\x03\x1b"),
            [
                Key::Char('a'),
                Key::Up,
                Key::PageDown,
                Key::Char('x'),
                Key::Down,
                Key::Enter,
                Key::Backspace,
                Key::Interrupt,
                Key::Escape,
            ]
        );
        assert_eq!(keys("ä\x1bäb".as_bytes()), [Key::Char('ä'), Key::Char('b')]);
        assert_eq!(keys(b"\x1b["), []);
    }

    proptest! {
        #[test]
        fn no_input_is_too_strange(
            bytes in proptest::collection::vec(
                prop_oneof![any::<u8>(), Just(0x1b), Just(b'['), Just(b'~')], 0..40)
        ) {
            let _ = keys(&bytes);
        }
    }
}
