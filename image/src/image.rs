//! An image as the rest of the program sees it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::ImageConfig;
use crate::digest::Digest;
use crate::reference::Reference;

/// An image in the store, ready to be mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its name.
    pub reference: Reference,
    /// Digest of its configuration and the digests of its layers: the same content has
    /// the same id under every name.
    pub id: Digest,
    /// When it came into the store, in seconds since the Unix epoch.
    pub created: u64,
    /// Bytes in the regular files of all layers, hard links counted once.
    pub size: u64,
    /// The unpacked layers, top first as overlay's `lowerdir` has them. Never write
    /// here: the directories are shared by all images and containers.
    pub layers: Vec<PathBuf>,
    /// What the image says about its process.
    pub config: ImageConfig,
    /// What its programs are compiled for, in OCI's words: `amd64`, `arm64`.
    #[serde(default)]
    pub architecture: String,
}
