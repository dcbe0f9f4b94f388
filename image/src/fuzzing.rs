//! Private parsers of this crate for its fuzz tests, in the package `coop-fuzz`. They panic
//! when a promise is broken.

use std::path::Path;

use crate::host::elf::Elf;
use crate::store::Record;
use crate::tree::EntryPath;

/// A program or library of the host, looked through for the libraries that it needs.
pub fn elf(data: &[u8]) {
    if let Ok(elf) = Elf::parse(data) {
        elf.is_static();
    }
}

/// The record of an image.
pub fn record(data: &[u8]) {
    if let Ok(record) = Record::parse(data, Path::new("latest.json")) {
        record.into_image(Path::new("/layers"));
    }
}

/// The name of an entry in an archive: what is accepted stays below the root.
pub fn entry_path(data: &[u8]) {
    let Ok(path) = EntryPath::parse(data) else {
        return;
    };
    if let Some((parent, name)) = path.split() {
        let full = parent.join(name);
        let inside = |part| matches!(part, std::path::Component::Normal(_));
        assert!(full.components().all(inside), "{}", full.display());
    }
}
