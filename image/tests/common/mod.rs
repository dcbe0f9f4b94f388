//! What the tests share.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(
    clippy::format_push_string,
    reason = "clear, and fast enough for a test"
)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use coop_image::{Error, Image, ImportOptions, Reference, Store};
use tempfile::TempDir;

/// A store and a place for sources, both gone at the end of the test.
pub(crate) struct Bench {
    dir: TempDir,
    pub(crate) store: Store,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("store"));
        Self { dir, store }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn import(&self, name: &str, source: &Path) -> Result<Image, Error> {
        self.store.import(
            &reference(name),
            source,
            &ImportOptions::default(),
            &mut |_| {},
        )
    }

    /// Everything in the store and beside it, so that a test sees what is left behind.
    pub(crate) fn everything(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        walk(self.dir.path(), &mut found);
        found
    }

    /// Names of the layers in the store.
    pub(crate) fn layers(&self) -> Vec<PathBuf> {
        list(&self.path("store/layers"))
    }

    /// Nothing of an import but the empty directories of the store.
    pub(crate) fn assert_nothing_left(&self) {
        for dir in ["layers", "tmp", "images"] {
            assert_eq!(
                list(&self.path("store").join(dir)),
                Vec::<PathBuf>::new(),
                "{dir}"
            );
        }
    }
}

pub(crate) fn list(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).map_or_else(|_| Vec::new(), |d| d.map(|e| e.unwrap().path()).collect())
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for path in list(dir) {
        if path.symlink_metadata().unwrap().is_dir() {
            walk(&path, found);
        }
        found.push(path);
    }
    found.sort();
}

pub(crate) fn reference(name: &str) -> Reference {
    name.parse().unwrap()
}

pub(crate) fn no_one(_: &Path) -> Option<String> {
    None
}

/// The error with its sources, as the command prints it.
pub(crate) fn text(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}

pub(crate) fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: needs root for owners, capabilities and chroot");
    }
    root
}

pub(crate) fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|e| panic!("{program}, which the tests need: {e}"));
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
}

pub(crate) fn str(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(crate) const LONG: &str = "a-name-of-more-than-a-hundred-characters-which-does-not-fit-into-the-\
header-of-a-tar-archive-and-needs-an-extension-of-the-format";

/// A root filesystem with one of everything.
pub(crate) fn sample(dir: &Path) {
    for sub in ["etc", "usr/bin", "tmp", "empty", "var/deep/er"] {
        fs::create_dir_all(dir.join(sub)).unwrap();
    }
    fs::write(dir.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
    fs::write(dir.join("usr/bin/tool"), vec![b'x'; 300_000]).unwrap();
    fs::write(dir.join("var/deep/er").join(LONG), "long").unwrap();
    fs::write(dir.join("etc/empty"), "").unwrap();
    // Larger than a squashfs block, and compressible to nothing in the middle.
    let mut big = vec![0; 1 << 20];
    for (i, byte) in big.iter_mut().take(300_000).enumerate() {
        *byte = (i * i / 7) as u8;
    }
    big.extend(b"the end");
    fs::write(dir.join("var/big"), big).unwrap();
    let sparse = fs::File::create(dir.join("var/sparse")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"middle", 1 << 20).unwrap();
    sparse.set_len(2 << 20).unwrap();
    fs::hard_link(dir.join("usr/bin/tool"), dir.join("usr/bin/same-tool")).unwrap();
    symlink("usr/bin", dir.join("bin")).unwrap();
    symlink("/etc/passwd", dir.join("absolute")).unwrap();
    symlink("../../../../../outside", dir.join("tmp/dangling")).unwrap();
    run("mkfifo", &[str(&dir.join("tmp/pipe"))]);
    let mode = |path: &str, mode| {
        fs::set_permissions(dir.join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("usr/bin/tool", 0o4755);
    mode("tmp", 0o1777);
    mode("empty", 0o500);
    mode("etc/empty", 0o640);
    if rustix::process::geteuid().is_root() {
        run(
            "chown",
            &[
                "-h",
                "33:44",
                str(&dir.join("etc/empty")),
                str(&dir.join("absolute")),
            ],
        );
        // chown took the bit.
        mode("usr/bin/tool", 0o4755);
        let set = |path: &str, name: &str, value: &[u8]| {
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::lsetxattr(dir.join(path), name, value, flags).unwrap();
        };
        set("var/big", "user.note", b"a\nb");
        // cap_dac_override and cap_fowner, version 2: the value has a newline in it.
        let mut capability = [0; 20];
        (capability[0], capability[3], capability[4]) = (1, 2, 0x0a);
        set("etc/passwd", "security.capability", &capability);
    }
    run(
        "touch",
        &["-h", "-d", "2020-02-02 02:02:02.5", str(&dir.join("bin"))],
    );
    run(
        "touch",
        &[
            "-d",
            "2020-02-02 02:02:02",
            str(&dir.join("etc/passwd")),
            str(&dir.join("etc")),
        ],
    );
}

/// Everything an image keeps of a tree, in one comparable text.
pub(crate) fn describe(root: &Path, nanoseconds: bool) -> String {
    let mut paths = Vec::new();
    walk(root, &mut paths);
    let mut text = String::new();
    for path in paths {
        let stat = path.symlink_metadata().unwrap();
        let name = path.strip_prefix(root).unwrap();
        let kind = stat.file_type();
        let time = stat.mtime() as f64
            + if nanoseconds {
                stat.mtime_nsec() as f64 / 1e9
            } else {
                0.0
            };
        text += &format!(
            "{} {:o} {}:{} {time}",
            name.display(),
            stat.mode(),
            stat.uid(),
            stat.gid()
        );
        if kind.is_file() {
            let content = fs::read(&path).unwrap();
            text += &format!(
                " links {} size {} sum {}",
                stat.nlink(),
                stat.len(),
                coop_image::Digest::of(&content)
            );
        }
        if kind.is_symlink() {
            text += &format!(" -> {}", fs::read_link(&path).unwrap().display());
        } else if kind.is_file() {
            for attribute in ["user.note", "security.capability"] {
                let mut value = [0; 64];
                if let Ok(n) = rustix::fs::lgetxattr(&path, attribute, &mut value) {
                    text += &format!(" {attribute}={:?}", &value[..n]);
                }
            }
        }
        text.push('\n');
    }
    text
}
