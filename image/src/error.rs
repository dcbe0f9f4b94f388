//! What can go wrong, by step.

mod unpack;

use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::reference::Reference;
pub use unpack::UnpackError;
pub(crate) use unpack::shown;

/// An operation on the store, an import or the host image failed.
///
/// The text of a variant does not repeat its source: print the chain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No image of this name is in the store.
    #[error("there is no image {reference}{}", nearest(.near))]
    NotFound {
        /// The name asked for.
        reference: Box<Reference>,
        /// Names in the store that resemble it, best first.
        near: Vec<String>,
    },
    /// A layer that would have to go is used.
    #[error("image {reference} is in use by {user}")]
    InUse {
        /// The image that was to be removed.
        reference: Box<Reference>,
        /// Who uses it, as the caller's predicate said.
        user: String,
    },
    /// A system call on the store or a source failed.
    #[error("cannot {operation} {}", .path.display())]
    Io {
        /// What was tried, to be read before the path.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// The record of an image cannot be understood.
    #[error("the record {} is damaged", .path.display())]
    Record {
        /// The record's file.
        path: PathBuf,
        /// Where and why it is not understood.
        #[source]
        source: serde_json::Error,
    },
    /// The record of an image was written by a newer Coop.
    #[error("the record {} has version {version}, newer than this Coop", .path.display())]
    RecordVersion {
        /// The record's file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// A name with a digest cannot be given to something local.
    #[error("cannot import as {reference}: a digest is computed, not chosen; use a tag")]
    DigestGiven {
        /// The name asked for.
        reference: Box<Reference>,
    },
    /// The file is nothing that can be imported.
    #[error("cannot import {}: {what}", .path.display())]
    Format {
        /// The source.
        path: PathBuf,
        /// What it is, or what it is not.
        what: String,
    },
    /// The source is an archive of images instead of a root filesystem.
    #[error(
        "{} is {kind}, which is not supported yet: import a root filesystem instead, for example \
         from `docker export CONTAINER`", .path.display()
    )]
    ImageArchive {
        /// The source.
        path: PathBuf,
        /// `an OCI image archive` or `a docker-save archive`.
        kind: &'static str,
    },
    /// The content of a source was refused or could not be written.
    #[error("cannot import {}", .path.display())]
    Unpack {
        /// The source.
        path: PathBuf,
        /// The entry and what is wrong with it.
        #[source]
        source: UnpackError,
    },
    /// The host has nothing to make a shell from.
    #[error(
        "cannot make the host image: found neither a static busybox nor a shell; install \
         busybox-static or name another image"
    )]
    NoShell,
    /// The host image could not be written.
    #[error("cannot make the host image")]
    HostImage {
        /// The entry and what is wrong with it.
        #[source]
        source: UnpackError,
    },
    /// A file for the host image cannot be read as a program.
    #[error("cannot make the host image: {}: {what}", .path.display())]
    Program {
        /// The program or library.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

fn nearest(near: &[String]) -> String {
    match near {
        [] => String::new(),
        near => format!("; did you mean {}?", near.join(" or ")),
    }
}

/// Adds operation and path to an errno.
pub(crate) trait At<T> {
    fn at(self, operation: &'static str, path: &Path) -> Result<T, Error>;
}

impl<T> At<T> for Result<T, Errno> {
    fn at(self, operation: &'static str, path: &Path) -> Result<T, Error> {
        self.map_err(|source| Error::Io {
            operation,
            path: path.to_owned(),
            source,
        })
    }
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, operation: &'static str, path: &Path) -> Result<T, Error> {
        self.map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))
            .at(operation, path)
    }
}
