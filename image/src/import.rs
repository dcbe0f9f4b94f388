//! Bringing a root filesystem into the store.

mod bootstrap;
mod decoder;
mod directory;
mod format;
mod squashfs;
mod tar;

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};

use self::decoder::decoder;
use self::format::Format;
use self::tar::{Kind, TarReader};
use crate::config::ImageConfig;
use crate::digest::{Digest, HashingReader};
use crate::error::{At as _, Error, UnpackError};
use crate::image::Image;
use crate::reference::Reference;
use crate::store::{About, Layer, Store};
use crate::tree::{self, EntryPath, Writer};

const DEVICE: &str = "a device node; containers have a /dev of their own";
const SOCKET: &str = "a socket, which only its program can make";
/// Bytes of the source between two reports of progress.
const REPORT_EVERY: u64 = 1 << 20;

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
    /// What its programs are compiled for, in OCI's words (`amd64`, `arm64`); this
    /// machine's architecture when there is none.
    pub architecture: Option<String>,
    /// When to give up.
    pub limits: Limits,
}

/// What happens during an import.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// Another process imports under the same name; this one waits for it.
    Waiting,
    /// So much of an archive was read, in bytes; told about once a megabyte.
    Read {
        /// Bytes so far.
        done: u64,
        /// Size of the archive, where it is known.
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
    /// image of one layer. What `source` is, is told by its content and not its name. In
    /// an archive the root filesystem may lie one directory down, as in Arch Linux's
    /// bootstrap archive with its `root.x86_64`.
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
        reference: &Reference,
        source: &Path,
        options: &ImportOptions,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Image, Error> {
        if reference.digest().is_some() {
            return Err(Error::DigestGiven {
                reference: Box::new(reference.clone()),
            });
        }
        // Opened before anything is created. NONBLOCK: it may be a pipe.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = File::from(openat(CWD, source, flags, Mode::empty()).at("open", source)?);
        let kind = file.metadata().at("stat", source)?.file_type();
        let workspace = self.workspace(reference, || progress(Progress::Waiting))?;
        let root = workspace.path("root");
        let unpacked = if kind.is_dir() {
            let store = directory::identity(self.dir()).at("stat", self.dir())?;
            copy_directory(source, store, &root, options.limits, progress)
        } else if kind.is_file() {
            unpack(source, file, &root, options.limits, progress)
        } else {
            let what = "it is neither a file nor a directory".to_owned();
            Err(Error::Format {
                path: source.to_owned(),
                what,
            })
        }?;
        let about = About {
            config: options.config.clone(),
            architecture: options.architecture.clone(),
            inputs: None,
        };
        self.commit(reference, &unpacked.tree, unpacked.layer, about)
    }
}

/// A root filesystem in the workspace of an import, ready to be committed.
struct Unpacked {
    tree: PathBuf,
    layer: Layer,
}

