//! Variables in a stack file, as compose-spec has them.
//!
//! | written | is |
//! |---|---|
//! | `$NAME`, `${NAME}` | the value; empty, with a warning, when unset |
//! | `${NAME:-x}`, `${NAME-x}` | `x` when unset or empty, when unset |
//! | `${NAME:?x}`, `${NAME?x}` | an error saying `x` when unset or empty, when unset |
//! | `${NAME:+x}`, `${NAME+x}` | `x` when set and not empty, when set; else empty |
//! | `$$` | `$` |
//!
//! `x` may hold variables itself. A value is never looked at again, so what a
//! variable holds cannot become syntax.

use super::diagnostic::Diagnostic;
use super::node::Node;
use super::path::NodePath;
use std::collections::BTreeMap;

/// Variables by name.
pub(crate) type Variables = BTreeMap<String, String>;

/// How deep variables may stand in each other's defaults.
const MAX_DEPTH: usize = 32;

/// The most text that a file's variables may expand to, all together.
const MAX_TEXT: usize = 8 << 20;

/// Why text does not expand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The syntax is wrong.
    Syntax(&'static str),
    /// `${NAME:?message}` and the variable is missing.
    Required {
        /// The variable.
        name: String,
        /// What the file's author says about it.
        message: String,
    },
    /// Past [`MAX_TEXT`] or [`MAX_DEPTH`].
    TooMuch,
}

/// Fills in the variables of one text.
pub(crate) fn text(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, Failure> {
    Interpolation::new(lookup).text(text)
}

/// Fills in variables and remembers which ones were missing.
pub(crate) struct Interpolation<'v> {
    lookup: &'v dyn Fn(&str) -> Option<String>,
    here: NodePath,
    unset: BTreeMap<String, NodePath>,
    left: usize,
}

