//! A store of container root filesystem images.

mod config;
mod digest;
mod error;
pub mod host;
mod image;
mod import;
mod reference;
mod store;
mod tree;

pub use config::{Healthcheck, ImageConfig};
pub use digest::Digest;
pub use error::{Error, UnpackError};
pub use host::{ensure_host_image, ensure_host_image_with};
pub use image::Image;
pub use import::{ImportOptions, Limits, Progress};
pub use reference::{ParseError, Reference};
pub use store::{Lock, Removed, Store};
