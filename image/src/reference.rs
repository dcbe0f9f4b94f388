//! Names of images, by Docker's grammar.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

const DEFAULT_REGISTRY: &str = "docker.io";
const OFFICIAL: &str = "library";
const DEFAULT_TAG: &str = "latest";
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// The name of an image: `[registry/]path[:tag][@sha256:digest]`.
///
/// The grammar is the one of the `distribution/reference` package, so what Docker
/// takes is taken and what it refuses is refused. A name without a registry is one of
/// `docker.io`, and a single word there is `library/word`: `alpine`,
/// `docker.io/alpine` and `docker.io/library/alpine` are one image. `Display` writes
/// the short form with the tag, `alpine:latest`.
///
/// ```
/// use coop_image::Reference;
///
/// let reference: Reference = "localhost:5000/team/web".parse()?;
/// assert_eq!(reference.registry(), "localhost:5000");
/// assert_eq!(reference.path(), "team/web");
/// assert_eq!(reference.tag(), Some("latest"));
/// assert_eq!(reference.to_string(), "localhost:5000/team/web:latest");
/// # Ok::<(), coop_image::ParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    registry: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a string is not the name of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Nothing is left before the tag or the digest.
    #[error("`{text}` has no image name")]
    Empty {
        /// What was parsed.
        text: String,
    },
    /// A part of the path breaks the grammar.
    #[error(
        "`{text}` is not an image name: `{component}` may only have lower-case letters and \
         digits, separated by `.`, `_`, `__` or dashes{}", suggest(.text)
    )]
    Component {
        /// What was parsed.
        text: String,
        /// The part between two slashes.
        component: String,
    },
    /// The part before the first slash looks like a registry and is none.
    #[error("`{text}` is not an image name: `{registry}` is not a host[:port]")]
    Registry {
        /// What was parsed.
        text: String,
        /// The part before the first slash.
        registry: String,
    },
    /// The tag breaks the grammar.
    #[error(
        "`{text}` is not an image name: a tag has up to 128 letters, digits, `_`, `.` and `-` \
         and does not begin with `.` or `-`, unlike `{tag}`"
    )]
    Tag {
        /// What was parsed.
        text: String,
        /// The part behind the colon.
        tag: String,
    },
    /// Not a sha256 digest.
    #[error("`{text}` is not a digest: {why}")]
    Digest {
        /// What was parsed as a digest.
        text: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// Registry and path together have more than 255 characters.
    #[error("image name of {length} characters is too long (255 at most)")]
    TooLong {
        /// Length of registry and path.
        length: usize,
    },
    /// 64 hexadecimal digits alone are an image id everywhere else.
    #[error("`{text}` looks like an image id and cannot be a name")]
    LooksLikeId {
        /// What was parsed.
        text: String,
    },
}

fn suggest(text: &str) -> String {
    let lower = text.to_lowercase();
    match lower.parse::<Reference>() {
        Ok(_) => format!("; did you mean `{lower}`?"),
        Err(_) => String::new(),
    }
}

impl Reference {
    /// `coop/host:latest`.
    pub(crate) fn host_image() -> Self {
        Self {
            registry: DEFAULT_REGISTRY.to_owned(),
            path: crate::host::NAME.to_owned(),
            tag: Some(DEFAULT_TAG.to_owned()),
            digest: None,
        }
    }

    /// Host and port of the registry, `docker.io` by default.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path within the registry, `library/alpine` for `alpine`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag: `latest` when neither tag nor digest was given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest behind `@`, which wins over the tag.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The short name without tag and digest, `alpine` or `localhost:5000/web`.
    pub fn name(&self) -> String {
        let full = format!("{}/{}", self.registry, self.path);
        if self.registry != DEFAULT_REGISTRY {
            return full;
        }
        // Shortened only while the short form still means the same image: of
        // `docker.io/localhost/x` the rest would name another registry.
        let official = self
            .path
            .strip_prefix(OFFICIAL)
            .and_then(|path| path.strip_prefix('/'));
        [official, Some(self.path.as_str())]
            .into_iter()
            .flatten()
            .find(|short| {
                split_name(short) == (DEFAULT_REGISTRY.to_owned(), self.path.clone())
                    && !is_id(short)
            })
            .map_or(full, str::to_owned)
    }

