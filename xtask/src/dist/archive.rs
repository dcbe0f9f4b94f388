//! Archives of which every byte follows from what is in them.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use super::{Contents, Item};

/// A tar archive with everything below one directory.
pub(super) fn tar_gz(contents: &Contents, directory: &str, time: u64) -> Result<Vec<u8>> {
    let items: Vec<_> = contents
        .items()
        .iter()
        .map(|item| Item {
            path: format!("{directory}/{}", item.path),
            ..item.clone()
        })
        .collect();
    gzip(&tar(&items, time)?)
}

/// A tar archive: directories before what is in them, everything root's.
pub(super) fn tar(items: &[Item], time: u64) -> Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    for directory in directories(items) {
        let mut header = header(EntryType::Directory, 0o755, 0, time);
        let name = format!("{directory}/");
        let added = archive.append_data(&mut header, &name, std::io::empty());
        added.with_context(|| format!("archive {name}"))?;
    }
    for item in items {
        let size = item.content.len() as u64;
        let mut header = header(EntryType::Regular, item.mode, size, time);
        let added = archive.append_data(&mut header, &item.path, item.content.as_slice());
        added.with_context(|| format!("archive {}", item.path))?;
    }
    archive.into_inner().context("end an archive")
}

/// Without a name and a time of its own: `gzip -n`.
pub(super) fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut packed = GzBuilder::new().write(Vec::new(), Compression::best());
    packed.write_all(bytes).context("compress")?;
    packed.finish().context("compress")
}

/// In hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let digits: Vec<_> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

/// A time in seconds since 1970 as `deb-changelog(5)` has it, in UTC.
pub(super) fn rfc_2822(time: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (days, seconds) = (time / 86_400, time % 86_400);
    let weekday = DAYS[(days % 7) as usize];
    // The day in eras of 400 years that begin on 1 March of the year 0: leap days come last.
    let (era, day) = ((days + 719_468) / 146_097, (days + 719_468) % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, turn) = ((month + 2) % 12, u64::from(month > 9));
    format!(
        "{weekday}, {date:02} {} {} {:02}:{:02}:{:02} +0000",
        MONTHS[month as usize],
        era * 400 + year + turn,
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
    )
}

/// All directories above the files, the upper ones first.
fn directories(items: &[Item]) -> BTreeSet<String> {
    let above = |item: &Item| {
        let parents: Vec<_> = Path::new(&item.path).ancestors().skip(1).collect();
        let names = parents.iter().map(|path| path.display().to_string());
        names
            .filter(|name| !name.is_empty() && name != ".")
            .collect::<Vec<_>>()
    };
    items.iter().flat_map(above).collect()
}

fn header(kind: EntryType, mode: u32, size: u64, time: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(time);
    header.set_uid(0);
    header.set_gid(0);
    // Both names fit.
    let _ = header.set_username("root");
    let _ = header.set_groupname("root");
    header
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(rfc_2822(0), "Thu, 01 Jan 1970 00:00:00 +0000");
        assert_eq!(rfc_2822(951_782_399), "Mon, 28 Feb 2000 23:59:59 +0000");
        assert_eq!(rfc_2822(951_782_400), "Tue, 29 Feb 2000 00:00:00 +0000");
        assert_eq!(rfc_2822(1_798_761_599), "Thu, 31 Dec 2026 23:59:59 +0000");
    }

    #[test]
    fn an_archive_is_roots_and_has_each_directory_once_and_first() {
        let contents = Contents::of(vec![
            Item::data("share/b", b"b".to_vec()),
            Item {
                path: "bin/a".into(),
                mode: 0o755,
                content: b"a".to_vec(),
            },
        ]);
        let packed = tar_gz(&contents, "coop-1", 1_700_000_000).unwrap();
        assert_eq!(packed, tar_gz(&contents, "coop-1", 1_700_000_000).unwrap());
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&packed[..])
            .read_to_end(&mut plain)
            .unwrap();
        let mut archive = ::tar::Archive::new(&plain[..]);
        let seen: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                assert_eq!(header.mtime().unwrap(), 1_700_000_000);
                assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
                let path = entry.path().unwrap().display().to_string();
                format!("{:o} {path}", header.mode().unwrap())
            })
            .collect();
        assert_eq!(
            seen,
            [
                "755 coop-1/",
                "755 coop-1/bin/",
                "755 coop-1/share/",
                "755 coop-1/bin/a",
                "644 coop-1/share/b"
            ]
        );
    }
}
