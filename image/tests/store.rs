//! Names, shared layers, removal, and what crashes leave.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on shall say where"
)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Barrier;

use common::{Bench, list, no_one, reference, text};
use coop_image::{Digest, Error, ImageConfig, ImportOptions, Progress, Removed};

fn tree(bench: &Bench, name: &str, content: &str) -> PathBuf {
    let dir = bench.path(name);
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("file"), content).unwrap();
    // Directories made one after another must not differ in time.
    common::run(
        "touch",
        &[
            "-d",
            "2020-01-01",
            common::str(&dir.join("file")),
            common::str(&dir),
        ],
    );
    dir
}

#[test]
fn a_layer_goes_with_its_last_name() {
    let bench = Bench::new();
    let (one, two) = (tree(&bench, "one", "1"), tree(&bench, "two", "2"));
    let first = bench.import("first", &one).unwrap();
    bench
        .import("reg.example:5000/team/second:v1", &one)
        .unwrap();
    bench.import("third", &two).unwrap();
    assert_eq!(bench.layers().len(), 2);
    let names: Vec<_> = bench
        .store
        .list()
        .unwrap()
        .iter()
        .map(|image| image.reference.to_string())
        .collect();
    assert_eq!(
        names,
        [
            "first:latest",
            "reg.example:5000/team/second:v1",
            "third:latest"
        ]
    );

    let removed = bench.store.remove(&reference("first"), &no_one).unwrap();
    assert_eq!((removed.layers.len(), removed.size), (0, 0));
    assert_eq!(bench.layers().len(), 2);
    let second = reference("reg.example:5000/team/second:v1");
    let removed = bench.store.remove(&second, &no_one).unwrap();
    assert_eq!((removed.layers, removed.size), (first.layers, 1));
    bench.store.remove(&reference("third"), &no_one).unwrap();
    bench.assert_nothing_left();
}

#[test]
fn a_layer_in_use_stays_and_so_does_its_name() {
    let bench = Bench::new();
    let image = bench.import("web", &tree(&bench, "one", "1")).unwrap();
    let web = |layer: &Path| (layer == image.layers[0]).then(|| "container web-1".to_owned());
    let error = bench.store.remove(&image.reference, &web).unwrap_err();
    assert_eq!(
        text(&error),
        "image web:latest is in use by container web-1"
    );
    assert_eq!(bench.store.get(&image.reference).unwrap(), image);
    // A second name may go: the layer stays.
    bench.import("alias", &tree(&bench, "one", "1")).unwrap();
    bench.store.remove(&reference("alias"), &web).unwrap();
}

#[test]
fn an_unknown_name_is_answered_with_near_ones() {
    let bench = Bench::new();
    let error = bench.store.get(&reference("alpine")).unwrap_err();
    assert_eq!(text(&error), "there is no image alpine:latest");
    assert!(bench.store.list().unwrap().is_empty());
    assert!(bench.store.remove(&reference("alpine"), &no_one).is_err());
    assert_eq!(bench.store.prune(&no_one).unwrap(), Removed::default());
    assert!(!bench.path("store").exists(), "looking creates nothing");
    bench
        .import("alpine:3.20", &tree(&bench, "one", "1"))
        .unwrap();
    let error = bench.store.get(&reference("alpine")).unwrap_err();
    assert_eq!(
        text(&error),
        "there is no image alpine:latest; did you mean alpine:3.20?"
    );
    let error = bench
        .store
        .remove(&reference("apline:3.20"), &no_one)
        .unwrap_err();
    assert!(text(&error).contains("did you mean alpine:3.20?"));
}

#[test]
fn a_name_given_again_leaves_its_layer_to_prune() {
    let bench = Bench::new();
    let old = bench.import("web", &tree(&bench, "one", "old")).unwrap();
    let new = bench.import("web", &tree(&bench, "two", "newer")).unwrap();
    assert_ne!(old.id, new.id);
    assert!(old.layers[0].is_dir(), "a container may use it");
    assert_eq!(bench.store.list().unwrap(), std::slice::from_ref(&new));
    let user = |layer: &Path| (layer == old.layers[0]).then(|| "web-1".to_owned());
    assert!(bench.store.prune(&user).unwrap().layers.is_empty());
    let removed = bench.store.prune(&no_one).unwrap();
    assert_eq!((removed.layers, removed.size), (old.layers, 3));
    assert!(new.layers[0].is_dir());
}

