//! What is wrong with a profile, and where.

use std::fmt;

/// Why a text is no profile that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The text is longer than any honest profile.
    #[error("a profile of more than {limit} bytes")]
    TooLong {
        /// The most that is read.
        limit: usize,
    },
    /// It is no JSON, or has a key or a type that a profile has not. The cause tells line and
    /// column.
    #[error("not a seccomp profile")]
    Json(#[source] serde_json::Error),
    /// A value that has the right type and no meaning.
    #[error("{at}: {why}")]
    Invalid {
        /// Where: `syscalls[3].args[0].op`.
        at: Place,
        /// What is wrong with it.
        why: String,
    },
}

/// The place of a value in a profile: `syscalls[3].args[0].op`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place(String);

impl Place {
    /// The key at the top.
    pub(crate) fn key(key: &str) -> Self {
        Self(key.to_owned())
    }

    /// A key of this object.
    pub(crate) fn then(&self, key: &str) -> Self {
        Self(format!("{}.{key}", self.0))
    }

    /// An item of this list.
    pub(crate) fn item(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// The error that `why` tells about the value here.
    pub(crate) fn wrong(self, why: impl Into<String>) -> ProfileError {
        ProfileError::Invalid {
            at: self,
            why: why.into(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
