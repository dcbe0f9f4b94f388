//! What a container may do to a directory given as its root.

use super::{ParseError, serde_as_text};
use std::fmt;
use std::str::FromStr;

/// How a directory serves as a root filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum RootfsMode {
    /// Under an overlay: the container writes, the directory never changes.
    #[default]
    Overlay,
    /// As it is, and nothing may be written.
    Ro,
    /// As it is: what the container writes is written to the directory.
    Rw,
}

serde_as_text!(RootfsMode);

impl FromStr for RootfsMode {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "overlay" => Ok(Self::Overlay),
            "ro" => Ok(Self::Ro),
            "rw" => Ok(Self::Rw),
            _ => Err(ParseError::new("not a mode", "write overlay, ro or rw")),
        }
    }
}

impl fmt::Display for RootfsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overlay => "overlay",
            Self::Ro => "ro",
            Self::Rw => "rw",
        })
    }
}
