//! The hostile-container suite: every row of the table on real containers.
//!
//! What a row is, and what is shown of it, is in `coop_tests::escape`; the table itself in
//! `tests/src/escape/table`. `cargo xtask escape` prints what became of each.

use coop_tests::Host;
use coop_tests::escape::{Outcome, Row, Scene, Trial, Verdict, table};

/// Runs all rows of a part, and tells of each that does not hold.
#[track_caller]
fn hold(rows: &[Row]) {
    let host = Host::new();
    let scene = Scene::new(&host);
    let mut broken = Vec::new();
    for row in rows {
        let trial = Trial::run(&scene, row);
        println!("{}", line(&trial));
        if trial.verdict() == Verdict::Broken {
            broken.push(format!("{trial:#?}"));
        }
    }
    assert!(
        broken.is_empty(),
        "rows do not hold:\n{}",
        broken.join("\n")
    );
}

/// For the reader of the test's output.
fn line(trial: &Trial) -> String {
    let off = trial.off.as_ref().map(|run| &run.outcome);
    let off = off.map_or_else(|| "no switch".to_owned(), Outcome::to_string);
    format!(
        "{:?} {}: {}; off: {off}",
        trial.verdict(),
        trial.row.name,
        trial.default.outcome
    )
}

#[test]
fn processes_of_the_host_are_out_of_reach() {
    hold(table::PROCESSES);
}

#[test]
fn files_of_the_host_are_out_of_reach() {
    hold(table::FILES);
}

#[test]
fn mounts_cannot_be_changed_and_no_namespace_be_made_in_which_they_could() {
    hold(table::MOUNTS);
}

#[test]
fn devices_are_those_that_were_given() {
    hold(table::DEVICES);
}

#[test]
fn the_network_is_its_own() {
    hold(table::NETWORK);
}

#[test]
fn the_kernel_cannot_be_changed_and_shows_little_of_itself() {
    hold(table::KERNEL);
}

#[test]
fn nobody_becomes_more_than_it_is() {
    hold(table::PRIVILEGES);
}

#[test]
fn nobody_takes_more_than_its_share() {
    hold(table::LIMITS);
}