#[test]
fn the_configuration_is_kept_and_part_of_the_id() {
    let bench = Bench::new();
    let source = tree(&bench, "one", "1");
    let plain = bench.import("plain", &source).unwrap();
    let config = ImageConfig {
        cmd: vec!["/bin/web".to_owned()],
        ..ImageConfig::default()
    };
    let options = ImportOptions {
        config: config.clone(),
        ..ImportOptions::default()
    };
    let name = reference("with-config");
    let image = bench
        .store
        .import(&name, &source, &options, &mut |_| {})
        .unwrap();
    assert_eq!(bench.store.get(&name).unwrap().config, config);
    assert_ne!(image.id, plain.id);
    assert_eq!(image.layers, plain.layers);
}

#[test]
fn names_that_lie_below_one_another_do_not_meet() {
    let bench = Bench::new();
    let source = tree(&bench, "one", "1");
    for name in [
        "reg.io/a",
        "reg.io/a/b",
        "reg.io/a/b:x.json",
        "reg.io/a/latest",
    ] {
        bench.import(name, &source).unwrap();
    }
    assert_eq!(bench.store.list().unwrap().len(), 4);
    bench.store.remove(&reference("reg.io/a"), &no_one).unwrap();
    assert!(bench.store.get(&reference("reg.io/a/b")).is_ok());
}

#[test]
fn a_digest_is_not_chosen() {
    let bench = Bench::new();
    let name = reference(&format!("x@{}", Digest::of(b"")));
    let error = bench.store.import(
        &name,
        &tree(&bench, "one", "1"),
        &ImportOptions::default(),
        &mut |_| {},
    );
    assert!(matches!(error, Err(Error::DigestGiven { .. })));
}

#[test]
fn a_damaged_record_is_named_and_hides_no_other() {
    let bench = Bench::new();
    bench.import("good", &tree(&bench, "one", "1")).unwrap();
    bench.import("bad", &tree(&bench, "one", "1")).unwrap();
    let record = bench.path("store/images/docker.io/library/bad/_tags/latest.json");
    fs::write(&record, "{\"version\":1,").unwrap();
    let error = text(&bench.store.get(&reference("bad")).unwrap_err());
    assert!(error.contains("latest.json is damaged"), "{error}");
    assert_eq!(bench.store.list().unwrap().len(), 1);
    fs::write(&record, "{\"version\":99,\"new\":true}").unwrap();
    let error = text(&bench.store.get(&reference("bad")).unwrap_err());
    assert!(error.contains("version 99"), "{error}");
}

#[test]
fn only_the_owner_reaches_the_layers() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    bench.import("x", &tree(&bench, "one", "1")).unwrap();
    for dir in ["store", "store/layers", "store/images", "store/tmp"] {
        let mode = bench.path(dir).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{dir}");
    }
}

#[test]
fn what_a_killed_import_left_goes_with_the_next() {
    let bench = Bench::new();
    let source = tree(&bench, "one", "1");
    bench.import("x", &source).unwrap();
    // As `kill -9` leaves it: a lock file that nobody locks, half a tree, half a removal.
    let tmp = bench.path("store/tmp");
    fs::create_dir_all(tmp.join("0123456789ab/root/etc")).unwrap();
    fs::write(tmp.join("0123456789ab.lock"), "").unwrap();
    fs::create_dir_all(tmp.join("ffff.1.removed/etc")).unwrap();
    bench.import("y", &source).unwrap();
    assert_eq!(list(&tmp), Vec::<PathBuf>::new());
}