    /// Where the record of this image is kept, relative to the store's images.
    ///
    /// Path components begin with a letter, a digit or `[`: `_tags` is never one.
    pub(crate) fn record_path(&self) -> PathBuf {
        let mut path = PathBuf::from(&self.registry);
        path.push(&self.path);
        match (&self.digest, &self.tag) {
            (Some(digest), _) => {
                path.push("_digests");
                path.push(format!("{}.json", digest.hex()));
            }
            (None, tag) => {
                path.push("_tags");
                path.push(format!("{}.json", tag.as_deref().unwrap_or(DEFAULT_TAG)));
            }
        }
        path
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse::<Digest>()?)),
            None => (text, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let tag_at = rest
            .rfind(':')
            .filter(|&colon| !rest[colon..].contains('/'));
        let (name, tag) = match tag_at {
            Some(colon) => (&rest[..colon], Some(&rest[colon + 1..])),
            None => (rest, None),
        };
        if name.is_empty() {
            return Err(ParseError::Empty {
                text: text.to_owned(),
            });
        }
        if is_id(name) {
            return Err(ParseError::LooksLikeId {
                text: text.to_owned(),
            });
        }
        let (registry, path) = split_name(name);
        if !is_host_port(&registry) {
            return Err(ParseError::Registry {
                text: text.to_owned(),
                registry,
            });
        }
        if let Some(component) = path.split('/').find(|part| !is_path_component(part)) {
            let component = component.to_owned();
            return Err(ParseError::Component {
                text: text.to_owned(),
                component,
            });
        }
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(ParseError::Tag {
                text: text.to_owned(),
                tag: tag.to_owned(),
            });
        }
        let length = registry.len() + 1 + path.len();
        if length > MAX_NAME {
            return Err(ParseError::TooLong { length });
        }
        let tag = match (tag, &digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, Some(_)) => None,
            (None, None) => Some(DEFAULT_TAG.to_owned()),
        };
        Ok(Self {
            registry,
            path,
            tag,
            digest,
        })
    }
}

impl TryFrom<String> for Reference {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

/// Splits a name as Docker does: the first part is a registry when it has a dot, a
/// colon or an upper-case letter, or is `localhost`.
fn split_name(name: &str) -> (String, String) {
    let (registry, path) = match name.split_once('/') {
        Some((first, rest))
            if first == "localhost"
                || first.contains(['.', ':'])
                || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (first, rest)
        }
        _ => (DEFAULT_REGISTRY, name),
    };
    let registry = if registry == "index.docker.io" {
        DEFAULT_REGISTRY
    } else {
        registry
    };
    if registry == DEFAULT_REGISTRY && !path.contains('/') {
        return (registry.to_owned(), format!("{OFFICIAL}/{path}"));
    }
    (registry.to_owned(), path.to_owned())
}

fn is_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_host_port(text: &str) -> bool {
    let (host, port) = if text.starts_with('[') {
        match text.split_once(']') {
            Some((host, rest)) => (
                &text[..=host.len()],
                rest.strip_prefix(':').or(
                    // `[::1]` alone is fine, `[::1]x` is not.
                    if rest.is_empty() { None } else { Some("x") },
                ),
            ),
            None => return false,
        }
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let port_ok = port.is_none_or(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
    let host_ok = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(address) => {
            !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':')
        }
        None => host.split('.').all(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        }),
    };
    host_ok && port_ok
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_component(part: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    word(first)
        && word(last)
        && part
            .split(|c: char| c.is_ascii() && word(c as u8))
            .all(|separator| {
                matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
            })
}

/// `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`
fn is_tag(tag: &str) -> bool {
    (1..=MAX_TAG).contains(&tag.len())
        && !tag.starts_with(['.', '-'])
        && tag
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests;
