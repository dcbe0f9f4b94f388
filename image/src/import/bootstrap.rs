//! Archives whose root filesystem lies one directory down.

use std::fs;
use std::path::Path;

use crate::error::{At as _, Error};

/// What the directory is called in Arch Linux's bootstrap archive, before the name of
/// the machine: `root.x86_64`.
const PREFIX: &str = "root.";
/// Directories of which each root filesystem has one at least.
const TELLING: [&str; 3] = ["etc", "usr", "bin"];

/// The name of the directory that is the root filesystem, when the unpacked archive is
/// such a one: a single directory `root.MACHINE`, with nothing beside it but regular
/// files, which tell about it (`version`, `pkglist.x86_64.txt`).
pub(super) fn nested_root(root: &Path) -> Result<Option<String>, Error> {
    let mut found = None;
    for entry in fs::read_dir(root).at("read", root)? {
        let entry = entry.at("read", root)?;
        let kind = entry.file_type().at("stat", &entry.path())?;
        if kind.is_file() {
            continue;
        }
        let name = entry.file_name().into_string().ok();
        let fits = |name: &String| kind.is_dir() && is_root_of_a_machine(name);
        let Some(name) = name.filter(fits).filter(|_| found.is_none()) else {
            return Ok(None);
        };
        found = Some(name);
    }
    Ok(found.filter(|name| {
        // Never through a symbolic link of the archive: it leads into the host.
        let stat = |below| root.join(name).join(below).symlink_metadata();
        TELLING.iter().any(|below| stat(below).is_ok())
    }))
}

fn is_root_of_a_machine(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|machine| {
        !machine.is_empty()
            && machine
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Directories end with a slash.
    fn nested(entries: &[&str]) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        for entry in entries {
            let path = dir.path().join(entry);
            if entry.ends_with('/') {
                fs::create_dir_all(path).unwrap();
            } else {
                fs::write(path, "").unwrap();
            }
        }
        nested_root(dir.path()).unwrap()
    }

    #[test]
    fn the_bootstrap_of_arch_is_recognised() {
        let entries = ["root.x86_64/usr/", "version", "pkglist.x86_64.txt"];
        assert_eq!(nested(&entries).as_deref(), Some("root.x86_64"));
        assert_eq!(
            nested(&["root.aarch64/etc/"]).as_deref(),
            Some("root.aarch64")
        );
    }

    #[test]
    fn other_trees_stay_as_they_are() {
        assert_eq!(nested(&[]), None);
        assert_eq!(nested(&["etc/", "usr/"]), None);
        // A machine's root filesystem that happens to have such a directory.
        assert_eq!(nested(&["root.x86_64/usr/", "etc/"]), None);
        assert_eq!(nested(&["root.x86_64/usr/", "root.i686/usr/"]), None);
        assert_eq!(nested(&["root.x86_64/"]), None, "nothing of a root in it");
        assert_eq!(nested(&["root/usr/"]), None);
        assert_eq!(nested(&["root./usr/"]), None);
    }
}
