//! Published escapes of other runtimes, tried on Coop. `SECURITY.md` has the table: what each was,
//! what stops it here, and which of these tests tries it.

#[path = "escape_cve/images.rs"]
mod images;
#[path = "escape_cve/kernel.rs"]
mod kernel;
#[path = "escape_cve/paths.rs"]
mod paths;
#[path = "escape_cve/process.rs"]
mod process;
#[path = "escape_cve/races.rs"]
mod races;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use coop_tests::{Host, Rootfs, wait_until};

const SLEEP: &str = "exec sleep 1000";
const QUIET: [&str; 4] = ["--stop-signal", "KILL", "--network", "none"];

/// A directory of the host that a hostile container aims at: nothing of it may be read or changed.
struct Prey(PathBuf);

impl Prey {
    const SECRET: &str = "the host's secret";

    fn new(host: &Host) -> Self {
        let file = host.file("prey/secret", Self::SECRET);
        Self(file.parent().expect("its directory").to_owned())
    }

    fn path(&self) -> &Path {
        &self.0
    }

    /// A path that climbs out of any directory and down to the prey.
    fn climb(&self) -> String {
        format!("{}{}", "../".repeat(30), self.0.display()).replace("//", "/")
    }

    #[track_caller]
    fn assert_untouched(&self) {
        let names: Vec<_> = fs::read_dir(&self.0)
            .expect("the prey")
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        assert_eq!(names, ["secret"]);
        let text = fs::read_to_string(self.0.join("secret")).expect("the secret");
        assert_eq!(text, Self::SECRET);
    }
}

/// A script as a program of the image.
fn program(root: &Rootfs, name: &str, script: &str) {
    let path = root.path().join(name);
    let _ = fs::remove_file(&path);
    fs::create_dir_all(path.parent().expect("its directory")).expect("a directory of the image");
    fs::write(&path, script).expect("a program of the image");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
}

/// Replaces something of the image by a symbolic link.
fn link(root: &Rootfs, target: impl AsRef<Path>, name: &str) {
    let path = root.path().join(name);
    if path.is_dir() && !path.is_symlink() {
        fs::remove_dir_all(&path).expect("remove a directory of the image");
    } else {
        let _ = fs::remove_file(&path);
    }
    std::os::unix::fs::symlink(target, path).expect("a link of the image");
}

fn wait_until_it_says(host: &Host, name: &str, text: &str) {
    wait_until(text, || {
        host.coop(["logs", name]).run().stdout.contains(text)
    });
}

/// A row of `SECURITY.md` is worth what it names.
#[test]
fn what_the_table_names_is_there() {
    if std::env::var_os("COOP_GUEST_VARIANT").is_some() {
        coop_tests::skip!("the virtual machine has programs and no checkout");
    }
    let top = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the checkout");
    let text = fs::read_to_string(top.join("SECURITY.md")).expect("SECURITY.md");
    let mut sources = String::new();
    for dir in [
        "tests/tests",
        "tests/tests/escape_cve",
        "image/tests",
        "fs/tests",
    ] {
        for entry in fs::read_dir(top.join(dir)).expect(dir).flatten() {
            sources.push_str(&fs::read_to_string(entry.path()).unwrap_or_default());
        }
    }
    let rows = text
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('`'));
    let (mut tests, mut files) = (0, 0);
    for row in rows {
        for word in row.split('`').skip(1).step_by(2) {
            let plain = word
                .chars()
                .all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit());
            if word.contains('/') && !word.starts_with('/') && !word.contains(' ') {
                assert!(top.join(word).exists(), "no file {word}: {row}");
                files += 1;
            } else if plain && word.matches('_').count() > 2 {
                assert!(
                    sources.contains(&format!("fn {word}()")),
                    "no test {word}: {row}"
                );
                tests += 1;
            }
        }
    }
    assert!(tests > 30 && files > 30, "{tests} tests, {files} files");
}
