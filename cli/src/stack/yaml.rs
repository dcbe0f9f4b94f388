//! YAML text to a [`Node`] and back. The one module that knows the YAML library.
//!
//! The text is not trusted: its size, its depth and what its aliases expand to are
//! bounded, so that no file makes Coop use more than a few megabytes.

use super::diagnostic::Diagnostic;
use super::merge;
use super::node::{Map, Node};
use super::path::NodePath;
use serde::de::{DeserializeSeed, EnumAccess, Error, MapAccess, SeqAccess, Visitor};
use serde_yaml::Deserializer;
use std::fmt;

/// The most bytes of a stack file.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// The most values that a file may have after its aliases are expanded.
const MAX_NODES: usize = 200_000;

/// The most bytes of text that a file may have after its aliases are expanded.
const MAX_TEXT: usize = 8 << 20;

/// Reads a document, with anchors and merge keys applied.
///
/// # Errors
/// All duplicate keys and wrong merges, or the one error of syntax.
pub(crate) fn parse(text: &str) -> Result<Node, Vec<Diagnostic>> {
    if text.len() > MAX_BYTES {
        return Err(vec![Diagnostic::new(format!(
            "the stack file is larger than {} KiB",
            MAX_BYTES >> 10
        ))]);
    }
    let mut state = State::default();
    let tree = Tree {
        state: &mut state,
        path: NodePath::root(),
    };
    let mut node = match tree.deserialize(Deserializer::from_str(text)) {
        Ok(node) => node,
        // A file of comments only holds no document at all.
        Err(_) if blank(text) => Node::Null,
        Err(error) => return Err(vec![state.fatal.unwrap_or_else(|| syntax(&error, text))]),
    };
    merge::apply(&mut node, &NodePath::root(), &mut state.problems);
    if state.problems.is_empty() {
        Ok(node)
    } else {
        Err(state.problems)
    }
}

/// Writes a document.
pub(crate) fn to_string(node: &Node) -> Result<String, serde_yaml::Error> {
    serde_yaml::to_string(node)
}

