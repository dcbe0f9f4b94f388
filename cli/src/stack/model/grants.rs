//! `secrets` and `configs`: files that a service is given.

use super::super::value::ParseError;
use indexmap::IndexMap;
use serde::{Serialize, Serializer};
use std::path::PathBuf;

/// Keys of a service.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Grants {
    /// Configuration files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub configs: Vec<Grant>,
    /// Files that nobody else may read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Grant>,
}

/// A file that a service is given.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Grant {
    /// Key of the top-level `secrets` or `configs`.
    pub source: String,
    /// Path in the container; `None` is made of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Its owner in the container; `None` is root.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub uid: Option<u32>,
    /// Its group in the container; `None` is root's.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub gid: Option<u32>,
    /// Its permission bits; `None` is 0444.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "octal")]
    pub mode: Option<u32>,
}

/// Where the content of a secret or config comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(clippy::enum_variant_names)] // compose's words
pub(crate) enum Content {
    /// A file of the host, absolute once the stack is loaded.
    File(PathBuf),
    /// A variable.
    Environment(String),
    /// The stack file itself: configs only.
    Content(String),
}

/// An entry of the top-level `secrets` or `configs`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Granted {
    /// Where its content comes from.
    #[serde(flatten)]
    pub content: Content,
}

/// Secrets or configs by name.
pub(crate) type GrantedMap = IndexMap<String, Granted>;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GrantKind {
    /// `secrets`
    Secret,
    /// `configs`
    Config,
}

impl GrantKind {
    /// Its top-level key.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Secret => "secrets",
            Self::Config => "configs",
        }
    }

    /// One of them.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Config => "config",
        }
    }

    /// Where such a file is in a container.
    pub(crate) fn target(self, grant: &Grant) -> PathBuf {
        let base = match self {
            Self::Secret => "/run/secrets",
            Self::Config => "/",
        };
        PathBuf::from(base).join(grant.target.as_deref().unwrap_or(&grant.source))
    }
}

/// A path in a container that stays where it says.
pub(crate) fn check_grant_target(target: &str) -> Result<(), ParseError> {
    let parts = || target.split('/').filter(|part| !part.is_empty());
    let fits = parts().next().is_some() && parts().all(|part| part != "." && part != "..");
    if fits && !target.ends_with('/') && !target.contains('\0') {
        return Ok(());
    }
    Err(ParseError::new(
        "not the path of a file in the container",
        "write a name, or an absolute path without . and ..",
    ))
}

#[allow(clippy::trivially_copy_pass_by_ref, clippy::ref_option)] // as serde calls it
fn text<S: Serializer>(id: &Option<u32>, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&id.unwrap_or_default())
}

#[allow(clippy::trivially_copy_pass_by_ref, clippy::ref_option)] // as serde calls it
fn octal<S: Serializer>(mode: &Option<u32>, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&format_args!("{:04o}", mode.unwrap_or_default()))
}
