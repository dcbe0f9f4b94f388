//! Bringing a root filesystem into the store.

use std::path::Path;

use crate::config::ImageConfig;
use crate::error::Error;
use crate::image::Image;
use crate::reference::Reference;
use crate::store::Store;

/// How much an import may write: what stops a small file that unpacks to the whole disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of content, and bytes of the uncompressed archive. 64 GiB by default.
    pub bytes: u64,
    /// Files, directories and links. 8 million by default.
    pub entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 64 << 30,
            entries: 8_000_000,
        }
    }
}

/// What the caller of an import chooses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// The image's configuration: a plain root filesystem has none of its own.
    pub config: ImageConfig,
    /// When to give up.
    pub limits: Limits,
}

/// What happens during an import.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// Another process imports under the same name; this one waits for it.
    Waiting,
    /// So much of the source was read, in bytes; `total` is not known of a directory.
    Read {
        /// Bytes so far.
        done: u64,
        /// Size of the source.
        total: Option<u64>,
    },
    /// An entry, or a part of one, was left out.
    Skipped {
        /// Path in the image, quoted, control characters escaped.
        entry: &'a str,
        /// What it is and why.
        why: &'a str,
    },
    /// Everything is unpacked and is being forced to the disk.
    Syncing,
}

impl Store {
    /// Imports a directory, a tar archive (plain, gzip, zstd or xz) or a squashfs as an
    /// image of one layer. What `source` is, is told by its content and not its name.
    ///
    /// The content is treated as hostile: see the crate's documentation. An image that
    /// has this name already loses it; its layer stays until
    /// [`prune`](Self::prune), as a container may use it.
    ///
    /// # Errors
    /// [`Error::Format`], [`Error::ImageArchive`], [`Error::Unpack`],
    /// [`Error::DigestGiven`], [`Error::Io`]. Nothing is left behind.
    pub fn import(
        &self,
        _reference: &Reference,
        _source: &Path,
        _options: &ImportOptions,
        _progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Image, Error> {
        todo!()
    }
}
