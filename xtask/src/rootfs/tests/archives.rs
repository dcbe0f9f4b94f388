//! An archive with its checksums and its signature.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use coop_tests::{Serve, Web};
use tempfile::TempDir;

use super::{names, said};
use crate::rootfs::architecture::Architecture;
use crate::rootfs::http::Client;
use crate::rootfs::signature::{Checked, Keys, Signer};
use crate::rootfs::table::{self, Tarball};
use crate::rootfs::tarball::{Proved, Trust, obtain};

/// Signed by the key of the fixtures, as `gpg --detach-sign` does it.
const ARCHIVE: &[u8] = include_bytes!("fixtures/archive");
const ARCHIVE_SIGNATURE: &[u8] = include_bytes!("fixtures/archive.asc");
const LIST: &[u8] = include_bytes!("fixtures/SHA256SUMS");
const LIST_SIGNATURE: &[u8] = include_bytes!("fixtures/SHA256SUMS.gpg");
const KEY: &[u8] = include_bytes!("fixtures/key.asc");
const FINGERPRINT: &str = "84FFCE15585AC1907E281F76FF5933164EF54550";
/// Of [`ARCHIVE`].
const SHA256: &str = "13c94c5f0a181dae70b864ca2e7145c3a2625e852edbdefaf2471f8c303018a2";

const UBUNTU: &str = "/ubuntu-base/releases/24.04/release";
const UBUNTU_FILE: &str = "ubuntu-base-24.04.4-base-amd64.tar.gz";

/// A mirror of everything, which is as it should be until a test changes it.
struct Mirror {
    web: Web,
    dir: TempDir,
}

impl Mirror {
    fn new() -> Self {
        let mirror = Self {
            web: Web::new(),
            dir: tempfile::tempdir().unwrap(),
        };
        mirror.file("/key.asc", KEY);
        mirror.file(&format!("{UBUNTU}/{UBUNTU_FILE}"), ARCHIVE);
        mirror.file(&format!("{UBUNTU}/SHA256SUMS"), LIST);
        mirror.file(&format!("{UBUNTU}/SHA256SUMS.gpg"), LIST_SIGNATURE);
        mirror
    }

    fn file(&self, path: &str, content: &[u8]) {
        self.web.serve(path, Serve::File(content.to_vec()));
    }

    fn ubuntu(&self) -> Tarball {
        let amd64 = Architecture::named("amd64").unwrap();
        self.signed(
            table::ubuntu(Some("24.04"), amd64, Some(&self.web.address())).unwrap(),
            FINGERPRINT,
        )
    }

    fn arch(&self) -> Tarball {
        let amd64 = Architecture::named("amd64").unwrap();
        let tarball = table::arch(None, amd64, Some(&self.web.address())).unwrap();
        let path = |file: &str| format!("/iso/latest/{file}");
        self.file(&path(&tarball.file), ARCHIVE);
        self.file(&path(&tarball.signature.file), ARCHIVE_SIGNATURE);
        let list = format!(
            "{SHA256}  archlinux-bootstrap-2026.11.01-x86_64.tar.zst\n{SHA256}  {}\n",
            tarball.file
        );
        self.file(&path("sha256sums.txt"), list.as_bytes());
        self.signed(tarball, FINGERPRINT)
    }

