//! A distribution's archive: fetched, proved, and only then given its name.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::download::{self, Pieces};
use super::http::Client;
use super::signature::Checked;
use super::table::{Signed, Tarball};
use super::workspace::lock;

const MAX_LIST: u64 = 1 << 20;
const MAX_SIGNATURE: u64 = 64 << 10;
/// Behind the name of a small file that nothing has proved yet.
const UNPROVED: &str = "new";

/// What must hold before an archive is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// A signature by the pinned key, where it can be checked.
    Signature,
    /// The mirror's own list of checksums: `--no-signature`.
    Mirror,
}

/// An archive that is what its distribution published.
#[derive(Debug)]
pub(crate) struct Proved {
    pub(crate) path: PathBuf,
    /// In hexadecimal digits.
    pub(crate) checksum: String,
    pub(crate) signature: Checked,
    /// The version that the list of checksums gives it, for one that moves.
    pub(crate) version: String,
}

/// Fetches what `tarball` describes into the directory `cache`, unless it is there already.
///
/// # Errors
/// When it cannot be fetched or is not what it should be. Nothing that is wrong stays; what is
/// only incomplete stays as `FILE.part`, for the next run.
pub(crate) fn obtain(
    client: &Client,
    tarball: &Tarball,
    cache: &Path,
    trust: Trust,
) -> Result<Proved> {
    fs::create_dir_all(cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let _lock = lock(cache)?;
    let fetch = Fetch {
        client,
        tarball,
        cache,
        trust,
    };
    if !tarball.moves && fetch.is_cached() {
        match fetch.cached() {
            Ok(proved) => {
                eprintln!("using the copy in {}", cache.display());
                return Ok(proved);
            }
            Err(error) => eprintln!("the copy in {} is of no use: {error:#}", cache.display()),
        }
    }
    fetch.fresh()
}

struct Fetch<'a> {
    client: &'a Client,
    tarball: &'a Tarball,
    cache: &'a Path,
    trust: Trust,
}