impl<'v> Interpolation<'v> {
    /// With variables from `lookup`.
    pub(crate) fn new(lookup: &'v dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            lookup,
            here: NodePath::root(),
            unset: BTreeMap::new(),
            left: MAX_TEXT,
        }
    }

    /// Variables that had neither a value nor a default, and where each was first used.
    pub(crate) fn unset(&self) -> &BTreeMap<String, NodePath> {
        &self.unset
    }

    /// Fills in the variables of all text below `node`; keys are left alone.
    pub(crate) fn node(&mut self, node: &mut Node, path: &NodePath, out: &mut Vec<Diagnostic>) {
        match node {
            Node::String(text) if text.contains('$') => {
                self.here = path.clone();
                match self.text(text) {
                    Ok(expanded) => *text = expanded,
                    Err(failure) => out.push(failure.diagnostic(path)),
                }
            }
            Node::List(list) => {
                for (index, item) in list.iter_mut().enumerate() {
                    self.node(item, &path.index(index), out);
                }
            }
            Node::Map(map) => {
                for (key, value) in map.iter_mut() {
                    self.node(value, &path.key(key), out);
                }
            }
            _ => {}
        }
    }

    /// Fills in the variables of one text.
    pub(crate) fn text(&mut self, text: &str) -> Result<String, Failure> {
        let mut input = Input { rest: text };
        self.template(&mut input, 0)
    }

    /// Up to the end, or inside braces (`depth` above 0) up to the closing one.
    fn template(&mut self, input: &mut Input<'_>, depth: usize) -> Result<String, Failure> {
        if depth > MAX_DEPTH {
            return Err(Failure::TooMuch);
        }
        let mut out = String::new();
        let mut braces = 0usize;
        while let Some(c) = input.peek() {
            match c {
                '}' if depth > 0 && braces == 0 => break,
                '$' => {
                    input.next();
                    let value = self.variable(input, depth)?;
                    out.push_str(&value);
                }
                _ => {
                    // Braces of the text itself, such as JSON as a default, come in pairs.
                    match c {
                        '{' => braces += 1,
                        '}' => braces = braces.saturating_sub(1),
                        _ => {}
                    }
                    out.push(c);
                    input.next();
                }
            }
            if out.len() > self.left {
                return Err(Failure::TooMuch);
            }
        }
        if depth == 0 {
            self.left -= out.len();
        }
        Ok(out)
    }

    /// What stands after a `$`.
    fn variable(&mut self, input: &mut Input<'_>, depth: usize) -> Result<String, Failure> {
        match input.peek() {
            Some('$') => {
                input.next();
                Ok("$".to_owned())
            }
            Some('{') => {
                input.next();
                let name = input.name();
                if name.is_empty() {
                    return Err(Failure::Syntax(
                        "the name of a variable is missing after ${",
                    ));
                }
                let colon = input.take(':');
                let operator = match input.peek() {
                    Some(c @ ('-' | '?' | '+')) => {
                        input.next();
                        Some(c)
                    }
                    Some('}') if !colon => None,
                    Some(_) => {
                        return Err(Failure::Syntax(
                            "after the name comes }, or one of - ? + with or without a colon",
                        ));
                    }
                    None => return Err(Failure::Syntax("the closing } is missing")),
                };
                let word = match operator {
                    Some(_) => Some(self.word(input, depth, name, operator, colon)?),
                    None => None,
                };
                if !input.take('}') {
                    return Err(Failure::Syntax("the closing } is missing"));
                }
                match word {
                    Some(value) => Ok(value),
                    None => Ok(self.value(name)),
                }
            }
            Some(_) => {
                let name = input.name();
                if name.is_empty() {
                    return Err(Failure::Syntax("a single $ stands for nothing"));
                }
                Ok(self.value(name))
            }
            None => Err(Failure::Syntax("a single $ stands for nothing")),
        }
    }

    /// The rest of `${NAME:-word`, and what it all comes to.
    fn word(
        &mut self,
        input: &mut Input<'_>,
        depth: usize,
        name: &str,
        operator: Option<char>,
        colon: bool,
    ) -> Result<String, Failure> {
        let value = (self.lookup)(name).filter(|value| !(colon && value.is_empty()));
        // A word that is not used must not complain about its own variables.
        let used = value.is_some() == (operator == Some('+'));
        let word = if used {
            self.template(input, depth + 1)?
        } else {
            let set = |_: &str| Some("set".to_owned());
            let mut quiet = Interpolation {
                left: self.left,
                ..Interpolation::new(&set)
            };
            quiet.template(input, depth + 1)?;
            String::new()
        };
        match (operator, value) {
            (Some('?'), None) => Err(Failure::Required {
                name: name.to_owned(),
                message: word,
            }),
            (Some('+'), _) | (_, None) => Ok(word),
            (_, Some(value)) => Ok(value),
        }
    }

    fn value(&mut self, name: &str) -> String {
        (self.lookup)(name).unwrap_or_else(|| {
            self.unset
                .entry(name.to_owned())
                .or_insert_with(|| self.here.clone());
            String::new()
        })
    }
}

impl Failure {
    /// As a problem of the value at `path`.
    pub(crate) fn diagnostic(&self, path: &NodePath) -> Diagnostic {
        let subject = path.subject();
        match self {
            Self::Syntax(why) => {
                Diagnostic::at(path.clone(), format!("{subject}invalid variable: {why}"))
                    .help("write ${NAME}, or $$ for a dollar sign")
            }
            Self::Required { name, message } => {
                let message = if message.is_empty() {
                    "it is not set"
                } else {
                    message
                };
                Diagnostic::at(
                    path.clone(),
                    format!("{subject}the variable {name} is required: {message}"),
                )
                .help(format!(
                    "set {name} in the environment or in the .env file beside this one"
                ))
            }
            Self::TooMuch => Diagnostic::at(
                path.clone(),
                format!("{subject}variables expand to too much text"),
            ),
        }
    }
}

struct Input<'t> {
    rest: &'t str,
}

