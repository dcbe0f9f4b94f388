//! How much room files take.

use std::collections::HashSet;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat};

/// How deep directories are followed: each holds a descriptor.
const MAX_DEPTH: usize = 256;

/// Bytes in a tree's files, hard links counted once, no link followed and no other filesystem
/// entered. What cannot be read counts nothing: a container may be changing it.
pub(crate) fn size(dir: &Path) -> u64 {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(top) = openat(CWD, dir, flags, Mode::empty()) else {
        return 0;
    };
    let Ok(device) = rustix::fs::fstat(&top).map(|stat| stat.st_dev) else {
        return 0;
    };
    let mut sum = Sum {
        device,
        seen: HashSet::new(),
        bytes: 0,
    };
    sum.add(&top, 0);
    sum.bytes
}

struct Sum {
    device: u64,
    seen: HashSet<u64>,
    bytes: u64,
}

impl Sum {
    fn add(&mut self, dir: impl AsFd, depth: usize) {
        let Ok(entries) = Dir::read_from(&dir) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let Ok(stat) = statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory if stat.st_dev == self.device && depth < MAX_DEPTH => {
                    let flags =
                        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    if let Ok(below) = openat(&dir, name, flags, Mode::empty()) {
                        self.add(below, depth + 1);
                    }
                }
                FileType::RegularFile if stat.st_nlink == 1 || self.seen.insert(stat.st_ino) => {
                    self.bytes += u64::try_from(stat.st_size).unwrap_or(0);
                }
                _ => {}
            }
        }
    }
}
