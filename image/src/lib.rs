//! A store of root filesystem images for containers.
//!
//! Images come from a directory, a tar archive (plain or compressed with gzip, zstd or
//! xz) or a squashfs; the [host image](host) is made from the host's own programs and
//! needs no file and no network at all. Each layer is unpacked once, under the digest of
//! its content, and shared by every image that has it, ready to be a lower directory of
//! an overlay.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use coop_image::{ImportOptions, Store, ensure_host_image};
//!
//! let store = Store::open("/var/lib/coop/images");
//! let web = "team/web:1.0".parse()?;
//! store.import(&web, Path::new("web.tar.zst"), &ImportOptions::default(), &mut |_| {})?;
//!
//! let image = store.get(&web)?;
//! println!("mount {:?}, run {:?}", image.layers, image.config.cmd);
//!
//! let host = ensure_host_image(&store)?;
//! println!("{} has {} bytes", host.reference, host.size);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Cost
//!
//! [`Store::open`] does nothing. [`Store::get`] opens and reads one file. Decoders and
//! hashes are touched by an import only. There are no threads and no global state.
//!
//! # What is not trusted
//!
//! The content of a source. Entries are created below a descriptor of the new root: the
//! kernel resolves the directory of each with `openat2(2)` and refuses `..`, absolute
//! paths, symbolic links and mounts on the way. Device nodes are left out, sizes and
//! numbers are [limited](Limits), decoders are pure Rust and bounded in memory. Attributes
//! that would steer overlay itself are dropped. Set-user-id bits and file capabilities
//! are kept, as they are part of an image; the store is readable by its owner alone, so
//! that no other user of the host reaches such a program.
//!
//! # On disk
//!
//! See [`Store`]. An image has one layer today; records, ids and [`ImageConfig`] are in
//! the terms of the OCI image specification, for images of several layers to come.

mod config;
mod digest;
mod error;
#[doc(hidden)]
pub mod fuzzing;
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
