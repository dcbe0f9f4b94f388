//! Every format brings in the same root filesystem, once.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on shall say where"
)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Bench, describe, is_root, run, sample, str};
use coop_image::{ImportOptions, Progress};

fn tar(bench: &Bench, options: &[&str]) -> PathBuf {
    let (tree, archive) = (bench.path("tree"), bench.path("archive"));
    let mut args = vec!["--xattrs", "--xattrs-include=*", "--numeric-owner"];
    args.extend_from_slice(options);
    args.extend_from_slice(&["-C", str(&tree), "-cf", str(&archive), "."]);
    run("tar", &args);
    archive
}

/// Imports `source` under two names and compares it with the tree.
fn assert_imported(bench: &Bench, source: &Path, nanoseconds: bool) {
    let image = bench
        .import("sample:1", source)
        .unwrap_or_else(|e| panic!("{}", common::text(&e)));
    assert_eq!(image.layers.len(), 1);
    assert_eq!(
        describe(&image.layers[0], nanoseconds),
        describe(&bench.path("tree"), nanoseconds)
    );
    // The content in common::sample, with the hard link counted once.
    let size = 26 + 300_000 + 4 + (1 << 20) + 7 + (2 << 20);
    assert_eq!(image.size, size);

    let again = bench.import("other/name", source).unwrap();
    assert_eq!(again.layers, image.layers, "the layer is shared");
    assert_eq!(again.id, image.id);
    assert_eq!(bench.layers().len(), 1);
    assert_eq!(
        bench.store.get(&common::reference("sample:1")).unwrap(),
        image
    );
    assert_eq!(
        common::list(&bench.path("store/tmp")),
        Vec::<PathBuf>::new()
    );
}

fn with_sample() -> Bench {
    let bench = Bench::new();
    let tree = bench.path("tree");
    fs::create_dir(&tree).unwrap();
    sample(&tree);
    bench
}

#[test]
fn directory() {
    let bench = with_sample();
    assert_imported(&bench, &bench.path("tree"), true);
}

#[test]
fn tar_of_posix() {
    let bench = with_sample();
    assert_imported(&bench, &tar(&bench, &["--format=posix"]), true);
}

