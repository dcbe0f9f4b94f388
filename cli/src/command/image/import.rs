//! `coop image import`: an archive or a directory becomes an image.

use std::io::{IsTerminal, Seek};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use coop_image::{ImageConfig, ImportOptions, Progress, Reference};
use coop_launcher::logs::Stream;

use super::{change, event};
use crate::args::ImageImportArgs;
use crate::host::Host;
use crate::ui::{decimal_size, print_bytes};

/// Names of archives end with one of these, and an image is not called so.
const ENDINGS: [&str; 10] = [
    ".tar.gz",
    ".tar.xz",
    ".tar.zst",
    ".tar",
    ".tgz",
    ".txz",
    ".tzst",
    ".squashfs",
    ".sqfs",
    ".sqsh",
];
const STDIN: &str = "-";

/// `coop image import`.
pub(super) fn import(host: &Host, args: &ImageImportArgs) -> Result<i32> {
    let (source, name) = source_and_name(args);
    let reference: Reference = match name {
        Some(name) => name.parse()?,
        None => named_like(source)?,
    };
    let options = ImportOptions {
        config: config(&args.change)?,
        architecture: args.platform.as_deref().map(architecture).transpose()?,
        ..ImportOptions::default()
    };
    let mut meter = Meter {
        terminal: std::io::stderr().is_terminal(),
        skipped: 0,
    };
    let mut show = |progress: Progress<'_>| meter.show(&progress);
    let imported = if source == Path::new(STDIN) {
        let spooled = spool(&host.images)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", spooled.as_raw_fd()));
        host.images
            .import(&reference, &path, &options, &mut show)
            .context("standard input")
    } else {
        host.images
            .import(&reference, source, &options, &mut show)
            .map_err(Into::into)
    };
    meter.end();
    let image = imported?;
    if meter.skipped > 0 {
        log::warn!(
            "{} entries were left out of {reference}: --verbose names them",
            meter.skipped
        );
    }
    host.store
        .emit(&event("import", &reference, &image.id.to_string()));
    crate::ui::print(&format!("{}\n", image.id))?;
    Ok(0)
}

/// Docker's order is the file first. The other way round is understood where it cannot be
/// meant otherwise: what is no file is the name of one that is.
fn source_and_name(args: &ImageImportArgs) -> (&Path, Option<&str>) {
    let there = |path: &Path| path == Path::new(STDIN) || path.exists();
    match (args.source.to_str(), &args.name) {
        (Some(first), Some(second)) if !there(&args.source) && there(Path::new(second)) => {
            (Path::new(second), Some(first))
        }
        (_, name) => (&args.source, name.as_deref()),
    }
}

/// The name of an image that was given none: `alpine-base` of `/tmp/alpine-base.tar.gz`.
fn named_like(source: &Path) -> Result<Reference> {
    let shown = source.display();
    if source == Path::new(STDIN) {
        bail!(
            "standard input has no name\n  help: name the image: coop image import - NAME < FILE"
        );
    }
    // `.` and `..` are directories with a name as well.
    let file = source.file_name().map(ToOwned::to_owned).or_else(|| {
        let whole = source.canonicalize().ok()?;
        whole.file_name().map(ToOwned::to_owned)
    });
    let file = file.as_ref().and_then(|name| name.to_str());
    let stem = file.map(|name| {
        ENDINGS
            .iter()
            .find_map(|end| name.strip_suffix(end))
            .unwrap_or(name)
    });
    // A colon would begin a tag, and an @ a digest: neither is meant by a file's name.
    let reference = stem.filter(|stem| !stem.contains([':', '@']));
    match reference.map(str::parse) {
        Some(Ok(reference)) => Ok(reference),
        Some(Err(error)) => Err(anyhow::Error::from(error).context(format!(
            "{shown} does not have a name that an image can have\n  help: name the image: \
             coop image import {shown} NAME"
        ))),
        None => bail!(
            "{shown} does not have a name that an image can have\n  help: name the image: \
             coop image import {shown} NAME"
        ),
    }
}

fn config(changes: &[String]) -> Result<ImageConfig> {
    let mut config = ImageConfig::default();
    for instruction in changes {
        change::apply(&mut config, instruction)
            .with_context(|| format!("--change '{instruction}'"))?;
    }
    Ok(config)
}