fn unpack(
    source: &Path,
    mut file: File,
    root: &Path,
    limits: Limits,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Unpacked, Error> {
    let mut head = Vec::new();
    Read::by_ref(&mut file)
        .take(format::PROBE as u64)
        .read_to_end(&mut head)
        .at("read", source)?;
    file.rewind().at("read", source)?;
    let format = format::detect(&head).map_err(|what| Error::Format {
        path: source.to_owned(),
        what: what.to_owned(),
    })?;
    if format == Format::Squashfs {
        return unpack_squashfs(source, &file, root, limits, progress);
    }
    let total = file.metadata().at("stat", source)?.len();
    let read = Cell::new(0);
    let metered = Metered {
        inner: file,
        read: &read,
    };
    let decoded = decoder(format, metered);
    let in_source = |error| Error::Unpack {
        path: source.to_owned(),
        source: error,
    };
    let mut archive = TarReader::new(HashingReader::new(decoded), format.name(), limits.bytes);
    let mut writer = Writer::create(root, limits, progress)?;
    let mut reported = 0;
    let mut empty = true;
    while let Some(member) = archive
        .next()
        .map_err(|error| in_source(inside(error, empty, format)))?
    {
        write_member(&mut writer, &mut archive, &member).map_err(in_source)?;
        empty = false;
        if read.get() - reported >= REPORT_EVERY {
            reported = read.get();
            writer.report(Progress::Read {
                done: reported,
                total: Some(total),
            });
        }
    }
    let digest = archive.drain().map_err(in_source)?.finish();
    finish(source, root, writer, digest)
}

/// Of something compressed that is no tar archive, the first header is what is wrong.
fn inside(error: UnpackError, empty: bool, format: Format) -> UnpackError {
    match error {
        UnpackError::Corrupt { .. } | UnpackError::Truncated { .. }
            if empty && format != Format::Tar =>
        {
            UnpackError::Unsupported {
                what: format!(
                    "there is no whole tar archive in the {} data",
                    format.name()
                ),
            }
        }
        error => error,
    }
}

fn write_member<R: Read>(
    writer: &mut Writer<'_>,
    archive: &mut TarReader<R>,
    member: &tar::Member,
) -> Result<(), UnpackError> {
    let path = EntryPath::parse(&member.name)?;
    match &member.kind {
        Kind::Directory => writer.directory(&path, member.meta.clone()),
        Kind::File(size) => writer.file(&path, &member.meta, *size, &mut archive.content()),
        Kind::Symlink(target) => writer.symlink(&path, target, &member.meta),
        Kind::HardLink(target) => writer.hard_link(&path, target),
        Kind::Fifo => writer.fifo(&path, &member.meta),
        Kind::Device => writer.skip(&path, DEVICE),
    }
}

fn unpack_squashfs(
    source: &Path,
    file: &File,
    root: &Path,
    limits: Limits,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Unpacked, Error> {
    let mut hashed = HashingReader::new(file);
    io::copy(&mut hashed, &mut io::sink()).at("read", source)?;
    let digest = hashed.finish();
    let mut writer = Writer::create(root, limits, progress)?;
    squashfs::unpack(file, &mut writer).map_err(|error| Error::Unpack {
        path: source.to_owned(),
        source: error,
    })?;
    finish(source, root, writer, digest)
}

fn copy_directory(
    source: &Path,
    store: directory::Identity,
    root: &Path,
    limits: Limits,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Unpacked, Error> {
    let in_source = |error| Error::Unpack {
        path: source.to_owned(),
        source: error,
    };
    let mut writer = Writer::create(root, limits, progress)?;
    directory::copy(source, store, &mut writer).map_err(in_source)?;
    let size = writer.bytes();
    writer.finish().map_err(in_source)?;
    refuse_image_archive(source, root)?;
    Ok(Unpacked {
        tree: root.to_owned(),
        layer: Layer {
            digest: tree::digest(root)?,
            size,
        },
    })
}

fn finish(
    source: &Path,
    root: &Path,
    writer: Writer<'_>,
    digest: Digest,
) -> Result<Unpacked, Error> {
    // Before the sync: it may take long.
    refuse_image_archive(source, root)?;
    let size = writer.bytes();
    writer.finish().map_err(|error| Error::Unpack {
        path: source.to_owned(),
        source: error,
    })?;
    if let Some(name) = bootstrap::nested_root(root)? {
        log::info!("the root filesystem is what lies in {name}");
        let tree = root.join(&name);
        // Not the archive's own digest: under that one, the whole archive is a layer.
        let digest = Digest::of(format!("{name} of {digest}").as_bytes());
        let size = tree::size(&tree)?;
        return Ok(Unpacked {
            tree,
            layer: Layer { digest, size },
        });
    }
    Ok(Unpacked {
        tree: root.to_owned(),
        layer: Layer { digest, size },
    })
}

/// Told by what was unpacked: the telling files may come last in the archive.
fn refuse_image_archive(source: &Path, root: &Path) -> Result<(), Error> {
    // Never through a symbolic link of the image: it leads into the host.
    let stat = |name| root.join(name).symlink_metadata();
    let is_file = |name| stat(name).is_ok_and(|stat| stat.is_file());
    let kind = if is_file("oci-layout") && is_file("index.json") {
        "an OCI image archive"
    } else if is_file("manifest.json") && stat("bin").is_err() && stat("usr").is_err() {
        "a docker-save archive"
    } else {
        return Ok(());
    };
    Err(Error::ImageArchive {
        path: source.to_owned(),
        kind,
    })
}

/// Counts what is read of the source, below the decompression.
struct Metered<'a> {
    inner: File,
    read: &'a Cell<u64>,
}

impl Read for Metered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.read.set(self.read.get() + n as u64);
        Ok(n)
    }
}
