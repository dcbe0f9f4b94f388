//! Places files of the host in the image, and remembers what was looked at.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use super::elf::Elf;
use super::inputs::Stamp;
use super::libraries::Libraries;
use crate::error::{At as _, Error, UnpackError};
use crate::tree::{EntryPath, Meta, Writer, read_xattrs};

/// Directories that are symbolic links in the image: `/bin` and `/usr/bin` are one, as
/// in every current distribution.
pub(super) const MERGED: &[(&str, &str)] = &[
    ("bin", "usr/bin"),
    ("sbin", "usr/bin"),
    ("usr/sbin", "usr/bin"),
    ("lib", "usr/lib"),
    ("lib64", "usr/lib64"),
];

pub(super) struct Builder<'a> {
    writer: Writer<'a>,
    stamps: BTreeMap<PathBuf, Option<Stamp>>,
    /// Files of the host that are in the image already, by real path.
    placed: HashMap<PathBuf, EntryPath>,
    libraries: Option<Libraries>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(writer: Writer<'a>) -> Self {
        Self {
            writer,
            stamps: BTreeMap::new(),
            placed: HashMap::new(),
            libraries: None,
        }
    }

    /// Whether there is a file, remembered either way.
    pub(super) fn is_file(&mut self, path: &Path) -> bool {
        self.stamps.insert(path.to_owned(), Stamp::of(path));
        path.is_file()
    }

    pub(super) fn directory(&mut self, path: &str, mode: u32) -> Result<(), Error> {
        let entry = EntryPath::parse(path.as_bytes()).map_err(failed)?;
        self.writer
            .directory(&entry, Meta::root(mode))
            .map_err(failed)
    }

    pub(super) fn text(&mut self, path: &str, mode: u32, content: &str) -> Result<(), Error> {
        let entry = EntryPath::parse(path.as_bytes()).map_err(failed)?;
        let mut bytes = content.as_bytes();
        let size = bytes.len() as u64;
        self.writer
            .file(&entry, &Meta::root(mode), size, &mut bytes)
            .map_err(failed)
    }

    pub(super) fn symlink(&mut self, path: &str, target: &str) -> Result<(), Error> {
        let entry = EntryPath::parse(path.as_bytes()).map_err(failed)?;
        self.writer
            .symlink(&entry, target.as_bytes(), &Meta::root(0o777))
            .map_err(failed)
    }

    /// A file that the caller names, with its libraries.
    pub(super) fn extra(&mut self, source: &Path, target: &Path) -> Result<(), Error> {
        let target = image_path(target).map_err(failed)?;
        self.program(source, &target)
    }

    /// Copies a program of the host with all libraries that it needs. Nothing is copied
    /// when one is missing.
    pub(super) fn program(&mut self, source: &Path, target: &EntryPath) -> Result<(), Error> {
        let bytes = fs::read(source).at("read", source)?;
        let mut needed = Vec::new();
        if bytes.starts_with(b"\x7fELF") {
            let elf = Elf::parse(&bytes).map_err(|what| Error::Program {
                path: source.to_owned(),
                what,
            })?;
            let libraries = self.libraries.get_or_insert_with(Libraries::of_host);
            needed = libraries.of_program(source, target.as_path(), &elf)?;
        }
        self.copy(source, target)?;
        for (library, target) in needed {
            self.copy(&library, &image_path(&target).map_err(failed)?)?;
        }
        Ok(())
    }

    /// Copies one file; the same file under a second name becomes a hard link.
    fn copy(&mut self, source: &Path, target: &EntryPath) -> Result<(), Error> {
        // Before reading: a change in between is seen the next time.
        self.stamps.insert(source.to_owned(), Stamp::of(source));
        let real = fs::canonicalize(source).at("find", source)?;
        if let Some(first) = self.placed.get(&real) {
            if first != target {
                let first = first.as_path().as_os_str().as_bytes().to_vec();
                self.writer.hard_link(target, &first).map_err(failed)?;
            }
            return Ok(());
        }
        let file = File::open(&real).at("open", &real)?;
        let stat = file.metadata().at("stat", &real)?;
        let content = fs::read(&real).at("read", &real)?;
        // No set-user-id: what the host trusts with it is not asked of an image.
        let mut meta = Meta::root(stat.permissions().mode() & 0o755);
        meta.xattrs = read_xattrs(file.as_fd()).at("read the attributes of", &real)?;
        let size = content.len() as u64;
        self.writer
            .file(target, &meta, size, &mut content.as_slice())
            .map_err(failed)?;
        self.placed.insert(real, target.clone());
        Ok(())
    }

    /// Bytes written, and everything that was looked at.
    #[allow(clippy::type_complexity, reason = "two results, used once")]
    pub(super) fn finish(self) -> Result<(u64, Vec<(PathBuf, Option<Stamp>)>), Error> {
        let size = self.writer.bytes();
        self.writer.finish().map_err(failed)?;
        Ok((size, self.stamps.into_iter().collect()))
    }
}

/// Where a file with this absolute path lies once `/bin` and the like are links.
pub(super) fn image_path(host: &Path) -> Result<EntryPath, UnpackError> {
    let mut path = PathBuf::new();
    for part in host.components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::ParentDir => _ = path.pop(),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    for (link, target) in MERGED {
        if let Ok(rest) = path.strip_prefix(link) {
            path = Path::new(target).join(rest);
            break;
        }
    }
    EntryPath::parse(path.as_os_str().as_bytes())
}

fn failed(source: UnpackError) -> Error {
    Error::HostImage { source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_the_merged_directories() {
        for (host, image) in [
            ("/bin/sh", "usr/bin/sh"),
            ("/sbin/ip", "usr/bin/ip"),
            ("/usr/sbin/ip", "usr/bin/ip"),
            ("/lib64/ld.so", "usr/lib64/ld.so"),
            ("/lib/x/libc.so.6", "usr/lib/x/libc.so.6"),
            ("/usr/bin/../lib/x.so", "usr/lib/x.so"),
            ("/opt/binary", "opt/binary"),
            ("/library/x", "library/x"),
        ] {
            assert_eq!(
                image_path(Path::new(host)).unwrap().as_path(),
                Path::new(image)
            );
        }
    }
}
