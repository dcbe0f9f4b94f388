//! `cargo xtask rootfs fetch` from a server of the test: what comes of good archives, and what
//! is left of bad ones.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on shall say where"
)]

use std::fs;
use std::path::PathBuf;

use coop_tests::{Cmd, Host, Rootfs, Serve, Web, skip, wait_until};
use rustix::process::Signal;

const DIRECTORY: &str = "/v3.20/releases/x86_64";
const FILE: &str = "alpine-minirootfs-3.20.6-x86_64.tar.gz";

/// A mirror of Alpine, and the call that fetches from it.
struct Mirror<'h> {
    host: &'h Host,
    web: Web,
}

impl<'h> Mirror<'h> {
    fn new(host: &'h Host) -> Self {
        Self {
            host,
            web: Web::new(),
        }
    }

    /// Publishes `archive` with its checksum.
    fn publish(&self, archive: &[u8]) {
        self.web.serve(
            &format!("{DIRECTORY}/{FILE}"),
            Serve::File(archive.to_vec()),
        );
        self.publish_checksum_of(archive);
    }

    fn publish_checksum_of(&self, archive: &[u8]) {
        let path = self.host.file("sum/file", archive);
        let sum = self.host.tool("sha512sum").arg(path).run();
        let digits = sum.success().text().split(' ').next().unwrap().to_owned();
        let list = format!("{digits}  {FILE}\n");
        self.web.serve(
            &format!("{DIRECTORY}/{FILE}.sha512"),
            Serve::File(list.into()),
        );
    }

    fn cache(&self) -> PathBuf {
        self.host.work().join("cache")
    }

    /// Nothing when this run has no xtask.
    fn fetch(&self) -> Option<Cmd<'h>> {
        let words = [
            "rootfs",
            "fetch",
            "alpine",
            "--release",
            "3.20",
            "--arch",
            "x86_64",
            "--no-signature",
            "--mirror",
        ];
        let call = self.host.xtask(words)?.arg(self.web.address());
        Some(call.env("COOP_ROOTFS_CACHE", self.cache()))
    }

    /// The files of the cache, without the lock.
    fn cached(&self) -> Vec<String> {
        let entries = fs::read_dir(self.cache().join("alpine/3.20.6-amd64")).unwrap();
        let mut names: Vec<_> = entries
            .flatten()
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.retain(|name| name != "lock");
        names.sort();
        names
    }

    fn assert_no_image(&self) {
        self.host
            .coop(["image", "ls", "--quiet"])
            .run()
            .success()
            .prints("");
        let left = fs::read_dir(self.host.coop_root().join("data/images/tmp"));
        assert_eq!(left.map_or(0, Iterator::count), 0, "half an import is left");
    }
}

/// Busybox in the shape of Alpine's archive.
fn archive(host: &Host) -> Vec<u8> {
    let root = Rootfs::new(host);
    let path = host.work().join("rootfs.tar.gz");
    host.tool("tar")
        .arg("-C")
        .arg(root.path())
        .arg("-czf")
        .arg(&path)
        .arg("./")
        .run()
        .success();
    fs::read(path).unwrap()
}

/// An archive of one file with a name of its own choice.
fn archive_with(host: &Host, name: &str) -> Vec<u8> {
    host.file("payload", "planted");
    let path = host.work().join("evil.tar.gz");
    let pack = host.tool("tar").arg("-cPzf").arg(&path).arg("--transform");
    pack.arg(format!("s,payload,{name},"))
        .arg("payload")
        .run()
        .success();
    fs::read(path).unwrap()
}

macro_rules! fetch {
    ($mirror:expr) => {
        match $mirror.fetch() {
            Some(call) => call,
            None => skip!("no XTASK_BIN: `cargo xtask test` sets it"),
        }
    };
}

#[test]
fn what_is_fetched_is_an_image_that_says_where_it_is_from() {
    let host = Host::new();
    let mirror = Mirror::new(&host);
    mirror.publish(&archive(&host));
    let output = fetch!(mirror).run();
    output
        .success()
        .warns("as published")
        .warns("NOT CHECKED (--no-signature)")
        .warns("imported as alpine:3.20");
    // By the image's own command and PATH.
    let run = host
        .coop(["run", "--rm", "-i", "alpine:3.20"])
        .stdin("cat /marker; echo $PATH")
        .run();
    assert_eq!(
        run.success().lines(),
        [
            Rootfs::MARKER,
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        ]
    );
    let format = "{{.Architecture}} {{index .Config.Labels \"org.opencontainers.image.version\"}} \
                  {{index .Config.Labels \"org.opencontainers.image.source\"}}";
    let expected = format!("amd64 3.20.6 {}{DIRECTORY}/{FILE}", mirror.web.address());
    host.coop(["image", "inspect", "-f", format, "alpine:3.20"])
        .run()
        .success()
        .prints(&expected);

    // Again, from the copy.
    mirror.web.asked();
    fetch!(mirror).run().success().warns("using the copy");
    assert_eq!(mirror.web.asked(), [""; 0]);
}

