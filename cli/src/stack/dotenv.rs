//! Files of variables: `.env` beside the stack file, and `env_file`.
//!
//! ```text
//! # comment
//! NAME=value            # a comment after white space
//! export NAME=value
//! NAME='as $it is'
//! NAME="with $VARIABLES, \n escapes and
//! several lines"
//! NAME                  # the host's value
//! ```

use super::interpolate::{Failure, Interpolation};
use super::value;
use std::path::{Path, PathBuf};

/// The variables of a file, in its order; `None` is a name without a value.
pub(crate) type Entries = Vec<(String, Option<String>)>;

/// Why a file of variables cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnvFileError {
    /// It cannot be read.
    #[error("cannot read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line of it is wrong.
    #[error("{}:{line}: {why}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// The line, counted from one.
        line: usize,
        /// What is wrong.
        why: String,
    },
}

impl EnvFileError {
    /// Whether there is no such file.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }
}

/// Reads a file of variables.
///
/// A variable in a value is looked up with `host` first, then among the lines above.
///
/// # Errors
/// [`EnvFileError`], which names the file and the line.
pub(crate) fn load(
    file: &Path,
    host: &dyn Fn(&str) -> Option<String>,
) -> Result<Entries, EnvFileError> {
    let text = std::fs::read_to_string(file).map_err(|source| EnvFileError::Read {
        file: file.to_owned(),
        source,
    })?;
    parse(&text, host).map_err(|(line, why)| EnvFileError::Line {
        file: file.to_owned(),
        line,
        why,
    })
}

/// Reads the text of a file of variables; an error is a line and what is wrong there.
pub(crate) fn parse(
    text: &str,
    host: &dyn Fn(&str) -> Option<String>,
) -> Result<Entries, (usize, String)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut entries = Entries::new();
    let mut rest = text;
    while !rest.is_empty() {
        let line = || 1 + text[..text.len() - rest.len()].matches('\n').count();
        let (first, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let bare = first.trim();
        if bare.is_empty() || bare.starts_with('#') {
            rest = after;
            continue;
        }
        let (entry, after) =
            entry(rest.trim_start(), &entries, host).map_err(|why| (line(), why))?;
        entries.push(entry);
        rest = after;
    }
    Ok(entries)
}

type Entry = (String, Option<String>);

/// One variable from the start of `rest`, and what stands after its last line.
fn entry<'t>(
    rest: &'t str,
    above: &Entries,
    host: &dyn Fn(&str) -> Option<String>,
) -> Result<(Entry, &'t str), String> {
    let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
    let exported = line
        .strip_prefix("export")
        .filter(|l| l.starts_with([' ', '\t']));
    let start = exported.unwrap_or(line).trim_start();
    let Some(equals) = start.find(['=', ':']) else {
        let name = uncommented(start);
        value::check_env_name(name).map_err(|e| e.why)?;
        return Ok(((name.to_owned(), None), after));
    };
    let name = start[..equals].trim_end();
    if name.contains('#') {
        // The separator belongs to a comment.
        let name = uncommented(start);
        value::check_env_name(name).map_err(|e| e.why)?;
        return Ok(((name.to_owned(), None), after));
    }
    value::check_env_name(name).map_err(|e| e.why)?;
    let offset = line.len() - start.len() + equals + 1;
    let written = rest[offset..].trim_start_matches([' ', '\t']);
    let lookup = |name: &str| {
        let earlier = || above.iter().rev().find(|(n, _)| n == name)?.1.clone();
        host(name).or_else(earlier)
    };
    let expand = |text: &str| {
        Interpolation::new(&lookup)
            .text(text)
            .map_err(|failure| match failure {
                Failure::Syntax(why) => why.to_owned(),
                Failure::Required { name, message } => format!("{name} is required: {message}"),
                Failure::TooMuch => "variables expand to too much text".to_owned(),
            })
    };
    let (value, after) = match written.chars().next() {
        Some('\'') => {
            let (value, after) = quoted(written, '\'')?;
            (value.to_owned(), after)
        }
        Some('"') => {
            let (value, after) = quoted(written, '"')?;
            (expand(&unescape(value))?, after)
        }
        _ => (
            expand(uncommented(written.split('\n').next().unwrap_or_default()))?,
            after,
        ),
    };
    if value.contains('\0') {
        return Err("the value holds a NUL byte".to_owned());
    }
    Ok(((name.to_owned(), Some(value)), after))
}