/// The architecture of `linux/arm64/v8` or `arm64`, in OCI's words.
fn architecture(platform: &str) -> Result<String> {
    let mut parts = platform.split('/');
    let (os, architecture) = match (parts.next(), parts.next()) {
        (Some(os), Some(architecture)) => (os, architecture),
        (Some(architecture), None) => ("linux", architecture),
        _ => ("", ""),
    };
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if os != "linux" || architecture.is_empty() || !architecture.chars().all(word) {
        bail!("--platform {platform}: not a platform of Linux, such as linux/amd64");
    }
    Ok(match architecture {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "i386" | "i686" | "x86" => "386",
        other => other,
    }
    .to_owned())
}

/// Standard input as a file: a squashfs is not read from the front, and what an archive is has
/// to be known before it is read.
fn spool(store: &coop_image::Store) -> Result<std::fs::File> {
    use rustix::fs::{Mode, OFlags};
    let input = std::io::stdin();
    if input.is_terminal() {
        bail!(
            "standard input is a terminal\n  help: name a file, or redirect one: coop image import - NAME < FILE"
        );
    }
    // Beside the images, where an image has room; nameless, so that it goes with this process.
    coop_launcher::store::make_private_dir(store.dir())?;
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = rustix::fs::open(store.dir(), flags, Mode::RUSR | Mode::WUSR)
        .with_context(|| format!("make a temporary file in {}", store.dir().display()))?;
    let mut file = std::fs::File::from(file);
    std::io::copy(&mut input.lock(), &mut file).context("read standard input")?;
    file.rewind().context("read standard input")?;
    Ok(file)
}

/// How far an import is, for a user who waits.
struct Meter {
    terminal: bool,
    skipped: usize,
}

impl Meter {
    fn show(&mut self, progress: &Progress<'_>) {
        match progress {
            Progress::Skipped { entry, why } => {
                self.skipped += 1;
                log::info!("left out {entry}: {why}");
            }
            Progress::Waiting => self.line("waiting for another import of this name"),
            Progress::Read { done, total } => self.line(&match total {
                Some(total) => format!("read {} of {}", decimal_size(*done), decimal_size(*total)),
                None => format!("read {}", decimal_size(*done)),
            }),
            Progress::Syncing => self.line("writing to the disk"),
            _ => {}
        }
    }

    /// In place of the line before.
    fn line(&self, text: &str) {
        if self.terminal {
            let _ = print_bytes(Stream::Stderr, format!("\r\x1b[K{text}").as_bytes());
        }
    }

    fn end(&self) {
        self.line("");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(source: &str) -> String {
        match named_like(Path::new(source)) {
            Ok(reference) => reference.to_string(),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn an_image_is_called_as_its_file_is() {
        for source in [
            "alpine-base.tar.gz",
            "/srv/alpine-base.tar",
            "./alpine-base.tgz",
            "alpine-base.tar.zst",
            "alpine-base.squashfs",
            "images/alpine-base/",
        ] {
            assert_eq!(name(source), "alpine-base:latest", "{source}");
        }
        assert_eq!(
            name("alpine-minirootfs-3.20.3-x86_64.tar.gz"),
            "alpine-minirootfs-3.20.3-x86_64:latest"
        );
    }

    #[test]
    fn a_name_that_no_image_can_have_is_to_be_replaced() {
        for source in ["-", "/", "Base.tar", "a:b.tar", "a@b", "..tar", ".tar.gz"] {
            let said = name(source);
            assert!(
                said.contains("help: name the image: coop image import"),
                "{source}: {said}"
            );
        }
    }

    #[test]
    fn platforms_are_in_the_words_of_oci() {
        let said = |platform| architecture(platform).ok();
        assert_eq!(said("linux/arm64").as_deref(), Some("arm64"));
        assert_eq!(said("linux/arm64/v8").as_deref(), Some("arm64"));
        assert_eq!(said("x86_64").as_deref(), Some("amd64"));
        for bad in ["", "linux/", "windows/amd64", "linux/AMD64", "linux/a b"] {
            assert_eq!(said(bad), None, "{bad}");
        }
    }
}
