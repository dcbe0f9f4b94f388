//! A root filesystem that is small enough to look at.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::Host;

/// A directory for `--rootfs`: busybox, its applets, two users and a marker.
pub struct Rootfs {
    path: PathBuf,
}

impl Rootfs {
    /// What the file `/marker` in it says.
    pub const MARKER: &str = "this is the image";

    /// Builds one below the host's working directory.
    ///
    /// # Panics
    /// When the machine has no busybox.
    pub fn new(host: &Host) -> Self {
        let path = host.work().join("rootfs");
        build(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of everything in the directory with mode, owner and size: equal before and
    /// after means unchanged.
    pub fn listing(&self) -> Vec<String> {
        let mut lines = Vec::new();
        list(&self.path, &mut lines);
        lines.sort();
        lines
    }
}

fn build(root: &Path) -> std::io::Result<()> {
    fs::create_dir_all(root)?;
    for directory in [
        "bin", "dev", "etc", "home", "proc", "root", "srv", "sys", "tmp", "var",
    ] {
        fs::create_dir(root.join(directory))?;
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    fs::copy(busybox()?, root.join("bin/busybox"))?;
    for applet in APPLETS {
        symlink("busybox", root.join("bin").join(applet))?;
    }
    let files = [
        ("marker", format!("{}\n", Rootfs::MARKER)),
        (
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home:/bin/sh\n".into(),
        ),
        (
            "etc/group",
            "root:x:0:\napp:x:1000:\nlogs:x:2000:app\n".into(),
        ),
        ("etc/not-executable", "no program\n".into()),
    ];
    for (name, content) in files {
        fs::write(root.join(name), content)?;
    }
    Ok(())
}

const APPLETS: &[&str] = &[
    "cat", "chmod", "chown", "dd", "echo", "env", "false", "grep", "head", "hostname", "httpd",
    "id", "ip", "kill", "ln", "ls", "mkdir", "mount", "nc", "ps", "pwd", "readlink", "rm", "sh",
    "sleep", "sort", "stat", "stty", "tail", "test", "touch", "trap", "true", "tty", "umount",
    "wc", "wget", "yes",
];

fn busybox() -> std::io::Result<PathBuf> {
    ["/bin/busybox", "/usr/bin/busybox", "/sbin/busybox"]
        .map(PathBuf::from)
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| std::io::Error::other("no busybox: install the package busybox-static"))
}

fn list(directory: &Path, lines: &mut Vec<String>) {
    use std::os::unix::fs::MetadataExt;
    for entry in fs::read_dir(directory)
        .expect("list the root filesystem")
        .flatten()
    {
        let meta = entry.metadata().expect("a file of the root filesystem");
        let (mode, owner, size) = (meta.mode(), meta.uid(), meta.len());
        lines.push(format!(
            "{} {mode:o} {owner} {size}",
            entry.path().display()
        ));
        if meta.is_dir() {
            list(&entry.path(), lines);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_shell_runs_with_nothing_but_the_directory() {
        let host = Host::new();
        let root = Rootfs::new(&host);
        let output = host
            .tool("chroot")
            .arg(root.path())
            .args(["/bin/sh", "-c", "cat /marker"]);
        output.run().success().prints(Rootfs::MARKER);
    }

    #[test]
    fn its_listing_tells_a_change() {
        let host = Host::new();
        let root = Rootfs::new(&host);
        let before = root.listing();
        assert_eq!(before, root.listing());
        fs::write(root.path().join("etc/new"), "x").unwrap();
        assert_ne!(before, root.listing());
    }
}