#[test]
fn concurrent_imports_of_one_name_wait_for_each_other() {
    let bench = Bench::new();
    let source = tree(&bench, "one", "1");
    let barrier = Barrier::new(8);
    let images: Vec<_> = std::thread::scope(|scope| {
        let start = |name: &'static str| {
            let (bench, barrier, source) = (&bench, &barrier, &source);
            scope.spawn(move || {
                barrier.wait();
                bench.import(name, source).unwrap()
            })
        };
        let threads: Vec<_> = ["a", "a", "a", "b", "b", "c", "d", "a"]
            .into_iter()
            .map(start)
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(images.iter().all(|image| image.layers == images[0].layers));
    assert_eq!(bench.layers().len(), 1);
    assert_eq!(bench.store.list().unwrap().len(), 4);
    assert_eq!(list(&bench.path("store/tmp")), Vec::<PathBuf>::new());
}

#[test]
fn an_import_that_waits_says_so() {
    let bench = Bench::new();
    let source = tree(&bench, "one", "1");
    let name = reference("x");
    // Within the first import's own progress: its lock is held. Another name is free.
    let mut nested = None;
    bench
        .store
        .import(&name, &source, &ImportOptions::default(), &mut |event| {
            if event == Progress::Syncing && nested.is_none() {
                nested = Some(bench.import("y", &source).unwrap());
            }
        })
        .unwrap();
    assert!(nested.is_some());
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let mut second = None;
        bench
            .store
            .import(&name, &source, &ImportOptions::default(), &mut |event| {
                if event == Progress::Syncing {
                    let (bench, source, name, sender) = (&bench, &source, &name, sender.clone());
                    second = Some(scope.spawn(move || {
                        let mut report = |event: Progress<'_>| {
                            if event == Progress::Waiting {
                                sender.send(()).unwrap();
                            }
                        };
                        let options = ImportOptions::default();
                        bench
                            .store
                            .import(name, source, &options, &mut report)
                            .unwrap();
                    }));
                    receiver.recv().expect("the second import waits");
                }
            })
            .unwrap();
        second.unwrap().join().unwrap();
    });
}

#[test]
fn a_held_store_is_not_removed_from() {
    let bench = Bench::new();
    let image = bench.import("x", &tree(&bench, "one", "1")).unwrap();
    let hold = bench.store.hold().unwrap();
    let (asked, was_asked) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let remover = scope.spawn(|| {
            bench.store.remove(&image.reference, &move |_| {
                asked.send(()).unwrap();
                None
            })
        });
        // While held, the question cannot come; it may only not have come yet.
        assert!(
            was_asked
                .recv_timeout(std::time::Duration::from_millis(50))
                .is_err()
        );
        assert!(image.layers[0].is_dir());
        drop(hold);
        remover.join().unwrap().unwrap();
    });
    bench.assert_nothing_left();
}

/// Not a test of its own: the process that the next one kills.
#[test]
fn import_until_killed() {
    let (Ok(dir), Ok(source)) = (
        std::env::var("COOP_TEST_STORE"),
        std::env::var("COOP_TEST_SOURCE"),
    ) else {
        return;
    };
    let store = coop_image::Store::open(&dir);
    let mut report = |event: Progress<'_>| {
        if event == Progress::Syncing {
            fs::write(format!("{dir}.ready"), "").unwrap();
            std::thread::sleep(std::time::Duration::from_secs(600));
        }
    };
    store
        .import(
            &reference("x"),
            Path::new(&source),
            &ImportOptions::default(),
            &mut report,
        )
        .unwrap();
}

#[test]
fn an_import_that_is_killed_leaves_nothing_that_the_next_does_not_clean() {
    let bench = Bench::new();
    let source = tree(&bench, "one", "1");
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "import_until_killed"])
        .env("COOP_TEST_STORE", bench.path("store"))
        .env("COOP_TEST_SOURCE", &source)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !bench.path("store.ready").exists() {
        assert!(child.try_wait().unwrap().is_none(), "the import ended");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(bench.store.list().unwrap().is_empty());
    assert!(bench.layers().is_empty(), "no half layer under its digest");
    assert_eq!(
        list(&bench.path("store/tmp")).len(),
        2,
        "its tree and its lock"
    );
    bench.import("another", &source).unwrap();
    assert_eq!(list(&bench.path("store/tmp")), Vec::<PathBuf>::new());
}
