//! Archives that end too early, are damaged, or unpack to far too much.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on shall say where"
)]

mod archive;
mod common;

use std::fs;

use archive::{Archive, assert_refused, assert_refused_within};
use common::{Bench, reference, run, str};
use coop_image::{ImportOptions, Limits};

#[test]
fn bombs() {
    let bench = Bench::new();
    let limits = Limits {
        bytes: 4 << 20,
        ..Limits::default()
    };
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
    fs::File::create(tree.join("hole"))
        .unwrap()
        .set_len(16 << 20)
        .unwrap();
    for format in ["--format=gnu", "--format=posix"] {
        run(
            "tar",
            &[
                format,
                "-S",
                "-C",
                str(&tree),
                "-cf",
                str(&bench.path("s")),
                ".",
            ],
        );
        let sparse = fs::read(bench.path("s")).unwrap();
        assert_refused_within(&sparse, limits, &["larger than the limit"]);
    }
    run(
        "mksquashfs",
        &[str(&tree), str(&bench.path("sq")), "-quiet"],
    );
    let squashfs = fs::read(bench.path("sq")).unwrap();
    assert_refused_within(&squashfs, limits, &["larger than the limit"]);
}

#[test]
fn truncated_anywhere() {
    let bench = Bench::new();
    let noise: Vec<u8> = (0..60_000_u32)
        .map(|i| (i.wrapping_mul(i) >> 7) as u8)
        .collect();
    let plain = Archive::default()
        .dir("d")
        .file("d/noise", &noise)
        .file("d/last", b"x")
        .end();
    let path = bench.path("whole");
    fs::write(&path, &plain).unwrap();
    for cut in [100, 512, 600, 30_000, plain.len() - 1024] {
        assert_refused(
            &plain[..cut],
            if cut < 512 {
                &["neither"]
            } else {
                &["truncated"]
            },
        );
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
    run(
        "mksquashfs",
        &[str(&tree), str(&bench.path("sq")), "-quiet"],
    );
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
    fs::write(
        tree.join("sub/noise"),
        (0..20_000_u32)
            .map(|i| ((i * i) >> 5) as u8)
            .collect::<Vec<_>>(),
    )
    .unwrap();
    fs::write(tree.join("text"), "text").unwrap();
    std::os::unix::fs::symlink("text", tree.join("link")).unwrap();
    let mut sources = Vec::new();
    for compression in ["gzip", "xz", "zstd"] {
        let path = bench.path(compression);
        run(
            "mksquashfs",
            &[str(&tree), str(&path), "-comp", compression, "-quiet"],
        );
        sources.push(fs::read(path).unwrap());
    }
    // The same without compression: every structure is open to the damage.
    run(
        "mksquashfs",
        &[
            str(&tree),
            str(&bench.path("p")),
            "-noI",
            "-noD",
            "-noF",
            "-quiet",
        ],
    );
    sources.push(fs::read(bench.path("p")).unwrap());
    for option in ["--gzip", "--zstd", "--xz", "--format=posix"] {
        run(
            "tar",
            &[option, "-C", str(&tree), "-cf", str(&bench.path("t")), "."],
        );
        sources.push(fs::read(bench.path("t")).unwrap());
    }
    let limits = Limits {
        bytes: 8 << 20,
        entries: 1000,
    };
    let options = ImportOptions {
        limits,
        ..ImportOptions::default()
    };
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for source in sources {
        for _ in 0..60 {
            let mut damaged = source.clone();
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let at = (random >> 33) as usize % damaged.len();
            damaged[at] ^= 1 << (random % 8) | 1;
            fs::write(bench.path("damaged"), &damaged).unwrap();
            let name = reference("x");
            let imported = bench
                .store
                .import(&name, &bench.path("damaged"), &options, &mut |_| {});
            if imported.is_ok() {
                bench.store.remove(&name, &common::no_one).unwrap();
            }
            bench.assert_nothing_left();
        }
    }
}
