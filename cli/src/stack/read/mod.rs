//! From the tree to typed data, finding every problem before giving up.
//!
//! A reader asks a mapping for the keys it knows ([`Fields::get`]); what nobody asked
//! for is then a key that Coop does not support yet or that nobody knows. So the keys
//! that are accepted are exactly the keys that are read.

mod deploy;
mod grants;
mod instances;
mod isolation;
mod keys;
mod logging;
mod mount;
mod network;
mod networking;
mod scalar;
mod service;
mod top;

use super::diagnostic::Diagnostic;
use super::node::{Map, Node};
use super::path::NodePath;
use super::value::ParseError;
use indexmap::IndexMap;
use std::str::FromStr;

pub(super) use keys::nearest;
pub(super) use top::{name, stack};

/// A value, and where it is.
#[derive(Clone)]
pub(super) struct At<'n> {
    node: &'n Node,
    path: NodePath,
}

/// Something that a value of the file can be.
trait Read: Sized {
    /// Reads the value at `at`; reports why it cannot be read and returns `None`.
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self>;
}

/// What was found wrong so far.
#[derive(Default)]
pub(super) struct Problems {
    /// What makes the file unusable.
    pub(super) errors: Vec<Diagnostic>,
    /// What the user should know.
    pub(super) warnings: Vec<Diagnostic>,
    /// How many ports are published so far: a range is a few bytes and many ports.
    ports: usize,
}

impl<'n> At<'n> {
    pub(super) fn root(node: &'n Node) -> Self {
        Self {
            node,
            path: NodePath::root(),
        }
    }

    fn key(&self, key: &str, node: &'n Node) -> Self {
        Self {
            node,
            path: self.path.key(key),
        }
    }

    fn item(&self, index: usize, node: &'n Node) -> Self {
        Self {
            node,
            path: self.path.index(index),
        }
    }

    fn items(&self) -> Option<Vec<At<'n>>> {
        let Node::List(list) = self.node else {
            return None;
        };
        Some(
            list.iter()
                .enumerate()
                .map(|(index, node)| self.item(index, node))
                .collect(),
        )
    }

    fn entries(&self) -> Option<Vec<(&'n str, At<'n>)>> {
        let Node::Map(map) = self.node else {
            return None;
        };
        Some(
            map.iter()
                .map(|(key, node)| (key.as_str(), self.key(key, node)))
                .collect(),
        )
    }

    /// Parses the text of a string, number or boolean.
    fn parse<T: FromStr<Err = ParseError>>(&self, expected: &str, out: &mut Problems) -> Option<T> {
        let Some(text) = self.node.scalar() else {
            return out.wrong_type(self, expected);
        };
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => out.invalid(self, &text, &error),
        }
    }
}

/// How many problems are looked for: a file that is wrong all over must not take long.
const ENOUGH: usize = 200;

impl Problems {
    /// Whether there are more problems already than anyone will read.
    pub(super) fn enough(&self) -> bool {
        self.errors.len() >= ENOUGH
    }

    /// The value is of the wrong kind.
    fn wrong_type<T>(&mut self, at: &At<'_>, expected: &str) -> Option<T> {
        let (subject, within) = (at.path.subject(), at.path.within());
        let found = at.node.describe();
        let message = if within.is_empty() {
            format!("{subject}expected {expected}, found {found}")
        } else {
            format!("{subject}`{within}` must be {expected}, not {found}")
        };
        self.errors.push(Diagnostic::at(at.path.clone(), message));
        None
    }

    /// The value is of the right kind and still wrong.
    fn invalid<T>(&mut self, at: &At<'_>, text: &str, error: &ParseError) -> Option<T> {
        let (subject, within) = (at.path.subject(), at.path.within());
        // A long text is seen in the line that is shown.
        let text = if text.len() > 60 {
            String::new()
        } else {
            format!(" {text:?}")
        };
        let message = format!("{subject}invalid `{within}`{text}: {}", error.why);
        self.errors
            .push(Diagnostic::at(at.path.clone(), message).help(error.form));
        None
    }

    /// The value at `path` is wrong for another reason.
    fn error(&mut self, path: &NodePath, message: &str, help: Option<&str>) {
        let diagnostic = Diagnostic::at(path.clone(), format!("{}{message}", path.subject()));
        self.errors.push(match help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        });
    }
}

/// A mapping whose keys are read one by one.
struct Fields<'n> {
    at: At<'n>,
    map: &'n Map,
    read: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// Opens the mapping at `at`.
    fn open(at: At<'n>, expected: &str, out: &mut Problems) -> Option<Self> {
        match at.node {
            Node::Map(map) => Some(Self {
                at,
                map,
                read: Vec::new(),
            }),
            _ => out.wrong_type(&at, expected),
        }
    }

    fn path(&self, key: &str) -> NodePath {
        self.at.path.key(key)
    }

    /// The value of `key`; `None` when it is not there or empty.
    fn at(&mut self, key: &'static str) -> Option<At<'n>> {
        self.read.push(key);
        match self.map.get(key)? {
            Node::Null => None,
            node => Some(self.at.key(key, node)),
        }
    }

    /// The value of `key`, read.
    fn get<T: Read>(&mut self, key: &'static str, out: &mut Problems) -> Option<T> {
        T::read(self.at(key)?, out)
    }

    /// The value of `key`, parsed from its text.
    fn parse<T: FromStr<Err = ParseError>>(
        &mut self,
        key: &'static str,
        expected: &str,
        out: &mut Problems,
    ) -> Option<T> {
        self.at(key)?.parse(expected, out)
    }

    /// The value of `key`, or what an absent one means.
    fn or_default<T: Read + Default>(&mut self, key: &'static str, out: &mut Problems) -> T {
        self.get(key, out).unwrap_or_default()
    }

    /// All keys are read: reports the others, and returns the `x-` ones.
    /// `later` are the keys that compose has here and Coop does not support yet.
    fn finish(self, later: &[&'static str], out: &mut Problems) -> IndexMap<String, Node> {
        let mut extensions = IndexMap::new();
        for (key, value) in self.map {
            if self.read.contains(&key.as_str()) {
                continue;
            }
            if key.starts_with("x-") {
                extensions.insert(key.clone(), value.clone());
                continue;
            }
            if out.enough() {
                break;
            }
            out.errors
                .push(keys::unread(&self.at.path, key, &self.read, later));
        }
        extensions
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let Some(items) = at.items() else {
            return out.wrong_type(&at, "a list");
        };
        // An item that cannot be read has been reported; the file fails anyway.
        Some(
            items
                .into_iter()
                .filter_map(|item| T::read(item, out))
                .collect(),
        )
    }
}
