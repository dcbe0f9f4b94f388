//! Thousands of short containers, eight at a time: none fails, none hangs, nothing is left.
//!
//! `COOP_SOAK=full` runs ten thousand. A launcher that waits for `SIGCHLD` can lose a wake-up
//! between looking and sleeping, and then waits for ever for a container that is long gone.
//! Coop polls pidfds, which stay readable: there is nothing to lose.

use std::fs;
use std::time::Duration;

use coop_tests::{Host, rounds};

/// Runs it `$1` times with the command that follows, eight at a time, and prints what failed;
/// 124 is a hang.
const EIGHT_AT_A_TIME: &str = r#"
    count=$1; shift
    seq "$count" | xargs -P 8 -I{} sh -c '
        output=$(timeout 120 "$@" 2>&1)
        code=$?
        [ "$code" = 0 ] && [ "$output" = hello ] || echo "run {}: status $code: $output"
    ' sh "$@"
"#;

/// Open files of the whole machine, and cgroups, which the kernel counts.
fn counters() -> String {
    let files = fs::read_to_string("/proc/sys/fs/file-nr").unwrap_or_default();
    let cgroups: usize = fs::read_to_string("/proc/cgroups")
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2)?.parse::<usize>().ok())
        .sum();
    format!("open files {}, cgroups {cgroups}", files.trim())
}

fn many(count: usize, flags: &[&str]) {
    let host = Host::new();
    // The image is made at its first use, once.
    let run = || {
        let run = host.coop(["run", "--rm"]).args(flags);
        run.args(["coop/host", "echo", "hello"])
    };
    run().run().success();
    let before = host.snapshot();
    eprintln!("before: {}", counters());
    let all = format!("set -- {count} \"$@\"\n{EIGHT_AT_A_TIME}");
    let output = run()
        .through_shell(&all)
        .timeout(Duration::from_secs(3600))
        .run();
    eprintln!("after:  {}", counters());
    assert_eq!(output.success().stdout, "", "of {count} runs");
    host.assert_nothing_left(&before);
    assert_eq!(host.containers(), [""; 0]);
}

#[test]
fn no_run_fails_or_hangs_or_leaves_anything() {
    many(rounds(400, 10_000), &[]);
}

#[test]
fn no_run_without_a_network_fails_or_hangs_or_leaves_anything() {
    many(rounds(200, 2000), &["--network", "none"]);
}
