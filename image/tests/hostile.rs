//! Archives that lie, lead out, or end too early: refused, and nothing is left.

mod common;

use std::fs;
use std::path::Path;

use common::{Bench, reference, run, str, text};
use coop_image::{ImportOptions, Limits};
use tar::{EntryType, Header};

/// Builds archives that no honest program makes.
#[derive(Default)]
struct Archive(Vec<u8>);

impl Archive {
    fn entry(mut self, name: &str, kind: EntryType, link: &str, content: &[u8]) -> Self {
        let mut header = Header::new_ustar();
        let fields = header.as_ustar_mut().unwrap();
        // Not set_path: it refuses what is wanted here.
        fields.name[..name.len()].copy_from_slice(name.as_bytes());
        fields.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        self.header(&mut header);
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn header(&mut self, header: &mut Header) {
        header.set_cksum();
        self.0.extend(header.as_bytes());
    }

    fn dir(self, name: &str) -> Self {
        self.entry(name, EntryType::Directory, "", b"")
    }

    fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(name, EntryType::Regular, "", content)
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(name, EntryType::Symlink, target, b"")
    }

    fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(name, EntryType::Link, target, b"")
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}

/// Imports `archive`, which must fail with all of `words`, leave nothing, and write
/// nothing outside.
fn assert_refused(archive: &[u8], words: &[&str]) {
    assert_refused_within(archive, Limits::default(), words);
}

fn assert_refused_within(archive: &[u8], limits: Limits, words: &[&str]) {
    let bench = Bench::new();
    let path = bench.path("archive");
    fs::write(&path, archive).unwrap();
    fs::write(bench.path("outside"), "untouched").unwrap();
    let options = ImportOptions { limits, ..ImportOptions::default() };
    let result = bench.store.import(&reference("x"), &path, &options, &mut |_| {});
    let error = text(&result.expect_err("it was imported"));
    for word in words {
        assert!(error.contains(word), "{error:?} does not say {word:?}");
    }
    bench.assert_nothing_left();
    assert_eq!(fs::read(bench.path("outside")).unwrap(), b"untouched");
    let left = ["archive", "outside", "store", "store/images", "store/layers", "store/tmp"];
    assert_eq!(bench.everything(), left.map(|name| bench.path(name)));
}

#[test]
fn paths_that_lead_out() {
    assert_refused(&Archive::default().file("../outside", b"x").end(), &["../outside", "`..`"]);
    let dots = Archive::default().dir("a").file("a/../../../outside", b"x").end();
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
    let archive =
        Archive::default().symlink("name", str(&outside)).file("name", b"replaced").end();
    fs::write(bench.path("archive"), archive).unwrap();
    let image = bench.import("x", &bench.path("archive")).unwrap();
    assert_eq!(fs::read(&outside).unwrap(), b"untouched");
    assert!(image.layers[0].join("name").symlink_metadata().unwrap().is_file());
}

#[test]
fn hard_links_that_lead_out() {
    let hard = |target| Archive::default().hard_link("mine", target).end();
    assert_refused(&hard("/etc/shadow"), &["mine", "/etc/shadow", "not inside of the root"]);
    assert_refused(&hard("../../outside"), &["not inside of the root"]);
    assert_refused(&hard("missing"), &["missing", "it is not there"]);
    assert_refused(&hard("."), &["the root"]);
    let over = Archive::default().symlink("etc", "/etc").hard_link("mine", "etc/shadow").end();
    assert_refused(&over, &["etc/shadow", "symbolic link"]);
    let dir = Archive::default().dir("d").hard_link("mine", "d").end();
    assert_refused(&dir, &["a directory"]);
}

#[test]
fn a_hard_link_to_a_symbolic_link_is_one_to_the_link() {
    let bench = Bench::new();
    let archive = Archive::default().symlink("link", "/etc/shadow").hard_link("mine", "link").end();
    fs::write(bench.path("archive"), archive).unwrap();
    let image = bench.import("x", &bench.path("archive")).unwrap();
    assert!(image.layers[0].join("mine").is_symlink());
}

#[test]
fn files_on_the_way_and_a_root_that_is_none() {
    let archive = Archive::default().file("a", b"x").file("a/b", b"x").end();
    assert_refused(&archive, &["a/b", "not a directory"]);
    assert_refused(&Archive::default().file(".", b"x").end(), &["root must be a directory"]);
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
    let strange = Archive::default().entry("x", EntryType::new(b'M'), "", b"").end();
    assert_refused(&strange, &["type 'M'"]);
    let escape = Archive::default().file("../\u{1b}[2J", b"").end();
    assert_refused(&escape, &["\\u{1b}[2J"]);
    let huge = Archive::default().entry("n", EntryType::GNULongName, "", &[b'n'; 2 << 20]).end();
    assert_refused(&huge, &["more than 1 MiB"]);
}

