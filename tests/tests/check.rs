//! `coop check`: what a host offers, and what is in force for a default container on it.

use std::fs;
use std::os::unix::fs::chown;

use coop_tests::{Host, Output};
use insta::assert_snapshot;
use serde_json::Value;

/// The findings about the container: `CHECK: VERDICT, FOUND`, without what differs by machine.
fn of_container(output: &Output) -> Vec<String> {
    let findings = output.json();
    let findings = findings.as_array().expect("a list of findings");
    let word = |value: &Value| value.as_str().expect("a word").to_owned();
    findings
        .iter()
        .filter(|finding| finding["Part"] == "container")
        .map(|finding| {
            let check = word(&finding["Check"]);
            // Which of them there are depends on the kernel.
            let found = match check.as_str() {
                "masked paths" | "read-only paths" => "[paths]".to_owned(),
                _ => without_numbers(&word(&finding["Found"])),
            };
            format!("{check}: {}, {found}", word(&finding["Verdict"]))
        })
        .collect()
}

fn without_numbers(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let number = word.trim_end_matches(',');
        if number.parse::<u64>().is_ok() {
            word.replace(number, "[n]")
        } else {
            word.to_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn on_a_host_that_is_well_every_promise_is_kept() {
    let host = Host::new();
    let before = host.snapshot();
    let output = host.coop(["check", "--json"]).run();
    assert_snapshot!(of_container(output.success()).join("\n"));
    // The image that it made for itself is gone, too.
    host.assert_nothing_left(&before);
}

#[test]
fn people_get_a_table_of_each_part_and_programs_the_same_findings() {
    let host = Host::new();
    let text = host.coop(["check"]).run();
    text.success()
        .says("WHAT THE KERNEL OFFERS")
        .says("HOW THE KERNEL IS SET")
        .says("A DEFAULT CONTAINER")
        .says("Coop keeps its promises here");
    let findings = host.coop(["check", "--json"]).run().json();
    for finding in findings.as_array().expect("a list of findings") {
        text.says(finding["Check"].as_str().expect("a word"));
        if let Some(advice) = finding["Advice"].as_str() {
            text.says(advice);
        }
    }
}

#[test]
fn a_promise_that_is_not_kept_is_told_with_what_to_do_and_ends_with_1() {
    let host = Host::new();
    host.hide_controller("pids");
    let output = host.coop(["check"]).run();
    output.code(1).says("BROKEN").says("pids");
}

#[test]
fn a_host_on_which_no_container_runs_is_told_why() {
    let host = Host::new();
    let file = host.file("no-directory", "");
    let output = host
        .coop(["check"])
        .env("COOP_ROOT", file.join("below"))
        .run();
    output
        .code(1)
        .says("WHAT THE KERNEL OFFERS")
        .says("cannot be run")
        .says("no-directory");
}

#[test]
fn it_works_for_a_user_who_is_not_root() {
    const USER: u32 = 4100;
    let host = Host::new();
    for directory in ["home", "runtime"] {
        let directory = host.work().join(directory);
        fs::create_dir(&directory).unwrap();
        chown(&directory, Some(USER), Some(USER)).unwrap();
    }
    let output = host
        .coop_as_user(USER, ["check", "--json"])
        .env("HOME", host.work().join("home"))
        .env("XDG_RUNTIME_DIR", host.work().join("runtime"))
        .cwd(&host.work().join("home"))
        .through_shell(r#"unset COOP_ROOT; exec "$@""#)
        .run();
    assert_snapshot!(of_container(output.success()).join("\n"));
}

#[test]
fn it_says_that_it_is_not_system_check_and_the_other_way_round() {
    let host = Host::new();
    let help = host.coop(["check", "--help"]).run();
    help.success().says("`coop system check`");
    let help = host.coop(["system", "--help"]).run();
    help.success().says("`coop check`");
}

/// It mounts over `/tmp` and renames the machine, where nothing keeps it from that.
#[test]
fn what_is_tried_inside_is_tried_nowhere_else() {
    let host = Host::new();
    for part in ["look", "try"] {
        let output = host.coop(["check", "--inside", part]);
        // Should it try all the same, this machine is spared.
        let output = output.through_shell(r#"exec unshare --mount --uts --net "$@""#);
        output.run().fails(1, &["for the container", "help: "]);
    }
}
