//! Where a copy goes: Docker's rules for files, directories and slashes.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use rustix::io::Errno;

use super::error::at;
use super::{ArchiveError, Tree, kind, parent_of};
use crate::path::by_its_text;

/// A path to copy to, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    path: PathBuf,
    /// It ends in a slash: it has to be a directory.
    directory: bool,
}

/// The place that a copy takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// A directory that exists.
    pub(super) dir: PathBuf,
    /// The name in it; none for what goes into the directory itself.
    pub(super) name: Option<OsString>,
    /// Whether the first part of each name in the archive is the source's own.
    pub(super) renamed: bool,
}

impl Target {
    /// The path as the user wrote it, relative to the root.
    pub fn new(path: &str) -> Self {
        Self {
            directory: path.is_empty() || path.ends_with('/') || path.ends_with("/."),
            path: by_its_text(Path::new(path)),
        }
    }

    /// The place for what is called `name` where it comes from; of a directory whose contents
    /// alone are copied there is no name.
    ///
    /// # Errors
    /// [`ArchiveError::NoDestination`], [`ArchiveError::NotADirectory`],
    /// [`ArchiveError::DirectoryOntoFile`], [`ArchiveError::System`].
    pub fn place(
        &self,
        tree: &Tree,
        name: Option<&OsStr>,
        what: FileType,
    ) -> Result<Place, ArchiveError> {
        let source_is_directory = what == FileType::Directory;
        let (path, found) = tree.follow(&self.path).map_err(|errno| match errno {
            Errno::NOENT => ArchiveError::NoDestination {
                path: parent_of(&self.path).to_owned(),
            },
            Errno::NOTDIR => ArchiveError::NotADirectory {
                path: parent_of(&self.path).to_owned(),
            },
            _ => at("find", &self.path)(errno),
        })?;
        let split = |path: &Path| Place {
            dir: parent_of(path).to_owned(),
            name: path.file_name().map(OsStr::to_owned),
            renamed: name.is_some(),
        };
        match found.map(|stat| kind(&stat)) {
            Some(FileType::Directory) => Ok(Place {
                dir: path,
                name: name.map(OsStr::to_owned),
                renamed: name.is_some(),
            }),
            Some(_) if source_is_directory => Err(ArchiveError::DirectoryOntoFile {
                path: self.path.clone(),
            }),
            Some(_) if self.directory => Err(ArchiveError::NotADirectory {
                path: self.path.clone(),
            }),
            None if self.directory && !source_is_directory => Err(ArchiveError::NoDestination {
                path: self.path.clone(),
            }),
            Some(_) | None => Ok(split(&path)),
        }
    }

    /// The path as a directory that exists, for an archive of the user's own.
    ///
    /// # Errors
    /// [`ArchiveError::NoDestination`], [`ArchiveError::NotADirectory`],
    /// [`ArchiveError::System`].
    pub fn directory(&self, tree: &Tree) -> Result<Place, ArchiveError> {
        match self.place(tree, None, FileType::Directory)? {
            place @ Place { name: None, .. } => Ok(place),
            Place { .. } => Err(ArchiveError::NoDestination {
                path: self.path.clone(),
            }),
        }
    }
}
