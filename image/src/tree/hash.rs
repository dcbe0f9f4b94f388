//! The digest of a tree: what a directory has instead of an archive's checksum.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat,
};
use sha2::{Digest as _, Sha256};

use super::meta::read_xattrs;
use crate::digest::Digest;
use crate::error::{At as _, Error};

const OPEN: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Digest over names, types, modes, owners, times, attributes and content of all
/// entries in the order of their names. Equal trees have equal digests.
pub(crate) fn digest(root: &Path) -> Result<Digest, Error> {
    let fd = openat(CWD, root, OPEN | OFlags::DIRECTORY, Mode::empty()).at("open", root)?;
    let mut hash = TreeHash {
        hasher: Sha256::new(),
        links: HashMap::new(),
    };
    // So that no archive has this digest by being made of the same bytes.
    hash.field(b"coop tree 1");
    let stat = fstat(&fd).at("stat", root)?;
    hash.meta(&stat, Some(fd.as_fd()), root)?;
    hash.directory(fd.as_fd(), &mut root.to_owned())?;
    Ok(Digest::from_hasher(hash.hasher))
}

struct TreeHash {
    hasher: Sha256,
    /// Number of the first entry of a file with several names.
    links: HashMap<u64, u64>,
}

impl TreeHash {
    /// Every field has its length before it, so that no two trees write the same bytes.
    fn field(&mut self, bytes: &[u8]) {
        self.hasher.update((bytes.len() as u64).to_le_bytes());
        self.hasher.update(bytes);
    }

    fn number(&mut self, number: u64) {
        self.hasher.update(number.to_le_bytes());
    }

    /// `path` is for messages, and comes back as it was.
    fn directory(&mut self, dir: BorrowedFd<'_>, path: &mut PathBuf) -> Result<(), Error> {
        let mut names = Vec::new();
        for entry in Dir::read_from(dir).at("read", path)? {
            let name = entry.at("read", path)?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(name);
            }
        }
        names.sort_unstable();
        self.number(names.len() as u64);
        for name in names {
            let name = OsString::from_vec(name);
            path.push(&name);
            self.field(name.as_bytes());
            self.entry(dir, &name, path)?;
            path.pop();
        }
        Ok(())
    }

    fn entry(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &OsString,
        path: &mut PathBuf,
    ) -> Result<(), Error> {
        let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).at("stat", path)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if !kind.is_dir() && stat.st_nlink > 1 {
            let next = self.links.len() as u64;
            if let Some(&first) = self.links.get(&stat.st_ino) {
                self.field(b"link");
                self.number(first);
                return Ok(());
            }
            self.links.insert(stat.st_ino, next);
        }
        match kind {
            FileType::Directory => {
                let fd =
                    openat(dir, name, OPEN | OFlags::DIRECTORY, Mode::empty()).at("open", path)?;
                self.meta(&stat, Some(fd.as_fd()), path)?;
                self.directory(fd.as_fd(), path)
            }
            FileType::RegularFile => {
                let fd = openat(dir, name, OPEN, Mode::empty()).at("open", path)?;
                self.meta(&stat, Some(fd.as_fd()), path)?;
                self.number(stat.st_size as u64);
                self.content(File::from(fd), path)
            }
            FileType::Symlink => {
                self.meta(&stat, None, path)?;
                let target = readlinkat(dir, name, Vec::new()).at("read the link", path)?;
                self.field(target.to_bytes());
                Ok(())
            }
            _ => self.meta(&stat, None, path),
        }
    }

    fn meta(
        &mut self,
        stat: &Stat,
        file: Option<BorrowedFd<'_>>,
        path: &Path,
    ) -> Result<(), Error> {
        self.number(u64::from(stat.st_mode));
        self.number(u64::from(stat.st_uid));
        self.number(u64::from(stat.st_gid));
        self.hasher.update(stat.st_mtime.to_le_bytes());
        self.hasher.update(stat.st_mtime_nsec.to_le_bytes());
        let xattrs = match file {
            Some(file) => read_xattrs(file).at("read the attributes of", path)?,
            None => Vec::new(),
        };
        self.number(xattrs.len() as u64);
        for (name, value) in xattrs {
            self.field(name.as_bytes());
            self.field(&value);
        }
        Ok(())
    }

    fn content(&mut self, mut file: File, path: &Path) -> Result<(), Error> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let n = file.read(&mut buffer).at("read", path)?;
            if n == 0 {
                return Ok(());
            }
            self.hasher.update(&buffer[..n]);
        }
    }
}
