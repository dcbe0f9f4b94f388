//! The keys that leave a container without ending it: Docker's `--detach-keys`.

use std::fmt;
use std::str::FromStr;

/// A sequence of keys, as bytes of a terminal.
///
/// Written as Docker does: letters and `ctrl-x` with commas between, such as
/// `ctrl-p,ctrl-q` or `a,ctrl-]`.
///
/// ```
/// # use coop_launcher::terminal::DetachKeys;
/// let keys: DetachKeys = "ctrl-p,q".parse().unwrap();
/// assert_eq!(keys.to_string(), "ctrl-p,q");
/// assert!("ctrl-ä".parse::<DetachKeys>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetachKeys(Vec<u8>);

/// Why a text is no sequence of keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no such key: '{0}'; write characters and ctrl-x with commas between, such as ctrl-p,ctrl-q"
)]
pub struct UnknownKey(String);

/// What follows `ctrl-` for the bytes 0 to 31: see ascii(7).
const CONTROL: &[u8] = b"@abcdefghijklmnopqrstuvwxyz[\\]^_";
const DEL: u8 = 127;

impl Default for DetachKeys {
    /// Docker's: `ctrl-p,ctrl-q`.
    fn default() -> Self {
        Self(vec![0x10, 0x11])
    }
}

impl FromStr for DetachKeys {
    type Err = UnknownKey;

    /// Nothing at all is the default, as with Docker.
    fn from_str(text: &str) -> Result<Self, UnknownKey> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        text.split(',').map(key).collect::<Result<_, _>>().map(Self)
    }
}

fn key(text: &str) -> Result<u8, UnknownKey> {
    let code = match (text.as_bytes(), text.strip_prefix("ctrl-")) {
        ([one], _) => Some(*one),
        (_, Some(letter)) => match letter.as_bytes() {
            [letter] => { CONTROL.iter() }
                .position(|known| known == letter)
                .and_then(|code| u8::try_from(code).ok()),
            _ => None,
        },
        (b"DEL", None) => Some(DEL),
        _ => None,
    };
    code.ok_or_else(|| UnknownKey(text.to_owned()))
}

impl fmt::Display for DetachKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, &code) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match CONTROL.get(usize::from(code)) {
                Some(letter) => write!(f, "ctrl-{}", char::from(*letter))?,
                None if code == DEL => f.write_str("DEL")?,
                None => write!(f, "{}", char::from(code))?,
            }
        }
        Ok(())
    }
}

/// Looks for the sequence in what is typed, however it comes in pieces. The beginning of a
/// sequence is held back until it is clear that it is none.
#[derive(Debug)]
pub(crate) struct KeyFilter {
    keys: DetachKeys,
    /// So many of the keys were typed and are held back.
    held: usize,
}

impl KeyFilter {
    pub(crate) fn new(keys: DetachKeys) -> Self {
        Self { keys, held: 0 }
    }

    /// Takes away from `typed` what is not for the container. Says whether the sequence is
    /// complete; what was typed behind it is lost.
    pub(crate) fn filter(&mut self, typed: &mut Vec<u8>) -> bool {
        let mut passed = Vec::with_capacity(typed.len() + self.held);
        for &byte in typed.iter() {
            // The longest end of what is held back that still begins the sequence.
            while self.held > 0 && byte != self.keys.0[self.held] {
                let shorter = self.border();
                passed.extend_from_slice(&self.keys.0[..self.held - shorter]);
                self.held = shorter;
            }
            if byte != self.keys.0[self.held] {
                passed.push(byte);
                continue;
            }
            self.held += 1;
            if self.held == self.keys.0.len() {
                self.held = 0;
                *typed = passed;
                return true;
            }
        }
        *typed = passed;
        false
    }

    /// What is held back, at the end of the input.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let rest = self.keys.0[..self.held].to_vec();
        self.held = 0;
        rest
    }

    /// Of what is held back, the longest proper end that is a beginning, too.
    fn border(&self) -> usize {
        let held = &self.keys.0[..self.held];
        (0..self.held)
            .rev()
            .find(|&length| held.ends_with(&held[..length]))
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(text: &str) -> DetachKeys {
        text.parse().unwrap()
    }

    #[test]
    fn keys_are_written_as_docker_does() {
        assert_eq!(keys("ctrl-p,ctrl-q"), DetachKeys::default());
        assert_eq!(keys(""), DetachKeys::default());
        assert_eq!(keys("a,ctrl-@,ctrl-_,DEL,Z").0, [b'a', 0, 31, 127, b'Z']);
        assert_eq!(keys("ctrl-[,ctrl-\\").0, [27, 28]);
        for wrong in ["ctrl-", "ctrl-P", "ctrl-pp", "control-p", "a,,b", "ä", "F1"] {
            let error = wrong.parse::<DetachKeys>().unwrap_err().to_string();
            assert!(error.starts_with("no such key: "), "{error}");
        }
    }

    /// What gets through of what is typed in these pieces, and whether the sequence was there.
    fn typed(keys: &str, pieces: &[&str]) -> (String, bool) {
        let mut filter = KeyFilter::new(keys.parse().unwrap());
        let mut passed = Vec::new();
        for piece in pieces {
            let mut bytes = piece.as_bytes().to_vec();
            let complete = filter.filter(&mut bytes);
            passed.extend(bytes);
            if complete {
                return (String::from_utf8(passed).unwrap(), true);
            }
        }
        passed.extend(filter.rest());
        (String::from_utf8(passed).unwrap(), false)
    }

    #[test]
    fn the_sequence_is_found_in_one_piece_and_in_several() {
        let found = ("ls".to_owned(), true);
        assert_eq!(typed("ctrl-p,ctrl-q", &["ls\x10\x11"]), found);
        assert_eq!(typed("ctrl-p,ctrl-q", &["l", "s\x10", "\x11lost"]), found);
        assert_eq!(typed("q", &["lsq"]), found);
        assert_eq!(typed("a,a,b", &["lsa", "a", "b"]), found);
    }

    #[test]
    fn what_only_begins_like_the_sequence_gets_through() {
        for pieces in [
            &["\x10ls\x11"][..],
            &["\x10", "ls\x11"],
            &["ls\x10\x10"],
            &["ls\x10", "\x10"],
        ] {
            assert_eq!(typed("ctrl-p,ctrl-q", pieces), (pieces.concat(), false));
        }
        assert_eq!(
            typed("ctrl-p,ctrl-q", &["\x10\x10\x11"]),
            ("\x10".into(), true)
        );
        assert_eq!(typed("a,a,b", &["aaa", "b"]), ("a".into(), true));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            keys in "[ab](,[ab]){0,3}",
            text in "[abc]{0,24}",
            cut in 0_usize..24,
        ) {
            let cut = cut.min(text.len());
            let whole = typed(&keys, &[&text]);
            prop_assert_eq!(&whole, &typed(&keys, &[&text[..cut], &text[cut..]]));
            let sequence = keys.replace(',', "");
            let expected = text.split_once(&sequence).map(|(before, _)| before.to_owned());
            let found = expected.is_some();
            prop_assert_eq!(whole, (expected.unwrap_or(text), found));
        }

        #[test]
        fn what_is_printed_reads_the_same(codes in proptest::collection::vec(0_u8..128, 1..5)) {
            let codes: Vec<u8> = codes.into_iter().filter(|&code| code != b',').collect();
            prop_assume!(!codes.is_empty());
            let keys = DetachKeys(codes);
            prop_assert_eq!(keys.to_string().parse::<DetachKeys>(), Ok(keys));
        }
    }
}
