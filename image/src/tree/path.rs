//! Names of entries, made safe before anything is opened.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::error::UnpackError;
use crate::error::shown;

/// Directories below each other. Removing and hashing a tree keeps a descriptor per
/// level, so this stays below any descriptor limit in use.
const MAX_DEPTH: usize = 256;
/// `PATH_MAX` of Linux, with its NUL.
const MAX_PATH: usize = 4095;
/// `NAME_MAX` of Linux.
const MAX_NAME: usize = 255;

/// A path relative to the root of a tree, without `.`, `..`, empty parts and NUL. It
/// is empty for the root itself.
///
/// That it has no `..` does not make it safe to open: a part may be a symbolic link.
/// [`Writer`](super::Writer) sees to that.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EntryPath(PathBuf);

impl EntryPath {
    /// Takes a name as an archive writes it: `./usr//bin/` is `usr/bin`.
    pub(crate) fn parse(name: &[u8]) -> Result<Self, UnpackError> {
        let refuse = |why| UnpackError::Path {
            entry: shown(name),
            why,
        };
        if name.starts_with(b"/") {
            return Err(refuse(
                "an absolute path; make the archive with paths relative to the root, \
                 as `tar -C ROOT -c .` does",
            ));
        }
        let mut path = PathBuf::new();
        let mut depth = 0;
        for part in name.split(|&byte| byte == b'/') {
            match part {
                b"" | b"." => continue,
                b".." => return Err(refuse("a path with `..` may lead out of the root")),
                part if part.contains(&0) => return Err(refuse("a name with a NUL byte")),
                part if part.len() > MAX_NAME => {
                    return Err(refuse("a name longer than 255 bytes"));
                }
                part => path.push(OsStr::from_bytes(part)),
            }
            depth += 1;
        }
        if depth > MAX_DEPTH {
            return Err(refuse("a path deeper than 256 directories"));
        }
        if path.as_os_str().len() > MAX_PATH {
            return Err(refuse("a path longer than 4095 bytes"));
        }
        Ok(Self(path))
    }

    pub(crate) fn join(&self, name: &OsStr) -> Result<Self, UnpackError> {
        let mut bytes = self.0.as_os_str().as_bytes().to_vec();
        bytes.push(b'/');
        bytes.extend_from_slice(name.as_bytes());
        // An absolute path would come of the root's own empty one.
        Self::parse(bytes.strip_prefix(b"/").unwrap_or(&bytes))
    }

    pub(crate) fn root() -> Self {
        Self(PathBuf::new())
    }

    pub(crate) fn as_path(&self) -> &Path {
        &self.0
    }

    /// Directory and name, or `None` for the root.
    pub(crate) fn split(&self) -> Option<(&Path, &OsStr)> {
        Some((self.0.parent()?, self.0.file_name()?))
    }

    pub(crate) fn shown(&self) -> String {
        shown(self.0.as_os_str().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(name: &str) -> PathBuf {
        EntryPath::parse(name.as_bytes()).unwrap().0
    }

    #[test]
    fn names_of_one_place_are_one_path() {
        for name in ["usr/bin", "./usr/bin", "usr//bin/", "usr/./bin/."] {
            assert_eq!(parsed(name), Path::new("usr/bin"));
        }
        for root in ["", ".", "./", "././"] {
            assert_eq!(parsed(root), Path::new(""));
            assert!(EntryPath::parse(root.as_bytes()).unwrap().split().is_none());
        }
    }

    #[test]
    fn ways_out_and_what_no_kernel_takes_are_refused() {
        let long_name = "n".repeat(256);
        let deep = "a/".repeat(257);
        let long = "abcdefghijklmnopqrstuvwxyz/".repeat(200);
        for bad in [
            "/etc", "//x", "..", "a/../b", "./..", "a/..", "a\0b", &long_name, &deep, &long,
        ] {
            assert!(EntryPath::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(EntryPath::parse(b"a/...").is_ok());
        assert!(EntryPath::parse(b"..a/b..").is_ok());
    }

    proptest! {
        #[test]
        fn what_is_taken_has_only_plain_parts_and_stays_itself(
            name in prop::collection::vec(prop::sample::select(b"a./\0\xff".to_vec()), 0..24)
        ) {
            if let Ok(path) = EntryPath::parse(&name) {
                prop_assert!(path.0.components()
                    .all(|part| matches!(part, std::path::Component::Normal(_))));
                prop_assert!(path.0.is_relative());
                let bytes = path.0.as_os_str().as_bytes().to_vec();
                prop_assert_eq!(EntryPath::parse(&bytes).unwrap(), path);
            }
        }
    }
}
