//! How output is cut into the texts of records.
//!
//! Where the cuts are depends on the bytes alone, not on how they came: whoever goes through
//! the same bytes again, after a kill, finds the same pieces.

use super::MAX_TEXT;

/// The length of the first piece of `bytes`: up to and with a `\n`, or 16 KiB of a longer line.
/// `None` when what is there has no end yet.
pub(super) fn first(bytes: &[u8]) -> Option<usize> {
    let window = &bytes[..bytes.len().min(MAX_TEXT)];
    if let Some(at) = window.iter().position(|&byte| byte == b'\n') {
        return Some(at + 1);
    }
    let next = bytes.get(MAX_TEXT)?;
    Some(character_boundary(window, *next))
}

/// How much of `text` to take so that no character is cut in two, when `next` follows.
fn character_boundary(text: &[u8], next: u8) -> usize {
    let continues = |byte: u8| byte & 0b1100_0000 == 0b1000_0000;
    if !continues(next) {
        return text.len();
    }
    // A character has at most three bytes after its first; more are no UTF-8 anyway.
    (text.len().saturating_sub(3)..text.len())
        .rev()
        .find(|&at| !continues(text[at]))
        .filter(|&at| at > 0)
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_is_a_piece_and_a_beginning_is_none() {
        assert_eq!(first(b"one\ntwo"), Some(4));
        assert_eq!(first(b"\n"), Some(1));
        assert_eq!(first(b"two"), None);
        assert_eq!(first(b""), None);
        assert_eq!(first(&vec![b'x'; MAX_TEXT]), None);
        assert_eq!(first(&vec![b'x'; MAX_TEXT + 1]), Some(MAX_TEXT));
    }

    #[test]
    fn a_character_is_not_cut_in_two() {
        let text = "€".repeat(MAX_TEXT);
        let cut = first(text.as_bytes()).unwrap();
        assert!(text.is_char_boundary(cut) && cut > MAX_TEXT - 3, "{cut}");
    }

    proptest! {
        #[test]
        fn more_bytes_never_move_a_cut(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            more in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            if let Some(cut) = first(&bytes) {
                prop_assert_eq!(first(&[bytes, more].concat()), Some(cut));
            }
        }
    }
}