#[test]
fn a_truncated_download_is_no_image_and_the_next_run_goes_on() {
    let host = Host::new();
    let mirror = Mirror::new(&host);
    let archive = archive(&host);
    mirror.publish(&archive);
    let half = archive.len() / 2;
    mirror.web.serve(
        &format!("{DIRECTORY}/{FILE}"),
        Serve::Broken(archive.clone(), half),
    );
    let output = fetch!(mirror).run();
    output
        .code(1)
        .warns("alpine:3.20 was not fetched")
        .warns(&format!("ended after {half} of {} bytes", archive.len()))
        .warns("help: run it again");
    mirror.assert_no_image();
    assert_eq!(
        mirror.cached(),
        [format!("{FILE}.part"), format!("{FILE}.part.from")]
    );

    mirror.publish(&archive);
    mirror.web.asked();
    fetch!(mirror).run().success().warns("going on with");
    assert!(
        mirror
            .web
            .asked()
            .contains(&format!("{DIRECTORY}/{FILE} bytes={half}-"))
    );
    host.coop(["run", "--rm", "alpine:3.20", "cat", "/marker"])
        .run()
        .success()
        .prints(Rootfs::MARKER);
    assert_eq!(mirror.cached(), [FILE.to_owned(), format!("{FILE}.sha512")]);
}

#[test]
fn a_killed_download_is_no_image_and_the_next_run_goes_on() {
    let host = Host::new();
    let mirror = Mirror::new(&host);
    let archive = archive(&host);
    mirror.publish(&archive);
    let half = archive.len() / 2;
    mirror.web.serve(
        &format!("{DIRECTORY}/{FILE}"),
        Serve::Stalled(archive.clone(), half),
    );
    let running = fetch!(mirror).spawn();
    let part = mirror
        .cache()
        .join("alpine/3.20.6-amd64")
        .join(format!("{FILE}.part"));
    wait_until("half of it is there", || {
        fs::metadata(&part).is_ok_and(|meta| meta.len() == half as u64)
    });
    running.signal(Signal::KILL);
    running.wait();
    mirror.assert_no_image();
    mirror.publish(&archive);
    fetch!(mirror)
        .run()
        .success()
        .warns(&format!("going on with the {half} bytes"));
    host.coop(["run", "--rm", "alpine:3.20", "cat", "/marker"])
        .run()
        .success()
        .prints(Rootfs::MARKER);
}

#[test]
fn a_wrong_checksum_is_no_image_and_no_file() {
    let host = Host::new();
    let mirror = Mirror::new(&host);
    let archive = archive(&host);
    mirror.publish(&archive);
    mirror.publish_checksum_of(b"something else");
    let output = fetch!(mirror).run();
    output
        .code(1)
        .warns("wrong checksum")
        .warns(FILE)
        .warns("help:");
    mirror.assert_no_image();
    assert_eq!(mirror.cached(), [""; 0]);
}

#[test]
fn a_corrupted_archive_is_no_image() {
    let host = Host::new();
    let mirror = Mirror::new(&host);
    let mut archive = archive(&host);
    let middle = archive.len() / 2;
    archive[middle..middle + 64].fill(0xa5);
    mirror.publish(&archive);
    let output = fetch!(mirror).run();
    output
        .code(1)
        .warns("cannot import")
        .warns("alpine:3.20 was not imported");
    mirror.assert_no_image();
}

#[test]
fn an_archive_that_leads_out_is_no_image_and_writes_nothing() {
    let host = Host::new();
    let mirror = Mirror::new(&host);
    let planted = host.work().join("planted");
    for name in [
        format!("{}{}", "../".repeat(30), planted.display()),
        planted.display().to_string(),
    ] {
        mirror.publish(&archive_with(&host, &name));
        let _ = fs::remove_dir_all(mirror.cache());
        let output = fetch!(mirror).run();
        output
            .code(1)
            .warns("planted")
            .warns("alpine:3.20 was not imported");
        mirror.assert_no_image();
        assert!(!planted.exists());
    }
}

#[test]
fn what_is_not_there_is_said_and_leaves_nothing() {
    let host = Host::new();
    let mirror = Mirror::new(&host);
    let output = fetch!(mirror).run();
    output
        .code(1)
        .warns("status 404")
        .warns("help:")
        .warns("--release");
    mirror.assert_no_image();
    assert_eq!(mirror.cached(), [""; 0]);
    // Nobody listens on the port of a mirror that is gone.
    let call = host
        .xtask([
            "rootfs",
            "fetch",
            "alpine",
            "--mirror",
            "http://127.0.0.1:1",
        ])
        .unwrap();
    let output = call.env("COOP_ROOTFS_CACHE", mirror.cache()).run();
    output.code(1).warns("refused").warns("help:");
    mirror.assert_no_image();
}

#[test]
fn a_full_disk_is_no_image_and_the_next_run_goes_on() {
    let host = Host::new();
    let mirror = Mirror::new(&host);
    let archive = archive(&host);
    mirror.publish(&archive);
    let cache = mirror.cache();
    fs::create_dir(&cache).unwrap();
    let tmpfs = |options: &str| {
        host.tool("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&cache)
            .run()
            .success();
    };
    tmpfs("size=256k");
    let output = fetch!(mirror).run();
    output
        .code(1)
        .warns("No space left on device")
        .warns("make room");
    mirror.assert_no_image();
    tmpfs("remount,size=64m");
    fetch!(mirror).run().success().warns("going on with");
    host.coop(["run", "--rm", "alpine:3.20", "cat", "/marker"])
        .run()
        .success()
        .prints(Rootfs::MARKER);
}