    /// With the fixtures' key, which the mirror has, in place of the distribution's.
    fn signed(&self, mut tarball: Tarball, fingerprint: &'static str) -> Tarball {
        let key = Box::leak(format!("{}/key.asc", self.web.address()).into_boxed_str());
        tarball.signature.signer = Box::leak(Box::new(Signer {
            name: "a test",
            fingerprint,
            keys: Box::leak(Box::new([Keys::Address(key)])),
        }));
        tarball
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    fn obtain(&self, tarball: &Tarball) -> Result<Proved> {
        obtain(&Client::new(), tarball, &self.cache(), Trust::Signature)
    }

    /// It fails, says all of `words`, and leaves nothing but keys.
    #[track_caller]
    fn refuses(&self, tarball: &Tarball, words: &[&str]) {
        let error = said(self.obtain(tarball));
        for word in words {
            assert!(error.contains(word), "no {word:?} in: {error}");
        }
        let mut left = names(&self.cache());
        left.retain(|name| name != "keys.gpg");
        assert_eq!(left, [""; 0], "{error}");
    }
}

fn is_skipped() -> bool {
    let there = Path::new("/usr/bin/gpgv").is_file();
    if !there {
        eprintln!("skipped: no gpgv");
    }
    !there
}

#[test]
fn a_signed_list_of_checksums_proves_the_archive() {
    if is_skipped() {
        return;
    }
    let mirror = Mirror::new();
    let proved = mirror.obtain(&mirror.ubuntu()).unwrap();
    assert_eq!(
        (proved.signature, proved.checksum.as_str()),
        (Checked::Good, SHA256)
    );
    assert_eq!(fs::read(&proved.path).unwrap(), ARCHIVE);
    assert_eq!(
        names(&mirror.cache()),
        ["SHA256SUMS", "SHA256SUMS.gpg", "keys.gpg", UBUNTU_FILE]
    );

    // The second time no server is asked.
    mirror.web.asked();
    let proved = mirror.obtain(&mirror.ubuntu()).unwrap();
    assert_eq!(proved.signature, Checked::Good);
    assert_eq!(mirror.web.asked(), [""; 0]);

    // A copy that has changed is fetched again.
    fs::write(&proved.path, "changed").unwrap();
    let proved = mirror.obtain(&mirror.ubuntu()).unwrap();
    assert_eq!(fs::read(&proved.path).unwrap(), ARCHIVE);
}

#[test]
fn a_signed_archive_that_moves_is_looked_for_each_time() {
    if is_skipped() {
        return;
    }
    let mirror = Mirror::new();
    let proved = mirror.obtain(&mirror.arch()).unwrap();
    assert_eq!(
        (proved.signature, proved.version.as_str()),
        (Checked::Good, "2026.11.01")
    );
    mirror.web.asked();
    mirror.obtain(&mirror.arch()).unwrap();
    // Small files are asked for, and the archive is the one that is there.
    assert_eq!(
        mirror.web.asked(),
        [
            "/iso/latest/sha256sums.txt",
            "/iso/latest/archlinux-bootstrap-x86_64.tar.zst.sig"
        ]
    );
    // The mirror's newer one is not signed by anybody.
    let tarball = mirror.arch();
    mirror.file(&format!("/iso/latest/{}", tarball.file), b"newer\n");
    let list = format!("{}  {}\n", "0".repeat(64), tarball.file);
    mirror.file("/iso/latest/sha256sums.txt", list.as_bytes());
    let error = said(mirror.obtain(&tarball));
    assert!(error.contains("wrong checksum"), "{error}");
}

#[test]
fn a_wrong_checksum_is_no_archive() {
    if is_skipped() {
        return;
    }
    let mirror = Mirror::new();
    mirror.file(&format!("{UBUNTU}/{UBUNTU_FILE}"), b"a root filesystem!");
    let words = [
        "wrong checksum",
        SHA256,
        "of the file",
        "was removed",
        "help:",
    ];
    mirror.refuses(&mirror.ubuntu(), &words);
}

#[test]
fn a_part_that_does_not_fit_is_fetched_anew() {
    if is_skipped() {
        return;
    }
    let mirror = Mirror::new();
    let path = format!("{UBUNTU}/{UBUNTU_FILE}");
    mirror.web.serve(&path, Serve::Broken(ARCHIVE.to_vec(), 5));
    let error = said(mirror.obtain(&mirror.ubuntu()));
    assert!(error.contains("ended after 5 of 18 bytes"), "{error}");
    let part = format!("{UBUNTU_FILE}.part");
    let left = names(&mirror.cache());
    assert_eq!(
        left,
        ["keys.gpg", part.as_str(), format!("{part}.from").as_str()]
    );

    // Damaged on the disk meanwhile.
    fs::write(mirror.cache().join(&part), "WRONG").unwrap();
    mirror.file(&path, ARCHIVE);
    mirror.web.asked();
    let proved = mirror.obtain(&mirror.ubuntu()).unwrap();
    assert_eq!(fs::read(&proved.path).unwrap(), ARCHIVE);
    let asked = mirror.web.asked();
    assert_eq!(asked[asked.len() - 2..], [format!("{path} bytes=5-"), path]);
}

#[test]
fn a_list_that_was_changed_is_refused_before_the_archive_is_fetched() {
    if is_skipped() {
        return;
    }
    let mirror = Mirror::new();
    let other = String::from_utf8_lossy(LIST).replace("13c9", "13ca");
    mirror.file(&format!("{UBUNTU}/SHA256SUMS"), other.as_bytes());
    mirror.refuses(
        &mirror.ubuntu(),
        &["signature is wrong", "not the one that was signed"],
    );
    assert!(
        !mirror
            .web
            .asked()
            .contains(&format!("{UBUNTU}/{UBUNTU_FILE}"))
    );
}

#[test]
fn a_changed_archive_with_checksums_to_fit_is_refused() {
    if is_skipped() {
        return;
    }
    let mirror = Mirror::new();
    let tarball = mirror.arch();
    mirror.file(&format!("/iso/latest/{}", tarball.file), b"");
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let list = format!("{empty}  {}\n", tarball.file);
    mirror.file("/iso/latest/sha256sums.txt", list.as_bytes());
    mirror.refuses(
        &tarball,
        &["signature is wrong", "not the one that was signed"],
    );
}

#[test]
fn a_signature_by_somebody_else_is_refused() {
    if is_skipped() {
        return;
    }
    let mirror = Mirror::new();
    let pinned = "0000000000000000000000000000000000000000";
    let tarball = mirror.signed(mirror.ubuntu(), pinned);
    mirror.refuses(&tarball, &["not signed by a test", FINGERPRINT]);
}

#[test]
fn a_missing_signature_is_said_and_can_be_done_without() {
    let mirror = Mirror::new();
    mirror
        .web
        .serve(&format!("{UBUNTU}/SHA256SUMS.gpg"), Serve::Status(404));
    mirror.refuses(
        &mirror.ubuntu(),
        &["SHA256SUMS.gpg", "404", "--no-signature"],
    );
    let proved = obtain(
        &Client::new(),
        &mirror.ubuntu(),
        &mirror.cache(),
        Trust::Mirror,
    )
    .unwrap();
    assert_eq!(proved.signature, Checked::Not("--no-signature".into()));
    assert_eq!(names(&mirror.cache()), ["SHA256SUMS", UBUNTU_FILE]);
}

#[test]
fn without_the_key_a_way_that_is_not_encrypted_is_refused() {
    if is_skipped() {
        return;
    }
    let mirror = Mirror::new();
    mirror.web.serve("/key.asc", Serve::Status(404));
    mirror.refuses(
        &mirror.ubuntu(),
        &[
            "cannot be checked",
            "the key of a test cannot be had",
            "https://",
        ],
    );
}

#[test]
fn a_list_without_the_file_says_what_it_has() {
    let mirror = Mirror::new();
    let list = format!("{SHA256} *ubuntu-base-24.04.9-base-amd64.tar.gz\n");
    mirror.file(&format!("{UBUNTU}/SHA256SUMS"), list.as_bytes());
    let result = obtain(
        &Client::new(),
        &mirror.ubuntu(),
        &mirror.cache(),
        Trust::Mirror,
    );
    let error = said(result);
    assert!(
        error.contains(&format!("has no checksum of {UBUNTU_FILE}")),
        "{error}"
    );
    assert!(
        error.contains("it has ubuntu-base-24.04.9-base-amd64.tar.gz"),
        "{error}"
    );
    mirror.file(&format!("{UBUNTU}/SHA256SUMS"), b"<html>");
    let result = obtain(
        &Client::new(),
        &mirror.ubuntu(),
        &mirror.cache(),
        Trust::Mirror,
    );
    assert!(said(result).contains("it is no list of checksums"));
    assert_eq!(names(&mirror.cache()), [""; 0]);
}