impl Fetch<'_> {
    fn is_cached(&self) -> bool {
        let mut names = vec![&self.tarball.file, &self.tarball.checksums];
        if self.trust == Trust::Signature {
            names.push(&self.tarball.signature.file);
        }
        names.iter().all(|name| self.cache.join(name).is_file())
    }

    /// Proves the copy again: nothing here remembers that it was proved before.
    fn cached(&self) -> Result<Proved> {
        let path = self.cache.join(&self.tarball.file);
        let list = self.cache.join(&self.tarball.checksums);
        let text = fs::read(&list).with_context(|| format!("cannot read {}", list.display()))?;
        let expected = self.expected(&String::from_utf8_lossy(&text))?;
        let actual = self.tarball.algorithm.of_file(&path)?;
        if actual != expected {
            bail!("{}", self.wrong(&expected, &actual));
        }
        let signature = self.cache.join(&self.tarball.signature.file);
        let signature = match self.tarball.signature.of {
            Signed::Archive => self.check(&signature, &path)?,
            Signed::Checksums => self.check(&signature, &list)?,
        };
        Ok(self.proved(&String::from_utf8_lossy(&text), expected, signature))
    }

    fn fresh(&self) -> Result<Proved> {
        let (tarball, cache) = (self.tarball, self.cache);
        let (path, part) = (
            cache.join(&tarball.file),
            cache.join(format!("{}.part", tarball.file)),
        );
        let list = self.small(&tarball.checksums, MAX_LIST)?;
        let signature = match self.trust {
            Trust::Signature => Some(self.small(&tarball.signature.file, MAX_SIGNATURE).context(
                "the signature is missing\n  help: --no-signature does without, and trusts the mirror",
            )?),
            Trust::Mirror => None,
        };
        let signature_path = signature.as_ref().map_or(Path::new(""), Unproved::path);
        let mut checked = None;
        if tarball.signature.of == Signed::Checksums {
            checked = Some(self.check(signature_path, list.path())?);
        }
        let text = fs::read(list.path())
            .with_context(|| format!("cannot read {}", list.path().display()))?;
        let text = String::from_utf8_lossy(&text);
        let expected = self.expected(&text)?;
        let is_here = path.is_file() && tarball.algorithm.of_file(&path)? == expected;
        if !is_here {
            self.download(&part, &expected)?;
        }
        let checked = if let Some(checked) = checked {
            checked
        } else {
            let archive = if is_here { &path } else { &part };
            self.check(signature_path, archive)
                .inspect_err(|_| drop(download::discard(archive)))?
        };
        if !is_here {
            download::keep(&part, &path)?;
        }
        list.keep()?;
        signature.map_or(Ok(()), Unproved::keep)?;
        Ok(self.proved(&text, expected, checked))
    }

    fn download(&self, part: &Path, expected: &str) -> Result<()> {
        let tarball = self.tarball;
        let address = format!("{}{}", tarball.directory, tarball.file);
        eprintln!("fetching {address}");
        loop {
            let pieces = download::download(self.client, &address, part, tarball.limit)?;
            let actual = tarball.algorithm.of_file(part)?;
            if actual == expected {
                return Ok(());
            }
            // What is wrong is not gone on with.
            download::discard(part)?;
            if pieces == Pieces::One {
                bail!("{}", self.wrong(expected, &actual));
            }
            eprintln!("what an earlier run left does not fit: fetching all of it");
        }
    }

    fn expected(&self, list: &str) -> Result<String> {
        let tarball = self.tarball;
        tarball
            .algorithm
            .listed(list, &tarball.file)
            .with_context(|| {
                let names: Vec<_> = tarball
                    .algorithm
                    .entries(list)
                    .map(|(_, name)| name)
                    .collect();
                let there = match names.as_slice() {
                    [] => "it is no list of checksums".to_owned(),
                    names => format!("it has {}", names.join(", ")),
                };
                format!(
                    "{}{} has no checksum of {}: {there}\n  help: --release takes another release",
                    tarball.directory, tarball.checksums, tarball.file
                )
            })
    }

    fn wrong(&self, expected: &str, actual: &str) -> String {
        let tarball = self.tarball;
        format!(
            "{}{}: wrong checksum\n  {} published  {expected}\n  {} of the file {actual}\n  help: \
             the file is damaged on the mirror or on the way and was removed: run it again, or \
             take another mirror with --mirror",
            tarball.directory,
            tarball.file,
            tarball.algorithm.name(),
            tarball.algorithm.name(),
        )
    }

    fn check(&self, signature: &Path, signed: &Path) -> Result<Checked> {
        if self.trust == Trust::Mirror {
            return Ok(Checked::Not("--no-signature".into()));
        }
        let signer = self.tarball.signature.signer;
        let checked = signer.check(self.client, self.cache, signature, signed).with_context(|| {
            format!(
                "{}{}: the signature is wrong\n  help: take another mirror with --mirror; nothing \
                 of this one was kept",
                self.tarball.directory, self.tarball.signature.file
            )
        })?;
        match checked {
            // Then neither the way nor the content is proved.
            Checked::Not(why) if self.tarball.directory.starts_with("http://") => bail!(
                "the signature cannot be checked: {why}\n  help: take a mirror with https://; \
                 --no-signature trusts this one as it is"
            ),
            checked => Ok(checked),
        }
    }

    fn proved(&self, list: &str, checksum: String, signature: Checked) -> Proved {
        Proved {
            path: self.cache.join(&self.tarball.file),
            version: self.version(list, &checksum),
            checksum,
            signature,
        }
    }

    /// Of what moves, the list has the same file under the name of its day as well.
    fn version(&self, list: &str, checksum: &str) -> String {
        let tarball = self.tarball;
        let same = tarball.algorithm.entries(list).filter(|(digits, name)| {
            digits.eq_ignore_ascii_case(checksum) && *name != tarball.file
        });
        let mut days = same.filter_map(|(_, name)| {
            name.split('-')
                .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        });
        match days.next() {
            Some(day) if tarball.moves => day.to_owned(),
            _ => tarball.version.clone(),
        }
    }

    fn small(&self, name: &str, limit: u64) -> Result<Unproved> {
        let bytes = self
            .client
            .small(&format!("{}{name}", self.tarball.directory), limit)?;
        let file = Unproved {
            path: self.cache.join(format!("{name}.{UNPROVED}")),
        };
        fs::write(&file.path, bytes)
            .with_context(|| format!("cannot write {}", file.path.display()))?;
        Ok(file)
    }
}

/// A small file that goes unless it is kept.
struct Unproved {
    path: PathBuf,
}

impl Unproved {
    fn path(&self) -> &Path {
        &self.path
    }

    fn keep(self) -> Result<()> {
        let name = self.path.with_extension("");
        fs::rename(&self.path, &name)
            .with_context(|| format!("cannot rename {}", self.path.display()))
    }
}

impl Drop for Unproved {
    fn drop(&mut self) {
        // Gone already when it was kept.
        let _ = fs::remove_file(&self.path);
    }
}
