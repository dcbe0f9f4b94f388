//! Volumes: which one a mount means.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use coop_launcher::store::ContainerId;

use crate::stack::Stack;

/// A volume that a container uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VolumeUse {
    /// Its name on the host.
    pub name: String,
    /// Where the container sees it.
    pub target: PathBuf,
    /// Whether a new one is filled with what the image has at the target.
    pub copy: bool,
    /// Whether it goes with the container.
    pub anonymous: bool,
    /// Whether it must exist already.
    pub external: bool,
    /// The labels of a new one.
    pub labels: BTreeMap<String, String>,
}

impl VolumeUse {
    /// The volume `key` of the stack; without a key an anonymous one.
    pub(super) fn new(stack: &Stack, key: Option<&str>, target: &Path, copy: bool) -> Result<Self> {
        let target = target.to_owned();
        let Some(key) = key else {
            let name = ContainerId::random()
                .context("name an anonymous volume")?
                .to_string();
            return Ok(Self {
                name,
                target,
                copy,
                anonymous: true,
                external: false,
                labels: BTreeMap::new(),
            });
        };
        let declared = stack.volumes.get(key);
        Ok(Self {
            name: stack.volume_name(key),
            target,
            copy,
            anonymous: false,
            external: declared.is_some_and(|volume| volume.external),
            labels: declared.map_or_else(BTreeMap::new, |volume| {
                volume.labels.clone().into_iter().collect()
            }),
        })
    }
}
