//! The name of a control group, relative to the parent that Coop may use.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest name of one part: `NAME_MAX`, which cgroupfs shares with other filesystems.
const PART_MAX: usize = 255;
/// Longest whole path: leaves room for the mount point below `PATH_MAX`.
const PATH_MAX: usize = 3072;

/// A control group's path below the hierarchy's root (or below the delegated
/// parent), for example `coop/mystack/3f2a`.
///
/// A value of this type can only lead down: it is relative, has no empty part, no
/// `.` and no `..`. Everything that creates, kills or removes takes this type, so a
/// path that somebody else wrote cannot reach beside or above it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CgroupPath(String);

/// Why a string is not a [`CgroupPath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The string is empty: it would name the hierarchy's root.
    #[error("a cgroup path must not be empty")]
    Empty,
    /// The path starts with `/`.
    #[error("cgroup path {0:?} must be relative: drop the leading \"/\"")]
    Absolute(String),
    /// A part between two slashes is empty, `.` or `..`.
    #[error("cgroup path {path:?} has the part {part:?}, which names no cgroup")]
    Part {
        /// The whole path.
        path: String,
        /// The part in question.
        part: String,
    },
    /// A part holds a NUL or a newline, which cgroupfs refuses.
    #[error("cgroup path {0:?} holds a control character")]
    Control(String),
    /// The path, or a part of it, is longer than a filesystem takes.
    #[error("cgroup path of {length} bytes is too long: at most {max} for {what}")]
    TooLong {
        /// `the path` or `one part`.
        what: &'static str,
        /// Length found, in bytes.
        length: usize,
        /// Length allowed, in bytes.
        max: usize,
    },
}

impl CgroupPath {
    /// Checks `path` and wraps it.
    ///
    /// # Errors
    /// [`PathError`] says which rule is broken.
    pub fn new(path: impl Into<String>) -> Result<Self, PathError> {
        let path = path.into();
        check(&path)?;
        Ok(Self(path))
    }

    /// The path as a string, without a leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of a child, `self/name`. `name` may have several parts.
    ///
    /// # Errors
    /// [`PathError`] when the result breaks a rule.
    pub fn join(&self, name: &str) -> Result<Self, PathError> {
        // Checked alone first: an absolute or empty name must not hide in the middle.
        check(name)?;
        Self::new(format!("{}/{name}", self.0))
    }

    /// The path above, or `None` when the path has one part.
    pub fn parent(&self) -> Option<Self> {
        let (parent, _) = self.0.rsplit_once('/')?;
        Some(Self(parent.to_owned()))
    }

    /// The last part.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// This path and those above it, deepest first: `a/b`, `a`.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        let mut next = Some(self.0.as_str());
        std::iter::from_fn(move || {
            let here = next?;
            next = here.rsplit_once('/').map(|(above, _)| above);
            Some(here)
        })
    }
}

fn check(path: &str) -> Result<(), PathError> {
    if path.is_empty() {
        return Err(PathError::Empty);
    }
    if path.starts_with('/') {
        return Err(PathError::Absolute(path.to_owned()));
    }
    if path.len() > PATH_MAX {
        return Err(PathError::TooLong {
            what: "the path",
            length: path.len(),
            max: PATH_MAX,
        });
    }
    if path.chars().any(char::is_control) {
        return Err(PathError::Control(path.to_owned()));
    }
    for part in path.split('/') {
        if part.len() > PART_MAX {
            return Err(PathError::TooLong {
                what: "one part",
                length: part.len(),
                max: PART_MAX,
            });
        }
        if matches!(part, "" | "." | "..") {
            return Err(PathError::Part {
                path: path.to_owned(),
                part: part.to_owned(),
            });
        }
    }
    Ok(())
}

impl FromStr for CgroupPath {
    type Err = PathError;
    fn from_str(path: &str) -> Result<Self, PathError> {
        Self::new(path)
    }
}

impl TryFrom<String> for CgroupPath {
    type Error = PathError;
    fn try_from(path: String) -> Result<Self, PathError> {
        Self::new(path)
    }
}

impl From<CgroupPath> for String {
    fn from(path: CgroupPath) -> Self {
        path.0
    }
}

impl fmt::Display for CgroupPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_that_could_lead_elsewhere_are_refused() {
        for bad in [
            "", "/", "/coop", "..", "a/..", "../a", "a//b", "a/", "./a", "a/./b", "a\nb", "a\0",
        ] {
            assert!(CgroupPath::new(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(CgroupPath::new("x".repeat(256)).is_err());
    }

    #[test]
    fn ancestors_go_from_the_leaf_up() {
        let path = CgroupPath::new("coop/stack/id").unwrap();
        assert_eq!(
            path.ancestors().collect::<Vec<_>>(),
            ["coop/stack/id", "coop/stack", "coop"]
        );
        assert_eq!(path.parent().unwrap().as_str(), "coop/stack");
        assert_eq!(path.name(), "id");
        assert!(path.join("../x").is_err());
        assert!(path.join("/x").is_err());
        assert_eq!(path.join("x").unwrap().as_str(), "coop/stack/id/x");
    }

    proptest! {
        #[test]
        fn an_accepted_path_stays_below_its_base(path in "[a-z./\\\\ ]{0,12}") {
            if let Ok(path) = CgroupPath::new(path) {
                let joined = std::path::Path::new("/base").join(path.as_str());
                prop_assert!(joined.starts_with("/base"));
                prop_assert!(joined.components().count() > 2);
                prop_assert!(joined.components().all(|c| c != std::path::Component::ParentDir));
            }
        }

        #[test]
        fn serde_keeps_the_path_and_the_rules(path in "\\PC{0,40}") {
            let json = serde_json::to_string(&path).unwrap();
            match (CgroupPath::new(path.clone()), serde_json::from_str::<CgroupPath>(&json)) {
                (Ok(direct), Ok(through)) => {
                    prop_assert_eq!(&direct, &through);
                    prop_assert_eq!(serde_json::to_string(&direct).unwrap(), json);
                }
                (Err(_), Err(_)) => {}
                (direct, through) => prop_assert!(false, "{:?} / {:?}", direct, through),
            }
        }
    }
}