/// Without a comment that follows white space, and without white space around.
fn uncommented(text: &str) -> &str {
    let end = text
        .char_indices()
        .find(|(at, c)| *c == '#' && (*at == 0 || text[..*at].ends_with([' ', '\t'])))
        .map_or(text.len(), |(at, _)| at);
    text[..end].trim()
}

/// The inside of a quoted value, and the lines after it.
fn quoted(text: &str, quote: char) -> Result<(&str, &str), String> {
    let inside = &text[1..];
    let mut escaped = false;
    let end = inside.char_indices().find(|(_, c)| {
        let found = *c == quote && !escaped;
        escaped = *c == '\\' && !escaped && quote == '"';
        found
    });
    let Some((end, _)) = end else {
        return Err(format!("the closing {quote} is missing"));
    };
    let after = &inside[end + 1..];
    let (tail, after) = after.split_once('\n').unwrap_or((after, ""));
    if !uncommented(tail).is_empty() {
        return Err(format!("unexpected text after the closing {quote}"));
    }
    Ok((&inside[..end], after))
}

/// The escapes of a value in double quotes. A `\$` becomes `$$`, which expands to `$`.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('$') => out.push_str("$$"),
            Some(c @ ('"' | '\\' | '\'')) => out.push(c),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn host(name: &str) -> Option<String> {
        (name == "HOST").then(|| "h".to_owned())
    }

    fn one(text: &str) -> (String, Option<String>) {
        let mut entries = parse(text, &host).unwrap();
        assert_eq!(entries.len(), 1, "{text}");
        entries.remove(0)
    }

    #[test]
    fn every_way_to_write_a_value() {
        for (text, value) in [
            ("A=b", Some("b")),
            ("A = b ", Some("b")),
            ("A: b", Some("b")),
            ("A=", Some("")),
            ("A", None),
            ("A # all: of=this", None),
            ("export A=b", Some("b")),
            ("export=b", Some("b")),
            ("A=b # comment", Some("b")),
            ("A=b#no", Some("b#no")),
            ("A=#", Some("")),
            ("A='b $HOST # c'", Some("b $HOST # c")),
            ("A=\"b\\n$HOST\" # c", Some("b\nh")),
            ("A=\"a\nb\"", Some("a\nb")),
            ("A=\"\\$HOST \\\" \\d\"", Some("$HOST \" \\d")),
            ("A=$HOST${NO:-x}", Some("hx")),
            ("A=b=c", Some("b=c")),
            ("  A=b\r\n", Some("b")),
            ("\u{feff}A=b", Some("b")),
        ] {
            let (name, found) = one(text);
            assert_eq!(found.as_deref(), value, "{text}");
            assert!(name == "A" || name == "export", "{text}: {name}");
        }
    }

    #[test]
    fn later_lines_see_earlier_ones() {
        let entries = parse("# c\n\nA=1\nB=${A}2\nHOST=x\nC=$HOST\n", &host).unwrap();
        let value = |name| {
            entries
                .iter()
                .find(|(n, _)| n == name)
                .unwrap()
                .1
                .as_deref()
        };
        assert_eq!(value("B"), Some("12"));
        assert_eq!(value("C"), Some("h"));
    }

    #[test]
    fn an_error_names_the_line() {
        for (text, line) in [
            ("A=1\n=2", 2),
            ("A='x\ny", 1),
            ("A=1\n\nB C=2", 3),
            ("A=\"b\" c", 1),
        ] {
            assert_eq!(parse(text, &host).unwrap_err().0, line, "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[A=:'\"#$\\\\ \\n\\PC]{0,40}") {
            let _ = parse(&text, &host);
        }
    }
}