#[test]
fn more_than_the_limits_allow() {
    let archive = Archive::default().file("a", &[1; 5000]).file("b", &[1; 5000]).end();
    let limits = Limits { bytes: 9000, ..Limits::default() };
    assert_refused_within(&archive, limits, &["larger than the limit of 9000 bytes"]);
    let limits = Limits { entries: 1, ..Limits::default() };
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
fn bombs() {
    let bench = Bench::new();
    let limits = Limits { bytes: 4 << 20, ..Limits::default() };
    let plain = Archive::default().file("zeros", &vec![0; 64 << 20]).end();
    let path = bench.path("bomb");
    fs::write(&path, &plain).unwrap();
    for (program, extension) in [("gzip", "gz"), ("zstd", "zst"), ("xz", "xz")] {
        run(program, &["-k", "-1", str(&path)]);
        let bomb = fs::read(path.with_extension(extension)).unwrap();
        assert!(bomb.len() < 1 << 20);
        assert_refused_within(&bomb, limits, &["larger than the limit of 4194304 bytes"]);
    }
    // Behind the end of the archive, where no entry counts it.
    let mut trailing = Archive::default().file("a", b"x").end();
    trailing.resize(trailing.len() + (16 << 20), 0);
    assert_refused_within(&trailing, limits, &["larger than the limit"]);
    // A sparse file: 16 MiB out of nothing.
    let tree = bench.path("tree");
    fs::create_dir(&tree).unwrap();
    fs::File::create(tree.join("hole")).unwrap().set_len(16 << 20).unwrap();
    for format in ["--format=gnu", "--format=posix"] {
        run("tar", &[format, "-S", "-C", str(&tree), "-cf", str(&bench.path("s")), "."]);
        let sparse = fs::read(bench.path("s")).unwrap();
        assert_refused_within(&sparse, limits, &["larger than the limit"]);
    }
    run("mksquashfs", &[str(&tree), str(&bench.path("sq")), "-quiet"]);
    let squashfs = fs::read(bench.path("sq")).unwrap();
    assert_refused_within(&squashfs, limits, &["larger than the limit"]);
}

#[test]
fn truncated_anywhere() {
    let bench = Bench::new();
    let noise: Vec<u8> = (0..60_000_u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
    let plain = Archive::default().dir("d").file("d/noise", &noise).file("d/last", b"x").end();
    let path = bench.path("whole");
    fs::write(&path, &plain).unwrap();
    for cut in [100, 512, 600, 30_000, plain.len() - 1024] {
        assert_refused(&plain[..cut], if cut < 512 { &["neither"] } else { &["truncated"] });
    }
    for (program, extension) in [("gzip", "gz"), ("zstd", "zst"), ("xz", "xz")] {
        run(program, &["-k", str(&path)]);
        let whole = fs::read(path.with_extension(extension)).unwrap();
        for cut in [20, whole.len() / 2, whole.len() - 3] {
            assert_refused(&whole[..cut], &[]);
        }
    }
    let tree = bench.path("tree");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("noise"), &noise).unwrap();
    run("mksquashfs", &[str(&tree), str(&bench.path("sq")), "-quiet"]);
    let whole = fs::read(bench.path("sq")).unwrap();
    for cut in [50, 96, whole.len() / 2] {
        assert_refused(&whole[..cut], &[]);
    }
}

#[test]
fn corrupted_anywhere_is_an_error_or_an_image_but_never_a_crash() {
    let bench = Bench::new();
    let tree = bench.path("tree");
    fs::create_dir(&tree).unwrap();
    fs::create_dir(tree.join("sub")).unwrap();
    fs::write(tree.join("sub/noise"), (0..20_000_u32).map(|i| (i * i >> 5) as u8).collect::<Vec<_>>())
        .unwrap();
    fs::write(tree.join("text"), "text").unwrap();
    std::os::unix::fs::symlink("text", tree.join("link")).unwrap();
    let mut sources = Vec::new();
    for compression in ["gzip", "xz", "zstd"] {
        let path = bench.path(compression);
        run("mksquashfs", &[str(&tree), str(&path), "-comp", compression, "-quiet"]);
        sources.push(fs::read(path).unwrap());
    }
    // The same without compression: every structure is open to the damage.
    run("mksquashfs", &[str(&tree), str(&bench.path("p")), "-noI", "-noD", "-noF", "-quiet"]);
    sources.push(fs::read(bench.path("p")).unwrap());
    for option in ["--gzip", "--zstd", "--xz", "--format=posix"] {
        run("tar", &[option, "-C", str(&tree), "-cf", str(&bench.path("t")), "."]);
        sources.push(fs::read(bench.path("t")).unwrap());
    }
    let limits = Limits { bytes: 8 << 20, entries: 1000 };
    let options = ImportOptions { limits, ..ImportOptions::default() };
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for source in sources {
        for _ in 0..60 {
            let mut damaged = source.clone();
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (random >> 33) as usize % damaged.len();
            damaged[at] ^= 1 << (random % 8) | 1;
            fs::write(bench.path("damaged"), &damaged).unwrap();
            let name = reference("x");
            let imported =
                bench.store.import(&name, &bench.path("damaged"), &options, &mut |_| {});
            if imported.is_ok() {
                bench.store.remove(&name, &common::no_one).unwrap();
            }
            bench.assert_nothing_left();
        }
    }
}

#[test]
fn archives_of_images_are_recognised() {
    let docker = Archive::default()
        .dir("0123")
        .file("0123/layer.tar", b"x")
        .file("manifest.json", b"[{\"Layers\":[\"0123/layer.tar\"]}]")
        .end();
    assert_refused(&docker, &["docker-save", "not supported yet", "docker export"]);
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
    assert!(error.contains("missing") && error.contains("No such file"), "{error}");
    assert!(!bench.path("store").exists());
    run("mkfifo", &[str(&bench.path("pipe"))]);
    let error = text(&bench.import("x", &bench.path("pipe")).unwrap_err());
    assert!(error.contains("neither a file nor a directory"), "{error}");
}
