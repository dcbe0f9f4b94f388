//! A device of the host in a container.

use super::{ParseError, serde_as_text};
use coop_cgroup::Access;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// `HOST[:CONTAINER[:PERMISSIONS]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeviceMapping {
    /// The node on the host.
    pub source: PathBuf,
    /// The node in the container, below `/dev`.
    pub target: PathBuf,
    /// What may be done with it: of `r`, `w` and `m`.
    pub permissions: Permissions,
}

serde_as_text!(DeviceMapping);

const FORM: &str = "write HOST[:CONTAINER[:PERMISSIONS]], such as /dev/sda:/dev/xvda:r";

impl DeviceMapping {
    /// A node of the host at a path of the container.
    pub(crate) fn new(
        source: &str,
        target: Option<&str>,
        permissions: Permissions,
    ) -> Result<Self, ParseError> {
        let target = target.unwrap_or(source);
        for path in [source, target] {
            if !path.starts_with('/') || path.contains('\0') {
                return Err(ParseError::new(
                    format!("{path:?} is not an absolute path"),
                    FORM,
                ));
            }
        }
        let below = coop_fs::normalize_target(target.as_ref())
            .ok()
            .filter(|target| target.starts_with("/dev") && target.as_os_str() != "/dev");
        let Some(target) = below else {
            return Err(ParseError::new(
                format!("{target} is not below /dev, where devices are in a container"),
                FORM,
            ));
        };
        Ok(Self {
            source: source.into(),
            target,
            permissions,
        })
    }
}

impl FromStr for DeviceMapping {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parts: Vec<_> = text.split(':').collect();
        match parts[..] {
            [source] => Self::new(source, None, Permissions::default()),
            // As Docker: `/dev/fuse:rw` has no target.
            [source, word] if !word.starts_with('/') => Self::new(source, None, word.parse()?),
            [source, target] => Self::new(source, Some(target), Permissions::default()),
            [source, target, permissions] => Self::new(source, Some(target), permissions.parse()?),
            _ => Err(ParseError::new("too many colons", FORM)),
        }
    }
}

impl fmt::Display for DeviceMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}",
            self.source.display(),
            self.target.display(),
            self.permissions
        )
    }
}

/// What may be done with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Permissions(pub Access);

impl Default for Permissions {
    fn default() -> Self {
        Self(Access::all())
    }
}

const LETTERS: [(char, Access); 3] = [
    ('r', Access::READ),
    ('w', Access::WRITE),
    ('m', Access::MKNOD),
];

impl FromStr for Permissions {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let of = |letter| LETTERS.into_iter().find(|(known, _)| *known == letter);
        let mut access = Access::empty();
        for letter in text.chars() {
            let Some((_, right)) = of(letter).filter(|(_, right)| !access.contains(*right)) else {
                return Err(ParseError::new(
                    format!("{text:?} are not permissions"),
                    "write r (read), w (write) and m (make the node), each once",
                ));
            };
            access |= right;
        }
        if access.is_empty() {
            return Err(ParseError::new("there are no permissions", FORM));
        }
        Ok(Self(access))
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        LETTERS
            .into_iter()
            .filter(|(_, right)| self.0.contains(*right))
            .try_for_each(|(letter, _)| write!(f, "{letter}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_written_in_four_ways() {
        let shown = |text: &str| text.parse::<DeviceMapping>().unwrap().to_string();
        assert_eq!(shown("/dev/fuse"), "/dev/fuse:/dev/fuse:rwm");
        assert_eq!(shown("/dev/fuse:rw"), "/dev/fuse:/dev/fuse:rw");
        assert_eq!(shown("/dev/sda:/dev/xvda"), "/dev/sda:/dev/xvda:rwm");
        assert_eq!(shown("/dev/sda:/dev/./a/b:mr"), "/dev/sda:/dev/a/b:rm");
    }

    #[test]
    fn what_is_no_device_is_refused() {
        for bad in [
            "",
            "fuse",
            "/dev/fuse:",
            "/dev/fuse:/etc/x",
            "/dev/fuse:/dev",
            "/dev/fuse:/dev/../etc/x",
            "/dev/fuse:/dev/fuse:x",
            "/dev/fuse:/dev/fuse:rr",
            "/dev/a:/dev/b:r:w",
        ] {
            assert!(bad.parse::<DeviceMapping>().is_err(), "{bad}");
        }
    }
}
