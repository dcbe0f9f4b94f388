//! The built-in image `coop/host`, made from the host's own programs.
//!
//! It needs no network and no other file than what the host has: a static busybox, or
//! else the host's shell and core tools with the libraries that they load.

mod builder;
mod busybox;
pub(crate) mod elf;
mod inputs;
mod libraries;
mod skeleton;
mod tools;

use std::path::PathBuf;

use self::builder::Builder;
pub(crate) use self::inputs::Inputs;
use crate::config::ImageConfig;
use crate::digest::Digest;
use crate::error::Error;
use crate::image::Image;
use crate::import::Limits;
use crate::reference::Reference;
use crate::store::{About, Layer, Store};
use crate::tree::{self, Writer};

/// Name of the host image.
pub const NAME: &str = "coop/host";

/// To be raised when this crate makes another image of the same inputs.
const VERSION: u32 = 1;

/// Which programs the host image gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Userland {
    /// A static busybox when the host has one, else the host's own tools.
    #[default]
    Auto,
    /// This static busybox.
    Busybox(PathBuf),
    /// The host's shell and core tools with the libraries that they need.
    HostTools,
}

/// How to make the host image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipe {
    /// Which programs.
    pub userland: Userland,
    /// Files of the host to add: source, and the absolute path in the image. Programs
    /// bring their libraries with them. Where the host has no busybox, this is how a
    /// small HTTP server and client come in.
    pub extra: Vec<(PathBuf, PathBuf)>,
}

/// The image `coop/host:latest`, made now when it is not in the store or when the
/// programs that it was made from have changed.
///
/// When it is there, this costs reading its record and one `stat(2)` for each program
/// that it was made from: one or two with busybox, some hundred without.
///
/// # Errors
/// [`Error::NoShell`], [`Error::Program`], [`Error::HostImage`], [`Error::Io`].
pub fn ensure_host_image(store: &Store) -> Result<Image, Error> {
    ensure_host_image_with(store, &Recipe::default())
}

/// [`ensure_host_image`] by a recipe of one's own. There is one host image in a store:
/// another recipe replaces it.
///
/// # Errors
/// As [`ensure_host_image`].
pub fn ensure_host_image_with(store: &Store, recipe: &Recipe) -> Result<Image, Error> {
    let reference = Reference::host_image();
    let fingerprint = Digest::of(format!("{VERSION} {recipe:?}").as_bytes());
    if let Some(image) = current(store, &reference, &fingerprint)? {
        return Ok(image);
    }
    let workspace = store.workspace(&reference, || {
        log::info!("another process makes the image {reference}; waiting for it");
    })?;
    // Whoever was waited for has made it.
    if let Some(image) = current(store, &reference, &fingerprint)? {
        return Ok(image);
    }
    log::info!("making the image {reference} from the host's programs");
    let root = workspace.path("root");
    let mut quiet = |_: crate::import::Progress<'_>| {};
    let writer = Writer::create(&root, Limits::default(), &mut quiet)?;
    let mut builder = Builder::new(writer);
    skeleton::write(&mut builder)?;
    match &recipe.userland {
        Userland::Auto => match busybox::find(&mut builder) {
            Some(busybox) => busybox::install(&mut builder, &busybox)?,
            None => tools::install(&mut builder)?,
        },
        Userland::Busybox(path) => busybox::install(&mut builder, path)?,
        Userland::HostTools => tools::install(&mut builder)?,
    }
    for (source, target) in &recipe.extra {
        builder.extra(source, target)?;
    }
    let (size, stamps) = builder.finish()?;
    let layer = Layer {
        digest: tree::digest(&root)?,
        size,
    };
    let inputs = Inputs::new(fingerprint, stamps);
    let about = About {
        config: config(),
        architecture: None,
        inputs: Some(inputs),
    };
    store.commit(&reference, &root, layer, about)
}

/// The image in the store when it is still what would be made.
fn current(
    store: &Store,
    reference: &Reference,
    fingerprint: &Digest,
) -> Result<Option<Image>, Error> {
    let record = match store.record(reference) {
        Ok(Some(record)) => record,
        // Made again rather than complained about.
        Ok(None) | Err(Error::Record { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let fresh = record
        .inputs
        .as_ref()
        .is_some_and(|inputs| inputs.are_current(fingerprint))
        && record.layers.iter().all(|layer| store.has_layer(layer));
    Ok(fresh.then(|| record.into_image(&store.layers_dir())))
}

fn config() -> ImageConfig {
    ImageConfig {
        env: vec![format!("PATH={}", skeleton::PATH)],
        cmd: vec!["/bin/sh".to_owned()],
        ..ImageConfig::default()
    }
}
