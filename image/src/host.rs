//! The built-in image `coop/host`, made from the host's own programs.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::image::Image;
use crate::store::Store;

/// Name of the host image.
pub const NAME: &str = "coop/host";

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
    /// bring their libraries with them.
    pub extra: Vec<(PathBuf, PathBuf)>,
}

/// What an existing host image was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Inputs {}

/// The image `coop/host:latest`, made now when it is not in the store or when the
/// programs that it was made from have changed.
///
/// # Errors
/// [`Error::NoShell`], [`Error::Program`], [`Error::Io`], [`Error::Unpack`].
pub fn ensure_host_image(store: &Store) -> Result<Image, Error> {
    ensure_host_image_with(store, &Recipe::default())
}

/// [`ensure_host_image`] by a recipe of one's own.
///
/// # Errors
/// As [`ensure_host_image`].
pub fn ensure_host_image_with(_store: &Store, _recipe: &Recipe) -> Result<Image, Error> {
    todo!()
}
