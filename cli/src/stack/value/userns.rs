//! How a container's user ids relate to the host's.

use super::{ParseError, serde_as_text};
use coop_ns::IdMapping;
use std::fmt;
use std::str::FromStr;

/// `userns_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UsernsMode {
    /// They are the host's: root inside is root outside.
    Host,
    /// The user that runs Coop has the same ids inside, or these; all others are as without it.
    KeepId {
        /// Its user id inside.
        uid: Option<u32>,
        /// Its group id inside.
        gid: Option<u32>,
    },
}

serde_as_text!(UsernsMode);

const MODES: &str =
    "write host, keep-id, keep-id:uid=N,gid=N, or nothing for a user namespace of its own";

impl FromStr for UsernsMode {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (mode, options) = match text.split_once(':') {
            Some((mode, options)) => (mode, Some(options)),
            None => (text, None),
        };
        match (mode, options) {
            ("host", None) => Ok(Self::Host),
            ("keep-id", None) => Ok(Self::KeepId {
                uid: None,
                gid: None,
            }),
            ("keep-id", Some(options)) => keep_id(options),
            _ => Err(ParseError::new(
                format!("{text:?} is not a user namespace mode"),
                MODES,
            )),
        }
    }
}

fn keep_id(options: &str) -> Result<UsernsMode, ParseError> {
    let (mut uid, mut gid) = (None, None);
    for option in options.split(',') {
        let (id, number) = match option.split_once('=') {
            Some(("uid", number)) => (&mut uid, number),
            Some(("gid", number)) => (&mut gid, number),
            _ => return Err(ParseError::new("not an option of keep-id", MODES)),
        };
        if id.is_some() {
            return Err(ParseError::new("an id is given twice", MODES));
        }
        *id = Some(number.parse().map_err(|_| out_of_range(MODES))?);
    }
    if [uid, gid].contains(&Some(u32::MAX)) {
        return Err(out_of_range(MODES));
    }
    Ok(UsernsMode::KeepId { uid, gid })
}

fn out_of_range(form: &'static str) -> ParseError {
    ParseError::new("the id is out of range", form)
}

impl fmt::Display for UsernsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::KeepId { uid, gid } => {
                f.write_str("keep-id")?;
                let ids = [("uid", uid), ("gid", gid)].into_iter();
                let given = ids.filter_map(|(kind, id)| Some((kind, (*id)?)));
                for (mark, (kind, id)) in [':', ','].into_iter().zip(given) {
                    write!(f, "{mark}{kind}={id}")?;
                }
                Ok(())
            }
        }
    }
}

/// A line of an id map in Podman's form, `CONTAINER:HOST:COUNT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IdMapLine(pub IdMapping);

serde_as_text!(IdMapLine);

const LINE: &str = "write CONTAINER:HOST:COUNT, such as 0:100000:65536";

impl FromStr for IdMapLine {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let numbers: Vec<u32> = text
            .split(':')
            .map(|number| match number.as_bytes().first() {
                Some(first) if first.is_ascii_digit() => number.parse().ok(),
                _ => None,
            })
            .collect::<Option<_>>()
            .ok_or_else(|| ParseError::new("not three numbers", LINE))?;
        let (container_id, host_id, size) = match numbers[..] {
            [container, host] => (container, host, 1),
            [container, host, count] => (container, host, count),
            _ => return Err(ParseError::new("not three numbers", LINE)),
        };
        if size == 0 {
            return Err(ParseError::new("it maps no id", LINE));
        }
        // The last number of all is no id: `u32::MAX` is the kernel's "none".
        let fits = |first: u32| first.checked_add(size).is_some();
        if !fits(container_id) || !fits(host_id) {
            return Err(out_of_range(LINE));
        }
        Ok(Self(IdMapping {
            container_id,
            host_id,
            size,
        }))
    }
}

impl fmt::Display for IdMapLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let IdMapping {
            container_id,
            host_id,
            size,
        } = self.0;
        write!(f, "{container_id}:{host_id}:{size}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn modes_read_back_as_written() {
        for mode in [
            "host",
            "keep-id",
            "keep-id:uid=7",
            "keep-id:gid=8",
            "keep-id:uid=7,gid=8",
        ] {
            assert_eq!(mode.parse::<UsernsMode>().unwrap().to_string(), mode);
        }
        for bad in [
            "",
            "private",
            "host:uid=1",
            "keep-id:",
            "keep-id:uid",
            "keep-id:uid=-1",
            "keep-id:uid=4294967295",
            "keep-id:uid=1,uid=2",
        ] {
            assert!(bad.parse::<UsernsMode>().is_err(), "{bad}");
        }
    }

    #[test]
    fn lines_of_a_map_are_podmans() {
        let line: IdMapLine = "0:100000:65536".parse().unwrap();
        assert_eq!(line.to_string(), "0:100000:65536");
        assert_eq!("5:7".parse::<IdMapLine>().unwrap().0.size, 1);
        for bad in [
            "",
            "0",
            "0:1:0",
            "0:1:2:3",
            "a:1:1",
            "+0:1:1",
            "u0:1:1",
            "0:@1:1",
            "0:4294967295:1",
            "4294967290:0:6",
            "0: 1:1",
        ] {
            assert!(bad.parse::<IdMapLine>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_line_or_an_error(text in "[0-9:+@u ]{0,24}") {
            if let Ok(line) = text.parse::<IdMapLine>() {
                prop_assert_eq!(line.to_string().parse::<IdMapLine>().unwrap(), line);
            }
        }
    }
}
