//! Names of stacks and services.

use super::value::ParseError;

/// The longest name: it becomes a DNS label and part of a directory's and a
/// cgroup's name.
const MAX: usize = 63;

/// Refuses what cannot be the name of a stack: compose's rule.
pub(crate) fn check_stack_name(name: &str) -> Result<(), ParseError> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    check(
        name,
        allowed,
        "write lower-case letters, digits, - and _, a letter or digit first, at most 63",
    )
}

/// Refuses what cannot be the name of a service.
///
/// Stricter than compose in one thing: a letter or digit comes first, since the name
/// becomes a directory's, and `.` or `..` must not.
pub(crate) fn check_service_name(name: &str) -> Result<(), ParseError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    check(
        name,
        allowed,
        "write letters, digits, ., - and _, a letter or digit first, at most 63",
    )
}

fn check(name: &str, allowed: impl Fn(char) -> bool, form: &'static str) -> Result<(), ParseError> {
    let why = match name.chars().next() {
        None => "it is empty".to_owned(),
        Some(first) if !allowed(first) || !first.is_ascii_alphanumeric() => {
            format!("it starts with {first:?}")
        }
        Some(_) if name.len() > MAX => format!("it has more than {MAX} characters"),
        Some(_) => match name.chars().find(|c| !allowed(*c)) {
            Some(c) => format!("it holds {c:?}"),
            None => return Ok(()),
        },
    };
    Err(ParseError::new(why, form))
}

/// A name for the stack in a directory, as compose makes it: lower case, without the
/// characters that a name cannot have.
pub(crate) fn normalised(directory: &str) -> Option<String> {
    let name: String = directory
        .to_lowercase()
        .chars()
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(*c))
        .collect();
    let name = name.trim_start_matches(['_', '-']);
    let name = &name[..name.len().min(MAX)];
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names() {
        for good in ["a", "0", "shop-1", "a_b"] {
            assert!(check_stack_name(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "_a", "A", "a.b", "a b", "ä", "../x"] {
            assert!(check_stack_name(bad).is_err(), "{bad}");
        }
        assert!(check_service_name("Web.1_a-b").is_ok());
        for bad in ["", ".", "..", "a/b", "-a", "_a", "a b"] {
            assert!(check_service_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_directory_gives_a_name() {
        assert_eq!(normalised("My Shop.d").as_deref(), Some("myshopd"));
        assert_eq!(normalised("_-x").as_deref(), Some("x"));
        assert_eq!(normalised("äöü"), None);
    }

    proptest! {
        #[test]
        fn what_a_directory_gives_is_a_name(directory in "\\PC{0,100}") {
            if let Some(name) = normalised(&directory) {
                prop_assert!(check_stack_name(&name).is_ok());
            }
        }
    }
}
