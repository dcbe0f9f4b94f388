//! Secrets and configs: which files a container is given, and where their content is.
//!
//! The plan names where content comes from. Only a config that stands in the stack file is in
//! the plan itself: no secret ever is.

use std::path::{Path, PathBuf};

use anyhow::Result;
use coop_fs::Mount;
use serde::{Deserialize, Serialize};

use crate::load::Located;
use crate::stack::{
    Content, Diagnostic, Grant, GrantKind, GrantedMap, NodePath, Service, Stack, Variables,
};

/// Docker's mode of a secret: its owner has no need to write it.
const MODE: u32 = 0o444;

/// A file that is put into the container's memory at each start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantedFile {
    /// `secret db` or `config site`, for messages.
    pub what: String,
    /// Where its content comes from.
    pub source: GrantedSource,
    /// Where it lies on the host: on a filesystem in memory.
    pub path: PathBuf,
    /// Its owner, in the container's ids.
    pub uid: u32,
    /// Its group, in the container's ids.
    pub gid: u32,
    /// Its permission bits.
    pub mode: u32,
}

/// Where the content of a file comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GrantedSource {
    /// From a file of the host, at each start.
    File(PathBuf),
    /// From a variable of `coop up`, which left it in memory.
    Environment(String),
    /// From the stack file.
    Text(String),
}

/// Text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Hidden(pub String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

/// What a service is given.
#[derive(Debug, Default)]
pub(super) struct Grants {
    pub files: Vec<GrantedFile>,
    /// What `up` leaves in memory: the file, and its content.
    pub texts: Vec<(PathBuf, Hidden)>,
    pub mounts: Vec<Mount>,
}

/// Puts the secrets and configs of a service together; `directory` is the container's own, in
/// memory.
pub(super) fn grants(
    stack: &Stack,
    service: &Service,
    directory: &Path,
    variables: &Variables,
) -> Result<Grants> {
    let mut all = Grants::default();
    let kinds = [
        (GrantKind::Secret, &service.grants.secrets, &stack.secrets),
        (GrantKind::Config, &service.grants.configs, &stack.configs),
    ];
    for (kind, grants, declared) in kinds {
        for grant in grants {
            all.add(kind, grant, declared, directory, variables)?;
        }
    }
    Ok(all)
}

impl Grants {
    fn add(
        &mut self,
        kind: GrantKind,
        grant: &Grant,
        declared: &GrantedMap,
        directory: &Path,
        variables: &Variables,
    ) -> Result<()> {
        let (noun, name) = (kind.noun(), &grant.source);
        let place = NodePath::root().key(kind.key()).key(name);
        let Some(granted) = declared.get(name) else {
            anyhow::bail!("the {noun} {name:?} is not declared");
        };
        let path = directory.join(self.files.len().to_string());
        let source = match &granted.content {
            Content::File(file) => {
                if !file.is_file() {
                    let message = format!("{noun} {name}: no such file: {}", file.display());
                    let place = place.key("file");
                    return Err(Located(Diagnostic::at(place, message)).into());
                }
                GrantedSource::File(file.clone())
            }
            Content::Environment(variable) => {
                let Some(text) = variables.get(variable) else {
                    let message = format!(
                        "environment variable {variable:?} required by {noun} {name:?} is not set"
                    );
                    let place = place.key("environment");
                    let help = "set it where `coop up` is run, or in the file .env";
                    return Err(Located(Diagnostic::at(place, message).help(help)).into());
                };
                self.texts.push((path.clone(), Hidden(text.clone())));
                GrantedSource::Environment(variable.clone())
            }
            Content::Content(text) => GrantedSource::Text(text.clone()),
        };
        self.mounts.push(Mount::Bind {
            source: path.clone(),
            target: kind.target(grant),
            options: "ro,nosuid,nodev,noexec".parse()?,
        });
        self.files.push(GrantedFile {
            what: format!("{noun} {name}"),
            source,
            path,
            uid: grant.uid.unwrap_or(0),
            gid: grant.gid.unwrap_or(0),
            mode: grant.mode.unwrap_or(MODE),
        });
        Ok(())
    }
}
