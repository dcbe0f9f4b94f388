//! The userland of one file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::builder::{Builder, image_path};
use super::elf::Elf;
use crate::error::{At as _, Error};

/// Where distributions put it; Alpine's and Arch's static one has a name of its own.
const PLACES: &[&str] = &[
    "/bin/busybox.static",
    "/usr/bin/busybox",
    "/bin/busybox",
    "/usr/sbin/busybox",
    "/sbin/busybox",
    "/usr/local/bin/busybox",
];

const TARGET: &str = "usr/bin/busybox";

/// A static busybox of the host.
pub(super) fn find(builder: &mut Builder<'_>) -> Option<PathBuf> {
    PLACES
        .iter()
        .map(Path::new)
        .find(|place| builder.is_file(place) && is_static(place))
        .map(Path::to_owned)
}

fn is_static(path: &Path) -> bool {
    fs::read(path).is_ok_and(|bytes| Elf::parse(&bytes).is_ok_and(|elf| elf.is_static()))
}

/// Copies busybox and links all its applets to it.
pub(super) fn install(builder: &mut Builder<'_>, busybox: &Path) -> Result<(), Error> {
    let bad = |what: &str| Error::Program {
        path: busybox.to_owned(),
        what: what.to_owned(),
    };
    let bytes = fs::read(busybox).at("read", busybox)?;
    let elf = Elf::parse(&bytes).map_err(|what| bad(&what))?;
    if !elf.is_static() {
        return Err(bad("not a static program"));
    }
    let target = image_path(&Path::new("/").join(TARGET));
    builder.program(
        busybox,
        &target.map_err(|source| Error::HostImage { source })?,
    )?;
    // Only it knows what it was built with.
    let output = Command::new(busybox)
        .arg("--list")
        .output()
        .at("run", busybox)?;
    let list = String::from_utf8_lossy(&output.stdout);
    let applets: Vec<_> = list
        .lines()
        .map(str::trim)
        .filter(|name| is_applet(name))
        .collect();
    if !applets.contains(&"sh") {
        return Err(bad("a busybox without a shell"));
    }
    for applet in applets {
        builder.symlink(&format!("usr/bin/{applet}"), "busybox")?;
    }
    Ok(())
}

/// `[[` and `[` are names too; a path or an option is none.
fn is_applet(name: &str) -> bool {
    !name.is_empty()
        && name != "busybox"
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"[_-.".contains(&b))
        && !name.starts_with(['.', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applets_are_names() {
        for name in ["[", "[[", "sh", "run-init", "udhcpc6"] {
            assert!(is_applet(name), "{name}");
        }
        for name in ["", "busybox", "..", "a/b", "-x", "a b"] {
            assert!(!is_applet(name), "{name}");
        }
    }
}
