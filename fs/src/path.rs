//! Paths inside the container, as text.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::Error;

/// The absolute path without `.`, `..` and doubled slashes, by its text alone.
pub(crate) fn by_its_text(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}

/// The absolute path without `.`, `..` and doubled slashes, by its text alone: symlinks
/// are not looked at. `..` at the root stays at the root.
///
/// ```
/// # use std::path::Path;
/// let target = coop_fs::normalize_target(Path::new("/var//log/../lib/./data/"))?;
/// assert_eq!(target, Path::new("/var/lib/data"));
/// # Ok::<(), coop_fs::Error>(())
/// ```
///
/// # Errors
/// [`Error::InvalidTarget`] for an empty or relative path, one with a NUL byte, and `/`
/// itself, which is not for mounting.
pub fn normalize_target(path: &Path) -> Result<PathBuf, Error> {
    let invalid = || Error::InvalidTarget {
        path: path.to_owned(),
    };
    if !path.is_absolute() || path.as_os_str().as_bytes().contains(&0) {
        return Err(invalid());
    }
    let clean = by_its_text(path);
    if clean == Path::new("/") {
        Err(invalid())
    } else {
        Ok(clean)
    }
}

/// The names of a path, for walking it one by one.
pub(crate) fn steps(path: &Path) -> impl DoubleEndedIterator<Item = Step> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(Step::Down(name.to_owned())),
        Component::ParentDir => Some(Step::Up),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

/// One step of a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Down(std::ffi::OsString),
    Up,
}

impl Step {
    pub(crate) fn name(&self) -> &OsStr {
        match self {
            Self::Down(name) => name,
            Self::Up => OsStr::new(".."),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_what_cannot_be_a_target() {
        for path in ["", ".", "a/b", "../a", "/", "/..", "/a/..", "/a\0b"] {
            assert!(normalize_target(Path::new(path)).is_err(), "{path:?}");
        }
    }

    proptest! {
        #[test]
        fn a_normal_path_has_only_names(path in "/([a-c./]|\\.\\.){0,24}") {
            if let Ok(clean) = normalize_target(Path::new(&path)) {
                let text = clean.to_str().unwrap();
                prop_assert!(text.len() > 1 && text.starts_with('/') && !text.ends_with('/'));
                prop_assert!(text[1..].split('/').all(|name| !["", ".", ".."].contains(&name)));
                prop_assert_eq!(normalize_target(&clean).unwrap(), clean);
            }
        }
    }
}
