//! The record of an image on disk: one JSON file per tag.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::ImageConfig;
use crate::digest::Digest;
use crate::error::Error;
use crate::host::Inputs;
use crate::image::Image;
use crate::reference::Reference;

const VERSION: u32 = 1;

/// What is known of an image. Unknown keys are kept out so that an older Coop reads
/// what a newer one added; what it must not misread gets a new [`VERSION`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u32,
    pub(crate) reference: Reference,
    pub(crate) id: Digest,
    pub(crate) created: u64,
    /// Bottom first, as in OCI's `rootfs.diff_ids`.
    pub(crate) layers: Vec<Layer>,
    pub(crate) config: ImageConfig,
    /// In OCI's words; an older Coop knew of no other machine's images.
    #[serde(default = "this_machine")]
    pub(crate) architecture: String,
    /// Of the host image: what it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) inputs: Option<Inputs>,
}

/// One unpacked layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layer {
    /// Digest of the uncompressed layer (OCI's `DiffID`).
    pub(crate) digest: Digest,
    /// Bytes in regular files.
    pub(crate) size: u64,
}

/// What is known of an image beside its name and its layers.
pub(crate) struct About {
    pub(crate) config: ImageConfig,
    /// This machine's, when there is none.
    pub(crate) architecture: Option<String>,
    pub(crate) inputs: Option<Inputs>,
}

impl Record {
    pub(crate) fn new(
        reference: Reference,
        layers: Vec<Layer>,
        about: About,
        created: u64,
    ) -> Result<Self, serde_json::Error> {
        let About {
            config,
            architecture,
            inputs,
        } = about;
        let architecture = architecture.unwrap_or_else(this_machine);
        let id = image_id(&layers, &config, &architecture)?;
        Ok(Self {
            version: VERSION,
            reference,
            id,
            created,
            layers,
            config,
            architecture,
            inputs,
        })
    }

    pub(crate) fn parse(bytes: &[u8], path: &Path) -> Result<Self, Error> {
        let damaged = |source| Error::Record {
            path: path.to_owned(),
            source,
        };
        let record: Self = serde_json::from_slice(bytes).map_err(|error| {
            match serde_json::from_slice::<VersionOnly>(bytes) {
                Ok(newer) if newer.version > VERSION => Error::RecordVersion {
                    path: path.to_owned(),
                    version: newer.version,
                },
                _ => damaged(error),
            }
        })?;
        if record.version > VERSION {
            return Err(Error::RecordVersion {
                path: path.to_owned(),
                version: record.version,
            });
        }
        Ok(record)
    }

    pub(crate) fn into_image(self, layers_dir: &Path) -> Image {
        Image {
            reference: self.reference,
            id: self.id,
            created: self.created,
            size: self
                .layers
                .iter()
                .fold(0, |sum, layer| sum.saturating_add(layer.size)),
            layers: self
                .layers
                .iter()
                .rev()
                .map(|l| layers_dir.join(l.digest.hex()))
                .collect(),
            config: self.config,
            architecture: self.architecture,
        }
    }
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
}

/// The id as OCI defines it: the digest of the image's configuration document. Without
/// a creation time (the specification makes it optional) equal content has equal ids.
fn image_id(
    layers: &[Layer],
    config: &ImageConfig,
    architecture: &str,
) -> Result<Digest, serde_json::Error> {
    #[derive(Serialize)]
    struct Document<'a> {
        architecture: &'a str,
        os: &'static str,
        config: &'a ImageConfig,
        rootfs: RootFs<'a>,
    }
    #[derive(Serialize)]
    struct RootFs<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        diff_ids: Vec<&'a Digest>,
    }
    let document = Document {
        architecture,
        os: "linux",
        config,
        rootfs: RootFs {
            kind: "layers",
            diff_ids: layers.iter().map(|l| &l.digest).collect(),
        },
    };
    Ok(Digest::of(&serde_json::to_vec(&document)?))
}

/// This machine in Go's words, which OCI uses.
fn this_machine() -> String {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
    .to_owned()
}
