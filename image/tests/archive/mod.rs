//! Archives that no honest program makes, and what must come of them.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::fs;

use coop_image::{ImportOptions, Limits};
use tar::{EntryType, Header};

use crate::common::{Bench, reference, text};

/// Builds archives that no honest program makes.
#[derive(Default)]
pub(crate) struct Archive(Vec<u8>);

impl Archive {
    pub(crate) fn entry(mut self, name: &str, kind: EntryType, link: &str, content: &[u8]) -> Self {
        let mut header = Header::new_ustar();
        let fields = header.as_ustar_mut().unwrap();
        // Not set_path: it refuses what is wanted here.
        fields.name[..name.len()].copy_from_slice(name.as_bytes());
        fields.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        self.header(&mut header);
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn header(&mut self, header: &mut Header) {
        header.set_cksum();
        self.0.extend(header.as_bytes());
    }

    pub(crate) fn dir(self, name: &str) -> Self {
        self.entry(name, EntryType::Directory, "", b"")
    }

    pub(crate) fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(name, EntryType::Regular, "", content)
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(name, EntryType::Symlink, target, b"")
    }

    pub(crate) fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(name, EntryType::Link, target, b"")
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}

/// Imports `archive`, which must fail with all of `words`, leave nothing, and write
/// nothing outside.
pub(crate) fn assert_refused(archive: &[u8], words: &[&str]) {
    assert_refused_within(archive, Limits::default(), words);
}

pub(crate) fn assert_refused_within(archive: &[u8], limits: Limits, words: &[&str]) {
    let bench = Bench::new();
    let path = bench.path("archive");
    fs::write(&path, archive).unwrap();
    fs::write(bench.path("outside"), "untouched").unwrap();
    let options = ImportOptions {
        limits,
        ..ImportOptions::default()
    };
    let result = bench
        .store
        .import(&reference("x"), &path, &options, &mut |_| {});
    let error = text(&result.expect_err("it was imported"));
    for word in words {
        assert!(error.contains(word), "{error:?} does not say {word:?}");
    }
    bench.assert_nothing_left();
    assert_eq!(fs::read(bench.path("outside")).unwrap(), b"untouched");
    let left = [
        "archive",
        "outside",
        "store",
        "store/images",
        "store/layers",
        "store/tmp",
    ];
    assert_eq!(bench.everything(), left.map(|name| bench.path(name)));
}