/// Any serialisable value as a document; a variant of an enum is a key, as in JSON, not a tag.
///
/// # Errors
/// When it has something YAML has not.
pub(crate) fn document(value: &impl serde::Serialize) -> Result<String, serde_yaml::Error> {
    let mut out = Vec::new();
    let mut serializer = serde_yaml::Serializer::new(&mut out);
    serde_yaml::with::singleton_map_recursive::serialize(value, &mut serializer)?;
    drop(serializer);
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// Any serialisable value as a tree.
///
/// # Errors
/// When it has something YAML has not, such as a key that is no string.
pub(crate) fn to_node(value: &impl serde::Serialize) -> Result<Node, serde_yaml::Error> {
    let value = serde_yaml::to_value(value)?;
    let mut state = State::default();
    Tree {
        state: &mut state,
        path: NodePath::root(),
    }
    .deserialize(value)
}

fn blank(text: &str) -> bool {
    text.lines()
        .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
}

/// An error of the library as one of ours, at its place.
fn syntax(error: &serde_yaml::Error, text: &str) -> Diagnostic {
    let full = error.to_string();
    let (message, help) = match full.as_str() {
        "recursion limit exceeded" => ("values are nested too deeply", None),
        "repetition limit exceeded" => ("its aliases expand to too much", None),
        m if m.starts_with("recursion limit") => ("values are nested too deeply", None),
        m if m.contains("more than one document") => (
            "the file holds more than one YAML document",
            Some("keep what stands before the second ---"),
        ),
        m if m.contains("unknown anchor") => (
            "this alias has no anchor",
            Some("write &name before the value that *name is to repeat"),
        ),
        other => (other, None),
    };
    // The position is shown with the line, not in the sentence.
    let message = message.split(" at line ").next().unwrap_or(message);
    let message = format!("invalid YAML: {message}");
    let diagnostic = match error.location() {
        Some(at) => Diagnostic::at_position(at.line(), at.column(), message),
        None => Diagnostic::new(message),
    };
    let line = error
        .location()
        .and_then(|at| text.lines().nth(at.line() - 1));
    let tab = line.is_some_and(|line| line.trim_start_matches(' ').starts_with('\t'));
    match help {
        _ if tab => diagnostic.help("indent with spaces: YAML takes no tabs"),
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

/// What a whole document has used up so far, and what is wrong with it.
#[derive(Default)]
struct State {
    nodes: usize,
    text: usize,
    problems: Vec<Diagnostic>,
    /// Why reading stopped, when it was not the library that stopped it.
    fatal: Option<Diagnostic>,
}

/// Builds the value at `path`.
struct Tree<'a> {
    state: &'a mut State,
    path: NodePath,
}

impl Tree<'_> {
    fn spend<E: Error>(&mut self, text: usize) -> Result<(), E> {
        self.state.nodes += 1;
        self.state.text += text;
        if self.state.nodes > MAX_NODES || self.state.text > MAX_TEXT {
            return Err(self.stop(Diagnostic::new("the file's aliases expand to too much")));
        }
        Ok(())
    }

    fn stop<E: Error>(&mut self, why: Diagnostic) -> E {
        let error = E::custom(&why.message);
        self.state.fatal = Some(why);
        error
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Node;

    fn deserialize<D: serde::Deserializer<'de>>(self, d: D) -> Result<Node, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E: Error>(mut self) -> Result<Node, E> {
        self.spend(0)?;
        Ok(Node::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Node, E> {
        self.visit_unit()
    }

    fn visit_bool<E: Error>(mut self, value: bool) -> Result<Node, E> {
        self.spend(0)?;
        Ok(Node::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        self.visit_i128(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        self.visit_i128(value.into())
    }

    fn visit_i128<E: Error>(mut self, value: i128) -> Result<Node, E> {
        self.spend(0)?;
        Ok(Node::Integer(value))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Node, E> {
        match i128::try_from(value) {
            Ok(value) => self.visit_i128(value),
            // No key takes such a number; as text it is reported as what it is.
            Err(_) => self.visit_string(value.to_string()),
        }
    }

    fn visit_f64<E: Error>(mut self, value: f64) -> Result<Node, E> {
        self.spend(0)?;
        Ok(Node::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        self.visit_string(value.to_owned())
    }

    fn visit_string<E: Error>(mut self, value: String) -> Result<Node, E> {
        self.spend(value.len())?;
        Ok(Node::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Node, A::Error> {
        self.spend(0)?;
        let mut list = Vec::new();
        loop {
            let path = self.path.index(list.len());
            match seq.next_element_seed(Tree {
                state: self.state,
                path,
            })? {
                Some(node) => list.push(node),
                None => return Ok(Node::List(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Node, A::Error> {
        self.spend(0)?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key_seed(Tree {
            state: self.state,
            path: self.path.clone(),
        })? {
            let key = match key {
                Node::String(key) => key,
                other => {
                    let text = other.scalar();
                    let found = other.describe();
                    let problem = Diagnostic::at(
                        self.path.clone(),
                        format!("{}a key must be a string, not {found}", self.path.subject()),
                    );
                    self.state.problems.push(match &text {
                        Some(text) => problem.help(format!("write it in quotes: \"{text}\":")),
                        None => problem,
                    });
                    text.unwrap_or_default()
                }
            };
            let path = self.path.key(&key);
            let value = entries.next_value_seed(Tree {
                state: self.state,
                path,
            })?;
            if map.contains_key(&key) {
                let problem = Diagnostic::at_key(
                    self.path.key(&key),
                    format!("{}the key `{key}` is given twice", self.path.subject()),
                );
                self.state
                    .problems
                    .push(problem.help("keep one of the two"));
            }
            map.insert(key, value);
        }
        Ok(Node::Map(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(mut self, tagged: A) -> Result<Node, A::Error> {
        let (tag, _): (String, _) = tagged.variant()?;
        let message = format!("Coop does not know the YAML tag !{tag}");
        Err(self.stop(Diagnostic::at(self.path.clone(), message)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        parse(text).unwrap_err()[0].message.clone()
    }

    #[test]
    fn scalars_have_the_types_of_yaml_1_2() {
        let Ok(Node::Map(map)) = parse("a: 1\nb: yes\nc: 0644\nd: 1.5\ne: ~\nf: 22:22\ng: true\n")
        else {
            panic!("not a mapping")
        };
        assert_eq!(map["a"], Node::Integer(1));
        assert_eq!(map["b"], Node::String("yes".into()));
        assert_eq!(map["c"], Node::String("0644".into()));
        assert_eq!(map["d"], Node::Float(1.5));
        assert_eq!(map["e"], Node::Null);
        assert_eq!(map["f"], Node::String("22:22".into()));
        assert_eq!(map["g"], Node::Bool(true));
    }

    #[test]
    fn nothing_and_comments_are_an_empty_document() {
        for text in ["", "\n\n", "# only this\n", "---\n", "~"] {
            assert_eq!(parse(text), Ok(Node::Null), "{text:?}");
        }
    }

    #[test]
    fn a_billion_laughs_end_early() {
        let mut bomb = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
        for level in 1..12 {
            let below = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb = format!("{bomb}a{level}: &a{level} [{below}]\n");
        }
        assert!(message(&bomb).contains("expand to too much"));

        let long = "x".repeat(100_000);
        let aliases = "- *a\n".repeat(1000);
        let bomb = format!("- &a {long}\n{aliases}");
        assert!(message(&bomb).contains("expand to too much"));
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let deep = "[".repeat(100_000);
        assert!(message(&deep).contains("too deeply"), "{}", message(&deep));
        assert!(message("a: &a [*a]").contains("too deeply"));
        assert!(message(&" ".repeat(MAX_BYTES + 1)).contains("larger than"));
    }

    #[test]
    fn every_duplicate_key_is_found() {
        let problems = parse("a: 1\nb: {c: 1, c: 2}\na: 2\n").unwrap_err();
        assert_eq!(problems.len(), 2);
    }

    #[test]
    fn tags_and_second_documents_are_refused() {
        assert!(message("a: !reset null").contains("!reset"));
        assert!(message("a: 1\n---\nb: 1\n").contains("more than one"));
    }
}
