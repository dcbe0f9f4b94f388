//! Every target over its seeds, among which is everything that a fuzzer ever found.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use coop_fuzz::{TARGETS, find};

fn seeds() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/seeds"))
}

#[test]
fn no_seed_breaks_a_promise() {
    let mut broken = Vec::new();
    for target in TARGETS {
        let files = fs::read_dir(seeds().join(target.name)).expect(target.name);
        for file in files {
            let file = file.expect(target.name).path();
            let data = fs::read(&file).expect("read a seed");
            if catch_unwind(|| (target.run)(&data)).is_err() {
                broken.push(file);
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_target_has_seeds_and_every_seed_a_target() {
    for dir in fs::read_dir(seeds()).expect("list the seeds") {
        let name = dir.expect("list the seeds").file_name();
        assert!(name.to_str().and_then(find).is_some(), "{}", name.display());
    }
    for target in TARGETS {
        assert!(seeds().join(target.name).is_dir(), "{}", target.name);
    }
}
