//! Archives that lie, lead out, or end too early: refused, and nothing is left.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on shall say where"
)]

mod archive;
mod common;

use std::fs;
use std::path::Path;

use archive::{Archive, assert_refused, assert_refused_within};
use common::{Bench, run, str, text};
use coop_image::Limits;
use tar::{EntryType, Header};

#[test]
fn paths_that_lead_out() {
    assert_refused(
        &Archive::default().file("../outside", b"x").end(),
        &["../outside", "`..`"],
    );
    let dots = Archive::default()
        .dir("a")
        .file("a/../../../outside", b"x")
        .end();
    assert_refused(&dots, &["`..`"]);
    let absolute = Archive::default().file("/tmp/coop-hostile", b"x").end();
    assert_refused(&absolute, &["/tmp/coop-hostile", "absolute", "tar -C ROOT"]);
    assert!(!Path::new("/tmp/coop-hostile").exists());
}

#[test]
fn symbolic_links_on_the_way() {
    for target in ["/tmp", "../../..", "real"] {
        let archive = Archive::default()
            .dir("real")
            .symlink("way", target)
            .file("way/coop-hostile", b"x")
            .end();
        assert_refused(&archive, &["way/coop-hostile", "symbolic link"]);
    }
    // Planted below a directory that was opened before.
    let archive = Archive::default()
        .dir("a")
        .dir("a/b")
        .file("a/b/one", b"x")
        .symlink("a/b", "/tmp")
        .file("a/b/coop-hostile", b"x")
        .end();
    assert_refused(&archive, &["a/b/coop-hostile", "symbolic link"]);
    assert!(!Path::new("/tmp/coop-hostile").exists());
}

#[test]
fn a_file_does_not_write_through_a_symbolic_link_of_its_name() {
    let bench = Bench::new();
    let outside = bench.path("outside");
    fs::write(&outside, "untouched").unwrap();
    let archive = Archive::default()
        .symlink("name", str(&outside))
        .file("name", b"replaced")
        .end();
    fs::write(bench.path("archive"), archive).unwrap();
    let image = bench.import("x", &bench.path("archive")).unwrap();
    assert_eq!(fs::read(&outside).unwrap(), b"untouched");
    assert!(
        image.layers[0]
            .join("name")
            .symlink_metadata()
            .unwrap()
            .is_file()
    );
}

#[test]
fn hard_links_that_lead_out() {
    let hard = |target| Archive::default().hard_link("mine", target).end();
    assert_refused(
        &hard("/etc/shadow"),
        &["mine", "/etc/shadow", "not inside of the root"],
    );
    assert_refused(&hard("../../outside"), &["not inside of the root"]);
    assert_refused(&hard("missing"), &["missing", "it is not there"]);
    assert_refused(&hard("."), &["the root"]);
    let over = Archive::default()
        .symlink("etc", "/etc")
        .hard_link("mine", "etc/shadow")
        .end();
    assert_refused(&over, &["etc/shadow", "symbolic link"]);
    let dir = Archive::default().dir("d").hard_link("mine", "d").end();
    assert_refused(&dir, &["a directory"]);
}

#[test]
fn a_hard_link_to_a_symbolic_link_is_one_to_the_link() {
    let bench = Bench::new();
    let archive = Archive::default()
        .symlink("link", "/etc/shadow")
        .hard_link("mine", "link")
        .end();
    fs::write(bench.path("archive"), archive).unwrap();
    let image = bench.import("x", &bench.path("archive")).unwrap();
    assert!(image.layers[0].join("mine").is_symlink());
}

#[test]
fn files_on_the_way_and_a_root_that_is_none() {
    let archive = Archive::default().file("a", b"x").file("a/b", b"x").end();
    assert_refused(&archive, &["a/b", "not a directory"]);
    assert_refused(
        &Archive::default().file(".", b"x").end(),
        &["root must be a directory"],
    );
}

