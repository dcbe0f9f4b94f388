//! Values that are one scalar, or lists and mappings of scalars.

use super::super::node::Node;
use super::super::value::{
    ByteSize, Cpus, Duration, EnvEntry, Label, NetworkMode, ParseError, PidsLimit, Restart,
    RootfsMode, Signal, SwapLimit, TmpfsMount, UserSpec, UsernsMode, check_env_name,
};
use super::{At, Problems, Read};
use indexmap::IndexMap;
use std::path::PathBuf;

/// Reads types by their `FromStr`, from a string or a number.
macro_rules! read_by_parsing {
    ($($type:ty: $expected:literal,)*) => {
        $(impl Read for $type {
            fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
                at.parse($expected, out)
            }
        })*
    };
}
pub(super) use read_by_parsing;

read_by_parsing! {
    ByteSize: "a size",
    SwapLimit: "a size or -1",
    Cpus: "a number of processors",
    Duration: "a duration",
    PidsLimit: "a whole number",
    Restart: "a string",
    RootfsMode: "a string",
    Signal: "a string",
    NetworkMode: "a string",
    UsernsMode: "a string",
    UserSpec: "a string",
    TmpfsMount: "a string",
}

impl Read for String {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        match at.node {
            Node::String(text) if text.contains('\0') => {
                out.error(
                    &at.path,
                    &format!("`{}` holds a NUL byte", at.path.within()),
                    None,
                );
                None
            }
            Node::String(text) => Some(text.clone()),
            other => {
                let none = out.wrong_type(&at, "a string");
                if let (Some(text), Some(problem)) = (other.scalar(), out.errors.last_mut()) {
                    problem.help = Some(format!("write it in quotes: \"{text}\""));
                }
                none
            }
        }
    }
}

impl Read for PathBuf {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let path = at.path.clone();
        let text = String::read(at, out)?;
        if text.is_empty() {
            out.error(&path, &format!("`{}` is empty", path.within()), None);
            return None;
        }
        Some(text.into())
    }
}

impl Read for bool {
    /// A variable makes text of everything, so the usual words count as well.
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        match at.node {
            Node::Bool(value) => Some(*value),
            Node::String(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "y" | "1" => Some(true),
                "false" | "no" | "off" | "n" | "0" => Some(false),
                _ => out.wrong_type(&at, "true or false"),
            },
            _ => out.wrong_type(&at, "true or false"),
        }
    }
}

/// Whole numbers, also out of a variable.
macro_rules! read_integers {
    ($($type:ty),*) => {
        $(impl Read for $type {
            fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
                let value = at.node.scalar().and_then(|text| text.parse().ok());
                value.or_else(|| out.wrong_type(&at, whole(<$type>::MIN == 0)))
            }
        })*
    };
}

read_integers!(i32, u32, u64, i64);

fn whole(positive: bool) -> &'static str {
    if positive {
        "a whole number of 0 or more"
    } else {
        "a whole number"
    }
}

/// Words: a line split as a shell would, or a list.
pub(super) struct Words(pub(super) Vec<String>);

impl Read for Words {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        match at.node {
            Node::String(line) => {
                let words = if line.contains('\0') {
                    None
                } else {
                    shlex::split(line)
                };
                if words.is_none() {
                    let message = format!("`{}` has a quote that is not closed", at.path.within());
                    out.error(
                        &at.path,
                        &message,
                        Some("write it as a list: [\"program\", \"argument\"]"),
                    );
                }
                words.map(Self)
            }
            Node::List(_) => Vec::read(at, out).map(Self),
            _ => out.wrong_type(&at, "a string or a list of strings"),
        }
    }
}

/// One string, or a list of them.
pub(super) struct OneOrMany<T>(pub(super) Vec<T>);

impl<T: Read> Read for OneOrMany<T> {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        match at.node {
            Node::List(_) => Vec::read(at, out).map(Self),
            _ => T::read(at, out).map(|one| Self(vec![one])),
        }
    }
}

/// `environment`: a mapping, or a list of `NAME=VALUE`.
pub(super) struct Environment(pub(super) IndexMap<String, Option<String>>);

impl Read for Environment {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let mut map = IndexMap::new();
        if let Some(entries) = at.entries() {
            for (key, at) in entries {
                if let Err(error) = check_env_name(key) {
                    out.invalid::<()>(&at, key, &error);
                    continue;
                }
                match at.node {
                    Node::Null => {
                        map.insert(key.to_owned(), None);
                    }
                    node => match node.scalar() {
                        Some(value) if value.contains('\0') => {
                            out.error(&at.path, &format!("{key} holds a NUL byte"), None);
                        }
                        Some(value) => {
                            map.insert(key.to_owned(), Some(value));
                        }
                        None => {
                            out.wrong_type::<()>(&at, "a string, a number or nothing");
                        }
                    },
                }
            }
        } else if let Some(items) = at.items() {
            for item in items {
                if let Some(entry) = item.parse::<EnvEntry>("NAME=VALUE", out) {
                    map.insert(entry.key, entry.value);
                }
            }
        } else {
            return out.wrong_type(&at, "a mapping or a list of NAME=VALUE");
        }
        Some(Self(map))
    }
}

/// `labels`: a mapping, or a list of `NAME=VALUE`.
#[derive(Default)]
pub(super) struct Labels(pub(super) IndexMap<String, String>);

impl Read for Labels {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let mut map = IndexMap::new();
        if let Some(entries) = at.entries() {
            for (key, at) in entries {
                match at.node {
                    Node::Null => {
                        map.insert(key.to_owned(), String::new());
                    }
                    node => match node.scalar() {
                        Some(value) => {
                            map.insert(key.to_owned(), value);
                        }
                        None => {
                            out.wrong_type::<()>(&at, "a string");
                        }
                    },
                }
            }
        } else if let Some(items) = at.items() {
            for item in items {
                if let Some(label) = item.parse::<Label>("NAME=VALUE", out) {
                    map.insert(label.key, label.value);
                }
            }
        } else {
            return out.wrong_type(&at, "a mapping or a list of NAME=VALUE");
        }
        Some(Self(map))
    }
}

/// A host name of RFC 1123, which the kernel also takes: at most 64 bytes.
pub(super) struct Hostname(pub(super) String);

impl std::str::FromStr for Hostname {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        };
        if text.len() <= 64 && text.split('.').all(label) {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseError::new(
            "not a host name",
            "write letters, digits and -, at most 63 of them, such as web-1",
        ))
    }
}

impl Read for Hostname {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        at.parse("a string", out)
    }
}

/// A list of processors or memory nodes, `0-3,6`.
pub(super) struct CpuSet(pub(super) String);

impl std::str::FromStr for CpuSet {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let number = |text: &str| text.trim().parse::<u32>().ok();
        let part = |part: &str| match part.split_once('-') {
            Some((first, last)) => match (number(first), number(last)) {
                (Some(first), Some(last)) => first <= last,
                _ => false,
            },
            None => number(part).is_some(),
        };
        if text.split(',').all(part) {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseError::new(
            "not a list of processors",
            "write numbers and ranges such as 0-3,6",
        ))
    }
}

impl Read for CpuSet {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        at.parse("a string", out)
    }
}