impl<'t> Input<'t> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) {
        let mut chars = self.rest.chars();
        chars.next();
        self.rest = chars.as_str();
    }

    fn take(&mut self, c: char) -> bool {
        let found = self.rest.starts_with(c);
        if found {
            self.next();
        }
        found
    }

    /// A name as far as one stands here: letters, digits and `_`, no digit first.
    fn name(&mut self) -> &'t str {
        let part = |c: char| c == '_' || c.is_ascii_alphanumeric();
        if self.rest.starts_with(|c: char| c.is_ascii_digit()) {
            return "";
        }
        let end = self.rest.find(|c| !part(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn expand(text: &str) -> Result<String, Failure> {
        let lookup = |name: &str| match name {
            "A" => Some("a".to_owned()),
            "EMPTY" => Some(String::new()),
            "DOLLAR" => Some("$A ${A}".to_owned()),
            _ => None,
        };
        Interpolation::new(&lookup).text(text)
    }

    #[test]
    fn every_form_of_compose() {
        for (text, expected) in [
            ("$A", "a"),
            ("${A}b$A", "aba"),
            ("$$A", "$A"),
            ("$$$A", "$a"),
            ("$A-b", "a-b"),
            ("${A:-x}", "a"),
            ("${EMPTY:-x}", "x"),
            ("${EMPTY-x}", ""),
            ("${NO-x}", "x"),
            ("${NO:-x}", "x"),
            ("${NO:-}", ""),
            ("${A:+x}", "x"),
            ("${EMPTY:+x}", ""),
            ("${EMPTY+x}", "x"),
            ("${NO+x}", ""),
            ("${A:?no}", "a"),
            ("${EMPTY?no}", ""),
            ("${NO:-${ALSO_NO:-${A}}}b", "ab"),
            ("${NO:-{\"k\": {}}}", "{\"k\": {}}"),
            ("${NO:-$$}", "$"),
            ("${NO:-http://x/?a=b}", "http://x/?a=b"),
            ("$NO", ""),
            ("{}", "{}"),
            ("}", "}"),
        ] {
            assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_value_is_not_expanded_again() {
        assert_eq!(expand("$DOLLAR").as_deref(), Ok("$A ${A}"));
        assert_eq!(expand("${NO:-$DOLLAR}").as_deref(), Ok("$A ${A}"));
    }

    #[test]
    fn a_required_variable_says_why() {
        let required = |name: &str, message: &str| {
            Err(Failure::Required {
                name: name.into(),
                message: message.into(),
            })
        };
        assert_eq!(expand("${NO:?set it}"), required("NO", "set it"));
        assert_eq!(expand("${EMPTY:?}"), required("EMPTY", ""));
        assert_eq!(expand("${NO?ask $A}"), required("NO", "ask a"));
        // In a default that is not needed, nothing is.
        assert_eq!(expand("${A:-${NO:?x}}").as_deref(), Ok("a"));
    }

    #[test]
    fn wrong_syntax_is_an_error() {
        for text in [
            "$", "a$", "$ b", "${", "${}", "${A", "${A:", "${A:b}", "${A!}", "$1", "${1}", "${A:-",
        ] {
            assert!(matches!(expand(text), Err(Failure::Syntax(_))), "{text}");
        }
        let deep = "${NO:-".repeat(1000);
        assert_eq!(expand(&deep), Err(Failure::TooMuch));
    }

    #[test]
    fn expansion_is_bounded() {
        let lookup = |_: &str| Some("x".repeat(1 << 16));
        let mut interpolation = Interpolation::new(&lookup);
        assert_eq!(
            interpolation.text(&"$A".repeat(1 << 10)),
            Err(Failure::TooMuch)
        );
    }

    proptest! {
        #[test]
        fn never_panics(text in "[$A{}:?+\\-x \\PC]{0,40}") {
            let _ = expand(&text);
        }

        #[test]
        fn doubled_dollars_are_the_text(text in "\\PC{0,40}") {
            prop_assert_eq!(expand(&text.replace('$', "$$")), Ok(text));
        }
    }
}
