//! Downloads that a later run goes on with.
//!
//! What has come so far is in `FILE.part`, and where it came from in `FILE.part.from`, which is
//! written first. The name `FILE` itself is for the caller to give, to what it has verified.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use super::http::{Answer, Client};

/// Whether the file that came is of one piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pieces {
    /// All of it came from one answer.
    One,
    /// A part is from an earlier run: should the whole be wrong, it may be that part.
    Several,
}

/// Downloads `address` to `part`, going on with what an earlier run left there. At most
/// `limit` bytes.
///
/// # Errors
/// When it does not come whole. What came stays for the next run.
pub(crate) fn download(client: &Client, address: &str, part: &Path, limit: u64) -> Result<Pieces> {
    let Some(begun) = Begun::of(part, address)? else {
        return anew(client.get(address, &[])?, address, part, limit);
    };
    let range = format!("bytes={}-", begun.length);
    let answer = client.get(
        address,
        &[("Range", &range), ("If-Range", &begun.validator)],
    )?;
    match answer.status {
        206 if content_range(&answer).is_some_and(|range| range.first == Some(begun.length)) => {
            let total = content_range(&answer).and_then(|range| range.total);
            eprintln!(
                "going on with the {} bytes that an earlier run left",
                begun.length
            );
            let file = OpenOptions::new().append(true).open(part);
            let file = file.with_context(|| format!("cannot open {}", part.display()))?;
            receive(answer, file, part, begun.length, total, limit)?;
            Ok(Pieces::Several)
        }
        // All of it had come, and only the end of the run before was missing.
        416 if content_range(&answer).is_some_and(|range| range.total == Some(begun.length)) => {
            Ok(Pieces::Several)
        }
        // The file has changed, or the server cannot go on.
        200 => anew(answer, address, part, limit),
        206 | 416 => anew(client.get(address, &[])?, address, part, limit),
        _ => answer.expect(206).map(|()| Pieces::Several),
    }
}

/// Removes what a download left.
///
/// # Errors
/// When it cannot be removed.
pub(crate) fn discard(part: &Path) -> Result<()> {
    for path in [part, &origin(part)] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Gives the file its name.
///
/// # Errors
/// When it cannot be renamed.
pub(crate) fn keep(part: &Path, name: &Path) -> Result<()> {
    let rename = || {
        File::open(part)?.sync_all()?;
        fs::rename(part, name)
    };
    rename().with_context(|| format!("cannot rename {} to {}", part.display(), name.display()))?;
    discard(part)
}

fn anew(answer: Answer, address: &str, part: &Path, limit: u64) -> Result<Pieces> {
    answer.expect(200)?;
    discard(part)?;
    if let Some(validator) = validator(&answer) {
        let origin = origin(part);
        fs::write(&origin, format!("{address}\n{validator}\n"))
            .with_context(|| format!("cannot write {}", origin.display()))?;
    }
    let total = answer
        .header("content-length")
        .and_then(|text| text.parse().ok());
    let file = File::create(part).with_context(|| format!("cannot create {}", part.display()))?;
    receive(answer, file, part, 0, total, limit)?;
    Ok(Pieces::One)
}

/// Writes what comes behind the first `done` bytes.
fn receive(
    mut answer: Answer,
    mut file: File,
    part: &Path,
    mut done: u64,
    total: Option<u64>,
    limit: u64,
) -> Result<()> {
    let address = answer.address.clone();
    let too_large =
        || format!("{address} has more than {limit} bytes, the limit: not what it should be");
    if total.is_some_and(|total| total > limit) {
        bail!(too_large());
    }
    let bar = bar(total);
    let mut buffer = vec![0; 64 << 10];
    loop {
        bar.set_position(done);
        let n = match answer.body.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                bar.abandon();
                return Err(error).with_context(|| cut_off(&address, done, total));
            }
        };
        done += n as u64;
        if done > limit {
            bar.abandon();
            discard(part)?;
            bail!(too_large());
        }
        file.write_all(&buffer[..n]).with_context(|| {
            format!(
                "cannot write {}\n  help: make room and run it again: it goes on from there",
                part.display()
            )
        })?;
    }
    bar.finish();
    if total.is_some_and(|total| done != total) {
        bail!(cut_off(&address, done, total));
    }
    Ok(())
}

fn cut_off(address: &str, done: u64, total: Option<u64>) -> String {
    let of = total
        .map(|total| format!(" of {total}"))
        .unwrap_or_default();
    format!(
        "{address}: the download ended after {done}{of} bytes\n  help: run it again: it goes on \
         from there"
    )
}

/// Only seen on a terminal.
fn bar(total: Option<u64>) -> ProgressBar {
    let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
    let template = if total.is_some() {
        "{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left"
    } else {
        "{spinner} {bytes}, {bytes_per_sec}"
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// What an earlier run left, when the server can tell whether it is still the same file.
struct Begun {
    length: u64,
    validator: String,
}

impl Begun {
    fn of(part: &Path, address: &str) -> Result<Option<Self>> {
        let Ok(meta) = part.symlink_metadata() else {
            return Ok(None);
        };
        if !meta.is_file() {
            bail!("{} is in the way: remove it", part.display());
        }
        let from = fs::read_to_string(origin(part)).unwrap_or_default();
        let mut lines = from.lines();
        let (known, validator) = (lines.next(), lines.next());
        Ok(match (known, validator) {
            (Some(known), Some(validator)) if known == address && meta.len() > 0 => Some(Self {
                length: meta.len(),
                validator: validator.to_owned(),
            }),
            _ => None,
        })
    }
}

fn origin(part: &Path) -> PathBuf {
    let mut name = part.as_os_str().to_owned();
    name.push(".from");
    PathBuf::from(name)
}

/// What tells this version of the file from others, for `If-Range` (RFC 9110, 13.1.5): a weak
/// tag does not.
fn validator(answer: &Answer) -> Option<String> {
    let strong = answer.header("etag").filter(|tag| tag.starts_with('"'));
    let validator = strong.or_else(|| answer.header("last-modified"))?;
    Some(validator.to_owned())
}

struct ContentRange {
    first: Option<u64>,
    total: Option<u64>,
}

/// `bytes 100-199/200`, `bytes 100-199/*` or `bytes */200`.
fn content_range(answer: &Answer) -> Option<ContentRange> {
    let text = answer.header("content-range")?.strip_prefix("bytes ")?;
    let (range, total) = text.split_once('/')?;
    Some(ContentRange {
        first: range
            .split_once('-')
            .and_then(|(first, _)| first.parse().ok()),
        total: total.parse().ok(),
    })
}