#[test]
fn the_last_entry_of_a_name_counts() {
    let bench = Bench::new();
    let archive = Archive::default()
        .file("twice", b"first")
        .file("twice", b"second")
        .dir("was-dir")
        .file("was-dir/below", b"x")
        .file("was-dir", b"file now")
        .file("was-file", b"x")
        .dir("was-file")
        .file("was-file/below", b"y")
        .dir("kept")
        .file("kept/below", b"z")
        .dir("kept")
        .end();
    fs::write(bench.path("archive"), archive).unwrap();
    let image = bench.import("x", &bench.path("archive")).unwrap();
    let read = |name: &str| fs::read_to_string(image.layers[0].join(name)).unwrap();
    assert_eq!(read("twice"), "second");
    assert_eq!(read("was-dir"), "file now");
    assert_eq!(read("was-file/below"), "y");
    assert_eq!(read("kept/below"), "z");
}

#[test]
fn names_and_types_that_no_root_filesystem_has() {
    let deep = Archive::default().file(&"d/".repeat(49), b"").end();
    // 49 directories are fine, 300 by a long name are not.
    let bench = Bench::new();
    fs::write(bench.path("archive"), deep).unwrap();
    bench.import("x", &bench.path("archive")).unwrap();
    let long = "d/".repeat(300);
    let deep = Archive::default()
        .entry("long", EntryType::GNULongName, "", long.as_bytes())
        .dir("short")
        .end();
    assert_refused(&deep, &["deeper than 256"]);
    let strange = Archive::default()
        .entry("x", EntryType::new(b'M'), "", b"")
        .end();
    assert_refused(&strange, &["type 'M'"]);
    let escape = Archive::default().file("../\u{1b}[2J", b"").end();
    assert_refused(&escape, &["\\u{1b}[2J"]);
    let huge = Archive::default()
        .entry("n", EntryType::GNULongName, "", &vec![b'n'; 2 << 20])
        .end();
    assert_refused(&huge, &["more than 1 MiB"]);
}

#[test]
fn more_than_the_limits_allow() {
    let archive = Archive::default()
        .file("a", &[1; 5000])
        .file("b", &[1; 5000])
        .end();
    let limits = Limits {
        bytes: 9000,
        ..Limits::default()
    };
    assert_refused_within(&archive, limits, &["larger than the limit of 9000 bytes"]);
    let limits = Limits {
        entries: 1,
        ..Limits::default()
    };
    assert_refused_within(&archive, limits, &["more than 1 files"]);
    // Of 18 exabytes, as the header says.
    let mut liar = Archive::default();
    let mut header = Header::new_gnu();
    header.set_path("huge").unwrap();
    header.set_size(u64::MAX - 1);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    liar.header(&mut header);
    assert_refused(&liar.end(), &["larger than the limit"]);
}

#[test]
fn archives_of_images_are_recognised() {
    let docker = Archive::default()
        .dir("0123")
        .file("0123/layer.tar", b"x")
        .file("manifest.json", b"[{\"Layers\":[\"0123/layer.tar\"]}]")
        .end();
    assert_refused(
        &docker,
        &["docker-save", "not supported yet", "docker export"],
    );
    let oci = Archive::default()
        .dir("blobs")
        .file("oci-layout", b"{}")
        .file("index.json", b"{}")
        .end();
    assert_refused(&oci, &["OCI image archive", "not supported yet"]);
}

#[test]
fn what_is_no_archive_is_named() {
    assert_refused(b"", &["empty"]);
    assert_refused(b"#!/bin/sh\n", &["neither a tar archive"]);
    assert_refused(b"BZh91AY&SY", &["bzip2", "bunzip2"]);
    assert_refused(&[0; 10240], &["zeros"]);
    let bench = Bench::new();
    fs::write(bench.path("text"), "only text, no archive").unwrap();
    run("gzip", &[str(&bench.path("text"))]);
    let text_gz = fs::read(bench.path("text.gz")).unwrap();
    assert_refused(&text_gz, &["gzip"]);
}

#[test]
fn a_source_that_is_not_there_creates_no_store() {
    let bench = Bench::new();
    let error = text(&bench.import("x", &bench.path("missing")).unwrap_err());
    assert!(
        error.contains("missing") && error.contains("No such file"),
        "{error}"
    );
    assert!(!bench.path("store").exists());
    run("mkfifo", &[str(&bench.path("pipe"))]);
    let error = text(&bench.import("x", &bench.path("pipe")).unwrap_err());
    assert!(error.contains("neither a file nor a directory"), "{error}");
}