#[test]
fn tar_of_gnu_with_long_names() {
    let bench = with_sample();
    let (tree, archive) = (bench.path("tree"), bench.path("archive"));
    run(
        "tar",
        &["--format=gnu", "-C", str(&tree), "-cf", str(&archive), "."],
    );
    let image = bench.import("x", &archive).unwrap();
    // This format has no attributes.
    let without = |text: String| {
        text.lines()
            .map(|line| line.split(" user.").next().unwrap_or_default().to_owned())
            .map(|line| {
                line.split(" security.")
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect::<Vec<_>>()
    };
    let (found, expected) = (describe(&image.layers[0], false), describe(&tree, false));
    assert_eq!(without(found), without(expected));
}

#[test]
fn tar_with_sparse_files() {
    for format in ["--format=posix", "--format=gnu"] {
        let bench = with_sample();
        let (tree, archive) = (bench.path("tree"), bench.path("archive"));
        run(
            "tar",
            &[
                format,
                "--sparse",
                "-C",
                str(&tree),
                "-cf",
                str(&archive),
                "./var",
            ],
        );
        assert!(
            archive.metadata().unwrap().len() < 2 << 20,
            "the archive is sparse"
        );
        let image = bench.import("x", &archive).unwrap();
        for name in ["var/sparse", "var/big"] {
            let copy = image.layers[0].join(name);
            assert_eq!(
                fs::read(&copy).unwrap(),
                fs::read(tree.join(name)).unwrap(),
                "{name}"
            );
        }
    }
}

#[test]
fn tar_compressed() {
    for option in ["--gzip", "--zstd", "--xz"] {
        let bench = with_sample();
        assert_imported(&bench, &tar(&bench, &["--format=posix", option]), true);
    }
}

#[test]
fn one_layer_for_one_archive_however_it_is_compressed() {
    let bench = with_sample();
    let plain = tar(&bench, &["--format=posix"]);
    let first = bench.import("plain", &plain).unwrap();
    for program in ["gzip", "zstd", "xz"] {
        run(program, &["-k", "-f", str(&plain)]);
    }
    for extension in ["gz", "zst", "xz"] {
        let image = bench
            .import(extension, &plain.with_extension(extension))
            .unwrap();
        assert_eq!(image.layers, first.layers, "{extension}");
    }
    assert_eq!(bench.layers().len(), 1);
}

#[test]
fn parts_behind_one_another_are_one_archive() {
    let bench = with_sample();
    let plain = fs::read(tar(&bench, &["--format=posix"])).unwrap();
    let first = bench.import("plain", &bench.path("archive")).unwrap();
    let (a, b) = plain.split_at(plain.len() / 2);
    fs::write(bench.path("a"), a).unwrap();
    fs::write(bench.path("b"), b).unwrap();
    for program in ["gzip", "zstd", "xz"] {
        let joined: Vec<u8> = ["a", "b"]
            .iter()
            .flat_map(|part| {
                let mut command = std::process::Command::new(program);
                command
                    .arg("-c")
                    .arg(bench.path(part))
                    .output()
                    .unwrap()
                    .stdout
            })
            .collect();
        fs::write(bench.path("joined"), joined).unwrap();
        let image = bench.import(program, &bench.path("joined")).unwrap();
        assert_eq!(image.layers, first.layers, "{program}");
    }
}

#[test]
fn squashfs_of_each_compression() {
    for compression in ["gzip", "xz", "zstd"] {
        let bench = with_sample();
        let (tree, archive) = (bench.path("tree"), bench.path("archive"));
        let args = [
            str(&tree),
            str(&archive),
            "-comp",
            compression,
            "-noappend",
            "-quiet",
        ];
        run("mksquashfs", &args);
        assert_imported(&bench, &archive, false);
    }
}

#[test]
fn squashfs_uncompressed_and_without_fragments() {
    let bench = with_sample();
    let (tree, archive) = (bench.path("tree"), bench.path("archive"));
    let args = [
        "-noI",
        "-noD",
        "-noF",
        "-noX",
        "-no-fragments",
        "-b",
        "4096",
        "-noappend",
        "-quiet",
    ];
    run(
        "mksquashfs",
        &[&[str(&tree), str(&archive)], args.as_slice()].concat(),
    );
    assert_imported(&bench, &archive, false);
}

#[test]
fn squashfs_of_a_compression_that_is_not_read_says_what_to_do() {
    let bench = with_sample();
    let archive = bench.path("archive");
    run(
        "mksquashfs",
        &[
            str(&bench.path("tree")),
            str(&archive),
            "-comp",
            "lz4",
            "-quiet",
        ],
    );
    let error = common::text(&bench.import("x", &archive).unwrap_err());
    assert!(
        error.contains("lz4") && error.contains("-comp zstd"),
        "{error}"
    );
    bench.assert_nothing_left();
}

#[test]
fn squashfs_with_a_directory_of_thousands() {
    let bench = Bench::new();
    let (tree, archive) = (bench.path("tree"), bench.path("archive"));
    fs::create_dir(&tree).unwrap();
    for i in 0..5000 {
        fs::write(tree.join(format!("file-{i}")), format!("{i}")).unwrap();
    }
    run("mksquashfs", &[str(&tree), str(&archive), "-quiet"]);
    let image = bench.import("x", &archive).unwrap();
    assert_eq!(describe(&image.layers[0], false), describe(&tree, false));
}

#[test]
fn devices_and_sockets_are_left_out_with_a_note() {
    if !is_root() {
        return;
    }
    let bench = Bench::new();
    let tree = bench.path("tree");
    fs::create_dir_all(tree.join("dev")).unwrap();
    run("mknod", &[str(&tree.join("dev/null")), "c", "1", "3"]);
    let _socket = std::os::unix::net::UnixListener::bind(tree.join("dev/log")).unwrap();
    let (tar, squash) = (bench.path("tar"), bench.path("squash"));
    run("tar", &["-C", str(&tree), "-cf", str(&tar), "."]);
    run("mksquashfs", &[str(&tree), str(&squash), "-quiet"]);
    for source in [&tree, &tar, &squash] {
        let mut notes = Vec::new();
        let image = bench
            .store
            .import(
                &common::reference("x"),
                source,
                &ImportOptions::default(),
                &mut |event| {
                    if let Progress::Skipped { entry, why } = event {
                        notes.push(format!("{entry}: {why}"));
                    }
                },
            )
            .unwrap();
        assert!(
            notes
                .iter()
                .any(|n| n.starts_with("\"dev/null\": a device")),
            "{notes:?}"
        );
        // tar itself leaves sockets out.
        let socket = notes.iter().any(|n| n.starts_with("\"dev/log\": a socket"));
        assert_eq!(socket, source != &tar, "{notes:?}");
        assert_eq!(
            common::list(&image.layers[0].join("dev")),
            Vec::<PathBuf>::new()
        );
    }
}

#[test]
fn a_store_inside_of_the_imported_directory_is_left_out() {
    let bench = Bench::new();
    fs::write(bench.path("file"), "x").unwrap();
    let image = bench.import("x", &bench.path("")).unwrap();
    assert_eq!(
        common::list(&image.layers[0]),
        [image.layers[0].join("file")]
    );
}

#[test]
fn a_root_one_directory_down_is_the_image() {
    let bench = Bench::new();
    sample(&bench.path("boot/root.x86_64"));
    fs::write(bench.path("boot/version"), "2026.11.01\n").unwrap();
    let archive = bench.path("archive");
    let directory = bench.path("boot");
    let attributes = ["--xattrs", "--xattrs-include=*", "--format=posix"];
    let options = ["-C", str(&directory), "-cf", str(&archive), "."];
    run("tar", &[&attributes[..], &options].concat());
    let image = bench.import("arch", &archive).unwrap();
    let root = bench.path("boot/root.x86_64");
    assert_eq!(describe(&image.layers[0], false), describe(&root, false));
    // A directory is what the user names; the same archive is the same layer again.
    let whole = bench.import("whole", &directory).unwrap();
    assert!(whole.layers[0].join("root.x86_64").is_dir());
    let again = bench.import("again", &archive).unwrap();
    assert_eq!((again.layers, again.size), (image.layers, image.size));
}
